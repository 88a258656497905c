"""Two devices on the same global batches give the results of one."""

import json
import subprocess
import sys

import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.training import strategies

# In a process of its own: logical devices must be made before TensorFlow starts.
TWIN = """
import json, sys
import numpy as np, keras, tensorflow as tf
cpu = tf.config.list_physical_devices('CPU')[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from soundnet_tf.training import strategies, trainer
from soundnet_tf.config import Experiment, Training
from soundnet_tf.testing import make_records

strategies.STRATEGIES['mirrored'] = lambda: tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
folder = sys.argv[1]
make_records(folder, count=12, seconds=5, teachers={'places': 4})
results = {}
# A processor computes in float16, too, if slowly.
trainer.precisions.require = lambda *_: None
for word, precision in (('none', 'float32'), ('mirrored', 'float32'), ('mirrored', 'float16')):
    name = word if precision == 'float32' else precision
    more = {'ema': 0.9, 'clip_norm': 0.5, 'gain_db': 6, 'held_out': 1, 'validate_every': 2}
    config = Training(steps=4, batch=4, clip_s=5, distribution=word, precision=precision, **more)
    trained = trainer.train(folder, Experiment('twin', '', 'soundnet5', 1 / 8, config), f'{folder}/{name}')
    with np.load(trained.net / 'weights.npz') as file:
        results[name] = {key: file[key] for key in file.files}
    results[name + '/loss'] = trained.history['places']
# A variance of conv1, behind a gain of 256, is in the hundreds.
away = {
    key: float(np.abs(results['mirrored'][key] - value).max() / max(1, np.abs(value).max()))
    for key, value in results['none'].items()
}
losses = [results[f'{name}/loss'] for name in ('none', 'mirrored', 'float16')]
print('RESULT' + json.dumps({'away': away, 'losses': losses}))
"""


def test_two_devices_are_one(tmp_path):
    done = subprocess.run([sys.executable, '-c', TWIN, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.loads(done.stdout.partition('RESULT')[2])
    one, two, half = results['losses']
    # Adam's first steps go by the signs of gradients, of which rounding turns some, on one processor more than another.
    assert two[:3] == pytest.approx(one[:3], rel=2e-3)
    assert two == pytest.approx(one, rel=5e-3)
    assert half == pytest.approx(one, rel=6e-2)
    assert half != two
    for key, distance in results['away'].items():
        # Four steps of Adam at 1e-3; a bias behind batch norm moves by the sign of rounding alone.
        assert distance < (8.1e-3 if key.endswith('/bias') else 2.5e-3), key


def test_a_batch_must_be_divisible_by_the_devices():
    class Three:
        num_replicas_in_sync = 3

    with pytest.raises(SoundNetError, match=r'batch=4: not divisible by 3 devices\. Use a multiple of 3'):
        strategies.check(Three(), 4)
