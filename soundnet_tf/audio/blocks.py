"""Sound files of any length in pieces: the same waveform as `decoding.read`, in constant memory.

The file is never in memory as a whole: `containers` checks it on disk, the decoder returns about a second at a time,
and each piece is resampled. Only what cannot be decoded in pieces is decoded whole: every format with tensorflow-io,
some formats with a decoder that was chosen by name, and WAV files of anything but PCM.
"""

import os
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import Channel, Intake, Waveform, containers, decoders, decoding
from soundnet_tf.audio.containers import AGAIN, Part
from soundnet_tf.audio.decoders import BLOCK, DECODERS, Decoded
from soundnet_tf.errors import BadAudio, MissingTool

WHOLE_BYTES = 1 << 20
"""A smaller file is decoded whole, by the first decoder that succeeds."""


def read(path: str | os.PathLike[str], decoder: str = 'auto', channel: Channel = 'first') -> Iterator[Waveform]:
    """The sound file at `path` as pieces `[samples]` that, joined, equal the result of `decoding.read`.

    Raises the same errors; for damage within a long file, only after the pieces before it.
    """
    path = os.fspath(path)
    if os.path.isfile(path) and os.path.getsize(path) > WHOLE_BYTES:
        yield from _long(path, decoder, channel)
    else:
        yield decoding.read(path, decoder, channel)


def _long(path: str, name: str, channel: Channel) -> Iterator[Waveform]:
    with decoding.readable(path):
        file = open(path, 'rb')  # noqa: SIM115
    with file:
        part = Part(file)
        part = part.part(containers.start(part))
        format = containers.sniff(part[:64])
        for decoder in _decoders(name, format, part):
            pieces = _taken(_gathered(_decoded(decoder, part, str(format))), channel, path)
            try:
                first = next(pieces, None)
            except BadAudio:  # another may succeed, and `decoding.read` reports what is wrong
                continue
            if first is not None:
                yield first
                yield from pieces
                return
        yield decoding.read(path, name, channel)


def _decoders(name: str, format: str | None, part: Part) -> Iterator[decoders.StreamingDecoder]:
    """The requested decoders that can read such a file in pieces."""
    if format == 'wav' and not containers.is_pcm(part):
        return
    requested = DECODERS.values() if name == 'auto' else [DECODERS[name]] if name in DECODERS else []
    for one in requested:
        if isinstance(one, decoders.StreamingDecoder) and format in one.streams and decoders.installed(one):
            yield one


def _decoded(decoder: decoders.StreamingDecoder, part: Part, format: str) -> Iterator[Decoded]:
    total = 0
    try:
        end, min_samples = containers.extent(part, format)
        for samples, sample_rate in decoder.blocks(part.part(0, end), format):
            total += len(samples)
            yield samples, sample_rate
        decoders.check_length(total, max(min_samples, 1))
    except BadAudio as error:
        raise BadAudio(f'{part.path}: {error}') from None
    except MissingTool:
        raise
    except Exception as error:  # every library has errors of its own
        raise BadAudio(f'{part.path}: {decoders.damaged(decoder.name, error)}') from error


def _gathered(decoded: Iterable[Decoded]) -> Iterator[Decoded]:
    """The same in larger pieces, to save calls: decoders return as little as 576 samples at a time."""
    waiting, count, rate = [], 0, 0
    for samples, rate in decoded:
        waiting.append(samples)
        count += len(samples)
        if count >= BLOCK:
            yield np.concatenate(waiting), rate
            waiting, count = [], 0
    if waiting:
        yield np.concatenate(waiting), rate


def _taken(decoded: Iterable[Decoded], channel: Channel, path: str) -> Iterator[Waveform]:
    intake = None
    for samples, sample_rate in decoded:
        intake = intake or Intake(sample_rate, channel, path)
        yield _pushed(intake, samples)
    if intake:
        yield _pushed(intake, np.zeros(0, np.float32), last=True)


def _pushed(intake: Intake, samples: NDArray[np.float32], last: bool = False) -> Waveform:
    try:
        return intake.push(samples, last)
    except BadAudio as error:
        raise BadAudio(f'{error}. {AGAIN}') from None
