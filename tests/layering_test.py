"""What leans on what: the imports held against the house's rules, and against BUILD."""

import ast
import subprocess
import sys

import pytest

from tools.build_file import ROOT, build_file, command, foreign_imports, modules, own_imports, room

# From the bottom up: a module may import from its own room, from its own layer and from any layer below.
TABLES = {'version', 'errors', 'storage', 'threads', 'spec', 'geometry', 'config', 'clips', 'labels', 'experiments'}
SOUND = {'audio', 'web'}
NETS = {'nets', 'records', 'teachers', 'training'}
ROOMS = {'prepare', 'inference', 'export', 'importing', 'evaluation', 'finetune', 'multimodal', 'visualize'}
TOP = {'study', 'demo', 'shipping'}
DOORS = {'bin'}
# The package's own face may name all, at first use; so may what is shipped for tests.
FACES = {'soundnet_tf', 'testing', 'cli', 'hear'}
LAYERS = [TABLES, SOUND, NETS, ROOMS, TOP, DOORS]
# The rooms that may ask another room.
MAY_ASK = {
    'evaluation': {'inference'},
    'finetune': {'evaluation', 'inference'},
    'multimodal': {'inference', 'prepare', 'evaluation'},
    'visualize': {'inference'},
    'export': {'evaluation'},
    # An imported net gets its net.tflite.
    'importing': {'export'},
}
KERAS_ALONE = {'soundnet_tf.nets.model', 'soundnet_tf.nets.losses'}


def is_pure(name):
    if name == 'soundnet_tf.storage.arrays':  # numpy's files, imported only by what reads them
        return False
    return room(name) in TABLES or name in {'soundnet_tf.nets.registry', 'soundnet_tf.nets.catalog'}


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


@pytest.mark.parametrize('name', [name for name in modules() if is_pure(name)])
def test_tables_are_pure_python(name):
    assert not foreign_imports(modules()[name])
    assert all(is_pure(other) for other in own_imports(modules()[name]))


@pytest.mark.parametrize('name', sorted(KERAS_ALONE))
def test_the_net_runs_on_any_backend(name):
    assert foreign_imports(modules()[name]) <= {'keras'}


def test_training_and_what_follows_meet_only_in_saved():
    for name, path in modules().items():
        rooms = {room(other) for other in own_imports(path)}
        if room(name) in ROOMS - {'finetune', 'prepare'}:
            assert not rooms & {'training', 'records'}, name
        if room(name) == 'prepare':
            assert not rooms & {'training', 'nets'}, name


def circles(imports):
    """The names left when what imports nothing, and what nothing imports, has gone, over and over."""
    left = {name: set(others) - {name} for name, others in imports.items()}
    while gone := {name for name in left if not left[name]} | (left.keys() - set().union(*left.values())):
        left = {name: others - gone for name, others in left.items() if name not in gone}
    return sorted(left)


def test_no_module_imports_itself_through_others():
    """Not even for type checkers: what the graph of imports cannot order, a reader cannot either."""
    assert not circles({name: own_imports(path, typing=True) for name, path in modules().items()})


def test_no_room_imports_itself_through_others():
    rooms = {}
    for name, path in modules().items():
        rooms.setdefault(room(name), set()).update(map(room, own_imports(path)))
    assert not circles(rooms)


def test_the_top_of_the_package_can_be_read_at_a_glance():
    top = {path.name for path in (ROOT / 'soundnet_tf').iterdir() if path.name != '__pycache__'}
    assert len(top) <= 32, sorted(top)
    long = {name: lines for name, path in modules().items() if (lines := len((ROOT / path).open().readlines())) > 350}
    assert not long


def test_build_is_true():
    text = (ROOT / 'BUILD').read_text()
    ast.parse(text)
    assert text == build_file(), 'BUILD does not match the imports: python -m tools.build_file > BUILD'


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
    assert command(path) in done.stdout, 'the docstring of a binary shows a command to copy'
    for line in done.stdout.splitlines():
        assert not line.startswith('  --') or ':' in line, line


def test_public_names_exist():
    import soundnet_tf

    for name in soundnet_tf.__all__:
        assert getattr(soundnet_tf, name) is not None
    assert (soundnet_tf.blocks, soundnet_tf.decoding) == (soundnet_tf.audio.blocks, soundnet_tf.audio.decoding)
    assert soundnet_tf.save is soundnet_tf.save_net
    with pytest.raises(AttributeError, match="no attribute 'hear_me'"):
        soundnet_tf.hear_me  # noqa: B018
