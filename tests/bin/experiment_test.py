"""The command soundnet-experiment: the whole grid on a tiny synthetic world, and its messages."""

import re
import subprocess
import sys

import pytest

from soundnet_tf.experiments.tables import TABLES


def experiment(*arguments):
    command = [sys.executable, '-m', 'soundnet_tf.bin.experiment', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_whole_grid_runs_and_resumes(tmp_path):
    done = experiment('--smoke', f'--out={tmp_path}')
    assert done.returncode == 0, done.stderr[-3000:]
    written = (tmp_path / 'tables.md').read_text()
    for table in TABLES:
        assert f'## {table.about}' in written
    # Every row of ours has a number; there are no acoustic scenes in this world.
    assert 'not run' not in written
    assert written.count('Not run: the material has no dcase') == 1
    rows = [line for line in written.splitlines() if re.match(r'\| [^|-]+\| \d+\.\d( \(.*\))? \|$', line)]
    ours = [row for table in TABLES[1:] for row in table.rows if row.start != 'published']
    assert len(rows) == len(ours)
    assert (tmp_path / 'map-seed0.svg').read_text().startswith('<svg')
    results = sorted((tmp_path / 'results').glob('*.json'))
    kept = {path: path.read_bytes() for path in results}
    gone = next(path for path in results if 'autoencoder' in path.name)
    gone.unlink()
    again = experiment('--smoke', f'--out={tmp_path}')
    assert again.returncode == 0, again.stderr[-3000:]
    assert f'1 rows measured, {len(results) - 1} before' in again.stdout
    assert {path: path.read_bytes() for path in results} == kept


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ([], '--out is missing. See'),
        (['--out=x'], 'no material: pass one of --world, --material=FILE and'),
        (['--out=x', '--smoke', '--world'], 'no material'),
        (['--out=x', '--smoke', '--tables=loss,colour'], "unknown table 'colour'. Use some of scenes, sounds, loss"),
        (['--out=x', '--material=nowhere.json'], 'nowhere.json: cannot be read'),
        (['--out=x', '--smoke', 'z'], "unexpected argument 'z'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, words, tmp_path):
    done = experiment(*[argument.replace('=x', f'={tmp_path}/x') for argument in arguments])
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_mistake_in_a_material_names_its_file_and_key(tmp_path):
    (tmp_path / 'm.json').write_text(
        '{"name": "x", "nets": {"a": "mfcc"}, "data": {"d": {"path": "no", "stands_for": "esc10"}}}'
    )
    done = experiment(f'--out={tmp_path}/x', f'--material={tmp_path}/m.json')
    assert done.returncode == 2
    assert (
        done.stderr
        == f'soundnet-experiment: {tmp_path}/m.json: data: d: {tmp_path}/no: no such file or folder. Check the path\n'
    )
