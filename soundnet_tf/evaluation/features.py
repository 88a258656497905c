"""Features of all clips of a data set, cached by a hash of the sound, the model and the settings."""

import hashlib
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import audio, progress, storage
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
    return of_layers(dataset, embedder, [layer], clip_s, gain, cache, decoder)[layer]


def of_layers(
    dataset: DataSet,
    embedder: AnyEmbedder,
    layers: Sequence[str],
    clip_s: float = 0.0,
    gain: float = 1.0,
    cache: str | os.PathLike[str] | None = None,
    decoder: str = 'auto',
) -> dict[str, list[Values]]:
    """As `of_clips`, of several layers by name: each clip is decoded once, and embedded once if the embedder can."""
    if isinstance(embedder, Precomputed):
        return {layer: [embedder.of_file(clip.path, layer) for clip in dataset.clips] for layer in layers}
    indices = range(len(dataset.clips))
    paths: dict[str, list[pathlib.Path | None]] = {layer: [None] * len(indices) for layer in layers}
    if cache is not None:
        digests = [storage.sha256(clip.path) for clip in dataset.clips]
        for layer in layers:
            how = (embedder.fingerprint, layer, float(clip_s), float(gain), decoder)
            paths[layer] = [_place(digest, how, cache) for digest in digests]
    found: dict[str, dict[int, Values]] = {layer: {} for layer in layers}
    for layer in layers:
        for index, path in enumerate(paths[layer]):
            if path is not None and (values := _read(path)) is not None:
                found[layer][index] = values
    missing = [index for index in indices if any(index not in own for own in found.values())]
    bad: list[tuple[str, BadAudio]] = []
    with progress.bar(total=len(missing), desc='features', unit='clip') as bar:
        for batch in _batches(missing):
            waveforms = dict[int, Waveform]()
            for index in batch:
                clip = dataset.clips[index]
                try:
                    waveforms[index] = sound(clip.path, clip_s, gain, decoder)
                except BadAudio as error:
                    bad.append((clip.path, error))
            wanted = [layer for layer in layers if any(index not in found[layer] for index in waveforms)]
            for layer, embedded in embed_layers(embedder, [*waveforms.values()], wanted).items():
                for index, values in zip(waveforms, embedded, strict=True):
                    if not np.isfinite(values).all():
                        raise SoundNetError(
                            f'{embedder.name}: {layer} of {dataset.clips[index].path} has NaN or infinite values. '
                            'Use another model or layer, or leave the clip out'
                        )
                    found[layer][index] = values
                    if (path := paths[layer][index]) is not None:
                        with storage.whole_file(path) as draft:
                            np.save(draft, values)
            bar.update(len(batch))
    raise_unreadable(bad, len(indices))
    return {layer: [found[layer][index] for index in indices] for layer in layers}


def embed_layers(
    embedder: AnyEmbedder, waveforms: Sequence[Waveform], layers: Sequence[str]
) -> Mapping[str, list[Values]]:
    """The values of each clip by layer, from one pass of embedders that have `embed_layers`."""
    if not waveforms:
        return {}
    together = getattr(embedder, 'embed_layers', None)
    if together is not None:
        return together(waveforms, layers)
    return {layer: embedder.embed(waveforms, layer) for layer in layers}


def sound(path: str, clip_s: float, gain: float, decoder: str) -> Waveform:
    """A file's waveform, repeated and scaled as the protocol says."""
    waveform = audio.fill(decoding.read(path, decoder), round(clip_s * SAMPLE_RATE), 'tile')
    return waveform if gain == 1 else (waveform * np.float32(gain)).astype(np.float32)


def _place(digest: str, how: tuple[object, ...], cache: str | os.PathLike[str]) -> pathlib.Path:
    """The cache file. It depends on the content, so a clip that is moved or is in two data sets is computed once."""
    key = hashlib.sha256(repr((digest, *how)).encode()).hexdigest()
    return pathlib.Path(cache) / key[:2] / f'{key[2:]}.npy'


def _read(path: pathlib.Path) -> Values | None:
    """The values in a cache file; None if it is missing, damaged, or of a model that failed: computed again."""
    try:
        values = arrays.read_npy(path)
    except SoundNetError:
        return None
    return values if values.dtype.kind == 'f' and np.isfinite(values).all() else None


def _batches(indices: Sequence[int]) -> Iterator[Sequence[int]]:
    yield from (indices[begin : begin + BATCH] for begin in range(0, len(indices), BATCH))
