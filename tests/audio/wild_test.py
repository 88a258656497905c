"""Files as people have them, against what FFmpeg plays of them: the same length and the same sound, or one line."""

import contextlib
import fractions
import io
import itertools
import struct
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile

from soundnet_tf.audio import MEDIA_SUFFIXES, SAMPLE_RATE, containers, decoding, notes, pyav
from soundnet_tf.audio import ogg as ogg_pages
from soundnet_tf.audio.part import Part
from soundnet_tf.errors import BadAudio
from tests.audio.made import BOTH, HIGH, LOW, RATE, heard, muxed, played, same

CONTAINERS = [
    ('libmp3lame', 'mp3'), ('libmp3lame', 'matroska'), ('libmp3lame', 'avi'), ('libmp3lame', 'mov'), ('mp2', 'mp2'),
    ('mp2', 'mpeg'), ('aac', 'mp4'), ('aac', 'mov'), ('aac', 'ipod'), ('aac', '3gp'), ('aac', 'adts'),
    ('aac', 'mpegts'), ('aac', 'flv'), ('aac', 'matroska'), ('aac', 'nut'), ('aac', 'latm'), ('wmav2', 'asf'),
    ('flac', 'flac'), ('flac', 'ogg'), ('flac', 'matroska'), ('alac', 'ipod'), ('tta', 'tta'), ('wavpack', 'wv'),
    ('pcm_s16le', 'wav'), ('pcm_s24le', 'wav'), ('pcm_s32le', 'wav'), ('pcm_f32le', 'wav'), ('pcm_f64le', 'wav'),
    ('pcm_u8', 'wav'), ('pcm_mulaw', 'wav'), ('pcm_alaw', 'wav'), ('adpcm_ms', 'wav'), ('adpcm_ima_wav', 'wav'),
    ('pcm_s16be', 'aiff'), ('pcm_s24be', 'aiff'), ('pcm_s16le', 'caf'), ('pcm_s16be', 'au'), ('pcm_s16le', 'w64'),
    ('pcm_s16le', 'mov'), ('pcm_s16le', 'matroska'), ('pcm_s16le', 'avi'), ('libvorbis', 'ogg'),
    ('libvorbis', 'webm'), ('pcm_u8', 'voc'), ('ac3', 'ac3'), ('ac3', 'mpegts'), ('eac3', 'eac3'), ('libopus', 'ogg'),
    ('libopus', 'webm'), ('libopus', 'mp4'), ('libspeex', 'ogg'), ('g722', 'avi'), ('eac3', 'avi'), ('dfpwm', 'avi'),
    ('flac', 'asf'), ('flac', 'wtv'), ('libmp3lame', 'swf'), ('pcm_s16le', 'smjpeg'), ('adpcm_ima_ssi', 'kvag'),
    ('adpcm_ima_alp', 'alp'), ('adpcm_ima_apm', 'apm'), ('adpcm_argo', 'argo_asf'),
]  # fmt: skip


@pytest.mark.parametrize(('codec', 'format'), CONTAINERS)
def test_stereo_in_the_usual_containers(codec, format):
    rate = {'ac3': 48_000, 'eac3': 48_000, 'libopus': 48_000, 'libspeex': 16_000, 'g722': 16_000}.get(codec, RATE)
    try:
        data = muxed(BOTH, codec, format, rate, channels=2)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f'this FFmpeg writes no {codec} in {format}: {error}')
    waveform, found = heard(data)
    same(waveform, played(data))
    assert not found
    assert len(waveform) == pytest.approx(len(BOTH), abs=0.11 * SAMPLE_RATE)


@pytest.mark.parametrize('rate', [8_000, 16_000, 22_050, 44_100])
@pytest.mark.parametrize(
    ('codec', 'format'),
    [('libmp3lame', 'matroska'), ('aac', 'matroska'), ('mp2', 'matroska'), ('libmp3lame', 'w64'), ('mp2', 'w64')],
)
@pytest.mark.parametrize('sound', [LOW, BOTH], ids=['3 s', '6 s'])
def test_delays_and_padding_are_not_missing(sound, codec, format, rate):
    if (codec, rate) == ('mp2', 8_000):
        pytest.skip('MP2 has no such rate')
    waveform, found = heard(muxed(sound, codec, format, rate))
    assert not found
    assert len(waveform) == pytest.approx(len(sound), abs=0.2 * SAMPLE_RATE)


@pytest.mark.parametrize(('codec', 'format'), CONTAINERS[::2])
def test_cut_files_are_read_to_their_end(codec, format):
    try:
        data = muxed(BOTH, codec, format)
        cut = data[: len(data) * 2 // 3]
        wanted = played(cut)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        pytest.skip(f'{codec} in {format}: {error}')
    waveform, found = heard(cut)
    same(waveform, wanted)
    if format not in ('mp2', 'adts', 'mpegts', 'latm', 'mpeg', 'voc', 'nut', 'swf'):  # these state no length
        missing_s = sum(note.seconds for note in found)
        assert found
        assert not missing_s or len(waveform) / SAMPLE_RATE + missing_s == pytest.approx(6, abs=0.25)
        with pytest.raises(BadAudio, match=r'^rain\.any: incomplete: .* s\)\. Copy or download it again'):
            decoding.decode(cut, 'rain.any', strict=True)


@pytest.mark.parametrize('codec', ['pcm_s16le', 'libmp3lame', 'adpcm_ima_wav', 'wmav2'])
def test_an_avi_that_lost_its_middle(codec):
    """Without time stamps, only the length that its header states tells."""
    data = muxed(BOTH, codec, 'avi')
    third = len(data) // 3
    waveform, notes_ = heard(data[:third] + bytes(third // 2) + data[third + third // 2 :])
    (note,) = notes_
    assert note.what == 'damaged, left out'
    assert len(waveform) / SAMPLE_RATE + note.seconds == pytest.approx(6, abs=0.2)


def test_a_compressed_aiff_that_was_cut():
    data = muxed(BOTH, 'adpcm_ima_qt', 'aiff')
    _, (note,) = heard(data[: len(data) * 2 // 3])
    assert (note.what, note.seconds) == ('cut short', pytest.approx(2, abs=0.05))


def chunk(name, data, size=None):
    return name + struct.pack('<I', len(data) if size is None else size) + data + b'\0' * (len(data) % 2)


def wav(data, kind=1, bits=16, width=2, size=None, riff=None, head=b'RIFF', before=b'', rate=RATE):
    about = struct.pack('<HHIIHH', kind, 1, rate, rate * width, width, bits)
    body = b'WAVE' + before + chunk(b'fmt ', about) + chunk(b'data', data, size)
    return head + struct.pack('<I', len(body) if riff is None else riff) + body


PCM = (BOTH * 32767).astype('<i2').tobytes()
UNKNOWN = 0xFFFFFFFF
DS64 = chunk(b'ds64', struct.pack('<QQQI', len(PCM) + 72, len(PCM), len(PCM) // 2, 0))


TWENTY = (BOTH * 524287).astype('<i4') << 4
BIG_ENDIAN = (
    struct.pack('>4sI8sIHHIIHH', b'RIFX', 36 + len(PCM), b'WAVEfmt ', 16, 1, 1, RATE, RATE * 2, 2, 16)
    + struct.pack('>4sI', b'data', len(PCM))
    + (BOTH * 32767).astype('>i2').tobytes()
)


@pytest.mark.parametrize(
    'data',
    [
        wav(PCM, size=UNKNOWN, riff=UNKNOWN),
        wav(PCM, size=UNKNOWN, head=b'RF64', riff=UNKNOWN, before=DS64),
        wav(PCM, size=UNKNOWN, head=b'BW64', riff=UNKNOWN, before=DS64),
        wav(PCM, before=chunk(b'LIST', b'INFOodd') + chunk(b'bext', bytes(602))),
        wav(PCM) + chunk(b'LIST', b'INFO' + bytes(3000)),
        wav(((BOTH * 8388607).astype('<i4') << 8).tobytes(), bits=24, width=4),
        wav(TWENTY.view('u1').reshape(-1, 4)[:, :3].tobytes(), bits=20, width=3),
        wav(BOTH.astype('<f8').tobytes(), kind=3, bits=64, width=8),
        BIG_ENDIAN,
    ],
    ids=['unknown size', 'rf64', 'bw64', 'chunks before', 'chunks after', '24 in 4', '20 in 3', 'double', 'rifx'],
)  # fmt: skip
def test_wav_headers(data):
    waveform, found = heard(data)
    assert not found
    np.testing.assert_allclose(waveform, BOTH, atol=5e-5)


@pytest.mark.parametrize('size', [0, 20_000, UNKNOWN])
def test_a_wav_too_large_for_its_header(size, monkeypatch):
    """As beyond 4 GB: the size begins again from 0."""
    monkeypatch.setattr(containers, 'RIFF_LIMIT', 44)
    waveform, _ = heard(wav(PCM, size=size))
    np.testing.assert_allclose(waveform, BOTH, atol=5e-5)


UNFINISHED_DS64 = chunk(b'ds64', bytes(28))


@pytest.mark.parametrize(
    'data',
    [
        wav(PCM, size=0, riff=0),
        *(wav(PCM, size=UNKNOWN, riff=UNKNOWN, head=head, before=UNFINISHED_DS64) for head in (b'RF64', b'BW64')),
    ],
    ids=['riff', 'rf64', 'bw64'],
)
def test_a_recorder_that_died(data):
    waveform, (note,) = heard(data)
    np.testing.assert_allclose(waveform, BOTH, atol=5e-5)
    assert note.what == 'its header was never finished: read to the end of the file'


@pytest.mark.parametrize('data', [BIG_ENDIAN, wav(((BOTH * 8388607).astype('<i4') << 8).tobytes(), bits=24, width=4)])
def test_what_only_libsndfile_reads_is_cut_with_a_note(data):
    waveform, (note,) = heard(data[: len(data) * 2 // 3])
    assert (note.what, note.seconds) == ('cut short', pytest.approx(2, abs=0.01))
    assert len(waveform) / SAMPLE_RATE == pytest.approx(4, abs=0.01)


@pytest.mark.parametrize(
    ('kind', 'subtype'),
    [('WAV', 'NMS_ADPCM_16'), ('WAV', 'NMS_ADPCM_32'), ('WAV', 'G721_32'), ('AIFF', 'GSM610')],
)
def test_codecs_that_ffmpeg_does_not_read_right(kind, subtype):
    file = io.BytesIO()
    soundfile.write(file, 0.5 * LOW, RATE, format=kind, subtype=subtype)
    waveform, found = heard(file.getvalue())
    assert not found
    same(waveform, soundfile.read(io.BytesIO(file.getvalue()), dtype='float32')[0])


@pytest.mark.parametrize('more', [b'some text behind it', muxed(LOW, 'pcm_s16le', 'w64')], ids=['text', 'joined'])
def test_what_follows_wave64_is_not_missing_from_it(more):
    waveform, found = heard(muxed(BOTH, 'pcm_s16le', 'w64') + more)
    assert not found
    same(waveform[: len(BOTH)], BOTH)


@pytest.mark.parametrize('decoder', ['auto', 'pyav', 'soundfile'])
def test_samples_that_no_decoder_reads_right_are_refused(decoder):
    half = wav(BOTH.astype('<f2').tobytes(), kind=3, bits=16, width=2)
    with pytest.raises(BadAudio, match=r'^rain\.any: (no sound track that FFmpeg|soundfile does not read)'):
        heard(half, decoder=decoder)
    wide = wav(((BOTH * 524287).astype('<i4') << 12).tobytes(), bits=20, width=4)
    with pytest.raises(BadAudio, match=r'^rain\.any: 20 bits in 4 bytes are not supported\. Save it as 16-bit WAV'):
        heard(wide, decoder=decoder)


ONE, TWO = (muxed(sound, 'libmp3lame', 'mp3', write_xing='0', id3v2_version='0') for sound in (LOW, HIGH))
TAGGED = muxed(HIGH, 'libmp3lame', 'mp3')
ID3 = b'ID3\3\0\0\0\0\0\x0a' + bytes(10)
NOISE = np.random.default_rng(0).integers(0, 255, 3000, np.uint8).tobytes()


@pytest.mark.parametrize(
    'data',
    [
        ONE + TWO,
        ONE + ID3 + TWO,
        ONE + b'TAG' + bytes(125) + TWO,
        ONE + ID3[:6] + b'\0\0\x40\0' + ID3[10:] + TWO,
        ONE + ID3[:6] + b'\x7f\x7f\x7f\x7f' + ID3[10:] + TWO,
        ONE + muxed(HIGH, 'mp2', 'mp2'),
        ONE + TAGGED,
        muxed(LOW, 'libmp3lame', 'mp3') + TAGGED,
        ID3 + bytes(500) + ONE + ID3 + TWO + b'TAG' + bytes(125),
        bytes(1000) + ONE + TWO,
        NOISE + ONE + TWO,
        b'HTTP/1.0 200 OK\r\nicy-name:radio\r\n\r\n' + ONE + TWO,
    ],
    ids=[
        'joined',
        'id3 between',
        'tag between',
        'id3 too long',
        'id3 beyond',
        'layer II',
        'tagged',
        'both tagged',
        'all tags',
        'zeros',
        'noise',
        'http',
    ],
)
def test_mp3_streams(data):
    waveform, found = heard(data)
    same(waveform, played(data))
    assert not found
    halves = [np.abs(np.fft.rfft(half)).argmax() * SAMPLE_RATE / len(half) for half in np.array_split(waveform, 2)]
    assert halves == pytest.approx([440, 2000], abs=2)


def test_a_cover_between_joined_mp3s_is_not_reported_as_damage():
    picture = b'\0image/jpeg\0\3\0' + NOISE * 60
    frame = b'APIC' + struct.pack('>IH', len(picture), 0) + picture
    tag = b'ID3\3\0\0' + bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0)) + frame
    waveform, found = heard(ONE + tag + TWO)
    assert not found
    assert len(waveform) == pytest.approx(len(heard(ONE + TWO)[0]), abs=0.06 * SAMPLE_RATE)


@pytest.mark.parametrize('format', ['adts', 'latm'])
@pytest.mark.parametrize('rates', [(RATE, 44_100), (44_100, RATE), (RATE, RATE)])
def test_joined_aac(format, rates):
    one, two = (muxed(sound, 'aac', format, rate) for sound, rate in zip((LOW, HIGH), rates, strict=True))
    waveform, found = heard(one + two)
    assert not found
    assert len(waveform) == pytest.approx(len(heard(one)[0]) + len(heard(two)[0]), abs=0.01 * SAMPLE_RATE)
    halves = [np.abs(np.fft.rfft(half)).argmax() * SAMPLE_RATE / len(half) for half in np.array_split(waveform, 2)]
    assert halves == pytest.approx([440, 2000], abs=2)


FLAC = muxed(LOW, 'flac', 'flac')


@pytest.mark.parametrize('rate', [RATE, 44_100])
def test_joined_flac(rate):
    data = FLAC + muxed(HIGH, 'flac', 'flac', rate=rate)
    waveform, found = heard(data)
    assert np.abs(np.fft.rfft(waveform[-len(HIGH) :])).argmax() / 3 == pytest.approx(2000, abs=2)
    assert len(waveform) == pytest.approx(len(BOTH), abs=0.05 * SAMPLE_RATE)
    assert not found


def test_flac_whose_header_states_less():
    waveform, found = heard(FLAC[:21] + struct.pack('>BI', FLAC[21] & 0xF0, RATE) + FLAC[26:])
    np.testing.assert_array_equal(waveform, heard(FLAC)[0])
    assert not found


def test_a_reader_that_is_sent_far_beyond_the_file(capfd):
    part = Part.of(b'sound', 'rain.caf')
    assert part.seek(-1) == -1
    assert part.tell() == 0
    caf = muxed(BOTH, 'pcm_s16be', 'caf')
    waveform, _ = heard(caf + caf)  # the second one's first bytes are taken for a chunk's length
    same(waveform, heard(caf)[0])
    assert not capfd.readouterr().err


@pytest.mark.parametrize(
    ('data', 'seconds'),
    [
        (muxed(LOW, 'pcm_s64le', 'wav'), 3),
        (muxed(LOW, 'alac', 'caf'), 3),
        (muxed(LOW, 'aac', 'matroska', gap=(0, 2)), 3),
    ],
    ids=['64 bits', 'alac in caf', 'starts at 2 s'],
)
def test_uncommon_but_complete(data, seconds):
    waveform, found = heard(data)
    assert not found
    assert len(waveform) / SAMPLE_RATE == pytest.approx(seconds, abs=0.1)


AIFF = muxed(BOTH, 'pcm_s16be', 'aiff')


@pytest.mark.parametrize(
    'data',
    [
        wav(PCM, size=len(PCM) * 3),
        (aiff := muxed(BOTH, 'pcm_s16be', 'aiff'))[:4]
        + struct.pack('>I', len(aiff) // 2 - 8)
        + aiff[8 : len(aiff) // 2],
    ],
    ids=['wav', 'aiff'],
)
def test_headers_that_state_more(data):
    assert [note.what for note in heard(data)[1]] == ['cut short']


def test_headers_that_say_nothing():
    zeros = b'RIFF\xff\xff\xff\x00WAVE' + bytes(1 << 24)
    assert containers.wav_header(zeros) is None
    for data in (zeros, wav(PCM)[:22] + bytes(2) + wav(PCM)[24:]):
        with pytest.raises(BadAudio, match=r'^rain\.any: (damaged|no sound track|no samples)'):
            heard(data)
    many = struct.pack('<4sI8sIHHIIHH', b'RIFF', 0, b'WAVEfmt ', 16, 1, 100, RATE, RATE * 200, 200, 16)
    with pytest.raises(BadAudio, match=r'^rain\.any: 100 channels, at most 64 are supported'):
        heard(many + chunk(b'data', PCM[:20_000]))


def test_little_sound_is_not_filled_with_days_of_silence():
    out = io.BytesIO()
    with av.open(out, 'w', format='matroska') as container:
        stream = container.add_stream('pcm_s16le', rate=8_000, layout='mono')
        for minute in range(600):
            frame = av.AudioFrame.from_ndarray(np.full([1, 80], 1000, np.int16), format='s16', layout='mono')
            frame.sample_rate, frame.pts, frame.time_base = 8_000, minute * 59 * 8_000, fractions.Fraction(1, 8_000)
            container.mux(stream.encode(frame))
    waveform, found = heard(out.getvalue())
    assert len(waveform) < 200 * SAMPLE_RATE
    assert {note.what for note in found} == {'a gap, filled with silence', pyav.JUMP}


def test_mp3_with_a_hole():
    middle = len(ONE) // 2
    waveform, found = heard(ONE[:middle] + NOISE + ONE[middle:])
    assert len(waveform) == pytest.approx(len(LOW), abs=0.15 * SAMPLE_RATE)
    assert [note.what for note in found] == ['damaged, left out']


def ogg(sound, subtype='VORBIS', rate=RATE, channels=1):
    out = io.BytesIO()
    soundfile.write(out, np.repeat(sound[:, None], channels, 1), rate, format='OGG', subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize(
    ('links', 'seconds'),
    [
        ([(LOW, 'VORBIS', RATE, 1), (HIGH, 'VORBIS', RATE, 1)], 6),
        ([(LOW, 'VORBIS', RATE, 1), (np.repeat(HIGH, 2), 'VORBIS', 44_100, 2)], 6),
        ([(LOW, 'OPUS', 24_000, 1), (HIGH, 'VORBIS', RATE, 2)], 3 + 3 * RATE / 24_000),
        ([(LOW[:RATE], 'VORBIS', RATE, 1)] * 5 + [(HIGH, 'VORBIS', RATE, 1)], 8),
    ],
)
def test_chained_ogg(links, seconds):
    data = b''.join(ogg(*link) for link in links)
    waveform, found = heard(data)
    assert not found
    assert len(waveform) / SAMPLE_RATE == pytest.approx(seconds, abs=0.05)
    np.testing.assert_array_equal(waveform, np.concatenate([heard(ogg(*link))[0] for link in links]))
    assert len(containers.links(Part.of(data, ''))) == len(links)
    with_libsndfile, _ = heard(data, decoder='soundfile')
    np.testing.assert_array_equal(with_libsndfile, waveform)


RICH = (LOW + np.random.default_rng(0).normal(0, 0.1, len(LOW))).astype(np.float32)


@pytest.mark.parametrize('junk', [b'', NOISE[:500], bytes(300)], ids=['cut link', 'noise', 'zeros'])
def test_what_is_around_the_links_of_an_ogg_chain(junk):
    one, two = ogg(RICH), ogg(RICH[:RATE])
    whole = np.concatenate([heard(one)[0], heard(two)[0]])
    for decoder in ('auto', 'pyav'):
        waveform, found = heard(junk + one + junk + two + one[:100], decoder=decoder)
        np.testing.assert_allclose(waveform, whole, atol=1e-4)
        assert [(note.what, round(note.at_s)) for note in found] == [('damaged, left out', 4)]
    # The place in a cut link counts from the start of the file.
    _, found = heard(one + one[: len(one) // 2])
    assert [note.what for note in found] == ['cut short']
    assert 3.5 < found[0].at_s < 6


def test_junk_in_front_of_flac():
    np.testing.assert_array_equal(heard(NOISE + FLAC)[0], heard(FLAC)[0])


@pytest.mark.parametrize('page', range(2, 6))
def test_a_changed_bit_in_an_ogg_page(page):
    """FFmpeg leaves the page out; libsndfile does not notice."""
    data, at = bytearray(ogg(RICH)), 0
    for _ in range(page):
        at = data.index(b'OggS', at + 1)
    data[at + 200] ^= 4
    waveform, found = heard(bytes(data))
    same(waveform, heard(bytes(data), decoder='pyav')[0])
    assert {note.what for note in found} <= {'damaged, left out', 'a gap, filled with silence', 'cut short'}
    assert found
    with pytest.raises(BadAudio, match='incomplete: '):
        decoding.decode(bytes(data), 'rain.ogg', strict=True)


def test_an_ogg_file_with_a_missing_page():
    sound = RICH
    data = ogg(sound)
    at = data.index(b'OggS', len(data) // 2)
    broken = data[:at] + data[data.index(b'OggS', at + 4) :]
    assert containers.plain(data)
    assert not containers.plain(broken)
    waveform, found = heard(broken)
    assert found
    assert len(waveform) == pytest.approx(len(sound), abs=0.05 * SAMPLE_RATE)


@pytest.mark.parametrize('format', ['mp4', 'mov', 'matroska', 'flv'])
@pytest.mark.parametrize('gap_s', [0.2, 2.0])
def test_gaps_in_time_stamps_are_silence(format, gap_s):
    data = muxed(BOTH, 'aac', format, gap=(65, gap_s))
    waveform, (note,) = heard(data)
    assert len(waveform) / SAMPLE_RATE == pytest.approx(6 + gap_s, abs=0.1)
    assert (note.what, note.seconds) == ('a gap, filled with silence', pytest.approx(gap_s, abs=0.06))
    middle = waveform[round((note.at_s + 0.05) * SAMPLE_RATE) : round((note.at_s + gap_s - 0.05) * SAMPLE_RATE)]
    assert abs(middle).max() < 1e-3
    with pytest.raises(BadAudio, match=rf'incomplete: a gap, filled with silence \({gap_s:.1f}'):
        heard(data, check=notes.refuse)


def later(data, page, samples):
    """An Ogg file whose granule positions are higher from that page on."""
    out = b''
    for found in ogg_pages.pages(data):
        kept = data[found.start : found.end]
        if found.number >= page:
            kept = kept[:6] + (found.granule + samples).to_bytes(8, 'little') + kept[14:22] + bytes(4) + kept[26:]
            kept = kept[:22] + ogg_pages._checksum(kept) + kept[26:]
        out += kept
    return out


@pytest.mark.parametrize('gap_s', [0.2, 2.0])
@pytest.mark.parametrize(
    ('data', 'rate'),
    [(ogg(RICH), RATE), (ogg(RICH, 'OPUS', 24_000), 48_000), (ogg(RICH, channels=2), RATE)],
    ids=['vorbis', 'opus', 'stereo'],
)
def test_gaps_between_ogg_pages_are_silence(data, rate, gap_s):
    assert containers.plain(data)
    assert later(data, 3, 0) == data
    whole, _ = heard(data)
    waveform, (note,) = heard(later(data, 3, round(gap_s * rate)))
    assert (len(waveform) - len(whole)) / SAMPLE_RATE == pytest.approx(gap_s, abs=0.03)
    assert (note.what, note.seconds) == ('a gap, filled with silence', pytest.approx(gap_s, abs=0.03))
    middle = waveform[round((note.at_s + 0.05) * SAMPLE_RATE) : round((note.at_s + gap_s - 0.05) * SAMPLE_RATE)]
    assert abs(middle).max() < 1e-3


@pytest.mark.parametrize('gap', [(60, 2), (20, 15), (100, 5)])
def test_gaps_within_ogg_pages(gap):
    data = muxed(BOTH, 'libopus', 'ogg', rate=48_000, gap=gap)
    waveform, found = heard(data)
    np.testing.assert_array_equal(waveform, heard(data, decoder='pyav')[0])
    assert found
    with pytest.raises(BadAudio, match='incomplete: '):
        heard(data, check=notes.refuse)


@pytest.mark.parametrize(('codec', 'rate', 'cut_s'), [('VORBIS', RATE, 0.2), ('OPUS', 24_000, 1.0)])
def test_an_end_that_cuts_more_than_a_packet_is_as_ffmpeg_plays_it(codec, rate, cut_s):
    data = ogg(RICH, codec, rate)
    last = max(page.number for page in ogg_pages.pages(data))
    cut = later(data, last, -round(cut_s * (48_000 if codec == 'OPUS' else rate)))
    assert containers.plain(later(data, last, -20))
    assert not containers.plain(cut)
    np.testing.assert_array_equal(heard(cut)[0], heard(cut, decoder='pyav')[0])


@pytest.mark.parametrize('channels', [1, 2])
def test_usual_ogg_files_are_plain(channels):
    for rate in (8_000, 16_000, 24_000, 48_000):
        assert all(containers.plain(ogg(BOTH, codec, rate, channels)) for codec in ('VORBIS', 'OPUS'))
    assert containers.plain(muxed(BOTH, 'libopus', 'ogg', 48_000, channels))


def test_a_stream_that_appears_midway_is_no_sound_of_this_one():
    data = muxed(LOW, 'aac', 'mpegts')
    joined = data + muxed(HIGH, 'mp2', 'mpegts', mpegts_start_pid='512', mpegts_pmt_start_pid='4352')
    np.testing.assert_array_equal(heard(joined)[0], heard(data)[0])


def test_quicktime_without_a_file_type():
    data = bytearray(muxed(LOW, 'aac', 'mov'))
    size = struct.unpack('>I', data[:4])[0]
    at = data.find(b'stco') + 8
    for index in range(struct.unpack('>I', data[at : at + 4])[0]):
        place = at + 4 + 4 * index
        data[place : place + 4] = struct.pack('>I', struct.unpack('>I', data[place : place + 4])[0] - size)
    waveform, found = heard(bytes(data[size:]))
    np.testing.assert_array_equal(waveform, heard(muxed(LOW, 'aac', 'mov'))[0])
    assert not found


def test_a_silent_first_channel_is_reported(caplog):
    stereo = np.stack([np.zeros_like(LOW), LOW], axis=1)
    out = io.BytesIO()
    soundfile.write(out, stereo, RATE, format='WAV')
    line = 'the first channel is silent, another is not: use --channel=mean'
    assert notes.lines(heard(out.getvalue())[1]) == [line]
    decoding.decode(out.getvalue(), 'rain.wav', strict=True)
    assert f'rain.wav: {line}' in caplog.text
    assert not heard(out.getvalue(), channel='mean')[1]


@pytest.mark.parametrize(
    'text',
    [
        '#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10.0,\nfile://{path}\n#EXT-X-ENDLIST\n',
        "ffconcat version 1.0\nfile '{path}'\n",
        '[playlist]\nFile1={path}\nNumberOfEntries=1\n',
        '<?xml version="1.0"?><MPD><BaseURL>{path}</BaseURL></MPD>',
        'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=audio 5004 RTP/AVP 0\n',
    ],
)
def test_lists_of_other_files_are_refused(text, tmp_path):
    (tmp_path / 'private.ts').write_bytes(muxed(LOW, 'aac', 'mpegts'))
    for name in ('list.m3u8', 'list.mp4', 'list.wav'):
        (tmp_path / name).write_text(text.format(path=tmp_path / 'private.ts'))
        for decoder in ('auto', 'pyav'):
            with pytest.raises(BadAudio, match='a list of other files, not a sound file'):
                decoding.read(tmp_path / name, decoder)


def test_silence_of_many_channels_in_a_small_file_takes_little_memory(tmp_path):
    with soundfile.SoundFile(tmp_path / 'a.flac', 'w', 8_000, 8, format='FLAC') as file:
        for _ in range(15):
            file.write(np.zeros([60 * 8_000, 8], np.float32))
    assert (tmp_path / 'a.flac').stat().st_size < 1 << 20
    code = (
        'import resource, sys; from soundnet_tf.audio import blocks\n'
        'start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'print(sum(map(len, blocks.read(sys.argv[1]))), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)'
    )
    done = subprocess.run([sys.executable, '-c', code, tmp_path / 'a.flac'], capture_output=True, text=True, check=True)
    samples, kib = map(int, done.stdout.split())
    assert samples == 900 * SAMPLE_RATE
    assert kib < 100_000, 'as much as 230 MB would be all samples'


IMAGES = '.avif .heic .heif .mjpg .psp'
LISTS_AND_TEXT = '.ism .mks'
NOT_READ = '.722 .ac4 .g722 .ivf .pcm'
USUALLY_OF_OTHERS = '.adp .c2 .mca .mods .msf .nsp .sdns .sf .son .str .vb .vpk'


def test_a_folder_is_searched_for_what_can_be_read():
    found = set[str]()
    for name, mode in itertools.product(av.formats_available, 'rw'):
        with contextlib.suppress(ValueError):
            format = av.ContainerFormat(name, mode)
            if set(format.name.split(',')) & set(pyav.DEMUXERS.split()):
                found |= {f'.{extension}' for extension in format.extensions}
    others = f'{IMAGES} {LISTS_AND_TEXT} {NOT_READ} {USUALLY_OF_OTHERS}'.split()
    assert found - MEDIA_SUFFIXES == set(others)
