"""Raw samples as they come through a pipe."""

import os
import threading

import numpy as np
import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference import pcm


@pytest.mark.parametrize('dtype', pcm.DTYPES)
@pytest.mark.parametrize('channels', [1, 2, 3])
def test_samples_arrive_however_the_bytes_are_cut(tmp_path, dtype, channels):
    sound = np.arange(6000).astype(dtype).reshape(-1, channels)
    data, path = sound.tobytes(), str(tmp_path / 'pipe')
    os.mkfifo(path)

    def play():
        with open(path, 'wb', buffering=0) as pipe:
            for start, end in [(0, 1), (1, 5), (5, 2001), (2001, len(data))]:
                pipe.write(data[start:end])
            pipe.write(b'x' * (sound.itemsize * channels - 1))  # a last sample of which a byte is missing

    with_thread = threading.Thread(target=play)
    with_thread.start()
    given = list(pcm.pieces(path, channels, dtype))
    with_thread.join()
    assert all(piece.dtype == dtype for piece in given)
    np.testing.assert_array_equal(np.concatenate(given), sound)


def test_a_piece_is_read_as_soon_as_it_arrives(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, bytes(10))
    pieces = pcm.pieces(f'/dev/fd/{reading}')
    assert len(next(pieces)) == 5
    os.write(writing, bytes(4))
    assert len(next(pieces)) == 2
    os.close(writing)
    assert list(pieces) == []
    os.close(reading)


@pytest.mark.parametrize('begin', [b'RIFF', b'OggS', b'fLaC', b'ID3\x03'])
def test_a_sound_file_is_refused_as_raw_samples(tmp_path, begin):
    (tmp_path / 'sound').write_bytes(begin + bytes(100))
    with pytest.raises(SoundNetError, match=r'this is a sound file, not raw samples\. Pass its path without --pcm'):
        next(pcm.pieces(str(tmp_path / 'sound')))


def test_no_pipe(tmp_path):
    with pytest.raises(SoundNetError, match=r'gone: cannot be read .* Use - for standard input'):
        pcm.pieces(str(tmp_path / 'gone'))
