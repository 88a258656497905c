"""The command soundnet-ship: exit statuses and messages."""

import subprocess
import sys

import pytest

from soundnet_tf.nets import model, saved
from soundnet_tf.spec import SOUNDNET5
from soundnet_tf.testing import thin_spec
from tests.evaluation.made import folders


def ship(*arguments):
    command = [sys.executable, '-m', 'soundnet_tf.bin.ship', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_from_another_start_only_the_rows(tmp_path):
    folders(tmp_path / 'pitches', clips=1)
    saved.save_net(model.build(thin_spec(SOUNDNET5)), tmp_path / 'net')
    flags = [f'--model={tmp_path / "net"}', '--epochs=1', '--seeds=1', '--target_precision=0.01']
    done = ship(f'--data={tmp_path / "pitches"}', f'--work={tmp_path / "work"}', *flags)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ['pitches', 'fold', '1', 'fold', '2', 'all']
    assert lines[-1].startswith('temperature ')
    table = (tmp_path / 'work' / 'rows.md').read_text()
    assert table in done.stdout
    facts = saved.read_facts(tmp_path / 'work' / 'rows' / 'fold2-seed0' / 'net')
    assert facts['origin']['start_sha256'] == saved.read_facts(tmp_path / 'net')['weights_sha256']
    assert facts['origin']['recipe']['epochs'] == 1
    assert not (tmp_path / 'work' / 'final').exists()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--work=x'], '--data is missing. See'),
        (['--data=x', '--work=y', '--recipe=mine'], 'value should be one of <authors|from_scratch'),
        (['--data=nowhere', '--work=y'], 'nowhere: no such file or folder'),
        (['--data=x', '--work=y', '--epochs=0'], '0 is not a positive integer'),
        (
            ['--data=x', '--work=y', '--model=z', '--width=1'],
            '--model has its own layers: leave out --net and',
        ),
        (['--data=x', '--work=y', 'z'], "unexpected argument 'z'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, words):
    done = ship(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
