"""Vision features are found by the sounds' names."""

import pathlib

import numpy as np
import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.files import SoundFile
from soundnet_tf.visualize import vision


@pytest.fixture
def files():
    return [SoundFile(f'/x/{name}', pathlib.PurePath(name)) for name in ('a/1.wav', 'a/2.wav', 'b/1.wav')]


def test_vision_by_name(tmp_path, files, capsys):
    (tmp_path / 'a').mkdir()
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.save(tmp_path / 'a' / '1.npy', rows)
    np.save(tmp_path / 'a' / '2.wav.npy', rows[:1])
    found = vision.of_clips(tmp_path, files)
    np.testing.assert_array_equal(found, [[3, 4], [0, 1], [np.nan, np.nan]])
    assert not capsys.readouterr().err
    np.save(tmp_path / 'a' / '2.wav.npy', rows[:1] * np.nan)
    (tmp_path / 'b').mkdir()
    (tmp_path / 'b' / '1.npy').write_text('dear sir')
    found = vision.of_clips(tmp_path, files)
    np.testing.assert_array_equal(found, [[3, 4], [np.nan, np.nan], [np.nan, np.nan]])
    lines = capsys.readouterr().err.splitlines()
    assert [('a/2' in line, 'b/1' in line, 'omitted from the map' in line) for line in lines] == [
        (True, False, True),
        (False, True, True),
    ]


def test_missing_and_mixed_vision_features(tmp_path, files):
    with pytest.raises(SoundNetError, match=r': no vision features for any sound \(no file .*b/1\.wav\.npy'):
        vision.of_clips(tmp_path, files)
    (tmp_path / 'a').mkdir()
    np.save(tmp_path / 'a' / '1.npy', np.zeros([2, 3]))
    np.save(tmp_path / 'a' / '2.npy', np.zeros([2, 4]))
    with pytest.raises(
        SoundNetError, match=r'features have 3 channels \(a/1\.wav\) and 4 \(a/2\.wav\)\. Use features of one layer'
    ):
        vision.of_clips(tmp_path, files)
