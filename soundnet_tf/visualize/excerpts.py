"""Short parts of sounds: cut out of files of any length, as an MP3, a spectrogram and an outline."""

import contextlib
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from soundnet_tf import geometry, storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform, encoding
from soundnet_tf.errors import BadAudio, ShortClip
from soundnet_tf.inference import Embedder
from soundnet_tf.inference.embedding import Clip
from soundnet_tf.inference.files import echo
from soundnet_tf.spec import NetSpec
from soundnet_tf.threads import ahead
from soundnet_tf.visualize import spectra

MIN_SAMPLES = SAMPLE_RATE // 5
"""Less than a fifth of a second is a click, of which nothing can be heard or seen."""

PREVIEW = 3 * SAMPLE_RATE
"""Samples of a sound that stand for it on the map."""

SOUNDS, PICTURES = 'sounds', 'pictures'
INDEX = 'excerpts.jsonl'

Facts = dict[str, float | str]


@dataclasses.dataclass(frozen=True)
class Window:
    """Samples of a sound, by its number; with no start, the loudest so many, or the middle of a long file."""

    sound: int
    start: int | None
    samples: int

    @property
    def id(self) -> str:
        """What its files are called."""
        return f'{self.sound}-{"loudest" if self.start is None else self.start}-{self.samples}'


def is_ours(name: str, suffix: str) -> bool:
    """Whether a file of this name may be one that `write` made."""
    return re.fullmatch(r'\d+-(loudest|-?\d+)-\d+', pathlib.PurePath(name).stem) is not None and name.endswith(suffix)


def window_of(spec: NetSpec, layer: str, sound: int, frame: int) -> Window:
    """What a time step of a layer sees of a sound, from the geometry; its beginning may lie before the sound's."""
    samples = geometry.receptive_field(spec, layer)
    start = geometry.first_sample(spec, layer) + frame * geometry.hop(spec, layer)
    if samples < MIN_SAMPLES:
        start, samples = start - (MIN_SAMPLES - samples) // 2, MIN_SAMPLES
    return Window(sound, start, samples)


@dataclasses.dataclass(frozen=True)
class Cut:
    """A window's sound with `before` samples ahead of it for the spectrogram, and some behind."""

    window: Window
    start: int
    """Where it begins in the sound, not before its beginning."""
    samples: int
    waveform: Waveform
    before: int


def cut(sound: Clip | Iterable[Waveform], windows: Sequence[Window], total: int) -> Iterator[Cut]:
    """The windows of a sound of `total` samples; of one that comes in pieces only what is needed is held."""
    pieces = [sound.waveform] if isinstance(sound, Clip) else sound
    if isinstance(sound, Clip):
        total = len(sound.waveform)
    # A file may have become shorter since it was listened to.
    there = [window for window in windows if window.start is None or window.start < total]
    waiting, at = [_Waiting(window, *_bounds(window, sound, total)) for window in there], 0
    for piece in pieces:
        end = at + len(piece)
        for one in waiting:
            if one.first < end:
                # A copy: a view would keep the whole piece in memory.
                one.parts.append(piece[max(0, one.first - at) : max(0, one.last - at)].copy())
            if one.last <= end or end >= total:
                yield Cut(one.window, one.start, one.end - one.start, np.concatenate(one.parts), one.start - one.first)
        at, waiting = end, [one for one in waiting if one.last > end and end < total]
        if not waiting:
            return


@dataclasses.dataclass
class _Waiting:
    """A window of which parts are there; `first` to `last` is what the spectrogram needs of the sound."""

    window: Window
    start: int
    end: int
    parts: list[Waveform] = dataclasses.field(default_factory=list)

    @property
    def first(self) -> int:
        return max(0, self.start - spectra.WINDOW)

    @property
    def last(self) -> int:
        return self.end + spectra.WINDOW


def _bounds(window: Window, sound: Clip | Iterable[Waveform], total: int) -> tuple[int, int]:
    if window.start is not None:
        return max(0, window.start), min(total, window.start + window.samples)
    samples = min(window.samples, total)
    start = loudest(sound.waveform, samples) if isinstance(sound, Clip) else (total - samples) // 2
    return start, start + samples


def loudest(waveform: Waveform, samples: int) -> int:
    """Where the `samples` of the greatest energy begin, to a tenth of a second."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    starts = np.arange(0, len(waveform) - samples + 1, SAMPLE_RATE // 10)
    return int(starts[np.argmax(energy[starts + samples] - energy[starts])])


def write(
    embedder: Embedder,
    paths: Mapping[int, str],
    lengths: Mapping[int, int],
    layers: Sequence[str],
    windows: Iterable[Window],
    folder: pathlib.Path,
) -> dict[str, Facts]:
    """Write the MP3 and the picture of each window below `folder`, those that are there left out; say what each shows.

    By the window's id: `start` and `end` in seconds, and `outline`. `paths` and `lengths`, in samples, are by the
    sound's number. Excerpts that can no longer be had, since somebody changed the file, are told of.
    """
    import tqdm

    for name in (SOUNDS, PICTURES):
        (folder / name).mkdir(parents=True, exist_ok=True)
    requested = sorted(set(windows), key=lambda window: (window.sound, window.id))
    ids = {window.id for window in requested}
    # An earlier run that was stopped may have been asked for others.
    there = {id: facts for id, facts in _read(folder / INDEX).items() if id in ids}
    for path in [*(folder / SOUNDS).iterdir(), *(folder / PICTURES).iterdir()]:
        if path.stem not in ids:
            path.unlink()
    wanted: dict[int, list[Window]] = {}
    for window in requested:
        if window.id not in there:
            wanted.setdefault(window.sound, []).append(window)

    def write_sound(sound: int) -> tuple[int, list[Facts]]:
        found: list[Facts] = []
        with contextlib.suppress(BadAudio, ShortClip):
            opened = embedder.listener.open_file(paths[sound], layers)
            found.extend(_write_excerpt(one, folder) for one in cut(opened, wanted[sound], lengths[sound]))
        return sound, found

    with (
        (folder / INDEX).open('a') as index,
        contextlib.closing(ahead(write_sound, wanted)) as results,
        tqdm.tqdm(total=len(wanted), unit='file', desc='excerpts', leave=False, disable=None) as bar,
    ):
        index.write('\n')  # the last line of a stopped run may be broken off
        for sound, found in results:
            if lost := len(wanted[sound]) - len(found):
                echo(f'{paths[sound]}: changed while the report was written: {lost} excerpts are missing')
            for facts in found:
                index.write(json.dumps(facts) + '\n')
                there[str(facts['id'])] = facts
            index.flush()
            bar.update()
    return there


def _write_excerpt(one: Cut, folder: pathlib.Path) -> Facts:
    inner = one.waveform[one.before : one.before + one.samples]
    id = one.window.id
    storage.write_bytes(folder / PICTURES / f'{id}.png', spectra.picture(one.waveform, one.before, one.samples))
    storage.write_bytes(folder / SOUNDS / f'{id}.mp3', encoding.mp3(inner))
    start_s, end_s = one.start / SAMPLE_RATE, (one.start + one.samples) / SAMPLE_RATE
    return {'id': id, 'start': round(start_s, 3), 'end': round(end_s, 3), 'outline': spectra.outline(inner)}


def _read(index: pathlib.Path) -> dict[str, Facts]:
    """What an earlier run wrote; its last line may be broken off."""
    found = {}
    if index.exists():
        for line in index.read_text().splitlines():
            with contextlib.suppress(ValueError):
                facts = json.loads(line)
                found[facts['id']] = facts
    return found
