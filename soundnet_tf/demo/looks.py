"""How each kind of object looks: signed distances on a grid of coordinates.

A look is drawn in its own coordinates, x to the right and y down, about one unit from its centre to its edge, and
returns layers from back to front: the distance to the layer's edge (negative inside) and which of the scene's four
colours fills it. The colours are random for each scene, so they carry no information about the kind.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]
Layers = list[tuple[Grid, int]]

BODY, TRIM, DARK, LIGHT = range(4)


class Moment(NamedTuple):
    """What a look depends on: the time, the decay since the last onset, and four parameters of the scene."""

    time_s: float
    beat: float
    """1 at an onset of the sound, falling to 0."""
    form: NDArray[np.float64]
    """Four numbers in [0, 1] that vary the shape within a kind."""


def circle(x: Grid, y: Grid, cx: float, cy: float, radius: float) -> Grid:
    """A disc."""
    return np.sqrt((x - cx) ** 2 + (y - cy) ** 2) - radius


def oval(x: Grid, y: Grid, cx: float, cy: float, rx: float, ry: float) -> Grid:
    """An ellipse; the distance is exact along its shorter axis."""
    return (np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2) - 1) * min(rx, ry)


def box(x: Grid, y: Grid, cx: float, cy: float, half_width: float, half_height: float) -> Grid:
    """An upright rectangle."""
    return np.maximum(abs(x - cx) - half_width, abs(y - cy) - half_height)


def line(x: Grid, y: Grid, x0: float, y0: float, x1: float, y1: float, width: float) -> Grid:
    """A stroke with round ends."""
    dx, dy = x1 - x0, y1 - y0
    along = np.minimum(np.maximum(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0), 1)
    return np.sqrt((x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2) - width / 2


def polygon(x: Grid, y: Grid, *corners: tuple[float, float]) -> Grid:
    """A convex polygon, its corners clockwise as seen."""
    distance = np.full_like(x, -9)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        dx, dy = x1 - x0, y1 - y0
        length = (dx * dx + dy * dy) ** 0.5
        distance = np.maximum(distance, x * (dy / length) - y * (dx / length) + (y0 * dx - x0 * dy) / length)
    return distance


def union(*distances: Grid) -> Grid:
    """The union of the shapes."""
    return np.minimum.reduce(distances)


def _bell(x: Grid, y: Grid, now: Moment) -> Layers:
    swing = 0.35 * now.beat * np.sin(9 * now.time_s)
    x, y = x * np.cos(swing) + (y + 0.9) * np.sin(swing), (y + 0.9) * np.cos(swing) - x * np.sin(swing) - 0.9
    flare = 0.7 + 0.2 * now.form[0]
    dome = union(oval(x, y, 0, -0.15, 0.5, 0.6), polygon(x, y, (-0.5, -0.2), (0.5, -0.2), (flare, 0.6), (-flare, 0.6)))
    return [
        (abs(circle(x, y, 0, -0.8, 0.15)) - 0.06, DARK),
        (circle(x, y, -2.0 * swing, 0.75, 0.17), DARK),
        (dome, BODY),
        (line(x, y, -flare, 0.58, flare, 0.58, 0.18), TRIM),
        (line(x, y, -0.28, -0.3, -0.4, 0.25, 0.1), LIGHT),
    ]


def _bird(x: Grid, y: Grid, now: Moment) -> Layers:
    flap = 0.25 + 0.35 * np.sin(11 * now.time_s) * (0.3 + 0.7 * now.beat)
    gape = 0.03 + 0.14 * now.beat
    plump = 0.38 + 0.1 * now.form[0]
    return [
        (line(x, y, -0.1, 0.4, -0.12, 0.9, 0.06), DARK),
        (line(x, y, 0.12, 0.4, 0.12, 0.9, 0.06), DARK),
        (polygon(x, y, (-1.05, -0.2), (-0.4, 0.0), (-0.3, 0.3), (-0.95, 0.15)), TRIM),
        (polygon(x, y, (0.72, -0.5 - gape), (1.1, -0.38 - gape), (0.72, -0.36)), DARK),
        (polygon(x, y, (0.72, -0.38), (1.05, -0.3 + gape), (0.72, -0.24 + gape)), DARK),
        (union(oval(x, y, 0, 0.15, 0.62, plump), circle(x, y, 0.5, -0.35, 0.32)), BODY),
        (line(x, y, 0.1, 0.1, -0.42, 0.35 - 1.4 * flap, 0.3), TRIM),
        (circle(x, y, 0.58, -0.42, 0.09), LIGHT),
        (circle(x, y, 0.6, -0.42, 0.05), DARK),
    ]


def _clock(x: Grid, y: Grid, now: Moment) -> Layers:
    hour, minute = 2 * np.pi * (now.form[0] + now.time_s * 0.01), 2 * np.pi * (now.form[1] + now.time_s * 0.05)
    marks = [(np.sin(angle), np.cos(angle)) for angle in np.arange(8) * np.pi / 4]
    return [
        (line(x, y, -0.5, 0.75, -0.65, 0.98, 0.14), DARK),
        (line(x, y, 0.5, 0.75, 0.65, 0.98, 0.14), DARK),
        (circle(x, y, 0, 0, 0.95), BODY),
        (circle(x, y, 0, 0, 0.76), LIGHT),
        (union(*(circle(x, y, 0.63 * dx, 0.63 * dy, 0.06) for dx, dy in marks)), TRIM),
        (line(x, y, 0, 0, 0.38 * np.sin(hour), -0.38 * np.cos(hour), 0.13), DARK),
        (line(x, y, 0, 0, 0.58 * np.sin(minute), -0.58 * np.cos(minute), 0.09), DARK),
        (circle(x, y, 0, 0, 0.1), TRIM),
    ]


def _dog(x: Grid, y: Grid, now: Moment) -> Layers:
    mouth = 0.06 + 0.24 * now.beat
    droop = 0.15 + 0.2 * now.form[0]
    side = abs(x)
    return [
        (oval(x, y, 0, 0.62, 0.3, 0.12 + mouth), DARK),
        (oval(x, y, 0, 0.62 + mouth * 0.6, 0.15, 0.08 + mouth * 0.5), TRIM),
        (oval(x, y, 0, -0.1, 0.68, 0.72), BODY),
        (oval(side + 0.25 * y, y, 0.72, -0.05, 0.22, 0.45 + droop), TRIM),
        (union(oval(side, y, 0.2, 0.4, 0.27, 0.2), oval(x, y, 0, 0.28, 0.2, 0.22)), LIGHT),
        (oval(x, y, 0, 0.18, 0.19, 0.13), DARK),
        (circle(side, y, 0.27, -0.22, 0.14), LIGHT),
        (circle(side, y, 0.25, -0.2, 0.08), DARK),
    ]


def _drum(x: Grid, y: Grid, now: Moment) -> Layers:
    top, bottom = -0.25, 0.55 + 0.25 * now.form[0]
    lift = 0.45 * (1 - now.beat)
    zigzag = abs((x * 2.1 + 10.5) % 2 - 1) * (bottom - top - 0.3) + top + 0.25
    side = union(box(x, y, 0, (top + bottom) / 2, 0.85, (bottom - top) / 2), oval(x, y, 0, bottom, 0.85, 0.22))
    return [
        (side, BODY),
        (np.maximum(abs(y - zigzag - 0.1) / 2 - 0.04, side + 0.02), LIGHT),
        (oval(x, y, 0, top, 0.9, 0.3), TRIM),
        (oval(x, y, 0, top, 0.74, 0.21), LIGHT),
        (union(line(x, y, -0.25, top, -0.85, -0.7 - lift, 0.1), circle(x, y, -0.25, top, 0.1)), DARK),
        (union(line(x, y, 0.25, top - lift, 0.9, -0.75, 0.1), circle(x, y, 0.25, top - lift, 0.1)), DARK),
    ]


def _engine(x: Grid, y: Grid, now: Moment) -> Layers:
    """A lorry, shaking with its motor and puffing smoke."""
    high = 0.45 + 0.25 * now.form[0]
    y = y + 0.03 * np.sin(40 * now.time_s)
    puff = (now.time_s * 1.3) % 1
    wheels = union(*(circle(x, y, cx, 0.55, 0.24) for cx in (-0.7, -0.1, 0.65)))
    return [
        (circle(x, y, -1.05 - 0.1 * puff, 0.3 - 0.5 * puff, 0.08 + 0.14 * puff), LIGHT),
        (box(x, y, -0.3, 0.45 - high, 0.68, high), BODY),
        (polygon(x, y, (0.45, -0.25), (0.8, -0.25), (1.05, 0.1), (1.05, 0.5), (0.45, 0.5)), TRIM),
        (polygon(x, y, (0.58, -0.13), (0.76, -0.13), (0.92, 0.1), (0.58, 0.1)), LIGHT),
        (line(x, y, -0.98, 0.48, 1.05, 0.48, 0.1), DARK),
        (wheels, DARK),
        (wheels + 0.13, LIGHT),
    ]


def _siren(x: Grid, y: Grid, now: Moment) -> Layers:
    """A car with a flashing lamp on its roof."""
    flash = np.sin((9 + 6 * now.form[0]) * now.time_s) > 0
    rays = [(np.cos(angle), -np.sin(angle)) for angle in np.pi * np.array([0.12, 0.31, 0.5, 0.69, 0.88])]
    glow = union(*(line(x, y, 0.38 * dx, 0.38 * dy - 0.55, 0.52 * dx, 0.52 * dy - 0.55, 0.08) for dx, dy in rays))
    wheels = circle(abs(x), y, 0.55, 0.55, 0.26)
    return [
        (glow + (0 if flash else 0.04), LIGHT),
        (union(circle(x, y, 0, -0.55, 0.19), box(x, y, 0, -0.45, 0.19, 0.1)), TRIM if flash else LIGHT),
        (polygon(x, y, (-0.42, -0.42), (0.35, -0.42), (0.62, 0.1), (-0.7, 0.1)), BODY),
        (polygon(x, y, (-0.36, -0.31), (-0.04, -0.31), (-0.04, 0.05), (-0.54, 0.05)), LIGHT),
        (polygon(x, y, (0.06, -0.31), (0.29, -0.31), (0.46, 0.05), (0.06, 0.05)), LIGHT),
        (box(x, y, 0, 0.3, 0.98, 0.24) - 0.03, BODY),
        (box(x, y, 0, 0.3, 1.0, 0.06), TRIM),
        (wheels, DARK),
        (wheels + 0.14, LIGHT),
    ]


def _fire(x: Grid, y: Grid, now: Moment) -> Layers:
    def tongue(cx: float, wide: float, tall: float, pace: float) -> Grid:
        """A drop that leans and licks, its foot at y = 0.7."""
        up = (0.7 - y) / (tall * (1 + 0.12 * np.sin(pace * now.time_s) + 0.1 * now.beat))
        lean = 0.2 * up * up * np.sin(pace * 0.7 * now.time_s + 5 * cx + 2 * y)
        profile = 2.1 * np.sqrt(np.clip(up, 0, None)) * (1 - up)
        return np.maximum((abs(x - cx - lean) - wide * profile) * 0.75, np.maximum(-up, up - 0.97) * tall)

    tall = 1.2 + 0.3 * now.form[0]
    outer = union(tongue(0, 0.5, tall, 7), tongue(-0.42, 0.34, 0.7 * tall, 9), tongue(0.42, 0.34, 0.75 * tall, 8))
    return [
        (line(x, y, -0.85, 0.85, 0.8, 0.55, 0.2), DARK),
        (line(x, y, 0.85, 0.85, -0.8, 0.55, 0.2), DARK),
        (outer, BODY),
        (union(tongue(0, 0.33, 0.7 * tall, 10), tongue(-0.34, 0.2, 0.42 * tall, 12)), TRIM),
        (tongue(0.05, 0.18, 0.4 * tall, 13), LIGHT),
    ]


def _rain(x: Grid, y: Grid, now: Moment) -> Layers:
    """A cloud, and streaks that fall out of it."""
    slant = 0.5 * (now.form[0] - 0.5)
    column = x + slant * y
    lane = np.floor(column * 3)
    fall = (y * 1.6 - 3.2 * now.time_s + 0.37 * lane) % 1
    streak = np.maximum(abs((column * 3) % 1 - 0.5) / 3 - 0.045, (abs(fall - 0.5) - 0.25) / 1.6)
    below = np.maximum(box(column, y, 0, 0.5, 0.74, 0.5), streak)
    puffs = union(circle(x, y, -0.5, -0.3, 0.34), circle(x, y, -0.05, -0.5, 0.45), circle(x, y, 0.5, -0.32, 0.38))
    return [
        (below, TRIM),
        (union(puffs, box(x, y, 0, -0.13, 0.6, 0.16) - 0.04), BODY),
        (circle(x, y, -0.15, -0.6, 0.2), LIGHT),
    ]


def _waves(x: Grid, y: Grid, now: Moment) -> Layers:
    """Rollers that pass each other, and a small boat that rides on them."""
    high, pace = 0.1 + 0.07 * now.form[0], 4 + 3 * now.form[1]
    port, bob = 0.5 * (now.form[2] - 0.5), 0.08 * np.sin(1.6 * now.time_s)
    at, up = x - port, y - bob
    layers: Layers = [
        (polygon(at, up, (-0.4, -0.12), (0.42, -0.12), (0.25, 0.2), (-0.25, 0.2)), DARK),
        (polygon(at, up, (0.05, -0.95), (0.45, -0.2), (0.05, -0.2)), LIGHT),
        (polygon(at, up, (-0.03, -0.75), (-0.03, -0.2), (-0.35, -0.2)), TRIM),
    ]
    for row, (level, role) in enumerate(((0.1, TRIM), (0.42, BODY))):
        phase = pace * x + (1.6 + 0.5 * row) * now.time_s * (-1) ** row + 2 * row
        crest = level + high * (2 * abs(np.sin(phase / 2)) - 1)
        sea = np.maximum(np.maximum((crest - y) * 0.7, abs(x) - 1), y - 0.8)
        layers += [(sea, role), (np.maximum(abs(sea + 0.05) - 0.04, abs(y - crest) - 0.12), LIGHT)]
    return layers


LOOKS: dict[str, Callable[[Grid, Grid, Moment], Layers]] = {
    'bell': _bell,
    'bird': _bird,
    'clock': _clock,
    'dog': _dog,
    'drum': _drum,
    'engine': _engine,
    'fire': _fire,
    'rain': _rain,
    'siren': _siren,
    'waves': _waves,
}
