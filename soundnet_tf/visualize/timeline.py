"""One sound over time: its waveform and spectrogram, and what the heads make of each moment."""

import pathlib
from typing import Any

import numpy as np

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE, encoding
from soundnet_tf.inference import Embedder
from soundnet_tf.inference.embedding import Clip
from soundnet_tf.visualize import spectra

MAX_S = 120
"""Of a longer file the beginning is shown: a screen has so many pixels."""

MAX_CLASSES = 6
"""Of each head, those that are most probable at some moment."""

MIN_PROBABILITY = 0.02
"""A class that is never so probable is not shown."""

COLUMNS, ROWS = 1200, 128

FILES = ('timeline.mp3', 'timeline.png')


def write(embedder: Embedder, path: str, name: str, folder: pathlib.Path) -> dict[str, Any]:
    """Write `timeline.mp3` and `timeline.png` into `folder`; say what the heads hear. A short sound is filled up."""
    listener = embedder.listener
    heads = list(listener.heads())
    opened = listener.open_file(path, heads)
    if isinstance(opened, Clip):
        waveform, own = opened.waveform, opened.samples
    else:
        pieces, own = [], 0
        while own < MAX_S * SAMPLE_RATE and (piece := next(opened, None)) is not None:
            pieces.append(piece)
            own += len(piece)
        waveform = np.concatenate(pieces)
    whole = len(waveform) <= MAX_S * SAMPLE_RATE
    waveform = waveform[: MAX_S * SAMPLE_RATE]
    heard = listener.listen(listener.fit(waveform, heads, path), heads, path)
    (folder / FILES[0]).write_bytes(encoding.mp3(waveform))
    (folder / FILES[1]).write_bytes(spectra.picture(waveform, 0, len(waveform), COLUMNS, ROWS))
    return {
        'name': name,
        'seconds': len(waveform) / SAMPLE_RATE,
        'own_seconds': min(own, len(waveform)) / SAMPLE_RATE,
        'whole': whole,
        'outline': spectra.outline(waveform, COLUMNS // 2),
        'heads': [_head(embedder, head, heard[head].values, heard[head].times) for head in heads],
    }


def _head(embedder: Embedder, head: str, values: Any, times: Any) -> dict[str, Any]:
    best = values.max(axis=0)
    classes = np.argsort(-best, kind='stable')[: max(1, min(MAX_CLASSES, int((best >= MIN_PROBABILITY).sum())))]
    # From top to bottom as they come up in time.
    classes = sorted(classes.tolist(), key=lambda index: (int(values[:, index].argmax()), index))
    return {
        'name': head,
        'hop': geometry.hop(embedder.spec, head) / SAMPLE_RATE,
        'field': geometry.receptive_field(embedder.spec, head) / SAMPLE_RATE,
        'times': [round(float(time), 3) for time in times],
        'rows': [
            {'name': embedder.labels[head][index], 'values': [round(float(v), 4) for v in values[:, index]]}
            for index in classes
        ],
        'top': [
            [embedder.labels[head][int(index)], round(float(row[index]), 4)]
            for row, index in zip(values, values.argmax(axis=1), strict=True)
        ],
    }
