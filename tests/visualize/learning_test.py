"""Curves of what training logs, confusion matrices of what evaluations write."""

import json

import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.visualize import learning


def test_curves_of_training(tmp_path):
    rows = [f'{step},{step + 1},{step},1,0.5,0.001,30' for step in range(1, 1001)]
    header = 'step,total,loss/a,loss/b,top1/a,learning_rate,clips_per_s'
    (tmp_path / 'log.csv').write_text('\n'.join([header, *rows]))
    (tmp_path / 'validation.csv').write_text('step,loss/a\n500,3\n1000,2\n')
    charts = {chart['name']: chart for chart in learning.curves(tmp_path)}
    assert list(charts) == ['total', 'loss', 'top1']
    lines = {line['name']: line for line in charts['loss']['lines']}
    assert list(lines) == ['a', 'b', 'a validation']
    assert lines['a validation']['y'] == [3, 2]
    together = -(-1000 // learning.MAX_POINTS)
    assert len(lines['a']['x']) == -(-1000 // together) <= learning.MAX_POINTS
    assert lines['a']['x'][:2] == [(together + 1) / 2, together + (together + 1) / 2], 'each the mean of as many steps'
    assert lines['a']['x'] == lines['a']['y']


def test_nan_and_infinite_points_are_left_out(tmp_path):
    (tmp_path / 'log.csv').write_text('step,total\n1,3\n2,nan\n3,inf\n4,1\n')
    (tmp_path / 'validation.csv').write_text('step,total\n2,nan\n')
    (chart,) = learning.curves(tmp_path)
    assert [(line['x'], line['y']) for line in chart['lines']] == [([1, 4], [3, 1])]


def test_one_loss_is_shown_once(tmp_path):
    (tmp_path / 'log.csv').write_text('step,total,loss/eye\n1,2,2\n2,1,1\n')
    (tmp_path / 'validation.csv').write_text('step,loss/eye\n2,1.5\n')
    assert [chart['name'] for chart in learning.curves(tmp_path)] == ['loss']


def test_curves_of_finetuning(tmp_path):
    (tmp_path / 'history.csv').write_text('epoch,loss,validation_accuracy,test_accuracy\n1,2.0,0.5,\n2,1.0,0.75,0.5\n')
    charts = {chart['name']: chart for chart in learning.curves(tmp_path)}
    assert [line['name'] for line in charts['accuracy']['lines']] == ['validation']
    assert charts['accuracy']['lines'][0] == {'name': 'validation', 'x': [1, 2], 'y': [0.5, 0.75]}
    assert charts['loss']['counter'] == 'epoch'


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (None, r': no log\.csv or validation\.csv or history\.csv\. Pass the folder of a training run'),
        ('step,total\n1,two\n', r'log\.csv: cannot be read \(.*two.*\)'),
        ('total\n1\n', r'log\.csv: cannot be read \('),
        ('step,total\n1,nan\n', r'no finite values in log\.csv\. Pass the folder of another run'),
    ],
)
def test_invalid_run_logs(tmp_path, text, words):
    if text:
        (tmp_path / 'log.csv').write_text(text)
    with pytest.raises(SoundNetError, match=words):
        learning.curves(tmp_path)


@pytest.mark.parametrize('confusion', [{'test': [[3, 1], [0, 4]]}, [[3, 1], [0, 4]]])
def test_confusions(tmp_path, confusion):
    (tmp_path / 'result.json').write_text(json.dumps({'classes': ['a', 'b'], 'confusion': confusion}))
    (found,) = learning.confusions(tmp_path)
    assert found == learning.confusions(tmp_path / 'result.json')[0]
    assert (found['counts'], found['accuracy']) == ([[3, 1], [0, 4]], 7 / 8)


def test_confusions_of_each_row_of_soundnet_evaluate(tmp_path):
    row = {'classes': [{'label': 'a', 'recall': 0.75}, {'label': 'b', 'recall': None}], 'confusion': [[3, 1], [0, 4]]}
    rows = [row | {'embedder': {'name': name, 'layer': 'pool5', 'fingerprint': 'f'}} for name in ('first', 'other')]
    (tmp_path / 'esc.json').write_text(json.dumps(rows))
    found = learning.confusions(tmp_path / 'esc.json')
    assert [(one['name'], one['classes']) for one in found] == [(f'{n}, pool5', ['a', 'b']) for n in ('first', 'other')]


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (None, r'result\.json: cannot be read \('),
        ('{"classes": ["a"]}', r"result\.json: cannot be read \(no key 'confusion'\)\. Pass the result\.json"),
        ('[1]', r'result\.json: cannot be read \(not a JSON object\)'),
        ('{"classes": ["a", "b"], "confusion": {"test": [[1]]}}', 'test is not a 2 x 2 matrix of clip counts'),
        ('{"classes": ["a"], "confusion": [["x"]]}', 'confusion is not a 1 x 1 matrix of clip counts'),
        ('{"classes": ["a"], "confusion": [[0.9]]}', 'confusion is not a 1 x 1 matrix of clip counts'),
        ('{"classes": ["a"], "confusion": [[-1]]}', 'confusion is not a 1 x 1 matrix of clip counts'),
        ('{"classes": ["a"], "confusion": [[NaN]]}', 'confusion is not a 1 x 1 matrix of clip counts'),
        ('{"classes": ["a"], "confusion": {}}', r'result\.json: no confusion matrix'),
        ('[]', r'result\.json: no confusion matrix\. Pass the result\.json of soundnet-finetune, or what'),
        ('[{"classes": ["a"], "confusion": [[1]], "embedder": 3}]', r'result\.json: cannot be read \('),
    ],
)
def test_invalid_evaluation_results(tmp_path, text, words):
    if text:
        (tmp_path / 'result.json').write_text(text)
    with pytest.raises(SoundNetError, match=words):
        learning.confusions(tmp_path)
