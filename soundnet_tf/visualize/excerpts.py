"""Excerpts of sound files of any length: an MP3, a spectrogram and a waveform outline for each."""

import contextlib
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from soundnet_tf import geometry, progress, storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform, encoding
from soundnet_tf.errors import BadAudio, ShortClip, SoundNetError
from soundnet_tf.inference import Embedder
from soundnet_tf.inference.embedding import Clip
from soundnet_tf.inference.files import echo
from soundnet_tf.parallel.threads import ahead
from soundnet_tf.spec import NetSpec
from soundnet_tf.visualize import spectra

MIN_SAMPLES = SAMPLE_RATE // 5
"""Min length of an excerpt, 0.2 s: shorter ones sound like a click."""

PREVIEW = 3 * SAMPLE_RATE
"""Length of the preview of a sound on the map, in samples."""

SOUNDS, PICTURES = 'sounds', 'pictures'
INDEX = 'excerpts.jsonl'

Facts = dict[str, float | str]


@dataclasses.dataclass(frozen=True)
class Window:
    """A range of samples of a sound, by index. Without `start`: the loudest part, or the middle of a long file."""

    sound: int
    start: int | None
    samples: int

    @property
    def id(self) -> str:
        """The stem of its file names."""
        return f'{self.sound}-{"loudest" if self.start is None else self.start}-{self.samples}'


def is_ours(name: str, suffix: str) -> bool:
    """Whether a file of this name may be one that `write` made."""
    return re.fullmatch(r'\d+-(loudest|-?\d+)-\d+', pathlib.PurePath(name).stem) is not None and name.endswith(suffix)


def window_of(spec: NetSpec, layer: str, sound: int, frame: int) -> Window:
    """The receptive field of a time step of a layer. It may start before the sound does."""
    samples = geometry.receptive_field(spec, layer)
    start = geometry.first_sample(spec, layer) + frame * geometry.hop(spec, layer)
    if samples < MIN_SAMPLES:
        start, samples = start - (MIN_SAMPLES - samples) // 2, MIN_SAMPLES
    return Window(sound, start, samples)


@dataclasses.dataclass(frozen=True)
class Cut:
    """The audio of a window, with `before` samples of context before it for the spectrogram, and some after it."""

    window: Window
    start: int
    """First sample of the window in the sound, at least 0."""
    samples: int
    waveform: Waveform
    before: int


def cut(sound: Clip | Iterable[Waveform], windows: Sequence[Window], total: int) -> Iterator[Cut]:
    """Cut the windows out of a sound of `total` samples. For a sound read in pieces, only the needed parts are kept."""
    pieces = [sound.waveform] if isinstance(sound, Clip) else sound
    if isinstance(sound, Clip):
        total = len(sound.waveform)
    # The file may have become shorter since the survey.
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
    """A window that is still incomplete; the spectrogram needs the samples from `first` to `last`."""

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
    """Start of the `samples` with the highest energy, to the nearest 0.1 s."""
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
    """Write an MP3 and a picture of each window to `folder`, unless they exist, and return the facts by window id.

    The facts are `start` and `end` in seconds, and `outline`. `paths` and `lengths` (in samples) are by sound index.
    Excerpts that are missing because a file has changed are reported.
    """

    for name in (SOUNDS, PICTURES):
        (folder / name).mkdir(parents=True, exist_ok=True)
    requested = sorted(set(windows), key=lambda window: (window.sound, window.id))
    ids = {window.id for window in requested}
    # A stopped run may have written excerpts for other windows.
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
        progress.bar(total=len(wanted), unit='file', desc='excerpts') as bar,
    ):
        index.write('\n')  # a stopped run may have left an incomplete last line
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
    """Read the index of an earlier run, whose last line may be incomplete."""
    found = {}
    if index.exists():
        for line in index.read_bytes().splitlines():
            with contextlib.suppress(SoundNetError), storage.readable(index):
                facts = storage.parse_json(line, index)
                found[facts['id']] = facts
    return found
