"""Names of nets, and the folders of a user's nets."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from soundnet_tf.errors import SoundNetError
from soundnet_tf.nets import registry


def test_home(monkeypatch):
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


def test_folders_of_listed_nets(own, tmp_path):
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


def test_the_users_list_overrides_the_included_one(own, monkeypatch):
    shipped = registry.lists()[0]
    assert shipped.parent.name == 'savedmodels'
    before = registry.listed()
    own({'default': 'mine', 'nets': {'mine': NET}})
    assert set(registry.listed()) == {*before, 'mine'}
    assert registry.default() == 'mine'
    monkeypatch.setattr(registry, 'lists', lambda: ())
    with pytest.raises(SoundNetError, match=r'this version includes no net\. Pass the folder of a saved net'):
        registry.default()


def test_a_checkout_finds_its_savedmodels(tmp_path):
    """Python started in a checkout imports its source folder, where savedmodels is not a package."""
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
def test_invalid_lists(own, tmp_path, about):
    own(about)
    with pytest.raises(SoundNetError, match=rf'{tmp_path}/models.json: not a list of nets \(.*\)\. See docs/models.md'):
        registry.listed()


@pytest.mark.parametrize(
    ('name', 'about', 'words'),
    [
        ('../mine', NET, 'invalid model name'),
        ('mine', {}, 'missing keys: spec, origin, licence, source, files'),
        ('mine', [], 'missing keys: spec'),
        ('mine', NET | {'source': 5}, 'source must be a non-empty string'),
        (
            'mine',
            NET | {'source': 'ftp://example.org/x'},
            'the source ftp://example.org/x is neither a folder nor an http',
        ),
        ('mine', NET | {'files': None}, 'files must have the sha256 of each file'),
        ('mine', NET | {'files': {}}, 'files must have the sha256 of each file'),
        ('mine', NET | {'files': ['spec.json']}, 'files must have the sha256 of each file'),
        ('mine', NET | {'files': NET['files'] | {'../../.bashrc': 'a' * 64}}, 'is not a valid path of a file'),
        ('mine', NET | {'files': NET['files'] | {'/etc/passwd': 'a' * 64}}, 'is not a valid path of a file'),
        ('mine', NET | {'files': NET['files'] | {'spec.json': 'A' * 64}}, 'the sha256 of spec.json must be 64 digits'),
    ],
)
def test_invalid_entries(own, tmp_path, name, about, words):
    own({'nets': {name: about}})
    with pytest.raises(SoundNetError, match=rf'{tmp_path}/models.json: {name!r}: .*{words}.*docs/models'):
        registry.listed()


def test_a_tilde_is_expanded(own, tmp_path, monkeypatch):
    own({'nets': {'mine': NET | {'source': '~/nets/mine'}}})
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('SOUNDNET_HOME', '~')
    assert registry.listed()['mine'].folder == tmp_path / 'nets' / 'mine'


def test_a_damaged_list(own, tmp_path):
    (tmp_path / 'models.json').write_text('{')
    with pytest.raises(SoundNetError, match=r'models.json: cannot be read \(.*\)\. Fix this file, or remove it'):
        registry.listed()


@pytest.mark.parametrize('name', ['', 'a/b', '..', '-x', 'a b', 'a\n'])
def test_invalid_names(name):
    with pytest.raises(SoundNetError, match=r"invalid model name\. Use up to 100 letters, digits, '_', '-' or '\.'"):
        registry.place(name)
