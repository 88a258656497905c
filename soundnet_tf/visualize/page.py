"""The page of a report: the template in `page/`, filled with the data."""

import html
import json
import pathlib
from importlib import resources
from typing import Any

from soundnet_tf.visualize import spectra

FILES = HTML, STYLE, SCRIPT = 'index.html', 'report.css', 'report.js'

TICKS_HZ = (250, 1000, 4000)
"""Tick labels of the frequency axis of spectrograms."""


def write(folder: pathlib.Path, data: dict[str, Any]) -> None:
    """Write the page for the data to `folder`, next to its pictures and sounds."""
    ticks = [{'hz': hz, 'height': round(spectra.height(hz), 4)} for hz in TICKS_HZ]
    values = data | {'axis': {'ticks': ticks, 'range_db': spectra.RANGE_DB}}
    files = resources.files('soundnet_tf.visualize').joinpath('page')
    for name in (STYLE, SCRIPT):
        (folder / name).write_bytes(files.joinpath(name).read_bytes())
    text = files.joinpath(HTML).read_text(encoding='utf-8')
    text = text.replace('{{title}}', html.escape(data['title'])).replace('{{data}}', embedded(values))
    (folder / HTML).write_text(text, encoding='utf-8')


def embedded(data: Any) -> str:
    """JSON that is safe inside a script element: no string in it, such as a file name, can close the element."""
    return json.dumps(data, separators=(',', ':'), allow_nan=False).replace('<', '\\u003c')
