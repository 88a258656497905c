"""Waveforms: channels, sample rate, scale and length.

A **waveform** is float32, mono, 22,050 Hz, in [-1, 1], shape `[samples]`. The net itself
multiplies by the 256 (`GAIN`) that the authors trained with; it is never applied here.
"""

import math
import numbers
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundnet_tf.errors import BadAudio, MissingTool
from soundnet_tf.spec import GAIN, SAMPLE_RATE

__all__ = [
    'GAIN',
    'MEDIA_SUFFIXES',
    'SAMPLE_RATE',
    'SILENCE_DBFS',
    'SOUND_SUFFIXES',
    'VIDEO_SUFFIXES',
    'Channel',
    'Intake',
    'LevelMeter',
    'Resampler',
    'Short',
    'Waveform',
    'fill',
    'fit_length',
    'level_dbfs',
    'resample',
    'to_array',
    'to_float',
    'to_mono',
    'to_waveform',
    'windows',
]

Waveform = NDArray[np.float32]

_SOUND = """
    .aa .aa3 .aac .aax .ac3 .acm .adts .adx .aea .afc .aif .aifc .aiff .aix .amr .ape .apl .apm .ast .au .avr .bcstm
    .bfstm .binka .bonk .brstm .bwf .caf .dff .dsf .dss .dts .dtshd .eac3 .ec3 .fap .flac .fsb .fwse .genh .gsm .hca
    .iamf .ircam .isma .laf .latm .lbc .lc3 .loas .m2a .m4a .m4b .mac .mka .mlp .mmf .mp+ .mp1 .mp2 .mp3 .mpa .mpc
    .msbc .mtaf .musx .nist .oga .ogg .ogx .oma .omg .opus .osq .paf .pvf .qcp .qoa .ra .rf64 .rka .rsd .rso .sbc
    .sds .sdx .shn .snd .sox .spdif .sph .spx .svag .tak .thd .tta .tun .vag .voc .vqe .vqf .vql .w64 .wa .wav .way
    .wma .wsd .wv .wve .xa .xmd .xvag .xwma
"""
_VIDEO = """
    .3g2 .3gp .asf .avi .cpk .dav .dif .divx .dv .f4v .flv .gxf .ismv .ivr .kux .lxf .m2p .m2t .m2ts .m4v .mj2 .mk3d
    .mkv .moflex .mov .mp4 .mpe .mpeg .mpg .mts .mxf .nsv .nut .ogm .ogv .pva .qt .rm .rmvb .roq .smk .swf .thp .tod
    .ts .ty .ty+ .usm .viv .vob .webm .wmv .wtv .xmv
"""
SOUND_SUFFIXES, VIDEO_SUFFIXES = frozenset(_SOUND.split()), frozenset(_VIDEO.split())
MEDIA_SUFFIXES = SOUND_SUFFIXES | VIDEO_SUFFIXES
"""What a folder is searched for, in lower case. Formats are detected by content, so a single file may have any name."""

MAX_CHANNELS = 64
"""More is a batch of clips, or samples and channels are swapped."""

MAX_PEAK = 16
"""Beyond any overshoot: integer samples that were converted to float without scaling."""

MIN_RATE = 1000
"""Hz. Less is no sound; at 1 Hz, a small file would be hours of it."""

SILENCE_DBFS = -70.0
"""A sound below this level counts as silence."""

MAX_RATE = 999_999
"""Hz. More is a damaged header."""

Channel = Literal['first', 'mean']
"""How several channels become one: the authors used the first channel."""

Short = Literal['error', 'tile', 'pad']
"""What to do with a clip that is too short: raise an error, repeat it as the authors did, or pad it with silence."""


def to_array(samples: ArrayLike) -> NDArray[Any]:
    """Lists and tensors as an array. Raises BadAudio unless they hold one clip."""
    try:
        values = np.asarray(samples)
    except ValueError:
        raise BadAudio('samples of several lengths. Pass one clip, [samples] or [samples, channels]') from None
    if not values.ndim:
        raise BadAudio('a single value is not a sound. Pass [samples] or [samples, channels]')
    return values


def to_float(samples: ArrayLike) -> NDArray[np.float32]:
    """Samples of any PCM type as float32 in [-1, 1]: integers are divided by their full scale.

    8-bit unsigned samples are centred on 128, as in WAV files. Raises BadAudio for other types.
    """
    values = to_array(samples)
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128) / 128
    if values.dtype in (np.int16, np.int32):
        return (values / -float(np.iinfo(values.dtype).min)).astype(np.float32)
    if values.dtype.kind == 'f':
        # What overflows is reported as infinite.
        with np.errstate(over='ignore'):
            return values.astype(np.float32)
    raise BadAudio(f'samples of type {values.dtype}. Pass float in [-1, 1], int16, int32 or uint8')


def to_mono(samples: NDArray[np.float32], channel: Channel = 'first') -> NDArray[np.float32]:
    """`[samples]` or `[samples, channels]` to `[samples]`: the first channel, or the mean of all."""
    if samples.ndim == 1:
        return samples
    if samples.ndim != 2 or not 0 < samples.shape[1] <= MAX_CHANNELS:
        raise BadAudio(f'samples of shape {list(samples.shape)}. Pass one clip, [samples] or [samples, channels]')
    if channel == 'first':
        return np.ascontiguousarray(samples[:, 0])
    if channel == 'mean':
        return samples.mean(axis=1)
    raise ValueError(f"channel is 'first' or 'mean', not {channel!r}")


def check_rate(sample_rate: Any, *, of_file: bool = False) -> None:
    """Raise BadAudio unless it is a number of samples per second; `of_file` for that of a file's header."""
    is_rate = isinstance(sample_rate, numbers.Real) and MIN_RATE <= float(sample_rate) <= MAX_RATE
    if not is_rate and of_file:
        raise BadAudio(f'{sample_rate:,} samples per second, not {MIN_RATE:,} to {MAX_RATE:,}: its header is wrong')
    if not is_rate:
        raise BadAudio(f'sample_rate={sample_rate!r}: pass samples per second, {MIN_RATE} or more, such as 44100')


def resample(samples: NDArray[np.float32], sample_rate: int, to: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """`[samples]` at `sample_rate` to the rate `to`, without a shift in time (soxr, high quality)."""
    check_rate(sample_rate)
    if sample_rate == to or not samples.size:
        return samples
    return _soxr(sample_rate).resample(samples, sample_rate, to)


def _soxr(sample_rate: int) -> Any:
    try:
        import soxr
    except ImportError:
        raise MissingTool('soxr', f'resampling from {sample_rate} Hz') from None
    return soxr


class Resampler:
    """`resample` for sound that arrives in chunks: the joined output is the same, in constant memory."""

    def __init__(self, sample_rate: int, to: int = SAMPLE_RATE) -> None:
        check_rate(sample_rate)
        self._rates, self._soxr = (sample_rate, to), _soxr(sample_rate) if sample_rate != to else None
        self._stream = None

    def push(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """The resampled signal as far as these samples determine it; with `last`, all that remains."""
        if self._soxr is None:
            return samples
        if self._stream is None and last and samples.size:  # whole, which is quicker
            return self._soxr.resample(samples, *self._rates)
        self._stream = self._stream or self._soxr.ResampleStream(*self._rates, 1, dtype='float32')
        return self._stream.resample_chunk(samples, last=last)


def to_waveform(samples: ArrayLike, sample_rate: int, channel: Channel = 'first', name: str = 'the sound') -> Waveform:
    """Any samples to a waveform: float32, mono, 22,050 Hz, `[samples]`.

    `samples` is `[samples]` or `[samples, channels]`, of any type that `to_float` takes. Raises
    BadAudio, which starts with `name`, if there are no samples, if one is NaN or infinite, or if full
    scale is not 1; an overshoot is clipped.
    """
    try:
        mono = to_mono(to_float(samples), channel)
        if not mono.size:
            raise BadAudio('no samples')
        _check_finite(mono, sample_rate)
        return _full_scale(resample(mono, sample_rate))
    except BadAudio as error:
        raise BadAudio(f'{name}: {error}') from None


class Intake:
    """`to_waveform` for sound that arrives in chunks: the joined output is the same, in constant memory.

    Without a `name` the sound is of a file, and errors are about it, for its reader to name.
    Also raises BadAudio if a chunk has another number of channels than the first.
    """

    def __init__(self, sample_rate: int, channel: Channel = 'first', name: str = 'the sound') -> None:
        self._sample_rate, self._name = sample_rate, name
        self._channel: Channel = channel
        try:
            check_rate(sample_rate, of_file=not name)
            self._resampler = Resampler(sample_rate)
        except BadAudio as error:
            raise BadAudio(f'{name}: {error}') from None
        self._channels: int | None = None
        self._taken = 0

    def push(self, samples: ArrayLike, last: bool = False) -> Waveform:
        """The waveform as far as these samples determine it, `[n]` or `[n, channels]`; n may be 0."""
        try:
            values = to_float(samples)
            mono = to_mono(values, self._channel) if values.size else np.zeros(0, np.float32)
            channels = values.shape[1] if values.ndim > 1 else 1
            if values.size and channels != (self._channels or channels):
                raise BadAudio(
                    f'a chunk of {channels} channels after chunks of {self._channels}. Pass the same number each time'
                )
            self._channels = channels if values.size else self._channels
            _check_finite(mono, self._sample_rate, self._taken)
            self._taken += len(mono)
            return _full_scale(self._resampler.push(mono, last), of_file=not self._name)
        except BadAudio as error:
            raise BadAudio(f'{self._name}: {error}') from None


def _check_finite(mono: NDArray[np.float32], sample_rate: int, before: int = 0) -> None:
    if not np.isfinite(mono).all():
        bad = before + int(np.flatnonzero(~np.isfinite(mono))[0])
        raise BadAudio(f'sample {bad} (at {bad / sample_rate:.2f} s) is NaN or infinite')


def _full_scale(waveform: NDArray[np.float32], *, of_file: bool = False) -> Waveform:
    peak = float(np.abs(waveform).max(initial=0))
    if peak > MAX_PEAK:
        hint = 'Save it as 16-bit WAV, or with samples from -1 to 1' if of_file else 'Divide 16-bit samples by 32768'
        raise BadAudio(f'samples reach {peak:.6g}, full scale is 1. {hint}')
    # Lossy codecs overshoot.
    return np.clip(waveform, -1, 1) if peak > 1 else waveform


def fit_length(waveform: Waveform, samples: int) -> Waveform:
    """Exactly `samples` samples: a longer waveform is trimmed, a shorter one repeated (authors' tiling)."""
    if not waveform.size:
        raise BadAudio('an empty waveform cannot be repeated')
    repeats = -(-samples // waveform.size)
    return np.tile(waveform, repeats)[:samples] if repeats > 1 else waveform[:samples]


def windows(waveform: Waveform, samples: int) -> NDArray[np.float32]:
    """`[samples of the clip]` to `[windows, samples]`: consecutive windows, for models of fixed input length.

    A remainder of half a window or more gets a window of its own, moved back to end with the clip, so that no window
    is padded. A shorter remainder is dropped: 1 ms must not weigh as much as a window. A clip shorter than a window
    is repeated.
    """
    whole = fit_length(waveform, max(samples, len(waveform)))
    count = (len(whole) + samples // 2) // samples
    starts = [min(index * samples, len(whole) - samples) for index in range(count)]
    return np.stack([whole[start : start + samples] for start in starts])


def fill(waveform: Waveform, samples: int, short: Short) -> Waveform:
    """At least `samples` samples, if `short` allows it; an empty waveform stays empty."""
    if short == 'error' or not 0 < len(waveform) < samples:
        return waveform
    if short == 'tile':
        return fit_length(waveform, samples)
    return np.concatenate([waveform, np.zeros(samples - len(waveform), np.float32)])


class LevelMeter:
    """The level of the loudest second of a waveform that arrives in chunks, whatever their sizes.

    The level is that second's root mean square in dB of full scale, without its mean, which is no sound; -inf for
    digital silence; of less than a second, it is that of all samples. The loudest second, since an hour may be quiet
    except for one bark.
    """

    def __init__(self, recent_s: float = 0.0) -> None:
        # The second in progress is one of them.
        self._kept = math.ceil(recent_s) + 1
        self._recent: list[float] = []
        self._energy = self._sum = 0.0  # of the second in progress
        self._loudest = 0.0
        self._samples = 0

    def push(self, waveform: Waveform) -> None:
        """Add `[samples]`, possibly none."""
        self._recent = self._recent[-self._kept :]
        at = 0
        while at < len(waveform):
            if self._samples % SAMPLE_RATE == 0:
                self._recent.append(0.0)
                self._energy = self._sum = 0.0
            part = waveform[at : at + SAMPLE_RATE - self._samples % SAMPLE_RATE]
            self._energy += float(np.square(part, dtype=np.float64).sum())
            self._sum += float(part.sum(dtype=np.float64))
            self._samples += len(part)
            # It never decreases within a second, so the size of chunks does not matter.
            count = (self._samples - 1) % SAMPLE_RATE + 1
            self._recent[-1] = max(0.0, self._energy - self._sum**2 / count)
            self._loudest = max(self._loudest, self._recent[-1])
            at += len(part)

    @property
    def dbfs(self) -> float:
        """Of the loudest second so far."""
        return self._level(self._loudest)

    @property
    def recent_dbfs(self) -> float:
        """Of the loudest second among the last push and the `recent_s` seconds before it."""
        return self._level(max(self._recent, default=0.0))

    def _level(self, energy: float) -> float:
        return 10 * math.log10(energy / min(self._samples, SAMPLE_RATE)) if energy else -math.inf


def level_dbfs(waveform: Waveform) -> float:
    """The level of a whole waveform, `[samples]`; see `LevelMeter`."""
    meter = LevelMeter()
    meter.push(waveform)
    return meter.dbfs
