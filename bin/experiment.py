"""Reproduce the paper's tables: train, evaluate and tabulate each row, beside the published numbers.

    soundnet-experiment --world --out=study                 the demo's synthetic world, small nets, 3 seeds
    soundnet-experiment --material=mine.json --out=study    your nets, records and data sets, the paper's training
    soundnet-experiment --smoke --out=study                 a test run: minutes, no meaningful numbers

--material is a JSON file with nets that exist, such as the published weights, and the paths of records, labelled data
sets and videos (docs/reproduce.md); docs/examples/published_weights.json trains nothing. The tables are written to
tables.md and tables.json after every row. To resume a stopped study, repeat the command: finished rows are
skipped, and a started row resumes from its last checkpoint. Rows whose data is missing are skipped and marked.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from absl import flags

from soundnet_tf import cli
from soundnet_tf.experiments.tables import TABLES

OUT = cli.out_flag('The folder of the study.')
MATERIAL = flags.DEFINE_string(
    'material', None, 'A JSON file with nets and the paths of records, data sets and videos.'
)
WORLD = flags.DEFINE_boolean('world', False, "Generate the demo's synthetic world in --out and use it.")
SMOKE = flags.DEFINE_boolean('smoke', False, 'Test run: a tiny synthetic world, thin nets, one step.')
ONLY = flags.DEFINE_list('tables', None, f'Some of {", ".join(table.name for table in TABLES)} (default: all).')
STRICT = cli.strict_folds_flag()
SEEDS = flags.DEFINE_integer('seeds', None, 'Nets per row (default: 3 with --world, else 1).', lower_bound=1)
OWN = {
    flag.name: flag
    for flag in (
        flags.DEFINE_float('width', None, 'Fraction of the filters to keep.', 0.01, 1.0),
        flags.DEFINE_integer('steps', None, 'Training steps.', lower_bound=1),
        flags.DEFINE_integer('batch', None, 'Clips per batch.', lower_bound=1),
        flags.DEFINE_float('clip_s', None, 'Seconds per training clip.'),
        flags.DEFINE_float('learning_rate', None, "Adam's learning rate."),
        flags.DEFINE_integer('epochs', None, 'Epochs of training from scratch.', lower_bound=1),
    )
}
GROUPS = {'Training': tuple(OWN)}


def main(arguments: Sequence[str]) -> int | None:
    """Run the study."""
    from soundnet_tf.errors import SoundNetError

    cli.no_arguments(arguments)
    if sum(map(bool, (MATERIAL.value, WORLD.value, SMOKE.value))) != 1:
        raise SoundNetError('no material: pass one of --world, --material=FILE and --smoke')
    known = {table.name: table for table in TABLES}
    unknown = [name for name in ONLY.value or () if name not in known]
    if unknown:
        raise SoundNetError(f'--tables: unknown table {unknown[0]!r}. Use some of {", ".join(known)}')
    from soundnet_tf.study import material

    # Before TensorFlow is loaded, so that mistakes are reported at once.
    given = material.read(pathlib.Path(MATERIAL.value)) if MATERIAL.value else None
    tables = [known[name] for name in ONLY.value or known]
    wanted = {name for table in tables for name in table.data}
    for name, own in given.data.items() if given else ():
        if own.stands_for in wanted:
            with material.naming(f'{MATERIAL.value}: data: {name}'):
                own.checked(name, STRICT.value)
    from soundnet_tf.study import effort, grid, world

    out = pathlib.Path(OUT.value)
    chosen = effort.SMOKE if SMOKE.value else effort.DEMO if WORLD.value else effort.Effort()
    chosen = dataclasses.replace(chosen, **{name: flag.value for name, flag in OWN.items() if flag.value is not None})
    if given is None:
        given = world.make(out / 'world', world.TINY if SMOKE.value else world.Scale())
    seeds = SEEDS.value or (3 if WORLD.value else 1)
    outcome = grid.run(tables, given, chosen, seeds, out, MATERIAL.value or '')
    print(outcome.tables.read_text(encoding='utf-8'))
    failed = f', {len(outcome.failed)} failed' if outcome.failed else ''
    print(f'{outcome.done} rows measured, {outcome.before} before{failed}; the tables are in {outcome.tables}')
    return 1 if outcome.failed else 0


def run() -> None:
    """The command `soundnet-experiment`."""
    cli.run(main, __name__, __doc__, GROUPS)


if __name__ == '__main__':
    run()
