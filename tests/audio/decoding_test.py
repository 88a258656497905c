"""Every decoder against the sound that was encoded, against each other, and against damaged data."""

import functools
import importlib.util
import io
import itertools
import subprocess
import sys
import types

import av
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundnet_tf.audio import SAMPLE_RATE, containers, decoding, notes, pyav, to_mono, to_waveform
from soundnet_tf.audio.part import Part
from soundnet_tf.errors import BadAudio, MissingTool, SoundNetError

PYTHON_DECODERS = ['miniaudio', 'soundfile', 'pyav']
FORMATS = ['mp3', 'wav', 'aiff', 'flac', 'ogg', 'opus', 'm4a', 'mkv']
SUBTYPES = {
    'wav-8': ('WAV', 'PCM_U8', 1 / 127),
    'wav-16': ('WAV', 'PCM_16', 4e-5),
    'wav-24': ('WAV', 'PCM_24', 2e-7),
    'wav-32': ('WAV', 'PCM_32', 1e-9),
    'wav-float': ('WAV', 'FLOAT', 0.0),
    'wav-extensible-16': ('WAVEX', 'PCM_16', 4e-5),
    'wav-extensible-24': ('WAVEX', 'PCM_24', 2e-7),
    'wav-extensible-32': ('WAVEX', 'PCM_32', 1e-9),
    'aiff-8': ('AIFF', 'PCM_S8', 1 / 127),
    'aiff-16': ('AIFF', 'PCM_16', 4e-5),
    'aiff-24': ('AIFF', 'PCM_24', 2e-7),
    'aiff-float': ('AIFF', 'FLOAT', 0.0),
    'flac-16': ('FLAC', 'PCM_16', 4e-5),
    'flac-24': ('FLAC', 'PCM_24', 2e-7),
}


def _tfio_missing() -> str:
    if importlib.util.find_spec('tensorflow_io') is None:
        return 'tensorflow-io is not installed: it works with TensorFlow 2.16 and 2.17 only'
    return ''


needs_tfio = pytest.mark.skipif(bool(_tfio_missing()), reason=_tfio_missing() or 'installed')
ALL_DECODERS = [*PYTHON_DECODERS, pytest.param('tfio', marks=needs_tfio)]


def tones(rate: int = SAMPLE_RATE, channels: int = 1, seconds: float = 1.0) -> np.ndarray:
    """`[samples, channels]`: another tone in each channel, faded in and out so that codecs keep it well."""
    time = np.arange(round(rate * seconds))[:, None] / rate
    fade = np.clip(np.minimum(time, seconds - time) / 0.1, 0, 1)
    return (0.5 * fade * np.sin(2 * np.pi * (300 + 110 * np.arange(channels)) * time)).astype(np.float32)


def write(sound: np.ndarray, rate: int, container: str, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format=container, subtype=subtype)
    return file.getvalue()


def write_av(sound: np.ndarray, rate: int, container: str, codec: str) -> bytes:
    file = io.BytesIO()
    layout = {1: 'mono', 2: 'stereo', 6: '5.1'}[sound.shape[1]]
    with av.open(file, 'w', format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.bit_rate = 96_000 * sound.shape[1]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), format='fltp', layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for packet in itertools.chain(stream.encode(frame), stream.encode(None)):
            output.mux(packet)
    return file.getvalue()


@functools.lru_cache
def encoded(format: str, rate: int = SAMPLE_RATE, channels: int = 1, seconds: float = 1.0) -> bytes:
    sound = tones(rate, channels, seconds)
    if format == 'm4a':
        return write_av(sound, rate, 'ipod', 'aac')
    if format == 'mkv':
        return write_av(sound, rate, 'matroska', 'libmp3lame')
    container, subtype = {'mp3': ('MP3', None), 'ogg': ('OGG', 'VORBIS'), 'opus': ('OGG', 'OPUS')}.get(
        format, (format.upper(), 'PCM_16')
    )
    return write(sound, rate, container, subtype)


def without_tag(mp3: bytes) -> bytes:
    """Less its first frame, the one that states the length, the encoder's delay and the padding."""
    size, _ = containers.mp3_frame(mp3[:3])
    assert b'Xing' in mp3[:size] or b'Info' in mp3[:size]
    return mp3[size:]


def reads(decoder: str, format: str) -> bool:
    return decoder == 'pyav' or format in decoding.DECODERS[decoder].formats


def native(decoder: str, data: bytes) -> tuple[np.ndarray, int]:
    """All samples of a file at its own rate, by one decoder."""
    file = containers.sound_of(Part.of(data, 'rain.x'))
    plain = containers.plain(file)
    if decoder == 'pyav':
        blocks = list(pyav.blocks(file, notes.accept))
    else:
        blocks = list(decoding.DECODERS[decoder].blocks(file.part(0, plain.end), plain.format))
    return np.concatenate([samples for samples, _ in blocks]), blocks[0][1]


def is_waveform(waveform: np.ndarray) -> None:
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert np.abs(waveform).max() <= 1


def close(a: np.ndarray, b: np.ndarray, tolerance: float, shorter: int = 0) -> None:
    assert abs(len(a) - len(b)) <= shorter
    length = min(len(a), len(b))
    assert np.abs(a[:length] - b[:length]).max() <= tolerance


def lossy(a: np.ndarray, b: np.ndarray, error: float = 0.02, shorter: int = 0) -> None:
    """Alike sample by sample but for the codec's own error (root of the mean square)."""
    assert abs(len(a) - len(b)) <= shorter
    length = min(len(a), len(b))
    assert np.sqrt(np.mean((a[:length] - b[:length]) ** 2)) < error


@pytest.mark.parametrize('decoder', ['auto', *ALL_DECODERS])
@pytest.mark.parametrize('format', FORMATS)
def test_every_format_gives_the_sound_that_was_encoded(decoder, format):
    if decoder != 'auto' and not reads(decoder, format):
        known = format.upper() if format not in ('m4a', 'mkv') else 'this file: it is not plain, or damaged'
        with pytest.raises(BadAudio, match=rf"^rain\.x: {decoder} does not read {known}\. Use decoder='auto'"):
            decoding.decode(encoded(format, 48_000), 'rain.x', decoder)
        return
    waveform = decoding.decode(encoded(format, 48_000, 2), 'rain.x', decoder)
    is_waveform(waveform)
    wanted = to_waveform(tones(48_000, 2), 48_000)
    lossy(
        waveform,
        wanted,
        4e-5 if format in ('wav', 'aiff', 'flac') else 0.02,
        1024 if (format, decoder) == ('ogg', 'pyav') else 0,
    )


@pytest.mark.parametrize('decoder', ALL_DECODERS)
@pytest.mark.parametrize('kind', SUBTYPES)
@pytest.mark.parametrize('channels', [1, 2, 6])
def test_every_sample_type_of_wav_aiff_and_flac(decoder, kind, channels):
    container, subtype, tolerance = SUBTYPES[kind]
    sound = tones(44_100, channels, 0.3)
    data = write(sound, 44_100, container, subtype)
    if not reads(decoder, containers.plain(data).format):
        pytest.skip(f'{decoder} does not read {container}')
    if decoder == 'tfio' and subtype == 'PCM_32':
        with pytest.raises(BadAudio, match=r"^rain\.wav: tfio does not read 32-bit integer WAV.*'auto'$"):
            decoding.decode(data, 'rain.wav', decoder)
        return
    samples, rate = native(decoder, data)
    assert rate == 44_100
    assert samples.shape == sound.shape
    assert samples.dtype == np.float32
    close(samples, sound, tolerance)


@pytest.mark.parametrize('decoder', ALL_DECODERS)
@pytest.mark.parametrize('rate', [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000])
def test_rates(decoder, rate):
    for format in ('wav', 'flac', 'ogg', 'mp3', 'm4a'):
        if reads(decoder, format) and not (format == 'mp3' and rate == 96_000):
            samples, found = native(decoder, encoded(format, rate))
            assert found == rate, format
            lossy(samples, tones(rate), shorter=1024 if (format, decoder) == ('ogg', 'pyav') else 0)


@pytest.mark.parametrize('decoder', ALL_DECODERS)
@pytest.mark.parametrize('format', ['wav', 'flac', 'ogg', 'm4a'])
def test_surround_begins_with_the_front_left_channel(decoder, format):
    if not reads(decoder, format):
        pytest.skip(f'{decoder} does not read {format}')
    samples, _ = native(decoder, encoded(format, 48_000, 6))
    assert samples.shape[1] == 6
    lossy(samples[:, 0], tones(48_000, 6)[:, 0])


PAIRS = [
    pytest.param(a, b, marks=needs_tfio if b == 'tfio' else ()) for a, b in itertools.combinations(decoding.DECODERS, 2)
]


@pytest.mark.parametrize(('one', 'other'), PAIRS)
def test_decoders_agree(one, other):
    """Within what the module's docstring states, on noise, which is hard on codecs, in stereo, for 3 s."""
    sound = tones(44_100, 2, 3.0) * 0.8 + np.random.default_rng(0).normal(0, 0.05, (132_300, 2)).astype(np.float32)
    mp3 = 5e-5 if 'miniaudio' in (one, other) else 4e-6
    cases = [
        ('wav', write(sound, 44_100, 'WAV', 'PCM_16'), 0),
        ('aiff', write(sound, 44_100, 'AIFF', 'PCM_24'), 0),
        ('flac', write(sound, 44_100, 'FLAC', 'PCM_24'), 0),
        ('ogg', write(sound, 44_100, 'OGG', 'VORBIS'), 1e-6),
        ('opus', write(sound, 48_000, 'OGG', 'OPUS'), 1e-6),
        ('mp3', write(sound, 44_100, 'MP3'), mp3),
        ('mp3', write_av(sound, 44_100, 'mp3', 'libmp3lame'), mp3),
    ]
    for format, data, tolerance in cases:
        if reads(one, format) and reads(other, format):
            (a, rate), (b, rate_b) = native(one, data), native(other, data)
            assert rate == rate_b
            assert a.shape == b.shape == sound.shape
            close(a, b, tolerance)


@pytest.mark.parametrize('decoder', ALL_DECODERS)
def test_an_untagged_mp3_keeps_its_delay_and_a_tagged_one_does_not(decoder):
    sound = tones()
    tagged = encoded('mp3')
    lossy(decoding.decode(tagged, 'rain.mp3', decoder), sound[:, 0])
    constant = write_av(sound, SAMPLE_RATE, 'mp3', 'libmp3lame')
    kept = decoding.decode(without_tag(constant[containers.start(constant) :]), 'rain.mp3', decoder)
    assert len(kept) % 576 == 0
    lossy(kept[1105 : 1105 + len(sound)], sound[:, 0])
    if decoder == 'soundfile':
        with pytest.raises(
            BadAudio, match=r'^rain\.mp3: cut short or damaged: [\d,]+ of [\d,]+ samples can be decoded'
        ):
            decoding.decode(without_tag(encoded('mp3', 44_100, 2, 3.0)), 'rain.mp3', decoder)


@pytest.mark.parametrize('channel', ['first', 'mean'])
def test_channels(channel):
    sound = tones(channels=2)
    waveform = decoding.decode(write(sound, SAMPLE_RATE, 'WAV', 'FLOAT'), 'rain.wav', channel=channel)
    np.testing.assert_array_equal(waveform, to_mono(sound, channel))


def test_overshoot_is_clipped():
    loud = np.sign(tones(44_100))
    for decoder in PYTHON_DECODERS:
        waveform = decoding.decode(write(loud, 44_100, 'MP3'), 'rain.mp3', decoder)
        assert np.abs(waveform).max() == 1


def test_the_length_of_a_wav_may_be_unknown():
    data = encoded('wav')
    at = data.index(b'data') + 4
    for unknown in (b'\xff\xff\xff\xff', b'\x00\xf0\xff\x7f'):
        for decoder in ('auto', 'pyav'):
            assert len(decoding.decode(data[:at] + unknown + data[at + 4 :], 'rain.wav', decoder)) == SAMPLE_RATE


def test_tags_around_an_mp3_are_ignored():
    data = encoded('mp3')
    id3 = b'ID3\x04\0\0\0\0\x01\x00' + bytes(128) + bytes(37)
    for decoder in ('auto', *PYTHON_DECODERS):
        wanted = decoding.decode(data, 'rain.mp3', decoder)
        for around in (id3 + data, data + b'TAG' + bytes(125)):
            np.testing.assert_array_equal(decoding.decode(around, 'rain.mp3', decoder), wanted)


FLOAT_NAN = np.array([0, 0.1, np.nan, 0.2] * 100, np.float32)
DAMAGED = {
    'empty': (b'', 'the file is empty. Copy'),
    'text': (
        b'<!DOCTYPE html>\n<html>404</html>',
        "not a sound file, it begins with the text '<!DOCTYPE html>'. Use a sound or video",
    ),
    'picture': (b'\x89PNG\r\n\x1a\n' + bytes(90), 'begins with bytes 89 50 4e 47 0d 0a 1a 0a. Use a sound or video'),
    'a header alone': (encoded('wav')[:44], 'no samples in it. Copy'),
    'half a header': (encoded('wav')[:30], 'damaged: FFmpeg cannot open it (Invalid data found when'),
    'no samples': (write(tones()[:0], SAMPLE_RATE, 'WAV', 'PCM_16'), 'no samples in it. Copy'),
    'nan': (write(FLOAT_NAN, SAMPLE_RATE, 'WAV', 'FLOAT'), 'sample 2 (at 0.00 s) is NaN or infinite. Copy'),
    'wrong scale': (
        write(tones() * 32768, SAMPLE_RATE, 'WAV', 'FLOAT'),
        'full scale is 1. Save it as 16-bit WAV, or with samples from -1 to 1',
    ),
    '1 Hz': (
        write(tones(8_000), 1, 'WAV', 'PCM_16'),
        '1 samples per second, not 1,000 to 999,999: its header is wrong. Copy',
    ),
    'cut m4a': (
        encoded('m4a')[:4000],
        'damaged: FFmpeg cannot open it (Invalid data found when processing input). Copy',
    ),
    'mkv header alone': (encoded('mkv')[:20], 'damaged: FFmpeg cannot open it'),
    'cut ogg header': (encoded('ogg')[:1000], 'Copy or download it again'),
    'mp3 of one header': (encoded('mp3')[:50], 'damaged: FFmpeg cannot open it'),
    'id3 alone': (b'ID3\x04\0\0\0\0\0\x10' + bytes(16), 'Copy or download it again'),
    'playlist': (
        b'#EXTM3U\nfile:///etc/passwd\n',
        'a list of other files, not a sound file. Pass those files themselves',
    ),
}


@pytest.mark.parametrize('decoder', ['auto', *PYTHON_DECODERS])
@pytest.mark.parametrize('kind', DAMAGED)
def test_damaged_data_gives_one_line(kind, decoder, capfd):
    data, words = DAMAGED[kind]
    with pytest.raises(BadAudio) as caught:
        decoding.decode(data, 'rain.mp3', decoder)
    line = str(caught.value)
    assert line.startswith('rain.mp3: ')
    assert '\n' not in line
    assert words in line or f'{decoder} does not read this file' in line
    assert len(line) < 250
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize(
    'text',
    [
        '\ufeff#EXTM3U\nb.wav',
        'ffconcat version 1.0\nfile b.wav',
        "file 'b.wav'\n",
        'FILE "b.wav" WAVE\n  TRACK 01 AUDIO\n',
        'REM GENRE Rain\nTITLE "b"\nFILE "b.wav" WAVE\n',
        'PERFORMER "x"\nFILE "b.wav" WAVE\n',
        '<SMIL><audio src="b.wav"/></SMIL>',
        '[Reference]\r\nRef1=http://x/b.asf\r\n',
        'rtsp://x/b.rm\n',
        'https://x/b.wav',
        '<?wpl version="1.0"?>',
    ],
)
def test_lists_of_other_files_are_named_as_such(text):
    with pytest.raises(BadAudio, match=r'^a\.mp3: a list of other files, not a sound file\. Pass those files'):
        decoding.decode(text.encode(), 'a.mp3')


def test_files_that_cannot_be_read(tmp_path, monkeypatch):
    (tmp_path / 'rain.wav').write_bytes(encoded('mp3'))  # the wrong name does not matter
    assert len(decoding.read(tmp_path / 'rain.wav')) == SAMPLE_RATE
    assert len(decoding.read(str(tmp_path / 'rain.wav'), 'pyav', 'mean')) == SAMPLE_RATE
    for path, words in (
        (tmp_path / 'no.wav', 'no such file'),
        (tmp_path, 'is a folder'),
        ('a\0', 'cannot'),
    ):
        with pytest.raises(BadAudio, match=words) as caught:
            decoding.read(path)
        assert str(caught.value).startswith(f'{path}: ')
        assert '\n' not in str(caught.value)

    def refuse(*_, **__):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('builtins.open', refuse)
    with pytest.raises(BadAudio, match=r'rain\.wav: cannot be read \(Permission denied\)\. Check'):
        decoding.read('rain.wav')


@pytest.mark.parametrize(
    ('decoder', 'module', 'install'),
    [
        ('miniaudio', 'miniaudio', "pip install 'miniaudio'"),
        ('soundfile', 'soundfile', "pip install 'soundfile'"),
        ('pyav', 'av', "pip install 'av'"),
        ('tfio', 'tensorflow_io', r"2\.16\.2 or 2\.17\.1.*pip install 'soundnet_tf\[tfio\]'"),
    ],
)
def test_a_missing_package_is_a_missing_tool(decoder, module, install, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    if decoder == 'tfio':
        monkeypatch.setitem(sys.modules, 'tensorflow', types.ModuleType('tensorflow'))
        sys.modules['tensorflow'].__version__ = '2.21.0'
    format = 'm4a' if decoder == 'pyav' else 'wav'
    with pytest.raises(MissingTool, match=install):
        decoding.decode(encoded(format), 'rain', decoder)
    assert decoder not in _available_without_tfio(monkeypatch)
    if decoder == 'pyav':
        with pytest.raises(MissingTool, match="pip install 'av'"):
            decoding.decode(encoded(format), 'rain')
    else:  # another one takes its place
        assert len(decoding.decode(encoded('wav'), 'rain')) == SAMPLE_RATE


def _available_without_tfio(monkeypatch) -> list[str]:
    monkeypatch.setitem(sys.modules, 'tensorflow_io', None)
    return decoding.available()


def test_available_names_the_decoders_in_order(monkeypatch):
    assert _available_without_tfio(monkeypatch) == PYTHON_DECODERS


def test_tensorflow_io_with_an_incompatible_tensorflow(monkeypatch):
    def fail(*_, **__):
        raise NotImplementedError('unable to open file: libtensorflow_io.so\ncaused by: undefined symbol')

    tensorflow = types.ModuleType('tensorflow')
    tensorflow.__version__, tensorflow.int16 = '2.21.0', None
    tensorflow.errors = types.SimpleNamespace(OpError=ZeroDivisionError)
    tensorflow_io = types.ModuleType('tensorflow_io')
    tensorflow_io.__spec__ = importlib.util.spec_from_loader('tensorflow_io', None)
    tensorflow_io.audio = types.SimpleNamespace(decode_wav=fail)
    monkeypatch.setitem(sys.modules, 'tensorflow', tensorflow)
    monkeypatch.setitem(sys.modules, 'tensorflow_io', tensorflow_io)
    with pytest.raises(MissingTool, match=r'TensorFlow 2\.16\.2 or 2\.17\.1 \(here is 2\.21\.0\)'):
        decoding.decode(encoded('wav'), 'rain.wav', 'tfio')
    assert decoding.available() == PYTHON_DECODERS


def test_unknown_names():
    line = "no decoder 'ffmpeg'. Use auto, miniaudio, soundfile, pyav, tfio"
    with pytest.raises(SoundNetError, match=line):
        decoding.decode(encoded('wav'), 'rain.wav', 'ffmpeg')
    assert list(decoding.DECODERS) == [decoder.name for decoder in decoding.DECODERS.values()]


def test_decoding_a_file_imports_no_tensorflow():
    code = (
        'import sys; from soundnet_tf.audio import containers, decoding\n'
        'assert not {"av", "miniaudio", "soundfile", "tensorflow"} & set(sys.modules)\n'
        'decoding.decode(sys.stdin.buffer.read(), "x"); assert "tensorflow" not in sys.modules'
    )
    subprocess.run([sys.executable, '-c', code], input=encoded('mp3'), check=True, timeout=60)


VALID = {
    format: encoded(format, seconds=0.3) if format != 'opus' else encoded('opus', 48_000, 1, 0.3) for format in FORMATS
}


@st.composite
def mutated(draw) -> bytes:
    """Some file, with bytes changed, mostly in its headers, and perhaps cut."""
    data = bytearray(VALID[draw(st.sampled_from(FORMATS))])
    for _ in range(draw(st.integers(1, 6))):
        where = draw(st.integers(0, 200) | st.integers(0, len(data) - 1))
        data[where] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])


headers = st.sampled_from(
    [
        b'',
        b'ID3\x04\0\0\0\0\0\0',
        b'\xff\xfb\x90\x44',
        b'RIFF\0\0\0\0WAVEfmt ',
        b'fLaC',
        b'OggS',
        b'\0\0\0\x18ftyp',
        b'\x1aE\xdf\xa3',
    ]
)


@settings(max_examples=60, deadline=2000, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    data=mutated() | st.builds(bytes.__add__, headers, st.binary(max_size=3000)),
    decoder=st.sampled_from(['auto', *PYTHON_DECODERS]),
)
def test_no_data_raises_anything_but_bad_audio(data, decoder):
    try:
        waveform = decoding.decode(data, 'rain.wav', decoder)
    except BadAudio as error:
        line = str(error)
    else:
        line = 'rain.wav: fine'
        is_waveform(waveform)
    assert line.startswith('rain.wav: ')
    assert '\n' not in line


@needs_tfio
def test_in_a_graph_tfio_decodes_as_it_does_eagerly():
    import tensorflow as tf

    data = [encoded('mp3'), encoded('mp3', seconds=0.5)]
    dataset = tf.data.Dataset.from_tensor_slices(data).map(decoding.tfio_graph_decoder())
    assert dataset.element_spec == tf.TensorSpec([None], tf.float32)
    for waveform, mp3 in zip(dataset.as_numpy_iterator(), data, strict=True):
        np.testing.assert_array_equal(waveform, decoding.decode(mp3, 'rain.mp3', 'tfio'))
    for damaged in (b'', b'no sound at all', data[0][:50]):
        with pytest.raises(tf.errors.OpError):
            next(iter(tf.data.Dataset.from_tensors(damaged).map(decoding.tfio_graph_decoder())))


@needs_tfio
def test_tfio_works_here_and_rejects_cut_files():
    assert decoding.available() == list(decoding.DECODERS)
    for format in ('mp3', 'wav', 'flac', 'ogg'):
        data = encoded(format, seconds=3.0)
        with pytest.raises(BadAudio, match=r'^rain: (cut short|damaged|tfio does not read)') as caught:
            decoding.decode(data[: len(data) // 2], 'rain', 'tfio')
        assert '\n' not in str(caught.value)
