"""The paper's tables from one command: each row trained, evaluated and collected, with what was published beside it.

    soundnet-experiment --world --out=study                 the made world of the demo, small nets, 3 seeds
    soundnet-experiment --material=mine.json --out=study    your records and data sets, the paper's training
    soundnet-experiment --smoke --out=study                 whether all of it runs: minutes, and no result

A material is a JSON file that names folders of records, labelled data sets and videos (docs/reproduce.md). The tables
are written to tables.md and tables.json after every row; a stopped study goes on when the same command is given again,
row by row, and within a row from its last checkpoint. What the material lacks is not run, and the tables say so.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli
from soundnet_tf.experiments.tables import TABLES

OUT = flags.DEFINE_string('out', None, 'The folder of the study.', required=True)
MATERIAL = flags.DEFINE_string('material', None, 'A JSON file that names records, data sets and videos.')
WORLD = flags.DEFINE_boolean('world', False, "Make the demo's world as material, in --out.")
SMOKE = flags.DEFINE_boolean('smoke', False, 'Only try it out: a tiny made world, thin nets, one step.')
ONLY = flags.DEFINE_list('tables', None, f'Some of {", ".join(table.name for table in TABLES)} (default: all).')
SEEDS = flags.DEFINE_integer('seeds', None, 'Nets per row (default: 3 of the made world, else 1).', lower_bound=1)
OWN = {
    flag.name: flag
    for flag in (
        flags.DEFINE_float('width', None, 'The part of the filters to keep.', 0.01, 1.0),
        flags.DEFINE_integer('steps', None, 'Batches to learn from.', lower_bound=1),
        flags.DEFINE_integer('batch', None, 'Clips per batch.', lower_bound=1),
        flags.DEFINE_float('clip_s', None, 'Seconds per clip in training.'),
        flags.DEFINE_float('learning_rate', None, 'Of Adam.'),
        flags.DEFINE_integer('epochs', None, 'Of training from scratch.', lower_bound=1),
    )
}


def main(arguments: Sequence[str]) -> int | None:
    """Run the study that the flags name."""
    from soundnet_tf.errors import SoundNetError

    if arguments:
        raise SoundNetError(f'{arguments[0]!r} is no flag')
    if sum(map(bool, (MATERIAL.value, WORLD.value, SMOKE.value))) != 1:
        raise SoundNetError('say what to study: --world, --material=FILE or --smoke')
    known = {table.name: table for table in TABLES}
    unknown = [name for name in ONLY.value or () if name not in known]
    if unknown:
        raise SoundNetError(f'there is no table {unknown[0]!r}: there are {", ".join(known)}')
    from soundnet_tf.study import material

    # Before TensorFlow is loaded: mistakes are told at once.
    given = material.read(pathlib.Path(MATERIAL.value)) if MATERIAL.value else None
    from soundnet_tf.study import effort, grid, world

    out = pathlib.Path(OUT.value)
    chosen = effort.SMOKE if SMOKE.value else effort.DEMO if WORLD.value else effort.Effort()
    chosen = dataclasses.replace(chosen, **{name: flag.value for name, flag in OWN.items() if flag.value is not None})
    if given is None:
        given = world.make(out / 'world', world.TINY if SMOKE.value else world.Scale())
    seeds = SEEDS.value or (3 if WORLD.value else 1)
    tables = [known[name] for name in ONLY.value or known]
    outcome = grid.run(tables, given, chosen, seeds, out)
    print(outcome.tables.read_text(encoding='utf-8'))
    failed = f', {len(outcome.failed)} failed' if outcome.failed else ''
    print(f'{outcome.done} rows measured, {outcome.before} before{failed}; the tables are in {outcome.tables}')
    return 1 if outcome.failed else 0


def run() -> None:
    """The command `soundnet-experiment`."""
    cli.run(main, __name__, __doc__)


if __name__ == '__main__':
    run()
