"""Decoded once: in order, as 16-bit samples, with nothing left behind."""

import re

import numpy as np
import pytest

from soundnet_tf.audio import decoding
from soundnet_tf.errors import BadAudio
from soundnet_tf.finetune import loudness, waveforms
from soundnet_tf.testing import noise
from tests.evaluation.made import write


def test_clips_come_in_order_with_their_levels(tmp_path):
    paths = [write(tmp_path / 'in' / f'{k}.wav', noise(0.1 + 0.01 * k, seed=k)) for k in range(40)]
    read = waveforms.read(paths, tmp_path / 'run', with_powers=True)
    assert len(read) == 40
    assert not any((tmp_path / 'run').iterdir())
    for k, path in enumerate(paths):
        waveform = decoding.read(path)
        assert read.length(k) == len(waveform)
        np.testing.assert_allclose(read[k] / waveforms.FULL_SCALE, waveform, atol=0.6 / waveforms.FULL_SCALE)
        assert read.loudest(k, 0, len(waveform)) == pytest.approx(
            float(loudness.levels(loudness.powers(waveform)).max())
        )


def test_unreadable_files_are_reported(tmp_path):
    paths = [write(tmp_path / f'{k}.wav', noise(0.1)) for k in range(9)]
    (tmp_path / '1.wav').write_text('dear sir')
    with pytest.raises(BadAudio, match=r"1\.wav: not a sound file, it begins with the text 'dear sir'"):
        waveforms.read(paths, tmp_path / 'run')
    for k in (3, 8):
        (tmp_path / f'{k}.wav').write_bytes(b'')
    more = rf'\. 2 more of 9 clips cannot be read: {re.escape(paths[3])}, {re.escape(paths[8])}$'
    with pytest.raises(BadAudio, match=rf'1\.wav: not a sound file.*{more}'):
        waveforms.read(paths, tmp_path / 'run')


def test_full_scale_is_full_scale():
    assert waveforms.to_int16(np.array([-1, 0, 1], np.float32)).tolist() == [-32767, 0, 32767]
