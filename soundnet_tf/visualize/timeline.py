"""One sound over time: waveform, spectrogram and class probabilities of the heads."""

import pathlib
from typing import Any

import numpy as np

from soundnet_tf import geometry, labels
from soundnet_tf.audio import SAMPLE_RATE, encoding
from soundnet_tf.inference import Embedder
from soundnet_tf.inference.embedding import Clip
from soundnet_tf.visualize import spectra

MAX_S = 120
"""Max length shown, in seconds; only the beginning of a longer file is shown."""

MIN_CLASSES, MAX_CLASSES = 6, 12
"""Classes per head: those that are the most probable at some time, and more by their peak probability."""

MIN_PROBABILITY = 0.02
"""Classes whose probability never reaches this are omitted."""

COLUMNS, ROWS = 1200, 128

FILES = ('timeline.mp3', 'timeline.png')


def write(embedder: Embedder, path: str, name: str, folder: pathlib.Path) -> dict[str, Any]:
    """Write `timeline.mp3` and `timeline.png` to `folder`; return the class probabilities.

    Short sounds are padded or repeated.
    """
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
    outputs = listener.listen(listener.fit(waveform, heads, path), heads, path)
    (folder / FILES[0]).write_bytes(encoding.mp3(waveform))
    (folder / FILES[1]).write_bytes(spectra.picture(waveform, 0, len(waveform), COLUMNS, ROWS))
    return {
        'name': name,
        'seconds': len(waveform) / SAMPLE_RATE,
        'own_seconds': min(own, len(waveform)) / SAMPLE_RATE,
        'whole': whole,
        'outline': spectra.outline(waveform, COLUMNS // 2),
        'heads': [_head(embedder, head, outputs[head].values, outputs[head].times) for head in heads],
    }


def shown(values: Any) -> list[int]:
    """The classes to show of probabilities `[time, classes]`."""
    best, tops = values.max(axis=0), set(values.argmax(axis=1).tolist())
    probable = np.flatnonzero(best >= MIN_PROBABILITY).tolist() or [int(best.argmax())]
    ranking = sorted(probable, key=lambda index: (index not in tops, -best[index]))
    return ranking[: min(max(len(tops & set(probable)), MIN_CLASSES), MAX_CLASSES)]


def _head(embedder: Embedder, head: str, values: Any, times: Any) -> dict[str, Any]:
    names = [labels.short(head, name) for name in embedder.labels[head]]
    # Sorted by the time of their peak.
    classes = sorted(shown(values), key=lambda index: (int(values[:, index].argmax()), index))
    return {
        'name': head,
        'hop': geometry.hop(embedder.spec, head) / SAMPLE_RATE,
        'field': geometry.receptive_field(embedder.spec, head) / SAMPLE_RATE,
        'times': [round(float(time), 3) for time in times],
        'rows': [{'name': names[index], 'values': [round(float(v), 4) for v in values[:, index]]} for index in classes],
        'top': [
            [names[int(index)], round(float(row[index]), 4)]
            for row, index in zip(values, values.argmax(axis=1), strict=True)
        ],
    }
