"""Features of all clips of a data set, cached by a hash of the sound, the model and the settings."""

import hashlib
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import tqdm
from numpy.typing import NDArray

from soundnet_tf import audio, storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform, decoding
from soundnet_tf.errors import BadAudio, SoundNetError
from soundnet_tf.evaluation.datasets import DataSet, raise_unreadable
from soundnet_tf.evaluation.embedders.kinds import AnyEmbedder
from soundnet_tf.evaluation.embedders.precomputed import Precomputed
from soundnet_tf.storage import arrays

Values = NDArray[np.float32]

BATCH = 16
"""Clips that are decoded and embedded together."""


def of_clips(
    dataset: DataSet,
    embedder: AnyEmbedder,
    layer: str,
    clip_s: float = 0.0,
    gain: float = 1.0,
    cache: str | os.PathLike[str] | None = None,
    decoder: str = 'auto',
) -> list[Values]:
    """`[time, channels]` of each clip, repeated up to `clip_s` seconds and multiplied by `gain`.

    Raises BadAudio, which lists all files that cannot be read; the features of the others stay in the folder `cache`.
    """
    if isinstance(embedder, Precomputed):
        return [embedder.of_file(clip.path, layer) for clip in dataset.clips]
    how = (embedder.fingerprint, layer, float(clip_s), float(gain), decoder)
    paths = [None if cache is None else _place(clip.path, how, cache) for clip in dataset.clips]
    found: dict[int, Values] = {}
    for index, path in enumerate(paths):
        if path is not None and (values := _read(path)) is not None:
            found[index] = values
    missing = [index for index in range(len(paths)) if index not in found]
    bad: list[tuple[str, BadAudio]] = []
    with tqdm.tqdm(total=len(missing), unit='clip', leave=False, disable=None) as bar:
        for batch in _batches(missing):
            waveforms = dict[int, Waveform]()
            for index in batch:
                clip = dataset.clips[index]
                try:
                    waveforms[index] = sound(clip.path, clip_s, gain, decoder)
                except BadAudio as error:
                    bad.append((clip.path, error))
            embedded = embedder.embed([*waveforms.values()], layer) if waveforms else []
            for index, values in zip(waveforms, embedded, strict=True):
                found[index] = values
                if (path := paths[index]) is not None:
                    with storage.whole_file(path) as draft:
                        np.save(draft, values)
            bar.update(len(batch))
    raise_unreadable(bad, len(paths))
    return [found[index] for index in range(len(paths))]


def sound(path: str, clip_s: float, gain: float, decoder: str) -> Waveform:
    """A file's waveform, repeated and scaled as the protocol says."""
    waveform = audio.fill(decoding.read(path, decoder), round(clip_s * SAMPLE_RATE), 'tile')
    return waveform if gain == 1 else (waveform * np.float32(gain)).astype(np.float32)


def _place(path: str, how: tuple[object, ...], cache: str | os.PathLike[str]) -> pathlib.Path:
    """The cache file. It depends on the content, so a clip that is moved or is in two data sets is computed once."""
    digest = hashlib.sha256(repr((storage.sha256(path), *how)).encode()).hexdigest()
    return pathlib.Path(cache) / digest[:2] / f'{digest[2:]}.npy'


def _read(path: pathlib.Path) -> Values | None:
    try:
        return arrays.read_npy(path)
    except SoundNetError:  # missing or damaged: computed again
        return None


def _batches(indices: Sequence[int]) -> Iterator[Sequence[int]]:
    yield from (indices[begin : begin + BATCH] for begin in range(0, len(indices), BATCH))
