"""Under Apache Beam the same files come out, and the same counts."""

import functools
import importlib
import os
import sys

import numpy as np
import pytest
import soundfile

from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference import array_files, load, write
from soundnet_tf.inference.files import find
from soundnet_tf.testing import noise


def test_without_beam(monkeypatch):
    monkeypatch.setitem(sys.modules, 'apache_beam', None)
    monkeypatch.delitem(sys.modules, 'soundnet_tf.inference.beam', raising=False)
    with pytest.raises(MissingTool, match=r"on a cluster needs apache-beam, .* pip install 'soundnet_tf\[beam\]'"):
        importlib.import_module('soundnet_tf.inference.beam')


@pytest.fixture(scope='module')
def beam():
    pytest.importorskip('apache_beam', reason='apache-beam does not resolve beside the newest TensorFlow')
    from soundnet_tf.inference import beam

    return beam


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs('in/deep')
    for index in range(5):
        soundfile.write(f'in/{"deep/" * (index % 2)}{index}.wav', noise(1 + index / 3, seed=index), SAMPLE_RATE)
    with open('in/bad.wav', 'w') as file:
        file.write('dear sir')
    soundfile.write('in/short.wav', noise(0.1), SAMPLE_RATE)
    return find(['in'])


@pytest.mark.parametrize('options', [(), ('--direct_num_workers=2', '--direct_running_mode=multi_threading')])
def test_beam_is_local(beam, plain_folder, sounds, options):
    wanted = write.embed_files(load(plain_folder, short='error'), sounds, 'local')
    given = beam.embed_files(functools.partial(load, plain_folder, short='error'), sounds, 'beam', options=options)
    assert str(given) == str(wanted) == '5 done; 2 failed (1 unreadable, 1 too short)'
    assert given.hours == pytest.approx(wanted.hours, abs=1 / 3600)
    for sound in sounds:
        mine, other = write.output_path('beam', sound), write.output_path('local', sound)
        assert mine.exists() == other.exists()
        if mine.exists():
            a, b = array_files.read_npz(mine), array_files.read_npz(other)
            np.testing.assert_allclose(a.pop('values'), b.pop('values'), atol=1e-4)
            assert {k: str(v) for k, v in a.items()} == {k: str(v) for k, v in b.items()}
    again = beam.embed_files(functools.partial(load, plain_folder, short='error'), sounds, 'beam')
    assert (again.done, again.skipped, again.failed.total()) == (0, 5, 2)


def test_a_table_is_put_together_at_the_end(beam, plain_folder, sounds):
    good = [sound for sound in sounds if sound.name.stem.isdigit()]
    tally = beam.embed_files(functools.partial(load, plain_folder), good, 'out.jsonl', 'jsonl', pool='mean')
    assert (tally.done, sorted(os.listdir('.'))) == (5, ['in', 'out.jsonl'])
    with open('out.jsonl') as lines:
        assert len(list(lines)) == 5


def test_mistakes(beam, plain_folder, sounds):
    with pytest.raises(SoundNetError, match="no layer 'conv9'"):
        beam.embed_files(functools.partial(load, plain_folder), sounds, 'out', layers=['conv9'])
    with pytest.raises(SoundNetError, match=r'not options of DirectRunner\. Check what follows --'):
        beam.embed_files(functools.partial(load, plain_folder), sounds, 'out', options=['--direct_num_workers=many'])
