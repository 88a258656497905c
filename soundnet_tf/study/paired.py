"""Which of the nets that exist is better: the paired comparisons below a table, from the results of its rows."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping

from soundnet_tf import storage
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import comparison
from soundnet_tf.evaluation.result import Evaluation


def lines(data: str, results: Mapping[str, pathlib.Path]) -> list[str]:
    """Each row but the first against the first on the data set `data`; `results` are the rows' files by their names.

    Two that are not on the same clips, as when the data changed meanwhile, get a line that says so.
    """
    (first, path), *others = results.items() or [('', pathlib.Path())]
    found = []
    for name, other in others:
        compared = _compare(path, other, path.stat().st_mtime_ns, other.stat().st_mtime_ns)
        if isinstance(compared, comparison.Comparison):
            compared = dataclasses.replace(compared, first=first, second=name)
        found.append(f'On {data}: {compared}.')
    return found


@functools.cache
def _compare(first: pathlib.Path, second: pathlib.Path, *written: int) -> comparison.Comparison | str:
    """The comparison, or why there is none; once for each pair, since the tables are written after every row."""
    try:
        return comparison.compare(_evaluation(first), _evaluation(second))
    except SoundNetError as error:
        return str(error)


def _evaluation(path: pathlib.Path) -> Evaluation:
    with storage.readable(path, 'Remove it, and run the study again'):
        return Evaluation.from_dict(storage.read_json(path)['evaluation'])
