"""Scatter plots of embeddings side by side, as one SVG."""

import colorsys
import html
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import storage

SIDE, MARGIN, LEGEND = 420, 16, 130
"""Pixels: the size of a plot, its margin, and the width of the legend."""


def draw(maps: Mapping[str, NDArray[np.floating]], labels: Sequence[str]) -> str:
    """An SVG with a plot for each title, its points coloured by label, and a legend on the right."""
    classes = sorted(set(labels))
    hues = {label: _colour(index / len(classes)) for index, label in enumerate(classes)}
    width, height = len(maps) * (SIDE + 2 * MARGIN) + LEGEND, SIDE + 4 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="13"><rect width="100%" height="100%" fill="white"/>'
    ]
    for number, (title, places) in enumerate(maps.items()):
        left = MARGIN + number * (SIDE + 2 * MARGIN)
        lines.append(f'<text x="{left}" y="{MARGIN + 4}">{html.escape(title)}</text>')
        for (x, y), label in zip(places, labels, strict=True):
            cx, cy = left + x * SIDE, 2 * MARGIN + y * SIDE
            lines.append(
                f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="4" fill="{hues[label]}" fill-opacity="0.75">'
                f'<title>{html.escape(label)}</title></circle>'
            )
    for index, label in enumerate(classes):
        y = 2 * MARGIN + 18 * index
        lines.append(f'<circle cx="{width - LEGEND + 6}" cy="{y}" r="5" fill="{hues[label]}"/>')
        lines.append(f'<text x="{width - LEGEND + 18}" y="{y + 4}">{html.escape(label)}</text>')
    return '\n'.join([*lines, '</svg>\n'])


def write(path: pathlib.Path, maps: Mapping[str, NDArray[np.floating]], labels: Sequence[str]) -> None:
    """Write what `draw` returns to a file."""
    storage.write_text(path, draw(maps, labels))


def _colour(turn: float) -> str:
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(turn, 0.42, 0.75))
    return f'#{red:02x}{green:02x}{blue:02x}'
