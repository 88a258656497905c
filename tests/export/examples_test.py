"""The examples of docs/examples run as they stand."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from soundnet_tf import audio, clips
from soundnet_tf.export import lite
from soundnet_tf.testing import noise, tone
from tests.export.conftest import PLACES

EXAMPLES = pathlib.Path(__file__).parents[2] / 'docs' / 'examples'


def call(name, *arguments, cwd):
    # Without this package on the path: an example is for those who have the export alone.
    environment = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize(('seconds', 'windows'), [(4, 1), (10.001, 1), (14.8, 1), (15.2, 2)])
def test_tags_of_a_tflite_file(net, tmp_path, seconds, windows):
    pytest.importorskip('ai_edge_litert')
    # Never sure of places, always of objects.
    lite.plan(net, 'tags', length_s=10, thresholds={'places': 1.0, 'imagenet': 0.0}).write(tmp_path)
    soundfile.write(tmp_path / 'rain.wav', noise(seconds, amplitude=0.5), 22_050, 'PCM_16')
    said = call('tag_tflite.py', 'model.tflite', 'rain.wav', cwd=tmp_path)
    assert len((EXAMPLES / 'tag_tflite.py').read_text().splitlines()) <= 46
    heard = soundfile.read(tmp_path / 'rain.wav', dtype='float32')[0]
    cut = audio.windows(heard, 220_500)
    assert (len(said), len(cut)) == (6, windows)
    wanted = np.array(net(np.stack(cut), training=False)['places']).mean((0, 1))
    names = [line for line in said if line.startswith('places, not sure: ')]
    assert sum(line.startswith('imagenet: ') for line in said) == 3
    for line, best in zip(names, np.argsort(-wanted)[:3], strict=True):
        assert line == f'places, not sure: {PLACES[best]} {wanted[best]:.1%}'


@pytest.mark.parametrize('kind', ['ogg', 'stereo', 'empty', 'no samples', 'missing'])
def test_the_tagging_example_asks_for_a_wav(tmp_path, kind):
    pytest.importorskip('ai_edge_litert')
    sound = clips.path('sneeze') if kind == 'ogg' else tmp_path / 'sound.wav'
    if kind == 'stereo':
        soundfile.write(sound, np.zeros([100, 2]), 22_050, 'PCM_16')
    elif kind == 'no samples':
        soundfile.write(sound, np.zeros(0), 22_050, 'PCM_16')
    elif kind == 'empty':
        sound.touch()
    command = [sys.executable, str(EXAMPLES / 'tag_tflite.py'), 'model.tflite', str(sound)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith(f'{sound}: ' if kind != 'missing' else f'{sound}: [Errno 2]')
    assert line.endswith('Pass a WAV file, mono, 22,050 Hz, 16 bit: ffmpeg -i IN -ac 1 -ar 22050 OUT.wav')
    assert ': . ' not in line


@pytest.mark.parametrize('kind', ['silent', 'missing', 'embedding'])
def test_the_tagging_example_does_not_judge_silence_or_take_another_model(net, tmp_path, kind):
    pytest.importorskip('ai_edge_litert')
    lite.plan(net, 'embedding' if kind == 'embedding' else 'tags', length_s=10).write(tmp_path)
    model = 'none.tflite' if kind == 'missing' else 'model.tflite'
    soundfile.write(tmp_path / 'a.wav', np.full(30_000, 1e-4 if kind == 'silent' else 0.1), 22_050, 'PCM_16')
    soundfile.write(tmp_path / 'b.wav', noise(2), 22_050, 'PCM_16')
    sound = 'a.wav' if kind == 'silent' else 'b.wav'
    command = [sys.executable, str(EXAMPLES / 'tag_tflite.py'), model, sound]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert last == 'a.wav: silence' if kind == 'silent' else last.startswith(f'{model}: ')


@pytest.mark.slow
def test_fine_tuning_from_the_module(hub_folder, tmp_path):
    pytest.importorskip('tensorflow_hub')
    waveforms = [sound for index in range(6) for sound in (noise(1, seed=index), tone(1, 300 + 40 * index))]
    np.savez(tmp_path / 'sounds.npz', waveforms=np.stack(waveforms), classes=np.arange(12) % 2)
    said = call('finetune_hub.py', hub_folder, 'sounds.npz', 40, cwd=tmp_path)
    losses = [float(line.split()[-1]) for line in said if line.startswith('step')]
    assert losses[-1] < losses[0]
    assert said[-1] == '100% of the clips that it learned from are named rightly'
    assert (tmp_path / 'tuned' / 'saved_model.pb').exists()
