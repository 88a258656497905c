"""The layers of the package: who may import whom, no import cycles, and a BUILD that matches the imports."""

import ast
import subprocess
import sys

import pytest

from tools.build_file import ROOT, build_file, command, foreign_imports, modules, own_imports, subpackage

# From the bottom up: a module may import from its own subpackage, from its own layer and from any layer below.
TABLES = {'version', 'errors', 'storage', 'parallel', 'spec', 'geometry', 'config', 'clips', 'labels', 'experiments'}
SOUND = {'audio', 'progress', 'web'}
NETS = {'nets', 'records', 'training'}
FEATURES = {
    'teachers',
    'prepare',
    'inference',
    'export',
    'importing',
    'evaluation',
    'finetune',
    'multimodal',
    'visualize',
}
APPLICATIONS = {'study', 'demo', 'shipping'}
COMMANDS = {'bin'}
# These may import from every layer.
ENTRY_POINTS = {'soundnet_tf', 'testing', 'cli', 'hear'}
LAYERS = [TABLES, SOUND, NETS, FEATURES, APPLICATIONS, COMMANDS]
# By subpackage of FEATURES: the others of FEATURES that it may import.
MAY_IMPORT = {
    # Some teachers listen.
    'teachers': {'inference'},
    'prepare': {'teachers'},
    'evaluation': {'inference', 'teachers'},
    'finetune': {'evaluation', 'inference'},
    'multimodal': {'inference', 'prepare', 'evaluation', 'teachers'},
    'visualize': {'inference', 'teachers'},
    'export': {'evaluation'},
    # An imported net gets its net.tflite.
    'importing': {'export'},
}
KERAS_ALONE = {'soundnet_tf.nets.model', 'soundnet_tf.nets.losses'}


def is_pure(name):
    if name == 'soundnet_tf.storage.arrays':  # numpy's files, imported only by what reads them
        return False
    return subpackage(name) in TABLES or name in {'soundnet_tf.nets.registry', 'soundnet_tf.nets.catalog'}


def layer(name):
    return next(index for index, layer in enumerate(LAYERS) if subpackage(name) in layer)


@pytest.mark.parametrize('name', [name for name in modules() if subpackage(name) not in ENTRY_POINTS])
def test_no_module_imports_from_a_layer_above(name):
    for other in own_imports(modules()[name]):
        if subpackage(other) in {'soundnet_tf', 'cli'} or subpackage(other) == subpackage(name):
            continue
        assert subpackage(other) not in ENTRY_POINTS, f'{name} imports {other}'
        assert layer(other) <= layer(name), f'{name} imports {other}, of a layer above'
        if layer(other) == layer(name) == LAYERS.index(FEATURES):
            assert subpackage(other) in MAY_IMPORT.get(subpackage(name), ()), (
                f'{name} imports {other}: add it to MAY_IMPORT, if that is right'
            )


def test_every_module_has_a_layer():
    placed = set().union(*LAYERS, ENTRY_POINTS)
    assert {subpackage(name) for name in modules()} <= placed


@pytest.mark.parametrize('name', [name for name in modules() if is_pure(name)])
def test_tables_are_pure_python(name):
    assert not foreign_imports(modules()[name])
    assert all(is_pure(other) for other in own_imports(modules()[name]))


@pytest.mark.parametrize('name', sorted(KERAS_ALONE))
def test_the_net_runs_on_any_backend(name):
    assert foreign_imports(modules()[name]) <= {'keras'}


def test_features_do_not_import_training():
    for name, path in modules().items():
        subpackages = {subpackage(other) for other in own_imports(path)}
        if subpackage(name) in FEATURES - {'finetune', 'prepare', 'teachers'}:
            assert not subpackages & {'training', 'records'}, name
        if subpackage(name) == 'prepare':
            assert not subpackages & {'training', 'nets'}, name


def cycles(imports):
    """The names left after names that import nothing, or that nothing imports, are removed repeatedly."""
    left = {name: set(others) - {name} for name, others in imports.items()}
    while gone := {name for name in left if not left[name]} | (left.keys() - set().union(*left.values())):
        left = {name: others - gone for name, others in left.items() if name not in gone}
    return sorted(left)


def test_no_module_imports_itself_through_others():
    """Imports for type checkers included."""
    assert not cycles({name: own_imports(path, typing=True) for name, path in modules().items()})


def test_no_subpackage_imports_itself_through_others():
    subpackages = {}
    for name, path in modules().items():
        subpackages.setdefault(subpackage(name), set()).update(map(subpackage, own_imports(path)))
    assert not cycles(subpackages)


def test_the_package_has_few_entries_and_short_modules():
    top = {path.name for path in (ROOT / 'soundnet_tf').iterdir() if path.name != '__pycache__'}
    assert len(top) <= 33, sorted(top)
    long = {name: lines for name, path in modules().items() if (lines := len((ROOT / path).open().readlines())) > 350}
    assert not long


def test_build_matches_the_imports():
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
def test_help_is_quick_and_shows_a_command(path):
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
    assert command(path) in done.stdout, "a command's docstring shows a command to copy"
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
