"""The BUILD file as it must be: one target per module, its deps read from the imports.

python -m tests.build_file > BUILD
"""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[1]

# Import name to distribution, where they differ.
DISTRIBUTIONS = {
    'absl': 'absl_py',
    'ai_edge_litert': 'ai_edge_litert',
    'sklearn': 'scikit_learn',
    'tensorflow_io': 'tensorflow_io',
}

HEAD = '''"""One target per module; `python -m tests.build_file > BUILD` writes this file from the imports."""

load("@rules_python//python:defs.bzl", "py_binary", "py_library")

package(default_visibility = ["//visibility:public"])

licenses(["notice"])

exports_files(["requirements/reference.txt"])
'''


def modules():
    """Every module of the package and the binaries: its dotted name -> its file, relative to the top."""
    found = {}
    for path in sorted([*(ROOT / 'soundnet_tf').rglob('*.py'), *(ROOT / 'bin').glob('*.py')]):
        parts = path.relative_to(ROOT).with_suffix('').parts
        parts = ('soundnet_tf', *parts) if parts[0] == 'bin' else parts
        found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path.relative_to(ROOT)
    return found


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
    import sys

    tops = {name.split('.')[0] for name in imports(path)}
    return {top for top in tops if top != 'soundnet_tf' and top not in sys.stdlib_module_names}


def target(name):
    return name.removeprefix('soundnet_tf.').replace('.', '_') if '.' in name else name


def build_file():
    """The text of BUILD."""
    known = modules()
    blocks = [HEAD]
    for name, path in known.items():
        binary = path.parts[0] == 'bin' and path.name != '__init__.py'
        # The package's face names its modules for type checkers and loads them at first use.
        own = own_imports(path, typing=name == 'soundnet_tf')
        own = sorted(f':{target(other)}' for other in own if other != name)
        foreign = sorted(f'@pypi//{DISTRIBUTIONS.get(top, top)}' for top in foreign_imports(path))
        lines = [f'{"py_binary" if binary else "py_library"}(', f'    name = "{target(name)}",']
        lines.append(f'    srcs = ["{path.as_posix()}"],')
        if path.parent.name == 'clips':
            lines.append('    data = glob(["soundnet_tf/clips/*.ogg"]),')
        if path.parent.name == 'labels':
            lines.append('    data = glob(["soundnet_tf/labels/*.txt"]),')
        if path == pathlib.Path('soundnet_tf/registry.py'):
            lines.append('    data = glob(["savedmodels/**"]),')
        if path == pathlib.Path('soundnet_tf/visualize/page.py'):
            lines.append('    data = glob(["soundnet_tf/visualize/page/*"]),')
        if binary:
            lines.append(f'    main = "{path.as_posix()}",')
        deps = [*own, *foreign]
        if len(deps) == 1:
            lines.append(f'    deps = ["{deps[0]}"],')
        elif deps:
            lines += ['    deps = [', *(f'        "{dep}",' for dep in deps), '    ],']
        blocks.append('\n'.join([*lines, ')']) + '\n')
    return '\n'.join(blocks)


if __name__ == '__main__':
    print(build_file(), end='')
