"""MediaPipe opens the exported files, at any rate and length, and gives the net's predictions."""

import json
import pathlib
import subprocess

import numpy as np
import pytest
import soundfile

from soundnet_tf import audio
from soundnet_tf.export import lite
from soundnet_tf.nets import model
from soundnet_tf.testing import tone
from tests.export.conftest import PLACES

HERE = pathlib.Path(__file__).parent
PYTHON = HERE.parents[1] / '.venv-mediapipe' / 'bin' / 'python'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason='MediaPipe is not there: make .venv-mediapipe/made'),
]


@pytest.fixture(scope='module')
def files(net, tmp_path_factory):
    ready = subprocess.run([PYTHON, '-c', 'import mediapipe'], capture_output=True, text=True)
    if ready.returncode:
        why = ready.stderr.splitlines()[-1]
        assert '.so' in why, why
        pytest.skip(f'MediaPipe wants a library of the system: {why}')  # such as libGL
    found = {}
    for kind in ('tags', 'embedding'):
        folder = tmp_path_factory.mktemp(kind)
        lite.plan(net, kind, thresholds={'places': 1.0}).write(folder)
        found[kind] = str(folder / 'model.tflite')
    return found


def heard(files, sound, rate, tmp_path):
    np.save(tmp_path / 'sound.npy', sound)
    command = [PYTHON, HERE / 'mediapipe_reader.py', files['tags'], files['embedding'], tmp_path / 'sound.npy', rate]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env={}, cwd=tmp_path)
    assert not done.returncode, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(('rate', 'seconds'), [(22_050, 20), (44_100, 12.3), (16_000, 1.5)])
def test_mediapipe_agrees_with_the_net(files, net, rate, seconds, tmp_path):
    sound = tone(seconds, amplitude=0.3, sample_rate=rate)
    windows, vectors = heard(files, sound, rate, tmp_path)
    # A window is what the file takes: 10 s for tags, 1 s for the embedding; the last is filled up with silence.
    assert len(windows) == -(-seconds // 10)
    assert len(vectors) == -(-seconds // 1)
    first = np.zeros(220_500, np.float32)
    waveform = audio.resample(sound, rate)[:220_500]
    first[: len(waveform)] = waveform
    wanted = net(first[None], training=False)
    # It resamples in its own way.
    close = {'rtol': 0, 'atol': 1e-4 if rate == 22_050 else 0.02}
    for head, names in {'places': PLACES, 'imagenet': [f'class {index}' for index in range(10)]}.items():
        scores = [windows[0][head][name] for name in names]
        assert len(windows[0][head]) == len(names)
        np.testing.assert_allclose(scores, np.mean(wanted[head], (0, 1)), **close)
    pool5 = np.array(model.features(net, ['pool5'])(first[None, :22_050], training=False)['pool5']).mean((0, 1))
    given = np.array(vectors[0]['pool5'])
    assert np.dot(given, pool5) / np.linalg.norm(given) / np.linalg.norm(pool5) > 0.999


def test_the_example_averages_windows_without_a_rest_and_is_not_sure(net, files, tmp_path):
    text = (HERE.parents[1] / 'docs' / 'examples' / 'tag_mediapipe.py').read_text().replace('= 5  #', '= 10  #')
    (tmp_path / 'tag.py').write_text(text)
    soundfile.write(tmp_path / 'tone.wav', tone(15.2, sample_rate=44_100), 44_100, 'PCM_16')
    command = [PYTHON, 'tag.py', files['tags'], 'tone.wav']
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env={}, cwd=tmp_path)
    assert not done.returncode, done.stderr[-2000:]
    said = done.stdout.splitlines()
    assert [line.partition(': ')[0] for line in said] == ['places, not sure'] * 3 + ['imagenet'] * 3
    sound = audio.resample(soundfile.read(tmp_path / 'tone.wav', dtype='float32')[0], 44_100)
    mean = np.mean(net(np.stack(audio.windows(sound, 220_500)), training=False)['places'], (0, 1))
    for line, best in zip(said, np.argsort(-mean)[:3], strict=False):
        name, _, score = line.removeprefix('places, not sure: ').rpartition(' ')
        assert name == PLACES[best]
        assert float(score.rstrip('%')) / 100 == pytest.approx(mean[best], abs=0.02)
