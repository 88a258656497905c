"""Many sounds through one listener: decoded ahead by threads, clips of similar length batched, results in order."""

import collections
import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from soundnet_tf.audio import SAMPLE_RATE, Waveform, notes
from soundnet_tf.audio.blocks import Sound
from soundnet_tf.audio.notes import Note
from soundnet_tf.errors import BadAudio, MissingTool, ShortClip
from soundnet_tf.inference.embedding import Clip, InputError, Listener, Opened, Timed
from soundnet_tf.parallel import threads

BATCH_S = 160
"""Seconds of sound in a batch: more is no faster, and takes more memory."""

CLIPS_WAITING = 64
"""Clips that are sorted by length into batches."""

MAX_RATIO = 1.1
"""Of the longest clip to the shortest in a batch, since each takes the time of the longest."""

Report = Callable[[str, Sequence[Note]], None]
"""A path, and the notes on its file."""

Watch = Callable[[Iterator[Waveform], str], Iterator[Waveform]]
"""The pieces of a long sound, and its name, to the same pieces."""

Result = TypeVar('Result', bound=Timed)


def listen_paths(
    listener: Listener[Result],
    paths: Iterable[str],
    layers: Sequence[str],
    watched: Watch | None = None,
    report: Report = notes.log,
) -> Generator[dict[str, Result] | InputError]:
    """The results of each file in order, the same as for the file alone; for a bad file, its error.

    `paths` may be an iterator, which is read a little ahead of the results. A sound that is too long for one piece is
    read through `watched`. `report` is called with each path and the notes on what of the file is missing.
    """

    def opened(path: str) -> tuple[str, Opened | InputError]:
        try:
            sound = listener.open_file(path, layers)
        except (BadAudio, ShortClip, MissingTool) as error:
            return path, error
        return path, sound.through(watched(sound, path)) if watched and isinstance(sound, Sound) else sound

    with contextlib.closing(threads.ahead(opened, paths)) as sounds:
        yield from listen_opened(listener, sounds, layers, report)


def listen_opened(
    listener: Listener[Result],
    sounds: Iterable[tuple[str, Opened | InputError]],
    layers: Sequence[str],
    report: Report = notes.log,
) -> Iterator[dict[str, Result] | InputError]:
    """The results of each named sound: clips in batches, each heard while the next one is gathered; longer sounds
    through a stream.
    """
    waiting: list[Clip | InputError] = []
    heard: collections.deque[Future[list[dict[str, Result] | InputError]]] = collections.deque()
    ready: collections.deque[dict[str, Result] | InputError] = collections.deque()

    def collect(batches_left: int) -> Iterator[dict[str, Result] | InputError]:
        while len(heard) > batches_left or (heard and heard[0].done()):
            if heard[0].exception():  # what was heard before is not lost
                yield from ready
            ready.extend(heard.popleft().result())

    pool = ThreadPoolExecutor(1)
    try:
        for name, sound in sounds:
            is_long = isinstance(sound, Iterator)
            if not isinstance(sound, Iterator):
                report(name, notes.of(sound))
                waiting.append(sound)
            if is_long or _is_full(waiting):
                heard.append(pool.submit(_listen_clips, listener, waiting, layers))
                waiting = []
            yield from collect(0 if is_long else 1)
            # One result for each sound: decoding goes on while the caller writes it.
            yield from (ready.popleft() for _ in range(len(ready) if is_long else min(1, len(ready))))
            if isinstance(sound, Iterator):
                yield _listen_pieces(listener, sound, layers, name)
                report(name, notes.of(sound))
        heard.append(pool.submit(_listen_clips, listener, waiting, layers))
        yield from collect(0)
        yield from ready
    finally:
        pool.shutdown(cancel_futures=True)


def _is_full(waiting: Sequence[Clip | InputError]) -> bool:
    seconds = sum(len(clip.waveform) for clip in waiting if isinstance(clip, Clip)) / SAMPLE_RATE
    return len(waiting) >= CLIPS_WAITING or seconds >= BATCH_S


def _listen_clips(
    listener: Listener[Result], sounds: Sequence[Clip | InputError], layers: Sequence[str]
) -> list[dict[str, Result] | InputError]:
    results: dict[int, dict[str, Result]] = {}
    for batch in batches([len(sound.waveform) if isinstance(sound, Clip) else 0 for sound in sounds]):
        clips = [sounds[index] for index in batch]
        of_batch = listener.listen_clips([clip for clip in clips if isinstance(clip, Clip)], layers)
        results |= zip(batch, of_batch, strict=True)
    return [results[index] if isinstance(sound, Clip) else sound for index, sound in enumerate(sounds)]


def _listen_pieces(
    listener: Listener[Result], pieces: Iterator[Waveform], layers: Sequence[str], path: str
) -> dict[str, Result] | InputError:
    try:
        return listener.listen_pieces(pieces, layers, path)
    except (BadAudio, ShortClip, MissingTool) as error:  # such as damage in the middle of a long file
        return error


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Indices of the clips of each batch: similar lengths, and at most BATCH_S together; length 0 is left out."""
    found: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[index]
        if (
            found
            and length <= MAX_RATIO * lengths[found[-1][0]]
            and (len(found[-1]) + 1) * length <= BATCH_S * SAMPLE_RATE
        ):
            found[-1].append(index)
        elif length:
            found.append([index])
    return found
