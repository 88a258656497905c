"""The Python examples of README and docs run as they stand, in order of page and place."""

import pathlib

import numpy as np
import pytest

import soundnet_tf
from soundnet_tf import clips
from soundnet_tf.nets import model
from soundnet_tf.testing import thin_spec

ROOT = pathlib.Path(__file__).parents[1]
PLACES = ('sea', 'street', 'kitchen', 'wood')
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
BLOCKS = {
    f'{page.name} {number}': part.partition('```')[0]
    for page in PAGES
    for number, part in enumerate(page.read_text(encoding='utf-8').split('```python\n')[1:], 1)
}
SLOW = {
    'export.md 1': 'writes and loads a TF-Hub module',
    'models.md 3': 'trains the original net for 20 epochs',
}
NEEDS = {'export.md 1': 'tensorflow_hub', 'export.md 2': 'onnxruntime'}


@pytest.fixture(scope='module')
def net():
    return model.build(thin_spec(), labels={'places': PLACES})


def export(net, name):
    """The export that a block loads."""
    from soundnet_tf.export import hub, onnx

    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
        form = {'export.md 1': hub, 'export.md 2': onnx}[name]
        folder = pathlib.Path('exports') / form.__name__.rpartition('.')[2]
        folder.mkdir(parents=True)
        form.plan(net).write(folder)


def readme_1(names, printed):
    assert "Tag(head='places', name='beach'" in printed


def export_1(names, printed):
    assert names['names'] == list(PLACES)
    assert names['outputs']['places_clip'].shape == (4,)


def export_2(names, printed):
    assert (names['pool5'].shape[0], names['places'].shape[2]) == (1, 4)


def features_1(names, printed):
    assert printed == '(13, 256)\n'
    assert (names['vector'].shape, names['conv6'].shape) == ((256,), (512,))


def models_1(names, printed):
    assert printed.startswith("[Tag(head='esc10', name='Rooster'")
    assert printed.endswith("{'esc10': True}\n")


def models_2(names, printed):
    assert len(printed.splitlines()) == 4
    for line in printed.splitlines():
        assert f'    {line}\n' in (ROOT / 'docs' / 'models.md').read_text(encoding='utf-8')


def models_3(names, printed):
    assert names['net'].evaluate(names['X'], names['y'], verbose=0)[1] == 1
    assert soundnet_tf.load('nets/mine').tag_file(clips.path('sneeze'), top=1)[0].name == 'sneeze'


def streaming_1(names, printed):
    said = printed.splitlines()
    assert len(said) == 2
    assert len(names['rest']) >= 1
    whole = names['embedder'].embed(np.concatenate([names['noise'](0.1, seed=s) for s in range(20)]), 44_100, 'pool5')
    assert len(whole) == len(names['rest']) + len(said)


def visualize_1(names, printed):
    assert pathlib.Path('report/index.html').is_file()


CHECKS = {
    'README.md 1': readme_1,
    'README.md 2': None,
    'README.md 3': None,
    'features.md 1': features_1,
    'export.md 1': export_1,
    'export.md 2': export_2,
    'models.md 1': models_1,
    'models.md 2': models_2,
    'models.md 3': models_3,
    'streaming.md 1': streaming_1,
    'visualize.md 1': visualize_1,
}
"""By block, what must hold after it; a new block needs a row."""


def test_every_block_has_a_check():
    assert BLOCKS.keys() == CHECKS.keys()


@pytest.mark.parametrize(
    'name', [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in BLOCKS]
)
def test_a_block_runs_as_it_stands(name, net, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    export(net, name)
    names = {}
    exec(compile(BLOCKS[name], name, 'exec'), names)
    if check := CHECKS[name]:
        check(names, capsys.readouterr().out)
