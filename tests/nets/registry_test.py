"""Names of nets, and where a user's nets lie."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import registry


def test_the_home(monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', '/own')
    assert registry.home() == pathlib.Path('/own')
    monkeypatch.delenv('SOUNDNET_HOME')
    monkeypatch.setenv('XDG_CACHE_HOME', '/caches')
    assert registry.home() == pathlib.Path('/caches/soundnet_tf')
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert registry.home() == pathlib.Path.home() / '.cache' / 'soundnet_tf'


NET = {'spec': 'soundnet5', 'origin': 'a few clips', 'licence': 'CC0', 'source': 'shipped'}
NET |= {'files': {'spec.json': 'a' * 64, 'weights.npz': 'b' * 64}}


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes the user's own list."""
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path))
    return lambda about: (tmp_path / 'models.json').write_text(json.dumps(about))


def test_where_a_listed_net_is(own, tmp_path):
    sources = {'a': 'shipped', 'b': '../nets/b', 'c': '/nets/c', 'd': 'https://example.org/nets/d'}
    own({'nets': {name: NET | {'source': source} for name, source in sources.items()}})
    found = registry.listed()
    assert [found[name].folder for name in 'abcd'] == [
        tmp_path / 'a',
        tmp_path / '../nets/b',
        pathlib.Path('/nets/c'),
        tmp_path / 'fetched' / 'd',
    ]
    assert [found[name].url for name in 'abcd'] == [None, None, None, 'https://example.org/nets/d/']
    assert (found['a'].spec, found['a'].licence) == ('soundnet5', 'CC0')


def test_the_users_own_list_goes_before_what_ships(own, monkeypatch):
    shipped = registry.lists()[0]
    assert shipped.parent.name == 'savedmodels'
    before = registry.listed()
    own({'default': 'mine', 'nets': {'mine': NET}})
    assert set(registry.listed()) == {*before, 'mine'}
    assert registry.default() == 'mine'
    monkeypatch.setattr(registry, 'lists', lambda: ())
    with pytest.raises(SoundNetError, match='no net ships with this version: name the folder of a saved net'):
        registry.default()


def test_a_checkout_finds_its_savedmodels(tmp_path):
    """Python started in a checkout imports its source folder, in which savedmodels is no package."""
    checkout, top = tmp_path / 'checkout', pathlib.Path(registry.__file__).parents[2]
    shutil.copytree(top / 'soundnet_tf', checkout / 'soundnet_tf', ignore=shutil.ignore_patterns('__pycache__'))
    (checkout / 'savedmodels').mkdir()
    shutil.copy(top / 'savedmodels' / 'models.json', checkout / 'savedmodels')
    # Without the site, hence without the finder of an editable install.
    code = f'import sys; sys.path.insert(0, {os.fspath(checkout)!r})\n'
    code += 'from soundnet_tf.nets import registry; print(registry.lists()[0], *registry.listed())'
    done = subprocess.run([sys.executable, '-I', '-S', '-c', code], capture_output=True, text=True, check=True)
    path, *names = done.stdout.split()
    assert path == os.fspath(checkout / 'savedmodels' / 'models.json')
    assert 'soundnet8-esc10' in names


@pytest.mark.parametrize(
    'about',
    [
        [],
        {},
        {'nets': {}, 'default': 5},
        {'nets': {}, 'default': '../y'},
    ],
)
def test_what_lists_no_nets(own, tmp_path, about):
    own(about)
    with pytest.raises(SoundNetError, match=rf'{tmp_path}/models.json lists no nets \(.*\): see docs/models.md'):
        registry.listed()


@pytest.mark.parametrize(
    ('name', 'about', 'words'),
    [
        ('../mine', NET, 'a name has letters'),
        ('mine', {}, 'it lacks spec, origin, licence, source, files'),
        ('mine', [], 'it lacks spec'),
        ('mine', NET | {'source': 5}, 'source is no text'),
        (
            'mine',
            NET | {'source': 'ftp://example.org/x'},
            'the source ftp://example.org/x is no folder, and neither http',
        ),
        ('mine', NET | {'files': None}, 'files tells the sha256 of each file'),
        ('mine', NET | {'files': {}}, 'files tells the sha256 of each file'),
        ('mine', NET | {'files': ['spec.json']}, 'files tells the sha256 of each file'),
        ('mine', NET | {'files': NET['files'] | {'../../.bashrc': 'a' * 64}}, 'is no path of a file of a saved net'),
        ('mine', NET | {'files': NET['files'] | {'/etc/passwd': 'a' * 64}}, 'is no path of a file of a saved net'),
        ('mine', NET | {'files': NET['files'] | {'spec.json': 'A' * 64}}, 'the sha256 of spec.json is not 64 digits'),
    ],
)
def test_what_cannot_be_listed(own, tmp_path, name, about, words):
    own({'nets': {name: about}})
    with pytest.raises(
        SoundNetError, match=rf'{tmp_path}/models.json: {name!r} cannot be listed so: .*{words}.*docs/models'
    ):
        registry.listed()


def test_a_home_and_a_source_may_be_below_ones_own(own, tmp_path, monkeypatch):
    own({'nets': {'mine': NET | {'source': '~/nets/mine'}}})
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('SOUNDNET_HOME', '~')
    assert registry.listed()['mine'].folder == tmp_path / 'nets' / 'mine'


def test_a_damaged_list(own, tmp_path):
    (tmp_path / 'models.json').write_text('{')
    with pytest.raises(SoundNetError, match=r'models.json cannot be read \(.*\): mend it, or remove it'):
        registry.listed()


@pytest.mark.parametrize('name', ['', 'a/b', '..', '-x', 'a b', 'a\n'])
def test_what_is_no_name(name):
    with pytest.raises(SoundNetError, match='is no name for a net: take letters, digits, _, - and'):
        registry.place(name)
