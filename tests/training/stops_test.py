"""Killed at any point, a run has saved the net that its log reports, and the same command resumes it."""

import csv
import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from soundnet_tf import storage
from soundnet_tf.config import Experiment, Training
from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import saved
from soundnet_tf.spec import Conv, Head, NetSpec, Pool
from soundnet_tf.testing import make_records
from soundnet_tf.training import trainer

# Made and traced in a second.
SPEC = NetSpec(
    'small',
    (Conv('conv1', 4, 64, 32), Pool('pool1', 16), Conv('conv2', 8, 16, 8), Pool('pool2', 8)),
    (Head('any', 4, 1),),
    'conv2',
)
CONFIG = Training(steps=2, batch=2, clip_s=3, seed=3)
MORE = dataclasses.replace(CONFIG, steps=3)
STOPS = ('save_net', 'swap', 'swapped', 'add_tflite')

# A fork for each, as loading TensorFlow takes seconds: before its first operation it has no threads.
KILLED = """
import os, shutil, signal, sys

import tensorflow
from soundnet_tf import storage
from soundnet_tf.export import tflite
from soundnet_tf.nets import saved
from tests.training.stops_test import CONFIG, MORE, STOPS, train

records, home = sys.argv[1:]

def forked(function):
    pid = os.fork()
    if not pid:
        function()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def killed(stop):
    # Later stops start from the checkpoint of the first, which saves their step.
    before = 'save_net' if stop.startswith('swap') else 'base'
    shutil.copytree(f'{home}/{before}', f'{home}/{stop}')
    if stop == 'save_net':
        saved.save_net = die
    elif stop == 'swap':
        storage._swap = die
    elif stop == 'swapped':
        os.rename = lambda *paths, real=os.rename: (real(*paths), die())
    else:
        tflite.write_tflite = lambda net, path, **_: (path.write_bytes(b'half'), die())
        tflite.add_tflite(f'{home}/{stop}/net')
    train(records, f'{home}/{stop}', MORE)

assert forked(lambda: train(records, f'{home}/base', CONFIG)) == 0
print([forked(lambda: killed(stop)) for stop in STOPS])
"""


def train(folder, run, config):
    return trainer.train(folder, Experiment('test', '', 'soundnet5', training=config), run, SPEC)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('records')
    make_records(folder, count=4, seconds=3, teachers={'places': 4})
    return folder


@pytest.fixture(scope='module')
def runs(made, tmp_path_factory):
    """A folder of runs: `base` has two steps; the others were then started for three, and killed."""
    home = tmp_path_factory.mktemp('runs')
    done = subprocess.run(
        [sys.executable, '-c', KILLED, made, home], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout.splitlines()[-1:] == [str([-9] * len(STOPS))], done.stderr
    return home


def weights(net):
    with np.load(net / 'weights.npz') as file:
        return {key: file[key] for key in file.files}


@pytest.mark.parametrize('stop', STOPS)
def test_a_kill_between_checkpoint_and_net(made, runs, stop, capsys):
    run, config = runs / stop, CONFIG if stop == 'add_tflite' else MORE
    net = train(made, run, config).net
    said = 'already trained for 2 steps' if stop == 'add_tflite' else 'resuming from step 3 of 3\n'
    assert said in capsys.readouterr().out
    origin = saved.read_facts(net)['origin']
    assert origin['steps'] == config.steps
    with (run / 'log.csv').open() as file:
        losses = [float(row['loss/places']) for row in csv.DictReader(file)]
    assert (len(losses), origin['loss_places']) == (config.steps, pytest.approx(np.mean(losses)))
    # The checkpoint's own numbers.
    checkpoint = tf.train.load_checkpoint(str(run / 'checkpoints' / f'step-{config.steps}'))
    wanted = [checkpoint.get_tensor(key) for key, shape in checkpoint.get_variable_to_shape_map().items() if shape]
    for key, value in weights(net).items():
        assert any(np.array_equal(value, tensor) for tensor in wanted), key
    assert [path.name for path in run.rglob('.*')] == []
    assert sorted(path.name for path in net.iterdir()) == ['labels', 'model.json', 'spec.json', 'weights.npz']


def test_a_net_that_is_damaged_since_is_saved_again(made, runs, capsys):
    run = runs / 'base'
    # A kill while the net was replaced.
    (run / 'net').rename(run / '.net.0123456789abcdef.old')
    (run / '.0123456789abcdef.part').mkdir()
    train(made, run, CONFIG)
    assert 'already trained for 2 steps' in capsys.readouterr().out
    assert not list(run.glob('.*'))
    before = weights(run / 'net')
    (run / 'net' / 'weights.npz').write_bytes(b'damaged')
    train(made, run, CONFIG)
    assert 'resuming from step 2 of 2' in capsys.readouterr().out
    assert all(np.array_equal(weights(run / 'net')[key], value) for key, value in before.items())


def test_a_second_run_in_the_same_folder_is_refused(made, tmp_path):
    with storage.claimed(tmp_path / 'run'):
        (tmp_path / 'run' / 'kept').touch()
        with pytest.raises(SoundNetError, match=r'run: another run is writing to it\. Wait for it, or stop it first'):
            train(made, tmp_path / 'run', CONFIG)


def test_a_claim_leaves_only_what_is_written(tmp_path):
    with storage.claimed(tmp_path / 'new'):
        pass
    assert not (tmp_path / 'new').exists()
    (tmp_path / 'mine' / '.keep.part').mkdir(parents=True)
    (tmp_path / 'mine' / '.0123456789abcdef.part').mkdir()
    with pytest.raises(SoundNetError, match=r'it is not a run'), storage.claimed(tmp_path / 'mine'):
        storage.begin(tmp_path / 'mine' / 'run.json', {})
    assert sorted(os.listdir(tmp_path / 'mine')) == ['.0123456789abcdef.part', '.keep.part']
    (tmp_path / 'file').touch()
    with pytest.raises(SoundNetError, match=r'file: exists and is not a folder'), storage.claimed(tmp_path / 'file'):
        pass


def test_a_kill_right_after_the_claim_does_not_matter(tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / storage.CLAIM).touch()
    with storage.claimed(tmp_path / 'run'):
        storage.begin(tmp_path / 'run' / 'run.json', {'a': 1})
    assert json.loads((tmp_path / 'run' / 'run.json').read_text()) == {'a': 1}
