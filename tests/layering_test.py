"""What leans on what: the imports held against the house's rules, and against BUILD."""

import ast
import subprocess
import sys

import pytest

from tests.build_file import ROOT, build_file, foreign_imports, modules, own_imports

# From the bottom up: a module may import from its own layer's room and from any layer below.
TABLES = {'version', 'errors', 'locks', 'spec', 'geometry', 'config', 'clips', 'labels', 'registry', 'experiments'}
NUMBERS = {'audio', 'containers', 'encoding', 'nets', 'predictions', 'pyav', 'tsne', 'web'}
TENSORFLOW = {
    'litert',
    'decoding',
    'blocks',
    'runners',
    'tfrecords',
    'records',
    'model',
    'fast',
    'losses',
    'data',
    'strategies',
    'checkpoints',
    'runs',
    'workers',
    'steps',
    'training',
    'teachers',
    'saved',
}
ROOMS = {'prepare', 'inference', 'export', 'importing', 'transfer', 'multimodal', 'visualize'}
TOP = {'study', 'demo', 'shipping'}
DOORS = {'bin'}
# The package's own face may name all, at first use; so may what is shipped for tests.
FACES = {'soundnet_tf', 'testing', 'cli', 'hear'}
LAYERS = [TABLES, NUMBERS, TENSORFLOW, ROOMS, TOP, DOORS]
# The rooms that may ask another room.
MAY_ASK = {
    'transfer': {'inference'},
    'multimodal': {'inference', 'prepare', 'transfer'},
    'visualize': {'inference'},
    'export': {'transfer'},
    # An imported net gets its net.tflite.
    'importing': {'export'},
}
# What each module may take from elsewhere, where that is less than everything.
PURE = TABLES
KERAS_ALONE = {'model', 'losses'}


def room(name):
    parts = name.split('.')
    return parts[1] if len(parts) > 1 else parts[0]


def layer(name):
    return next(index for index, layer in enumerate(LAYERS) if room(name) in layer)


@pytest.mark.parametrize('name', [name for name in modules() if room(name) not in FACES])
def test_nothing_leans_back(name):
    for other in own_imports(modules()[name]):
        if room(other) in {'soundnet_tf', 'cli'} or room(other) == room(name):
            continue
        assert room(other) not in FACES, f'{name} imports {other}'
        assert layer(other) <= layer(name), f'{name} leans on {other}, which stands above it'
        if layer(other) == layer(name) == LAYERS.index(ROOMS):
            assert room(other) in MAY_ASK.get(room(name), ()), f'{name} knows the room of {other}'


def test_every_module_has_a_layer():
    placed = set().union(*LAYERS, FACES)
    assert {room(name) for name in modules()} <= placed


@pytest.mark.parametrize('name', [name for name in modules() if room(name) in PURE])
def test_tables_are_pure_python(name):
    assert not foreign_imports(modules()[name])


@pytest.mark.parametrize('name', sorted(name for name in KERAS_ALONE if f'soundnet_tf.{name}' in modules()))
def test_the_net_runs_on_any_backend(name):
    assert foreign_imports(modules()[f'soundnet_tf.{name}']) <= {'keras'}


def test_training_and_what_follows_meet_only_in_saved():
    for name, path in modules().items():
        if room(name) in ROOMS - {'transfer', 'prepare'}:
            assert not own_imports(path) & {'soundnet_tf.training', 'soundnet_tf.data', 'soundnet_tf.records'}, name
        if room(name) == 'prepare':
            assert not own_imports(path) & {'soundnet_tf.training', 'soundnet_tf.data', 'soundnet_tf.model'}, name


def test_build_is_true():
    text = (ROOT / 'BUILD').read_text()
    ast.parse(text)
    assert text == build_file(), 'BUILD does not match the imports: python -m tests.build_file > BUILD'


def test_importing_the_package_imports_no_tensorflow():
    code = """
import sys, soundnet_tf
from soundnet_tf import clips, geometry
soundnet_tf.SOUNDNET8, soundnet_tf.ShortClip, geometry.frames, clips.path('rooster')
heavy = {'tensorflow', 'keras', 'numpy', 'av', 'sklearn'} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)


@pytest.mark.parametrize('path', sorted((ROOT / 'bin').glob('[a-z]*.py')), ids=lambda path: path.stem)
def test_help_is_quick_and_teaches(path):
    code = f"""
import sys, runpy
sys.argv = [{str(path)!r}, '--help']
try:
    runpy.run_path({str(path)!r}, run_name='__main__')
except SystemExit as end:
    assert not end.code, end.code
heavy = {{'tensorflow', 'keras', 'numpy', 'av', 'sklearn'}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert f'soundnet-{path.stem}' in done.stdout, 'the docstring of a binary shows a command to copy'
    for line in done.stdout.splitlines():
        assert not line.startswith('  --') or ':' in line, line


def test_public_names_exist():
    import soundnet_tf

    for name in soundnet_tf.__all__:
        assert getattr(soundnet_tf, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'hear_me'"):
        soundnet_tf.hear_me  # noqa: B018
