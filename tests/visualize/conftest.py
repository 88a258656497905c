"""A small world of tones and noises, and a report on what a thin net hears in it."""

import json

import numpy as np
import pytest
import soundfile

from soundnet_tf import load
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.inference import files
from soundnet_tf.nets import model, saved
from soundnet_tf.testing import enliven, noise, thin_spec, tone
from soundnet_tf.visualize import report

NASTY = '<img src=x onerror=alert(1)> & "quo\'te" <!--<script>'
PLACES = ('sea', 'street', '<b>kitchen</b>', 'wood')
OBJECTS = tuple(f'object {index}, other word {index}' for index in range(10))


@pytest.fixture(scope='session')
def net(tmp_path_factory):
    """A saved net."""
    net = enliven(model.build(thin_spec(), labels={'imagenet': OBJECTS, 'places': PLACES}))
    return saved.save_net(net, tmp_path_factory.mktemp('net') / 'net')


@pytest.fixture(scope='session')
def sounds(tmp_path_factory):
    """Two folders of sounds, one file too long to be listened to whole, one bad."""
    folder = tmp_path_factory.mktemp('sounds')
    for label, make in {
        '001 - tones': lambda n: tone(3, 200 * 1.6**n),
        '002 - noises': lambda n: noise(3, seed=n),
    }.items():
        (folder / label).mkdir()
        for number in range(5):
            fade = np.linspace(0, 1, 3 * SAMPLE_RATE, dtype=np.float32) ** (number + 1)
            soundfile.write(folder / label / f'{number}.wav', make(number) * fade, SAMPLE_RATE)
    soundfile.write(folder / '001 - tones' / f'{NASTY}.wav', tone(12, 3000), SAMPLE_RATE)
    soundfile.write(folder / '002 - noises' / 'long.wav', noise(65, seed=9), SAMPLE_RATE)
    (folder / '002 - noises' / 'bad.wav').write_text('dear sir')
    return folder


@pytest.fixture(scope='session')
def given(tmp_path_factory, sounds):
    """What a report may be given beside: a run, an evaluation, vision features."""
    folder = tmp_path_factory.mktemp('given')
    (folder / 'run').mkdir()
    rows = [f'{step},{3 / step},{3 / step},{step / 400},0.001' for step in range(1, 401)]
    (folder / 'run' / 'log.csv').write_text('\n'.join(['step,total,loss/places,top1/places,learning_rate', *rows]))
    (folder / 'run' / 'validation.csv').write_text('step,loss/places\n200,1.5\n400,1.2\n')
    confusion = {'validation': [[8, 2], [1, 9]], 'test': [[5, 0], [0, 5]]}
    (folder / 'result.json').write_text(json.dumps({'classes': ['tones', '<i>noises</i>'], 'confusion': confusion}))
    rng = np.random.default_rng(0)
    for path in sounds.rglob('*.wav'):
        target = folder / 'vision' / path.relative_to(sounds).with_suffix('.npy')
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, rng.random((2, 8)).astype(np.float32))
    return folder


@pytest.fixture(scope='session')
def wanted(given):
    return report.Wanted(
        units=12,
        top=3,
        vision=str(given / 'vision'),
        run=str(given / 'run'),
        evaluation=str(given / 'result.json'),
    )


@pytest.fixture(scope='session')
def written(tmp_path_factory, net, sounds, wanted):
    """The folder of a report."""
    out = tmp_path_factory.mktemp('report') / 'report'
    tally = report.write(load(net, short='tile'), net, files.find([str(sounds)]), out, wanted)
    assert (tally.done, tally.failed.total()) == (12, 1)
    return out
