"""The BUILD file, one target per subpackage, its deps read from the imports.

python -m tools.build_file > BUILD

BUILD has some 900 lines, since Bazel needs each target's deps in full and the formatter of BUILD files writes one a
line. A macro that derives them would need the imports while Bazel loads, which Starlark cannot read: so they are
generated, and tests/layering_test.py compares them. Read this file, not that one.
"""

import ast
import functools
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]

# Import name to distribution, where they differ.
DISTRIBUTIONS = {'absl': 'absl_py', 'sklearn': 'scikit_learn'}

# Files of a subpackage that are not Python.
DATA = {
    'clips': ['soundnet_tf/clips/*.ogg'],
    'labels': ['soundnet_tf/labels/*.txt'],
    'nets': ['savedmodels/**'],
    'visualize': ['soundnet_tf/visualize/page/*'],
}

HEAD = '''"""One target per subpackage, per command and per folder of tests.

`python -m tools.build_file > BUILD` writes this file from the imports. It is long because Bazel needs every target's
deps in full, one a line; tools/build_file.py says more.
"""

load("@rules_python//python:defs.bzl", "py_binary", "py_library", "py_test")

package(default_visibility = ["//visibility:public"])

licenses(["notice"])

exports_files(["requirements/reference.txt"])
'''


@functools.cache
def modules():
    """Every module of the package and the binaries: its dotted name -> its file, relative to the top."""
    found = {}
    for path in sorted([*(ROOT / 'soundnet_tf').rglob('*.py'), *(ROOT / 'bin').glob('*.py')]):
        parts = path.relative_to(ROOT).with_suffix('').parts
        parts = ('soundnet_tf', *parts) if parts[0] == 'bin' else parts
        found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path.relative_to(ROOT)
    return found


@functools.cache
def imports(path, *, typing=False):
    """What a file imports anywhere in it, as dotted names; with `typing` also what only type checkers see."""
    tree = ast.parse((ROOT / path).read_text())
    skipped = set()
    if not typing:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING':
                skipped |= {id(n) for child in node.body for n in ast.walk(child)}
    names = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def own_imports(path, **options):
    """The modules of this package that a file imports."""
    known = modules()
    found = set()
    for name in imports(path, **options):
        while name and name not in known:
            name = name.rpartition('.')[0]
        if name:
            found.add(name)
    # `from soundnet_tf import model` names the package only to reach the module.
    return found


def foreign_imports(path):
    """The top-level packages from elsewhere that a file imports, standard library left out."""
    tops = {name.split('.')[0] for name in imports(path)}
    return {top for top in tops if top not in {'soundnet_tf', 'tests', 'tools'} and top not in sys.stdlib_module_names}


def subpackage(name):
    """The subpackage or top-level module that a module belongs to; the package itself for its `__init__`."""
    parts = name.split('.')
    return parts[1] if len(parts) > 1 else parts[0]


def subpackages():
    """The files of each subpackage, without those of bin/."""
    found = {}
    for name, path in modules().items():
        if path.parts[0] != 'bin':
            found.setdefault(subpackage(name), []).append(path)
    return found


def deps(paths, own):
    """What files need: the subpackages, and the packages from elsewhere."""
    # `soundnet_tf/__init__.py` imports its modules for type checkers, and at first use.
    top = pathlib.Path('soundnet_tf/__init__.py')
    asked = {subpackage(name) for path in paths for name in own_imports(path, typing=path == top)} - {own}
    foreign = {top for path in paths for top in foreign_imports(path)}
    return [*sorted(f':{name}' for name in asked), *sorted(f'@pypi//{DISTRIBUTIONS.get(top, top)}' for top in foreign)]


def target(kind, name, **fields):
    """One rule as text; lists that are empty are left out."""
    lines = [f'{kind}(', f'    name = "{name}",']
    for key, value in fields.items():
        if isinstance(value, str):
            lines.append(f'    {key} = {value},')
        elif len(value) == 1:
            lines.append(f'    {key} = ["{value[0]}"],')
        elif value:
            lines += [f'    {key} = [', *(f'        "{item}",' for item in value), '    ],']
    return '\n'.join([*lines, ')']) + '\n'


def glob(*patterns):
    """Bazel's glob."""
    return 'glob([{}])'.format(', '.join(f'"{pattern}"' for pattern in patterns))


def command(path):
    """The command of a file of bin/."""
    return f'soundnet-{path.stem.replace("_", "-")}'


def build_file():
    """The text of BUILD."""
    blocks = [HEAD]
    for name, paths in subpackages().items():
        alone = len(paths) == 1 and paths[0].name != '__init__.py'
        files = [paths[0].as_posix()] if alone or name == 'soundnet_tf' else glob(f'soundnet_tf/{name}/**/*.py')
        data = {'data': glob(*DATA[name])} if name in DATA else {}
        blocks.append(target('py_library', name, srcs=files, **data, deps=deps(paths, name)))
    blocks.append(target('py_library', 'bin', srcs=['bin/__init__.py']))
    for path in sorted((ROOT / 'bin').glob('[a-z]*.py')):
        file = path.relative_to(ROOT)
        needs = [':bin', *deps([file], 'bin')]
        own = {'srcs': [file.as_posix()], 'main': f'"{file.as_posix()}"', 'deps': needs}
        blocks.append(target('py_binary', command(path), **own))
    everything = [f':{name}' for name in subpackages()] + ['@pypi//hypothesis', '@pypi//pytest']
    blocks.append(
        target('py_library', 'tests', testonly='True', srcs=glob('tests/**/*.py', 'tools/*.py'), deps=everything)
    )
    for folder in sorted({path.parent.relative_to(ROOT) for path in (ROOT / 'tests').rglob('*_test.py')}):
        name, own = '_'.join(folder.parts[1:]) or 'top', f'{folder.as_posix()}/*_test.py'
        fields = {'srcs': ['tools/run_tests.py'], 'main': '"tools/run_tests.py"', 'args': [own], 'deps': [':tests']}
        blocks.append(target('py_test', f'{name}_test', **fields))
    return '\n'.join(blocks)


if __name__ == '__main__':
    print(build_file(), end='')
