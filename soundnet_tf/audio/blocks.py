"""One way from any file to its waveform, piece by piece, in constant memory.

A plain file (`containers.plain`) takes the fastest decoder that reads it exactly as FFmpeg does. FFmpeg reads all
others, and whatever a fast decoder stumbles over, from there on.
"""

import contextlib
import dataclasses
import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from soundnet_tf.audio import MAX_CHANNELS, SILENCE_DBFS, Channel, Intake, Waveform, containers, decoders, notes, pyav
from soundnet_tf.audio.containers import AGAIN, Plain
from soundnet_tf.audio.decoders import BLOCK, DECODERS, Decoded, Decoder
from soundnet_tf.audio.notes import Incomplete, Note, Report
from soundnet_tf.audio.part import Part
from soundnet_tf.errors import BadAudio, MissingTool

HEARABLE = 10 ** (SILENCE_DBFS / 20)
"""A channel whose loudest sample is below this counts as silent."""


class Sound(Iterator[Waveform]):
    """The pieces `[samples]` of a file's waveform, and notes on what of it is missing, complete after the last piece.

    Raises BadAudio, one line that begins with the path: for a file that is not sound, where nothing can be decoded,
    and where a check refuses it, then only after the pieces before it.
    """

    def __init__(self, pieces: Iterator[Waveform], notes: list[Note], close: Callable[[], None]) -> None:
        self._pieces, self.notes, self.close = pieces, notes, close

    def __next__(self) -> Waveform:
        return next(self._pieces)

    def through(self, pieces: Iterator[Waveform]) -> 'Sound':
        """The same sound by other pieces, which are made from these."""
        return Sound(pieces, self.notes, self.close)


def read(
    path: str | os.PathLike[str], decoder: str = 'auto', channel: Channel = 'first', check: Report = notes.accept
) -> Sound:
    """The file at `path`. `decoder` is a key of DECODERS or 'auto', the fastest one that reads the file.

    `check` sees each note and may raise BadAudio, as `notes.refuse` does.
    """
    path = os.fspath(path)
    return _sound(path, lambda report: _of_path(path, decoder, channel, report), check)


def of_bytes(
    data: bytes, name: str, decoder: str = 'auto', channel: Channel = 'first', check: Report = notes.accept
) -> Sound:
    """The same of a whole file's bytes; errors begin with `name`."""
    return _sound(name, lambda report: _of_file(Part.of(data, name), decoder, channel, report), check)


def _sound(name: str, pieces: Callable[[Report], Iterator[Waveform]], check: Report) -> Sound:
    found = list[Note]()

    def report(note: Note) -> None:
        check(note)
        found.append(note)

    named = _named(name, pieces(report))
    return Sound(named, found, named.close)


def _named(name: str, pieces: Iterator[Waveform]) -> Generator[Waveform]:
    try:
        yield from pieces
    except BadAudio as error:
        raise type(error)(f'{name}: {error}') from error.__cause__


def _of_path(path: str, decoder: str, channel: Channel, report: Report) -> Iterator[Waveform]:
    with readable():
        file = open(path, 'rb')  # noqa: SIM115
    with file:
        with readable():
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                raise BadAudio('is a device. Pass a sound file')
            part = Part(file, path) if stat.S_ISREG(mode) else Part.of(file.read(), path)
        yield from _of_file(part, decoder, channel, report)


@contextlib.contextmanager
def readable() -> Iterator[None]:
    """Turn errors of reading a file into BadAudio."""
    try:
        yield
    except FileNotFoundError:
        raise BadAudio('no such file. Check the path') from None
    except IsADirectoryError:
        raise BadAudio('is a folder. Pass a sound file') from None
    except (OSError, ValueError) as error:
        if isinstance(error, BadAudio):
            raise
        raise BadAudio(f'cannot be read ({pyav.reason(error)}). Check the path and its permissions') from None


def _of_file(file: Part, decoder: str, channel: Channel, report: Report) -> Iterator[Waveform]:
    if not len(file):
        raise BadAudio(containers.unknown(file))
    try:
        yield from _waveform(_gathered(_decoded(file, decoder, report)), channel, report)
    except OSError as error:
        raise BadAudio(f'cannot be read ({pyav.reason(error)}). Check the path and its permissions') from None


def _decoded(file: Part, name: str, report: Report) -> Iterator[Decoded]:
    """Samples `[samples, channels]` at the file's own rate, which may change midway."""
    if name != 'auto':
        decoders.named(name)
    heard_s, failures = 0.0, list[tuple[float, BadAudio]]()
    for link in containers.links(containers.sound_of(file)):
        before_s = heard_s
        try:
            for samples, rate in _link(link, name, _moved(report, before_s)):
                heard_s += len(samples) / rate
                yield samples, rate
        except BadAudio as error:
            if heard_s > before_s or isinstance(error, Incomplete):
                raise
            failures.append((before_s, error))
    for at_s, error in failures:
        if not heard_s:
            raise error
        report(Note('damaged, left out', at_s))


def _moved(report: Report, by_s: float) -> Report:
    return lambda note: report(dataclasses.replace(note, at_s=note.at_s + by_s) if note.at_s else note)


def _link(file: Part, name: str, report: Report) -> Iterator[Decoded]:
    plain = containers.plain(file)
    if name != 'auto':
        yield from _with_chosen(DECODERS[name], file, plain, report)
    elif plain and (fast := _fast(plain)):
        yield from _with_fast(fast, file, plain, report)
    else:
        yield from pyav.blocks(file, report)


def _fast(plain: Plain) -> Decoder | None:
    return next((one for one in DECODERS.values() if plain.format in one.streams and decoders.installed(one)), None)


def _with_chosen(decoder: Decoder, file: Part, plain: Plain | None, report: Report) -> Iterator[Decoded]:
    if decoder.name == 'pyav' and (not plain or plain.ffmpeg):
        # FFmpeg takes tags behind an MP3 for a part of it.
        yield from pyav.blocks(file.part(0, plain.end) if plain else file, report)
        return
    if not plain or plain.format not in decoder.formats or not (plain.ffmpeg or decoder.name == 'soundfile'):
        kind = plain.format.upper() if plain else 'this file: it is not plain, or damaged'
        raise BadAudio(f"{decoder.name} does not read {kind}. Use decoder='auto'")
    yield from _checked(decoder, file, plain, report)


def _with_fast(decoder: Decoder, file: Part, plain: Plain, report: Report) -> Iterator[Decoded]:
    """What the fast decoder gives, and from where it fails on what FFmpeg does."""
    given = 0
    try:
        for samples, rate in _checked(decoder, file, plain, report):
            given += len(samples)
            yield samples, rate
        return
    except (BadAudio, MissingTool):
        if not plain.ffmpeg:
            raise
    for samples, rate in pyav.blocks(file, report):
        left = samples[given:]
        given = max(0, given - len(samples))
        if len(left):
            yield left, rate


def _checked(decoder: Decoder, file: Part, plain: Plain, report: Report) -> Iterator[Decoded]:
    total, heard_s = 0, 0.0
    try:
        for samples, rate in decoder.blocks(file.part(0, plain.end), plain.format):
            total, heard_s = total + len(samples), heard_s + len(samples) / rate
            yield samples, rate
    except (BadAudio, MissingTool):
        raise
    except Exception as error:  # every library has errors of its own
        raise decoders.damaged(decoder.name, error) from error
    decoders.check_length(total, max(plain.min_samples, 1))
    if not plain.ffmpeg and (stated := containers.stated_bytes(file)) > len(file):
        report(Note('cut short', heard_s, heard_s * (stated / len(file) - 1)))


def _gathered(decoded: Iterable[Decoded]) -> Iterator[Decoded]:
    """The same in larger pieces of one rate and as many channels: decoders may give 576 samples at a time."""
    waiting, count, kind, failure = list[NDArray[np.float32]](), 0, (0, 0), list[BadAudio]()
    for samples, rate in _until(failure, decoded):
        now = rate, samples.shape[1]
        if waiting and (now != kind or count >= BLOCK):
            yield joined(waiting), kind[0]
            waiting, count = [], 0
        kind, count = now, count + len(samples)
        waiting.append(samples)
    if waiting:
        yield joined(waiting), kind[0]
    for error in failure:
        raise error


def joined(pieces: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """One array; that of the only piece is not copied."""
    return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def _until(failure: list[BadAudio], decoded: Iterable[Decoded]) -> Iterator[Decoded]:
    """What comes before a failure, which is kept, so that sound before damage is used."""
    try:
        yield from decoded
    except BadAudio as error:
        failure.append(error)


def _waveform(decoded: Iterable[Decoded], channel: Channel, report: Report) -> Iterator[Waveform]:
    """At 22,050 Hz and mono, each stretch of one rate and as many channels resampled by itself."""
    intake, kind, loudest, failure = None, (0, 0), np.zeros(2), list[BadAudio]()
    coming = _until(failure, decoded)
    now = next(coming, None)
    while now:
        samples, rate = now
        if samples.shape[1] > MAX_CHANNELS:
            raise BadAudio(f'{samples.shape[1]} channels, at most {MAX_CHANNELS} are supported. Save fewer')
        if intake is None:
            with _named_later():
                intake = Intake(rate, channel, '')
        if channel == 'first' and samples.shape[1] > 1 and samples.size:
            peaks = np.abs(samples).max(axis=0)
            loudest = np.maximum(loudest, [peaks[0], peaks.max()])
        kind, now = (rate, samples.shape[1]), next(coming, None)
        last = now is None or kind != (now[1], now[0].shape[1])
        yield _pushed(intake, samples, last)
        intake = None if last else intake
    for error in failure:
        raise error
    if loudest[0] < HEARABLE <= loudest[1]:
        report(Note('the first channel is silent, another is not: use --channel=mean', incomplete=False))


def _pushed(intake: Intake, samples: NDArray[np.float32], last: bool) -> Waveform:
    with _named_later():
        return intake.push(samples, last)


@contextlib.contextmanager
def _named_later() -> Iterator[None]:
    """Errors about samples of a file, whose name comes with `_named`."""
    try:
        yield
    except BadAudio as error:
        text = str(error).removeprefix(': ')
        raise BadAudio(text if '. ' in text else f'{text}. {AGAIN}') from None
