"""Names of nets, and where a user's nets lie."""

import pathlib

import pytest

from soundnet_tf import registry
from soundnet_tf.errors import SoundNetError


def test_the_home(monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', '/own')
    assert registry.home() == pathlib.Path('/own')
    monkeypatch.delenv('SOUNDNET_HOME')
    monkeypatch.setenv('XDG_CACHE_HOME', '/caches')
    assert registry.home() == pathlib.Path('/caches/soundnet_tf')
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert registry.home() == pathlib.Path.home() / '.cache' / 'soundnet_tf'


def test_a_path_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path / 'home'))
    monkeypatch.chdir(tmp_path)
    registry.place('mine').mkdir(parents=True)
    assert registry.find('mine') == tmp_path / 'home' / 'nets' / 'mine'
    assert registry.find('other') == pathlib.Path('other')
    assert registry.find('../mine') == pathlib.Path('../mine')
    (tmp_path / 'mine').mkdir()
    assert registry.find('mine') == pathlib.Path('mine')
    assert registry.find(tmp_path / 'mine') == tmp_path / 'mine'


def test_what_is_published_but_not_here_tells_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv('SOUNDNET_HOME', str(tmp_path))
    with pytest.raises(SoundNetError) as caught:
        registry.find('soundnet5')
    assert str(caught.value) == (
        'soundnet5 is not registered on this machine: '
        'soundnet-import_weights soundnet5 FOLDER --register=soundnet5 fetches the published weights'
    )


@pytest.mark.parametrize('name', ['', 'a/b', '..', '-x', 'a b', 'a\n'])
def test_what_is_no_name(name):
    with pytest.raises(SoundNetError, match='is no name for a net: take letters, digits, _, - and'):
        registry.place(name)
