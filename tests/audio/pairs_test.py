"""Every codec in every container that FFmpeg writes: whole, cut, damaged, joined and with gaps, against FFmpeg."""

import contextlib

import av
import numpy as np
import pytest
from av.codec import Codec, codecs_available
from av.format import ContainerFormat, formats_available

from soundnet_tf.errors import BadAudio
from tests.audio.made import HIGH, LOW, RATE, heard, muxed, played, same

ELSEWHERE = (
    'a64 alsa crc dash fbdev ffmetadata fifo framecrc framehash framemd5 hash hds hls image2 image2pipe md5 null oss '
    'rtp rtp_mpegts rtsp sap segment smoothstreaming stream_segment,ssegment streamhash tee uncodedframecrc '
    'video4linux2,v4l2 webm_chunk webm_dash_manifest whip wsaud'
)
"""They write to devices, networks and other files, or only hashes; FFmpeg takes noise for the last one."""

FORMATS = [
    name for name in sorted(formats_available) if ContainerFormat(name).is_output and name not in ELSEWHERE.split()
]
SOUND = np.concatenate([LOW[:RATE], HIGH[:RATE]])
RATES = {
    'ac3': 48_000, 'ac3_fixed': 48_000, 'aptx': 48_000, 'aptx_hd': 48_000, 'comfortnoise': 8_000, 'eac3': 48_000,
    'g722': 16_000, 'g723_1': 8_000, 'g726': 8_000, 'g726le': 8_000, 'libopencore_amrnb': 8_000, 'libopus': 48_000,
    'opus': 48_000, 'pcm_bluray': 48_000, 'pcm_dvd': 48_000, 'pcm_s24daud': 96_000, 'real_144': 8_000, 'sbc': 44_100,
}  # fmt: skip
ERRORS = (av.error.FFmpegError, OSError, ValueError, IndexError, TypeError)
UNPLAYABLE = {('aac', 'wav'), ('aac', 'w64'), ('aac', 'wtv'), ('roq_dpcm', 'roq')}
"""FFmpeg writes these without what it needs to read them: it plays a part, and errors are reported."""


def encoders():
    for name in sorted(codecs_available - {'anull'}):
        with contextlib.suppress(ValueError, av.error.FFmpegError):
            if Codec(name, 'w').type == 'audio':
                yield name


def changed(whole, codec, format):
    """The file, and what may become of it."""
    third = len(whole) // 3
    yield 'whole', whole
    yield 'cut', whole[: 2 * third]
    yield 'damaged', whole[:third] + bytes(third // 2) + whole[third + third // 2 :]
    yield 'joined', whole + whole
    with contextlib.suppress(av.error.FFmpegError):
        yield 'gap', muxed(SOUND, codec, format, RATES.get(codec, RATE), gap=(5, 1.0))


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore::RuntimeWarning')  # damaged floats
@pytest.mark.parametrize('codec', encoders())
def test_every_container_of(codec):
    for format in FORMATS:
        with contextlib.suppress(*ERRORS):
            whole = muxed(SOUND, codec, format, RATES.get(codec, RATE))
            played(whole)
            for change, data in changed(whole, codec, format):
                compare(change, data, f'{codec} in {format}, {change}', noted=(codec, format) in UNPLAYABLE)


def compare(change, data, name, noted):
    """What is heard of a file, against what FFmpeg plays; only a damaged one may be refused instead."""
    try:
        sound, found = heard(data)
    except BadAudio as error:
        if change in ('whole', 'gap'):
            pytest.fail(f'{name}: {error}')
        return
    assert change != 'whole' or noted or not found, f'{name}: {found}'
    same(sound, played(data, found), name)
