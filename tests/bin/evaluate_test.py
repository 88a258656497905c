"""The command soundnet-evaluate: exit statuses and messages."""

import json
import re
import subprocess
import sys

import pytest

from soundnet_tf.visualize import learning
from tests.evaluation.made import folders


def evaluate(*arguments):
    command = [sys.executable, '-m', 'soundnet_tf.bin.evaluate', *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_two_embedders_on_pitches(tmp_path):
    folders(tmp_path / 'pitches', clips=2)
    flags = [f'--data={tmp_path / "pitches"}', f'--out={tmp_path / "out.json"}', f'--cache={tmp_path / "cache"}']
    flags += ['--model=mfcc', '--model=random:soundnet5', '--clip_s=2', '--C=0.01,1', '--standardise']
    done = evaluate(*flags)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ['pitches', 'fold', '1', 'fold', '2', 'all']
    assert lines[-6:-4] == ['| embedder | layer | accuracy % | 95% interval | by fold |', '|---|---|---|---|---|']
    assert lines[-4].startswith('| MFCC, mean and std | mfcc | 100.0 ± 0.0 | 100.0 to 100.0 |')
    assert re.match(r'Row 2: .* \(conv4\) against MFCC, mean and std \(mfcc\): -?\+?\d', lines[-1])
    # What was written is compared again, and shown by soundnet-visualize.
    again = evaluate(f'--earlier={tmp_path / "out.json"}')
    assert again.stdout.splitlines() == lines[-6:], again.stderr
    assert learning.confusions(tmp_path / 'out.json')[0]['name'] == 'MFCC, mean and std, mfcc'
    results = json.loads((tmp_path / 'out.json').read_text())
    assert [row['embedder']['layer'] for row in results] == ['mfcc', 'conv4']
    assert results[0]['protocol'] | {'C': None, 'layer': None} == {
        'layer': None, 'clip_s': 2.0, 'window_s': 1.0, 'step_s': 0.0, 'gain': 1.0, 'probe': 'svm', 'C': None,
        'standardise': True, 'decoder': 'auto',
    }  # fmt: skip


def test_strict_refuses_folds_that_split_recordings(tmp_path):
    folders(tmp_path, clips=2)
    rows = [f'{path},{path.parent.name},{path.name[0]},{path.parent.name}' for path in sorted(tmp_path.rglob('*.wav'))]
    (tmp_path / 'clips.csv').write_text('\n'.join(['path,label,fold,source', *rows]))
    flags = [f'--data={tmp_path / "clips.csv"}', '--model=mfcc', '--protocol=nearest']
    refused = evaluate(*flags, '--strict')
    assert refused.returncode == 2
    assert refused.stderr == (
        'soundnet-evaluate: clips: 3 recordings have clips inside and outside of a test fold: high, low, middle. '
        'Keep each recording in one fold, or leave out --strict\n'
    )


def test_shots_dealt_folds_and_layers(tmp_path):
    folders(tmp_path / 'pitches', clips=4, folds=1)
    flags = ['--model=random:soundnet5', '--layer=conv3,conv4', '--protocol=nearest', '--folds=4', '--shots=1,3']
    done = evaluate(f'--data={tmp_path / "pitches"}', *flags, f'--out={tmp_path / "out.json"}')
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / 'out.json').read_text())
    assert [row['embedder']['layer'] for row in results] == ['conv3', 'conv4']
    for row in results:
        assert [point['shots'] for point in row['few_shot']] == [1, 3]
    assert re.search(r'clips per class +accuracy +std', done.stdout)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--model=mfcc'], '--data is missing. See'),
        (['--data=x'], '--model is missing. See'),
        (['--data=nowhere', '--model=mfcc'], 'nowhere: no such file or folder'),
        (['--data=x', '--model=mfcc', '--C=small'], '--C must be numbers separated by commas, got small'),
        (['--data=x', '--model=mfcc', 'z'], "unexpected argument 'z'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments, words):
    done = evaluate(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_mistakes_are_reported_before_anything_is_computed(tmp_path):
    folders(tmp_path / 'pitches', clips=2)
    data = f'--data={tmp_path / "pitches"}'
    for flags, words in (
        (
            [data, '--model=mfcc', f'--out={tmp_path}'],
            f'{tmp_path}: is a folder. Pass the path of a JSON file to --out',
        ),
        ([data, '--model=mfcc', '--layer=,'], '--layer: a name is empty. Separate names by single commas'),
        (
            [data, '--model=random:soundnet5', '--model=mfcc', '--layer=conv4,conv3'],
            "MFCC, mean and std: no layer 'conv4'. Evaluate this model in a run of its own, and compare with --earlier",
        ),
    ):
        done = evaluate(*flags)
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == f'soundnet-evaluate: {words}'
