"""Which clips are learned from, which may decide, and which only judge at the end."""

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.datasets import DataSet


@dataclasses.dataclass(frozen=True)
class Split:
    """Indices of a data set's clips: `train` is learned from, `validation` may choose, `test` touches no choice."""

    train: tuple[int, ...]
    validation: tuple[int, ...] = ()
    test: tuple[int, ...] = ()

    @property
    def held_out(self) -> Mapping[str, tuple[int, ...]]:
        """What is not learned from, by name, where there is any."""
        return {name: clips for name in ('validation', 'test') if (clips := getattr(self, name))}


def split(dataset: DataSet, test_fold: int | None = None, validation: float = 0.0, seed: int = 0) -> Split:
    """`test_fold` is held out for the test; of the other clips a share of each class for validation.

    The share is drawn from `seed` by whole recordings (`source`), as takes of one recording are nearly the same sound.
    Raises SoundNetError for a fold that there is not, for one that tears recordings apart, and where a class would have
    no clip left to learn from.
    """
    if test_fold is not None and test_fold not in dataset.folds:
        there = f'its folds are {", ".join(map(str, dataset.folds))}' if dataset.folds else 'its clips have no folds'
        raise SoundNetError(f'{dataset.name} has no fold {test_fold}: {there}')
    if not 0 <= validation < 1:
        raise SoundNetError(f'validation is a share of the training clips, from 0 to less than 1, not {validation:g}')
    test = [index for index, clip in enumerate(dataset.clips) if test_fold is not None and clip.fold == test_fold]
    rest = [index for index in range(len(dataset.clips)) if index not in set(test)]
    recordings = {dataset.clips[index].source for index in rest} - {''}
    torn = [dataset.clips[index] for index in test if dataset.clips[index].source in recordings]
    if torn:
        raise SoundNetError(
            f'{dataset.name}: recording {torn[0].source!r} has clips in fold {test_fold} and outside of it, such as '
            f'{torn[0].path}: to be judged by what was nearly learned proves nothing. '
            'Deal the folds anew, recordings whole'
        )
    chosen = _share(dataset, rest, validation, random.Random(seed)) if validation else set()
    split = Split(tuple(i for i in rest if i not in chosen), tuple(i for i in rest if i in chosen), tuple(test))
    learned = {dataset.clips[index].label for index in split.train}
    for label in dataset.classes:
        if label not in learned:
            raise SoundNetError(
                f'{dataset.name}: no clip of {label!r} is left to learn from. Hold out less, or add some'
            )
    return split


def check_unseen(dataset: DataSet, folds: Sequence[int], origin: Mapping[str, Any]) -> None:
    """Raise SoundNetError where a net with this origin has learned from clips of the folds that would judge it.

    So has one that began with a net that has. Clips are told by their marks, whatever the data set is called.
    """
    learned, link = set[str](), origin
    while link:
        learned.update(link.get('clips', ()))
        link = link.get('before', {})
    if not learned:
        return
    seen = {
        fold: sum(not learned.isdisjoint(dataset.marks(clip)) for clip in split(dataset, fold).test) for fold in folds
    }
    first = next((fold for fold in folds if seen[fold]), None)
    if first is not None:
        rest = [str(fold) for fold in folds if not seen[fold]]
        way_out = f'judge it by fold {", ".join(rest)} alone (test_folds)' if rest else 'take another net'
        raise SoundNetError(
            f'this net has learned from {seen[first]} clips of fold {first} of {dataset.name}, which cannot judge it: '
            f'{way_out}'
        )


def _share(dataset: DataSet, clips: list[int], share: float, chance: random.Random) -> set[int]:
    """About `share` of each class, at least one clip, in whole recordings."""
    takes: dict[str, list[int]] = {}
    for index in clips:
        clip = dataset.clips[index]
        takes.setdefault(clip.source or clip.path, []).append(index)
    chosen: set[int] = set()
    for label in dataset.classes:
        own = [index for index in clips if dataset.clips[index].label == label]
        wanted = max(1, round(share * len(own)))
        sources = list(dict.fromkeys(dataset.clips[index].source or dataset.clips[index].path for index in own))
        chance.shuffle(sources)
        for source in sources:
            # A recording with clips of several classes may have been taken for another one.
            if len(chosen.intersection(own)) >= wanted:
                break
            chosen.update(takes[source])
    return chosen
