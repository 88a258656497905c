"""The site is built without a warning, links included; each page begins with a command, and each command has a page."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from soundnet_tf import clips
from tools import gallery

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted((ROOT / 'docs').rglob('*.md'))
COMMANDS = sorted(f'soundnet-{path.stem.replace("_", "-")}' for path in (ROOT / 'bin').glob('[!_]*.py'))


@pytest.mark.slow
def test_the_site_builds(tmp_path):
    pytest.importorskip('sphinx')
    options = ['--fail-on-warning', '--keep-going', '--quiet', '--builder', 'html']
    command = [sys.executable, '-m', 'sphinx', *options, str(ROOT / 'docs'), str(tmp_path / 'site')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        place = tmp_path / 'site' / page.relative_to(ROOT / 'docs')
        assert place.with_suffix('.html').is_file()
        if place.parent.name == 'tutorials':
            cells = json.loads(place.with_suffix('.ipynb').read_text())['cells']
            assert [cell['cell_type'] for cell in cells].count('code') >= 3
            assert f'href="{page.stem}.ipynb"' in place.with_suffix('.html').read_text()
    commands = (tmp_path / 'site' / 'commands.html').read_text()
    for name in COMMANDS:
        assert f'id="{name}"' in commands
    assert 'Flags of soundnet-tag:' in commands
    # Nothing is fetched from elsewhere when a page is read.
    for page in (tmp_path / 'site').rglob('*.html'):
        assert not re.search(r'<(script|link|img)[^>]*(src|href)="https?:', page.read_text()), page.name


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_a_page_begins_with_a_command(page):
    before, indented, _ = page.read_text(encoding='utf-8').partition('\n    ')
    assert indented
    assert before.startswith('# ')
    assert before.count('\n\n') <= 3


def test_every_included_net_has_its_card_on_the_site():
    shown = re.findall(r'savedmodels/(.*)/MODEL_CARD', (ROOT / 'docs' / 'zoo.md').read_text())
    assert sorted(shown) == sorted(path.parent.name for path in (ROOT / 'savedmodels').glob('*/MODEL_CARD.md'))


def test_every_command_is_in_the_reference():
    named = re.findall(r'^```{command-help} (.*)$', (ROOT / 'docs' / 'commands.md').read_text(), re.MULTILINE)
    assert sorted(named) == COMMANDS


@pytest.mark.slow
def test_the_gallery_shows_the_included_clips_with_their_credits(tmp_path, monkeypatch):
    monkeypatch.delenv('SOUNDNET_DATA', raising=False)
    assert gallery.write(tmp_path).done == len(clips.names())
    assert (tmp_path / 'report' / 'index.html').is_file()
    assert 'domvoice' in (tmp_path / 'credits.html').read_text()


@pytest.mark.skipif('SOUNDNET_DATA' not in os.environ, reason='needs ESC-10 in SOUNDNET_DATA')
def test_the_gallery_shows_only_what_may_be_shown():
    sounds, credits = gallery.chosen()
    assert len(sounds) == len(credits) == 318
    for sound, credit in zip(sounds, credits, strict=True):
        assert credit.startswith(f'{pathlib.PurePath(sound.path).name}: ')
        assert 'CC-Sampling' not in credit
