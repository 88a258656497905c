"""Many sound files through one net: decoded ahead by threads, batched with others of like length, given in order."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from soundnet_tf import threads
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import BadAudio, MissingTool, ShortClip
from soundnet_tf.inference.embed import Clip
from soundnet_tf.inference.embedding import Embedding

if TYPE_CHECKING:
    from soundnet_tf.inference.embed import Embedder

BATCH_S = 160
"""Seconds of sound that go through the net together: more is no quicker, and takes more memory."""

CLIPS_WAITING = 64
"""Clips that are sorted by length into batches."""

FILLED = 1.1
"""In a batch the longest clip is at most so much longer than the shortest: all cost what the longest does."""

Heard = dict[str, Embedding]

Unusable = BadAudio | ShortClip | MissingTool
"""What may be wrong with one file, and say nothing of the others."""

Sound = Clip | Iterator[Waveform] | Unusable
"""A file that was opened."""

Watch = Callable[[Iterator[Waveform], str], Iterator[Waveform]]
"""The pieces of a long sound, and its name, to the same pieces."""


def each(
    embedder: 'Embedder', paths: Iterable[str], layers: Sequence[str], watched: Watch | None = None
) -> Generator[Heard | Unusable]:
    """What the net hears in each file, in order, with the numbers of each alone; of a bad one, what is wrong with it.

    `paths` may be an iterator: it is asked a little ahead of what is given. A sound that is long enough to come in
    pieces is listened to through `watched`.
    """

    def opened(path: str) -> tuple[str, Sound]:
        try:
            sound = embedder.open_file(path, layers)
        except (BadAudio, ShortClip, MissingTool) as error:
            return path, error
        return path, watched(sound, path) if watched and isinstance(sound, Iterator) else sound

    with contextlib.closing(threads.ahead(opened, paths)) as sounds:
        yield from together(embedder, sounds, layers)


def together(
    embedder: 'Embedder', sounds: Iterable[tuple[str, Sound]], layers: Sequence[str]
) -> Iterator[Heard | Unusable]:
    """What the net hears in each named sound: clips in batches, what comes in pieces through a stream."""
    waiting: list[Clip | Unusable] = []
    for name, sound in sounds:
        if not isinstance(sound, Iterator):
            waiting.append(sound)
        if isinstance(sound, Iterator) or _is_full(waiting):
            yield from _listened(embedder, waiting, layers)
            waiting = []
        if isinstance(sound, Iterator):
            yield _listened_through(embedder, sound, layers, name)
    yield from _listened(embedder, waiting, layers)


def _is_full(waiting: Sequence[Clip | Unusable]) -> bool:
    seconds = sum(len(clip.waveform) for clip in waiting if isinstance(clip, Clip)) / SAMPLE_RATE
    return len(waiting) >= CLIPS_WAITING or seconds >= BATCH_S


def _listened(
    embedder: 'Embedder', sounds: Sequence[Clip | Unusable], layers: Sequence[str]
) -> Iterator[Heard | Unusable]:
    heard: dict[int, Heard] = {}
    for batch in batches([len(sound.waveform) if isinstance(sound, Clip) else 0 for sound in sounds]):
        clips = [sounds[index] for index in batch]
        heard |= zip(batch, embedder.listen_clips([c for c in clips if isinstance(c, Clip)], layers), strict=True)
    for index, sound in enumerate(sounds):
        yield heard[index] if isinstance(sound, Clip) else sound


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """The clips to take together, by index: of like length, and not too much sound; those of length 0 are left out."""
    found: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[index]
        if (
            found
            and length <= FILLED * lengths[found[-1][0]]
            and (len(found[-1]) + 1) * length <= BATCH_S * SAMPLE_RATE
        ):
            found[-1].append(index)
        elif length:
            found.append([index])
    return found


def _listened_through(
    embedder: 'Embedder', pieces: Iterator[Waveform], layers: Sequence[str], path: str
) -> Heard | Unusable:
    try:
        return embedder.listen_pieces(pieces, layers, path)
    except (BadAudio, ShortClip, MissingTool) as error:  # such as a damaged place in the middle of a long file
        return error
