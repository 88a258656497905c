"""The tutorials run as they stand, from top to bottom: Python in one session, and the commands between."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from soundnet_tf.nets import saved

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted((ROOT / 'docs' / 'tutorials').glob('*.md'))
CELLS = re.compile(r'^```(python|bash)\n(.*?)^```$', re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.slow


def classifier(printed):
    assert '(50, 256) pool5_0_mean' in printed
    assert int(re.search(r'accuracy (\d+)%, by chance 20%', printed)[1]) > 50
    assert int(re.search(r'from files, with conv6: (\d+)%', printed)[1]) > 50


def distil(printed):
    assert 'Embedding(conv4: ' in printed
    assert saved.read_spec('runs/distilled/net').head_names == ('imagenet', 'places')


def finetune(printed):
    assert "Tag(head='my_sounds', name='rooster'" in printed
    assert pathlib.Path('exports/mine/model.tflite').is_file()
    assert pathlib.Path('runs/mine/net/weights.npz').is_file()


def hear(printed):
    assert re.search(r'sea_waves\s+sandbar, .*\s+beach, ocean, coast', printed)
    assert len(re.findall(r'^ *[\d.]+ s  \S', printed, re.MULTILINE)) == 5


CHECKS = {'classifier': classifier, 'distil': distil, 'finetune': finetune, 'hear': hear}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs_as_it_stands(page, tmp_path, monkeypatch, capsys):
    if page.stem in ('classifier', 'hear'):
        pytest.importorskip('pandas')
    monkeypatch.chdir(tmp_path)
    names = {}
    environment = {**os.environ, 'PATH': f'{pathlib.Path(sys.executable).parent}:{os.environ["PATH"]}'}
    for language, cell in CELLS.findall(page.read_text(encoding='utf-8')):
        if language == 'python':
            exec(compile(cell, page.name, 'exec'), names)
        else:
            done = subprocess.run(['bash', '-e'], input=cell, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    CHECKS[page.stem](capsys.readouterr().out)


def test_every_tutorial_has_a_check():
    assert [page.stem for page in PAGES] == sorted(CHECKS)
