"""List the nets that have a name, print what is known about one, fetch one, or give your own a name.

    soundnet-models list
    soundnet-models show soundnet8-esc10
    soundnet-models fetch soundnet8
    soundnet-models add birds runs/birds/net

list, or no argument: a table of all nets that can be passed as --model=NAME to the other commands.
show NAME: licence, size, heads, accuracy, source and the model card.
fetch NAME: download, or convert, the net now instead of at its first use.
add NAME FOLDER: copy a saved net to $SOUNDNET_HOME, so that --model=NAME finds it from everywhere.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from soundnet_tf import cli

if TYPE_CHECKING:
    from soundnet_tf.nets.catalog import ModelInfo

ACCURACY_WIDTH = 60
"""In the table; `show` has the rest."""


def main(arguments: Sequence[str]) -> None:
    """List, show, fetch or add."""
    from soundnet_tf.errors import SoundNetError
    from soundnet_tf.nets import catalog, lookup, registry

    models = {model.name: model for model in catalog.list_models()}
    match list(arguments):
        case [] | ['list']:
            for line in _table([*models.values()]):
                print(line)
            print(f'\nThe default is {registry.default()}.')
        case ['show' | 'fetch', name] if name not in models:
            raise SoundNetError(f'{name}: no such model. Use one of {", ".join(models)}')
        case ['show', name]:
            print('\n'.join(_describe(models[name])))
        case ['fetch', name]:
            print(f'{name}: {lookup.find(name)}')
        case ['add', name, folder]:
            from soundnet_tf.nets import adding

            print(f'{name}: {adding.add(name, folder)}')
        case _:
            usage = 'Use list, show NAME, fetch NAME or add NAME FOLDER'
            raise SoundNetError(f'{" ".join(arguments)}: not understood. {usage}')


def _table(models: 'Sequence[ModelInfo]') -> Iterator[str]:
    rows = [('name', 'heads', 'size', 'licence', 'source', 'accuracy')]
    for model in models:
        accuracy = model.accuracy
        if len(accuracy) > ACCURACY_WIDTH:
            accuracy = accuracy[: ACCURACY_WIDTH - 4] + ' ...'
        rows.append((model.name, _heads(model), _size(model), model.licence, model.source, accuracy))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _describe(model: 'ModelInfo') -> Iterator[str]:
    folder = str(model.folder) if model.folder else f'not on this machine: soundnet-models fetch {model.name}'
    facts = {'name': model.name, 'licence': model.licence, 'size': _size(model), 'heads': _heads(model)}
    for name, value in (facts | {'accuracy': model.accuracy, 'source': model.source, 'folder': folder}).items():
        yield f'{name:<10}{value or "unknown"}'
    if model.card:
        yield f'\n{model.card.rstrip()}'


def _heads(model: 'ModelInfo') -> str:
    return ', '.join(f'{name} ({classes})' for name, classes in model.heads.items())


def _size(model: 'ModelInfo') -> str:
    where = 'on disk' if model.folder else 'to download'
    return '' if model.size is None else f'{model.size / 1e6:.1f} MB {where}'


def run() -> None:
    """The command `soundnet-models`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
