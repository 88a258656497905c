"""The command soundnet-models, as a user runs it."""

import os
import subprocess
import sys

import pytest

from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET5
from soundnet_tf.testing import thin_spec


@pytest.fixture
def models(tmp_path):
    def call(*arguments):
        environment = os.environ | {'SOUNDNET_HOME': str(tmp_path)}
        command = [sys.executable, '-m', 'soundnet_tf.bin.models', *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    return call


def test_the_table(models, tmp_path):
    saved.save_net(model.build(thin_spec(SOUNDNET5)), tmp_path / 'nets' / 'mine')
    status, out, errors = models('list')
    assert (status, errors) == (0, [])
    assert models() == (status, out, errors)
    assert out[0].split() == ['name', 'heads', 'size', 'licence', 'source', 'accuracy']
    names = ['mine', 'soundnet5-esc10', 'soundnet8', 'soundnet8-esc10', 'soundnet8-esc50', 'soundnet8-small']
    assert [line.split()[0] for line in out[1:-2]] == names
    assert 'esc10 (10)' in out[2]
    assert out[-1] == 'The default is soundnet8.'


def test_show_prints_facts_and_the_card(models):
    status, out, errors = models('show', 'soundnet5-esc10')
    assert (status, errors) == (0, [])
    assert out[:2] == ['name      soundnet5-esc10', 'licence   Apache-2.0']
    assert '# soundnet5-esc10' in out
    status, out, _ = models('show', 'soundnet8')
    assert (status, out[-1]) == (0, 'folder    not on this machine: soundnet-models fetch soundnet8')


def test_fetch_prints_the_folder(models):
    status, out, errors = models('fetch', 'soundnet5-esc10')
    assert (status, errors) == (0, [])
    assert out[0].startswith('soundnet5-esc10: ')
    assert out[0].endswith('savedmodels/soundnet5-esc10')


def test_add_gives_a_net_a_name(models, tmp_path):
    net = saved.save_net(model.build(thin_spec(SOUNDNET5)), tmp_path / 'runs' / 'net')
    place = tmp_path / 'nets' / 'birds'
    for _ in range(2):
        assert models('add', 'birds', str(net)) == (0, [f'birds: {place}'], [])
    assert (place / 'weights.npz').read_bytes() == (net / 'weights.npz').read_bytes()
    assert models('fetch', 'birds')[1] == [f'birds: {place}']
    assert models('add', 'birds', str(place))[0] == 0
    (net / 'notes.txt').write_text('mine')
    assert models('add', 'birds', str(net))[0] == 0
    assert not (place / 'notes.txt').exists()
    (place / 'notes.txt').write_text('mine')
    words = f'{place}: has notes.txt, which would be lost. Use another name, or move it'
    assert models('add', 'birds', str(net)) == (2, [], [f'soundnet-models: {words}'])
    (net / 'weights.npz').write_bytes(b'other')
    status, _, (line,) = models('add', 'bees', str(net))
    assert (status, (tmp_path / 'nets' / 'bees').exists()) == (2, False)
    assert 'weights.npz' in line


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['add', 'soundnet8', 'x'], 'soundnet8: this name is taken. Use another name'),
        (['add', 'mine', 'x'], 'x: no spec.json, so it is not a saved net. Pass a folder such as runs/first/net'),
        (['add', 'a b', 'x'], "'a b': invalid model name"),
        (
            ['show', 'mime'],
            'mime: no such model. Use one of soundnet5-esc10, soundnet8, soundnet8-esc10, soundnet8-esc50, '
            'soundnet8-small',
        ),
        (['fetch', 'mime'], 'mime: no such model'),
        (['fetch'], 'fetch: not understood. Use list, show NAME, fetch NAME or add NAME FOLDER'),
        (['delete', 'soundnet8'], 'delete soundnet8: not understood'),
    ],
)
def test_a_mistake_is_one_line_and_status_2(models, arguments, words):
    status, out, errors = models(*arguments)
    assert (status, out, len(errors)) == (2, [], 1)
    assert words in errors[0]
