"""Two nets on the same clips: the difference, its interval, McNemar's test, and results of earlier runs."""

import dataclasses
import json
import math

import numpy as np
import pytest

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import comparison
from soundnet_tf.evaluation.comparison import Table, compare, earlier, mcnemar, read
from soundnet_tf.evaluation.datasets import DataSet, LabelledClip
from soundnet_tf.evaluation.result import Evaluation, Fold
from soundnet_tf.evaluation.scores import Scores


def evaluation(name, right, folds=2):
    """Of `right` `[clips]`, in folds of equal size, two clips of each recording."""
    parts = []
    for fold, own in enumerate(np.split(np.array(right, bool), folds), 1):
        truth = np.arange(len(own)) % 2
        clips = [LabelledClip(f'{fold}/{n}.wav', 'ab'[t], fold, f'{fold}-{n // 2}') for n, t in enumerate(truth)]
        parts.append(Fold(fold, 0.01, tuple(clips), Scores.of('ab', truth, np.eye(2)[np.where(own, truth, 1 - truth)])))
    return Evaluation('made', 'f00d', {'name': name, 'layer': 'x', 'fingerprint': name}, {'C': [0.01]}, tuple(parts))


FIRST = evaluation('first', [n % 5 > 1 for n in range(200)])
BETTER = evaluation('better', [n % 5 > 1 or n % 10 == 0 for n in range(200)])


def test_mcnemars_test_is_the_exact_binomial_one():
    for one, other in ((0, 0), (3, 9), (9, 3), (0, 20), (40, 25), (5, 5)):
        tail = sum(math.comb(one + other, k) for k in range(min(one, other) + 1)) / 2 ** (one + other)
        assert mcnemar(one, other) == pytest.approx(min(1, 2 * tail))


def test_a_better_net():
    found = compare(FIRST, BETTER)
    assert (found.only_first, found.only_second) == (0, 20)
    assert found.difference == pytest.approx(0.1)
    assert 0 < found.interval.low < 0.1 < found.interval.high
    assert (found.interval.units, found.interval.over) == (100, 'recordings')
    back = compare(BETTER, FIRST)
    assert (back.p, back.difference) == (found.p, -found.difference)
    assert back.interval.high == pytest.approx(-found.interval.low, abs=0.01)
    # Narrower than the accuracies' own: the pairs share their clips.
    assert found.interval.high - found.interval.low < FIRST.interval.high - FIRST.interval.low


def test_the_table_says_what_it_compares():
    other = evaluation('other', [n % 5 > 1 or n == 0 for n in range(200)])
    lines = str(Table([FIRST, BETTER, other])).splitlines()
    assert lines[0] == '| embedder | layer | accuracy % | 95% interval | by fold |'
    assert lines[2] == f'| first | x | 60.0 ± 0.0 | {FIRST.interval.text()} | 60.0 60.0 |'
    assert lines[6] == 'Each row against the first; p values are not corrected for the number of rows.'
    assert lines[8].startswith('Row 2: better (x) against first (x): +10.0 points (95% interval, bootstrap over 100 re')
    assert lines[8].endswith(
        '; 20 clips are classified correctly only by better (x), 0 only by first (x) '
        "(McNemar's exact test: p < 0.0001), so the difference is unlikely to be chance."
    )
    assert lines[10].endswith("(McNemar's exact test: p = 1), so the difference may be chance.")
    assert 'Each row' not in str(Table([FIRST, BETTER]))


def test_earlier_results_are_compared_like_new_ones(tmp_path):
    table = Table([FIRST, BETTER])
    storage.write_json(tmp_path / 'a.json', table.rows)
    again = read(tmp_path / 'a.json')
    # The order of the clips does not matter.
    again[1] = dataclasses.replace(again[1], folds=again[1].folds[::-1])
    assert str(compare(*again)) == str(compare(FIRST, BETTER))
    assert [row['against_first'] for row in Table(read(tmp_path / 'a.json')).rows[1:]] == [
        table.rows[1]['against_first']
    ]
    assert json.loads(json.dumps(read(tmp_path / 'a.json')[0].to_dict())) == json.loads(json.dumps(table.rows[0]))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'data_sha256': 'beef'}, r'better \(x\): evaluated on other data, made\. Compare results on the same clips'),
        ({'folds': BETTER.folds[:1]}, r'better \(x\): tested on folds 1, not 1, 2\.'),
    ],
)
def test_other_clips_are_not_compared(change, words):
    with pytest.raises(SoundNetError, match=words):
        compare(FIRST, dataclasses.replace(BETTER, **change))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda row: row.pop('clips'), "no key 'clips'"),
        (lambda row: row['clips'][0].update(predicted='c'), "no key 'c'"),
        (lambda row: row['folds'].append({'fold': 3, 'C': 1}), 'fold 3 has no clips'),
        (lambda row: row['folds'].clear(), 'it has no folds'),
        (lambda row: row['folds'].pop(), '100 clips are in none of its folds'),
        (lambda row: row['clips'].append(row['clips'][0]), r'1/0\.wav is listed twice'),
        (lambda row: row.update(accuracy=0.9), r'its accuracy is 0\.9, but that of its clips 0\.6'),
        (lambda row: row.update(accuracy='0.6'), 'must be real number, not str'),
        (lambda row: row.update(protocol=[1]), 'protocol must be a mapping'),
        (lambda row: row['clips'][3].update(path=None), 'path must be text, got None'),
    ],
)
def test_other_files_are_reported(change, words, tmp_path):
    row = FIRST.to_dict()
    change(row)
    storage.write_json(tmp_path / 'a.json', [row])
    with pytest.raises(SoundNetError, match=rf'a\.json: cannot be read \({words}\)\. Use a file that --out'):
        comparison.read(tmp_path / 'a.json')


def test_rows_that_differ_in_their_protocol_are_told_apart():
    loud = dataclasses.replace(BETTER, embedder=FIRST.embedder, protocol={'C': [0.01], 'gain': 2.0})
    plain = dataclasses.replace(FIRST, protocol={'C': [0.01], 'gain': 1.0})
    table = Table([plain, loud])
    lines = str(table).splitlines()
    assert [line[:17] for line in lines[2:4]] == ['| first, gain 1 |', '| first, gain 2 |']
    assert 'Row 2: first, gain 2 (x) against first, gain 1 (x): +10.0 points' in lines[5]
    assert table.rows[1]['against_first']['second'] == 'first, gain 2 (x)'
    # A later row may be the first that differs.
    table = Table([FIRST, BETTER])
    assert ', C' not in str(table)
    table.add(dataclasses.replace(FIRST, protocol={'C': [0.1, 1.0]}))
    assert table.rows[1]['against_first']['second'] == 'better, C 0.01 (x)'
    assert '| first, C 0.1 or 1 | x |' in str(table)


def test_one_clip_is_one_clip():
    one = evaluation('one', [n % 5 > 1 or n == 0 for n in range(200)])
    assert '; 1 clip is classified correctly only by one (x), 0 only by first (x)' in str(compare(FIRST, one))


def test_earlier_results_on_other_clips_name_their_file(tmp_path, monkeypatch):
    for name, row in (('a', FIRST), ('b', dataclasses.replace(BETTER, data_sha256='beef'))):
        storage.write_json(tmp_path / f'{name}.json', [row.to_dict()])
    with pytest.raises(SoundNetError, match=r'b\.json: better \(x\): evaluated on other data'):
        earlier([str(tmp_path / 'a.json'), str(tmp_path / 'b.json')])
    # Before anything is computed: the clips of the folds to be tested.
    dataset = DataSet('made', ('a', 'b'), FIRST.clips[:-1])
    monkeypatch.setattr(DataSet, 'fingerprint', lambda self: 'f00d')
    with pytest.raises(SoundNetError, match=r'a\.json: first \(x\): 0 clips are missing, 1 are others'):
        earlier([str(tmp_path / 'a.json')], dataset, [1, 2])
    with pytest.raises(SoundNetError, match=r'a\.json: first \(x\): tested on folds 1, 2, not 1\.'):
        earlier([str(tmp_path / 'a.json')], dataset, [1])
