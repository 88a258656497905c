"""A study runs, stops, resumes, counts failures, and reports no numbers for rows that were not run."""

import dataclasses
import json
import pathlib
import re

import numpy as np
import pytest

from soundnet_tf import storage
from soundnet_tf.config import NETS
from soundnet_tf.errors import SoundNetError, UnknownLayer
from soundnet_tf.evaluation import embedders
from soundnet_tf.experiments.tables import NETWORKS, ROLES, STARTS, TABLES, TRUST, Table, TableRow
from soundnet_tf.study import effort, grid, material, measure, trained
from soundnet_tf.study.material import Labelled, Material
from tests.evaluation.made import folders

ROWS = (
    TableRow('transferred', 'distilled', published={'esc50': (74.2, 'E'), 'dcase': (88, 'U')}),
    TableRow('the same', 'distilled'),
    TableRow('fails', 'distilled', loss='l2'),
    TableRow('MFCC', 'mfcc'),
    TableRow('objects by another', 'distilled', network='alexnet'),
    TableRow('human', 'published', published={'esc50': (81.3, 'E')}),
)
TABLE = (Table('sounds', 'sounds', ROWS), Table('scenes', 'scenes', ROWS[:1], ('dcase',)))
SOME = Material(
    'some world', {'barks': Labelled('barks', 'esc50')}, {'vgg': 'r'}, {'vgg': {'objects': 'o', 'scenes': 's'}}
)


@pytest.fixture
def asked(monkeypatch):
    """Measures by arithmetic, and remembers what it was asked for; the l2 row diverges."""
    jobs = []

    def measured(row, name, made, how, seed, out, layers):
        jobs.append((row.name, name, seed))
        if row.loss == 'l2':
            raise SoundNetError('the loss is not a number')
        return {'value': 0.5 + 0.1 * seed, 'by_fold': []}

    monkeypatch.setattr(measure, 'measure', measured)
    return jobs


@pytest.mark.slow
def test_seeds_run_in_order_and_finished_rows_are_skipped(asked, tmp_path):
    first = grid.run(TABLE, SOME, effort.SMOKE, 1, tmp_path)
    assert asked == [('transferred', 'barks', 0), ('fails', 'barks', 0), ('MFCC', 'barks', 0)]
    assert (first.done, first.before, list(first.failed.values())) == (2, 0, ['the loss is not a number'])
    again = grid.run(TABLE, SOME, effort.SMOKE, 3, tmp_path)
    assert asked[3:] == [
        ('fails', 'barks', 0),
        *[(name, 'barks', s) for s in (1, 2) for name in ('transferred', 'fails')],
    ]
    assert (again.done, again.before, len(again.failed)) == (2, 2, 3)
    (failed,) = (cell for cell in json.loads((tmp_path / 'tables.json').read_text())['cells'] if cell['row'] == 'fails')
    assert (failed['values'], failed['mean']) == ([], None)
    assert len(list(tmp_path.glob('results/*.failed'))) == 3


def test_a_failed_job_is_tried_again(asked, tmp_path, monkeypatch):
    grid.run(TABLE, SOME, effort.SMOKE, 1, tmp_path)
    monkeypatch.setattr(measure, 'measure', lambda *job: {'value': 0.25})
    assert grid.run(TABLE, SOME, effort.SMOKE, 1, tmp_path).done == 1
    assert '| fails | 25.0 |  |' in (tmp_path / 'tables.md').read_text()
    assert not list(tmp_path.glob('results/*.failed'))


def test_a_stop_leaves_what_is_finished(asked, tmp_path, monkeypatch):
    plain = measure.measure

    def stopped(row, *rest):
        if row.start == 'mfcc':
            raise KeyboardInterrupt
        return plain(row, *rest)

    monkeypatch.setattr(measure, 'measure', stopped)
    with pytest.raises(KeyboardInterrupt):
        grid.run(TABLE, SOME, effort.SMOKE, 1, tmp_path)
    assert '| transferred | 50.0 | 74.2 E |' in (tmp_path / 'tables.md').read_text()
    assert '| MFCC | not run |  |' in (tmp_path / 'tables.md').read_text()
    monkeypatch.setattr(measure, 'measure', plain)
    assert grid.run(TABLE, SOME, effort.SMOKE, 1, tmp_path).before == 1


def test_two_studies_in_one_folder(asked, tmp_path):
    claim = storage.Claim.of(tmp_path / 'study.json')
    with pytest.raises(SoundNetError, match=r'another run is writing to it\. Wait for it'):
        grid.run(TABLE, SOME, effort.SMOKE, 1, tmp_path)
    assert not (tmp_path / 'study.json').exists()
    claim.release()
    grid.run(TABLE, SOME, effort.SMOKE, 1, tmp_path)
    (tmp_path / 'study.json').write_text('{')
    with pytest.raises(SoundNetError, match=r'study\.json: cannot be read .*\. Use another --out'):
        grid.run(TABLE, SOME, effort.SMOKE, 1, tmp_path)


def test_the_published_numbers_of_the_repositorys_table():
    """Those whose source can be looked up, by hand once more."""
    rows = {(row.name, row.net): row for table in TABLES for row in table.rows if table.name == 'sounds'}
    found = {names: row.published['esc50'] for names, row in rows.items() if 'esc50' in row.published}
    assert found == {
        ('SoundNet8', 'soundnet8'): (74.2, 'E'),
        ('SoundNet5', 'soundnet5'): (66.1, 'E'),
        ('SoundNet8 from scratch', 'soundnet8'): (51.1, 'E'),
        ('SoundNet5 from scratch', 'soundnet5'): (65.0, 'E'),
        ('convolutional autoencoder', 'soundnet8'): (39.9, 'E'),
        ('human', 'soundnet8'): (81.3, 'E'),
    }


def test_the_tables_show_measured_and_published_numbers(asked, tmp_path):
    written = grid.run(TABLE, SOME, effort.SMOKE, 2, tmp_path).tables.read_text()
    lines = written.splitlines()
    assert lines[0] == '# some world'
    table = [line for line in lines if line.startswith('|')]
    assert table == [
        '|  | barks | ESC-50, published |',
        '| --- | --- | --- |',
        '| transferred | 55.0 ± 7.1 | 74.2 E |',
        '| the same | 55.0 ± 7.1 |  |',
        '| fails | failed |  |',
        '| MFCC | 50.0 |  |',
        '| objects by another | not run: no records with alexnet teachers |  |',
        '| human |  | 81.3 E |',
        '|  | DCASE 2013 | DCASE 2013, published |',
        '| --- | --- | --- |',
        '| transferred | not run: no data that stands for dcase | 88 U |',
    ]
    assert "E, the ESC-50 repository's table of results; U, remembered from the paper, unchecked." in lines[-1]
    found = json.loads((tmp_path / 'tables.json').read_text())
    assert [cell['values'] for cell in found['cells'] if cell['row'] == 'transferred'] == [[0.5, 0.6]]
    # Numbers of one world say nothing about another.
    made = dataclasses.replace(SOME, published=False)
    text = grid.run(TABLE, made, effort.SMOKE, 2, tmp_path / 'made').tables.read_text()
    assert '74.2' not in text
    assert 'human' not in text
    assert 'Not run: the material has no dcase.' in text


def test_seeds_that_are_missing_are_found(asked, tmp_path):
    grid.run(TABLE, SOME, effort.SMOKE, 2, tmp_path)
    (tmp_path / 'results' / next(p.name for p in tmp_path.glob('results/*seed1.json'))).unlink()
    grid.report(TABLE, SOME, effort.SMOKE, 2, tmp_path)
    assert '| transferred | 50.0 (1 of 2 seeds) |' in (tmp_path / 'tables.md').read_text()


def test_another_study_needs_another_folder(asked, tmp_path):
    grid.run(TABLE, SOME, effort.SMOKE, 1, tmp_path)
    with pytest.raises(SoundNetError, match=r'started with other settings \(effort steps was .*\)\. Use another --out'):
        grid.run(TABLE, SOME, dataclasses.replace(effort.SMOKE, steps=9), 1, tmp_path)
    with pytest.raises(SoundNetError, match=r'started with other settings \(material name was '):
        grid.run(TABLE, dataclasses.replace(SOME, name='other'), effort.SMOKE, 1, tmp_path)


def test_the_papers_tables_can_be_run():
    for table in TABLES:
        assert len({row.name for row in table.rows}) == len(table.rows), table.name
        for row in table.rows:
            assert row.start in STARTS
            assert row.net in NETS
            assert row.network in NETWORKS
            assert set(row.roles) <= set(ROLES)
            assert set(row.published) <= set(table.data), f'{table.name}: {row.name}'
            assert row.layer is None or row.layer in (*NETS[row.net].layer_names, 'conv8')
            assert all(0 < percent < 100 and letter in TRUST for percent, letter in row.published.values())


NETS_ALONE = Material(
    'nets', {'barks': Labelled('barks', 'esc50')}, nets={'soundnet8': 'soundnet8', 'mine': 'runs/net'}
)


class Existing:
    """A net that has been trained elsewhere."""

    def __init__(self, weights):
        self.fingerprint = f'weights of {weights}'

    def resolve_layer(self, layer):
        if layer not in (None, 'pool5', 'conv6'):
            raise UnknownLayer(f'no layer {layer!r}')
        return layer or 'pool5'


def test_nets_that_exist_are_measured_and_nothing_is_trained(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(embedders, 'make', Existing)
    outcome = grid.run(TABLES, NETS_ALONE, effort.Effort(), 2, tmp_path)
    assert not outcome.failed
    layers = ('pool5', 'conv6')
    assert [job for job in asked if job[2] == 0] == [
        ('SoundNet8, random weights', 'barks', 0),
        ('SoundNet5, random weights', 'barks', 0),
        ('MFCC', 'barks', 0),
        *((name, 'barks', 0) for name in ('soundnet8, published weights', 'mine')),
        *((f'{layer}, {net}', 'barks', 0) for net in ('soundnet8, published weights', 'mine') for layer in layers),
    ]
    assert {job[0] for job in asked if job[2] == 1} == {'SoundNet8, random weights', 'SoundNet5, random weights'}
    lines = outcome.tables.read_text().splitlines()
    assert lines[2].startswith(
        'In %: the mean and standard deviation over seeds or, of a single one, the accuracy with'
    )
    assert lines[2].endswith('; nothing was trained.')
    # The paper's numbers are of its own net.
    for line in (
        '| soundnet8, published weights | 50.0 | 74.2 E |',
        '| pool5, soundnet8, published weights | 50.0 | 72.9 U |',
        '| mine | 50.0 |  |',
        '| SoundNet8 | not run: no records with vgg teachers | 74.2 E |',
        '| SoundNet8 from scratch | not run: no records | 51.1 E |',
        '| soundnet8, published weights | not run: no data that stands for dcase | 88 U |',
    ):
        assert line in lines
    assert 'alexnet' not in outcome.tables.read_text()
    synthetic = dataclasses.replace(NETS_ALONE, published=False)
    text = grid.report(TABLES[2:3], synthetic, effort.Effort(), 1, tmp_path).read_text()
    assert '## the loss between teachers and student\n\nNot run: the material has no records.' in text


def test_the_layers_of_a_net_need_one_pass_over_the_sound(tmp_path, monkeypatch):
    passes = []

    class Counted(Existing):
        name, origin = 'counted', {}

        def hop_s(self, layer):
            return 0.5

        def embed_layers(self, waveforms, layers):
            passes.append((len(waveforms), *layers))
            steps = [np.reshape(waveform[: len(waveform) // 1000 * 1000], [-1, 1000]) for waveform in waveforms]
            return {layer: [step[:, : 2 + len(layer)] for step in steps] for layer in layers}

    monkeypatch.setattr(embedders, 'make', Counted)
    monkeypatch.setattr(trained, 'make', Counted)
    folders(tmp_path / 'sounds', clips=4, folds=2)
    own = Material('nets', {'sounds': Labelled(str(tmp_path / 'sounds'), 'esc50', folds=2)}, nets={'mine': 'x'})
    layers = [dataclasses.replace(t, rows=tuple(r for r in t.rows if r.layer)) for t in TABLES if t.name == 'layers']
    outcome = grid.run(layers, own, effort.SMOKE, 1, tmp_path / 'study')
    # Each accuracy with its interval, and which layer is better on the same clips.
    text = outcome.tables.read_text()
    assert re.search(r'^\| pool5, mine \| \d+\.\d \(\d+\.\d to \d+\.\d\) \|', text, re.MULTILINE)
    assert re.search(
        r'^On sounds: conv6, mine against pool5, mine: [+-]\d+\.\d points \(95% interval, ', text, re.MULTILINE
    )
    assert 'interval' in json.loads((tmp_path / 'study' / 'tables.json').read_text())['cells'][0]
    assert (outcome.done, outcome.failed) == (2, {})
    assert {tuple(names) for _, *names in passes} == {('pool5', 'conv6')}
    assert sum(clips for clips, *_ in passes) == len(own.data['sounds'].load('sounds').clips)


@pytest.mark.slow
def test_a_net_may_be_added_later_and_another_of_its_name_is_measured(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(embedders, 'make', Existing)
    grid.run(TABLES[1:2], SOME, effort.SMOKE, 1, tmp_path)
    asked.clear()
    more = dataclasses.replace(SOME, nets={'mine': 'runs/net'})
    grid.run(TABLES[1:2], more, effort.SMOKE, 1, tmp_path)
    assert asked == [('mine', 'barks', 0)]
    grid.run(TABLES[1:2], dataclasses.replace(SOME, nets={'mine': 'runs/other'}), effort.SMOKE, 1, tmp_path)
    assert asked == [('mine', 'barks', 0)] * 2


def test_what_cannot_be_measured_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(embedders, 'make', Existing)
    loss = [table for table in TABLES if table.name in ('loss', 'scenes')]
    words = (
        r'nets: nothing to measure in the table scenes \(no data for dcase\); '
        r'the table loss \(no records with vgg teachers\)'
    )
    with pytest.raises(SoundNetError, match=words):
        grid.run(loss, NETS_ALONE, effort.SMOKE, 1, tmp_path / 'study')
    assert not (tmp_path / 'study').exists()
    monkeypatch.undo()
    own = dataclasses.replace(NETS_ALONE, nets={'x': 'runs/net'})
    with pytest.raises(SoundNetError, match=r'm\.json: nets: x: runs/net is not a saved net'):
        grid.run(TABLES, own, effort.SMOKE, 1, tmp_path / 'study', 'm.json')
    with pytest.raises(SoundNetError, match=r'nets: nets: MFCC: the table sounds has a row MFCC\. Use another na'):
        grid.run(TABLES, dataclasses.replace(NETS_ALONE, nets={'MFCC': 'mfcc'}), effort.SMOKE, 1, tmp_path / 'study')
    data = {'esc50': {'path': 'ESC-50', 'stands_for': 'esc50'}}
    for given, words in (
        (
            {'data': data},
            r'm\.json: nothing to measure: neither nets nor records\. Add "nets": \{"soundnet8": "soundnet8"\}',
        ),
        (
            {'data': {}, 'nets': {'a': 'mfcc'}},
            r'm\.json: nothing to measure on: neither data nor videos\. Add a labelled',
        ),
        (
            {'data': data, 'nets': ['mfcc']},
            'nets must be a mapping of names to nets, such as {"soundnet8": "soundnet8"}',
        ),
        ({'data': data, 'nets': {'a|b': 'mfcc'}}, r"'a\|b': invalid name for a net\. Use printable characters"),
    ):
        (tmp_path / 'm.json').write_text(json.dumps({'name': 'x'} | given))
        with pytest.raises(SoundNetError, match=words):
            material.read(tmp_path / 'm.json')


def test_paths_of_nets_are_below_the_material(tmp_path):
    (tmp_path / 'own').mkdir()
    (tmp_path / 'yamnet.tflite').touch()
    nets = {
        'a': 'soundnet8',
        'b': 'own',
        'c': 'runs/net',
        'd': 'yamnet.tflite:16000',
        'e': 'https://x/y/1',
        'f': 'mfcc',
    }
    material.write(dataclasses.replace(NETS_ALONE, nets=nets), tmp_path / 'm.json')
    below = {'b': f'{tmp_path}/own', 'c': f'{tmp_path}/runs/net', 'd': f'{tmp_path}/yamnet.tflite:16000'}
    assert material.read(tmp_path / 'm.json').nets == nets | below


def test_the_example_of_docs_can_be_read():
    example = material.read(pathlib.Path(__file__).parents[2] / 'docs' / 'examples' / 'published_weights.json')
    assert example.nets == {'soundnet8': 'soundnet8'}
    assert {own.stands_for for own in example.data.values()} == {'esc50', 'esc10'}


def test_windows_begin_together_on_every_layer():
    from soundnet_tf import geometry
    from soundnet_tf.evaluation.windows import steps
    from soundnet_tf.spec import SAMPLE_RATE, SOUNDNET8

    moves = {}
    for layer in ('conv4', 'conv5', 'pool5', 'conv6'):
        protocol = effort.Effort().protocol(SOME.data['barks'], TableRow('x', 'distilled', layer=layer))
        moves[layer] = steps(protocol.step_s, geometry.hop(SOUNDNET8, layer) / SAMPLE_RATE)
    assert moves == {'conv4': 8, 'conv5': 4, 'pool5': 1, 'conv6': 1}


def test_data_without_folds_has_them_dealt(tmp_path):
    folders(tmp_path / 'scenes', clips=3, folds=1)
    assert Labelled(str(tmp_path / 'scenes'), 'dcase').load('scenes').folds == (1,)
    assert Labelled(str(tmp_path / 'scenes'), 'dcase', folds=3).load('scenes').folds == (1, 2, 3)
    # Before a net is trained for it.
    with pytest.raises(SoundNetError, match="scenes: no clip of 'high' is left for training"):
        measure.measure(
            ROWS[0],
            'scenes',
            Material('x', {'scenes': Labelled(str(tmp_path / 'scenes'), 'dcase')}),
            effort.SMOKE,
            0,
            tmp_path,
        )


def test_a_material_is_written_and_read(tmp_path):
    material.write(dataclasses.replace(SOME, videos='v.csv'), tmp_path / 'm.json')
    found = material.read(tmp_path / 'm.json')
    assert found.data['barks'].path == str(tmp_path / 'barks')
    assert found.records == {'vgg': str(tmp_path / 'r')}
    assert found.videos == str(tmp_path / 'v.csv')
    (tmp_path / 'm.json').write_text('{"name": "x", "data": {"a": {"path": "p", "stands_for": "gtzan"}}}')
    with pytest.raises(
        SoundNetError, match=r"m\.json: data: a: p: stands_for must be esc50, esc10, dcase, got 'gtzan'"
    ):
        material.read(tmp_path / 'm.json')
    (tmp_path / 'm.json').write_text('{"name": "x"}')
    with pytest.raises(SoundNetError, match=r'm\.json: nothing to measure: neither nets nor records'):
        material.read(tmp_path / 'm.json')
    (tmp_path / 'm.json').write_text('{"name": "x", "nets": {"a": "mfcc"}}')
    with pytest.raises(
        SoundNetError, match=r'm\.json: nothing to measure on: neither data nor videos\. Add a labelled'
    ):
        material.read(tmp_path / 'm.json')
    found = {'name': 'x', 'data': {}}
    for wrong, words in (
        ({'records': 'records'}, 'records must be a mapping'),
        ({'net': {}}, r"m\.json: unexpected key 'net'\. Use some of name, data, records, .*, published, nets$"),
        (
            {'data': {'a': {'path': 'p', 'stands_for': 'dcase', 'fold': 5}}},
            r"m\.json: data: a: unexpected key 'fold'\. Use some of path, stands_for, esc10, test_folds, folds$",
        ),
        ({'data': {'a': {'path': 'p'}}}, r"m\.json: data: a: no key 'stands_for'\. Add it, see docs/reproduce\.md"),
        ({'teachers': {'vgg': 'imagenet'}}, 'teachers of vgg must be a mapping'),
        ({'teachers': {'vgg16': {}}}, "teachers: unexpected key 'vgg16'. Use vgg or alexnet"),
        ({'vision_scale': 'bgr'}, "vision_scale must be one of .*, got 'bgr'"),
        ({'data': {'a b': {'path': 'p', 'stands_for': 'dcase'}}}, "'a b': invalid name for a data set"),
        (
            {'data': {'a': {'path': 'p', 'stands_for': 'dcase', 'test_folds': '1'}}},
            'test_folds of a must be whole numbers',
        ),
    ):
        (tmp_path / 'm.json').write_text(json.dumps(found | wrong))
        with pytest.raises(SoundNetError, match=words):
            material.read(tmp_path / 'm.json')
    with pytest.raises(SoundNetError, match=r'm?\w*\.json: cannot be read'):
        material.read(tmp_path / 'nowhere.json')
