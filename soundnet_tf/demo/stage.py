"""Scenes and how to draw them: backgrounds, clutter, and the objects of each kind as actors."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.demo.looks import LOOKS, Moment, box, circle, line
from soundnet_tf.demo.synthesis import log_uniform, onsets, random

KINDS = tuple(LOOKS)
SIZE = 96
"""Height and width of a picture, in pixels."""
SPECKLES = 16
"""Number of different noise patterns: windows of one noise field, each shifted by one row."""
LONGEST_S = 60.0
"""Pictures follow the onsets of their sound up to this time."""

Picture = NDArray[np.uint8]
Colour = NDArray[np.float32]
Canvas = NDArray[np.float32]
"""`[3, height, width]`: channels first, because numpy processes whole rows faster than three-element pixels."""


@dataclass(frozen=True)
class Scene:
    """What a video shows and sounds like, as a value."""

    id: str
    kind: str
    other: str | None
    """A second kind, further back, or None."""
    seed: int


def scenes(count: int, seed: int, company: float = 0.28) -> list[Scene]:
    """`count` scenes with balanced kinds; `company` is the share with a second kind."""
    rng = random(seed, 'scenes')
    order = rng.permutation(np.arange(count) % len(KINDS))
    made = []
    for index, kind in enumerate(order):
        other = KINDS[(kind + rng.integers(1, len(KINDS))) % len(KINDS)] if rng.random() < company else None
        made.append(Scene(f'{seed}-{index:05d}', KINDS[kind], other, int(rng.integers(1 << 62))))
    return made


def _colour(rng: np.random.Generator, brightness: float) -> Colour:
    """`[3, 1, 1]`: a colour of any hue."""
    sixths = (np.array([5, 3, 1]) + 6 * rng.random()) % 6
    pale = rng.uniform(0.2, 0.85) * np.clip(np.minimum(sixths, 4 - sixths), 0, 1)
    return (brightness * (1 - pale)).astype(np.float32)[:, None, None]


def _fill(picture: Canvas, distance_px: NDArray[np.float32], colour: Colour, opacity: float = 1.0) -> None:
    cover = np.minimum(np.maximum(0.5 - distance_px, 0), 1)  # a pixel on the edge is covered by half
    change = colour - picture
    change *= cover if opacity == 1 else cover * opacity
    picture += change


ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE].astype(np.float32)


class _Actor:
    """One kind on the stage: where it goes, how large it is, and its colours."""

    def __init__(self, kind: str, seed: int, radius_px: float, ground: float):
        rng = random(seed, f'look of {kind}')
        self.look, self.onsets = LOOKS[kind], onsets(kind, seed, LONGEST_S)
        self.form, self.radius_px = rng.random(4), radius_px
        margin = self.radius_px * 0.75
        self.middle = rng.uniform(margin, SIZE - margin, 2)
        self.path, self.pace, self.phase = rng.uniform(0, 8, 2), rng.uniform(0.3, 1.5, 2), rng.uniform(0, 6.3, 2)
        self.tilt, self.mirror = rng.normal(0, 0.13), rng.choice([-1, 1])
        self.stretch = rng.uniform(0.9, 1.12)
        body = (ground + rng.uniform(0.35, 0.65)) % 1
        trim = (body + rng.uniform(0.3, 0.7)) % 1
        self.colours = [_colour(rng, 0.25 + 0.7 * level) for level in (body, trim)]
        self.colours += [_colour(rng, rng.uniform(0.05, 0.3)), _colour(rng, 1.0) * 0.4 + 0.6]
        self.rim = [None, self.colours[3], self.colours[2]][rng.integers(3)]

    def draw(self, picture: Canvas, time_s: float) -> None:
        across, down = (self.middle + self.path * np.sin(self.pace * time_s + self.phase)).tolist()
        reach = 1.28 * self.radius_px
        top, left = (max(int(at - reach), 0) for at in (down, across))
        patch = (slice(top, int(down + reach) + 1), slice(left, int(across + reach) + 1))
        x, y = (COLUMNS[patch] - across) / self.radius_px, (ROWS[patch] - down) / self.radius_px
        x, y = x * np.cos(self.tilt) + y * np.sin(self.tilt), y * np.cos(self.tilt) - x * np.sin(self.tilt)
        layers = self.look(
            x * self.mirror * self.stretch, y / self.stretch, Moment(time_s, self._beat(time_s), self.form)
        )
        if self.rim is not None:
            outline = np.minimum.reduce([distance for distance, _ in layers])
            _fill(picture[:, *patch], (outline - 0.07) * self.radius_px, self.rim)
        for distance, role in layers:
            _fill(picture[:, *patch], distance * self.radius_px, self.colours[role])

    def _beat(self, time_s: float) -> float:
        last = int(np.searchsorted(self.onsets, time_s, 'right')) - 1
        return float(np.exp((self.onsets[last] - time_s) / 0.2)) if last >= 0 else 0.0


class Stage:
    """Everything in a scene that does not change between frames, prepared once."""

    def __init__(self, scene: Scene):
        rng = random(scene.seed, 'stage')
        self.seed, ground = scene.seed, rng.random()
        self.backdrop = self._gradient(rng, ground)
        for _ in range(rng.integers(3, 8)):
            self._clutter(self.backdrop, rng, rng.uniform(0.2, 0.8))
        radius_px = rng.uniform(17, 32)
        self.actors = [_Actor(scene.kind, scene.seed, radius_px, ground)]
        if scene.other:
            self.actors.insert(0, _Actor(scene.other, scene.seed, radius_px * rng.uniform(0.5, 0.75), ground))
        self.noise, self.light, self.contrast = log_uniform(rng, 0.01, 0.1), rng.normal(0, 0.06), rng.uniform(0.6, 1.05)
        self.speckle = rng.standard_normal((3, SIZE + SPECKLES, SIZE), dtype=np.float32) * np.float32(self.noise)
        self.foreground_seed = int(rng.integers(1 << 32)) if rng.random() < 0.4 else None

    @staticmethod
    def _gradient(rng: np.random.Generator, ground: float) -> Canvas:
        angle, waviness = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.15)
        along = (np.cos(angle) * COLUMNS + np.sin(angle) * ROWS) / (2 * SIZE) + 0.5
        texture = np.sin(COLUMNS * rng.uniform(0.05, 0.8)) * np.sin(ROWS * rng.uniform(0.05, 0.8))
        share = np.clip(along + waviness * texture, 0, 1)
        first, second = (_colour(rng, 0.25 + 0.7 * ((ground + rng.uniform(-0.15, 0.15)) % 1)) for _ in range(2))
        return first + share * (second - first)

    @staticmethod
    def _clutter(picture: Canvas, rng: np.random.Generator, opacity: float, largest_px: float = 22) -> None:
        """A disc, ring, block or stroke as a distractor."""
        cx, cy, dx, dy = rng.uniform(0, SIZE, 2).tolist() + rng.normal(0, 20, 2).tolist()
        size = rng.uniform(3, largest_px)
        shape = rng.integers(4)
        if shape == 0:
            distance = circle(COLUMNS, ROWS, cx, cy, size)
        elif shape == 1:
            distance = abs(circle(COLUMNS, ROWS, cx, cy, size)) - 2
        elif shape == 2:
            distance = box(COLUMNS, ROWS, cx, cy, size, rng.uniform(3, largest_px))
        else:
            distance = line(COLUMNS, ROWS, cx, cy, cx + dx, cy + dy + 1, size / 3)
        _fill(picture, distance, _colour(rng, rng.uniform(0.2, 1)), opacity)

    def frame(self, time_s: float) -> Picture:
        picture = self.backdrop.copy()
        for actor in self.actors:
            actor.draw(picture, time_s)
        if self.foreground_seed is not None:
            self._clutter(picture, np.random.default_rng(self.foreground_seed), 1.0, 7)
        shift = zlib.crc32(f'{self.seed} {time_s:.3f}'.encode()) % SPECKLES
        picture = (picture - 0.5) * self.contrast + (0.5 + self.light) + self.speckle[:, shift : shift + SIZE]
        return np.ascontiguousarray((np.clip(picture, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))
