"""Splits of a data set into training, validation and test clips."""

import dataclasses
import functools
import random
from collections.abc import Mapping, Sequence
from typing import Any

from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import csv_rows
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.inference import files

MAX_NAMES = 10
"""Recordings that a warning names; it counts the others."""


@dataclasses.dataclass(frozen=True)
class Split:
    """Indices of a data set's clips: `validation` may choose, `test` affects no choice."""

    train: tuple[int, ...]
    validation: tuple[int, ...] = ()
    test: tuple[int, ...] = ()

    @property
    def held_out(self) -> Mapping[str, tuple[int, ...]]:
        """The validation and test clips by name, without empty ones."""
        return {name: clips for name in ('validation', 'test') if (clips := getattr(self, name))}


def split(dataset: DataSet, test_fold: int | None = None, validation: float = 0.0, seed: int = 0) -> Split:
    """Hold out `test_fold` for the test, and a fraction of the other clips of each class for validation.

    The fraction is drawn in whole recordings (`source`), since clips of one recording are nearly the same sound. Clips
    that are `test_only` are in the test of their fold or nowhere. The folds are used as they are: see
    `check_recordings`. Raises SoundNetError for an unknown fold, and if a class has no training clip left.
    """
    if test_fold is not None and test_fold not in dataset.folds:
        there = f'its folds are {", ".join(map(str, dataset.folds))}' if dataset.folds else 'its clips have no folds'
        raise SoundNetError(f'{dataset.name}: no fold {test_fold}; {there}')
    if not 0 <= validation < 1:
        raise SoundNetError(f'validation must be at least 0 and less than 1, got {validation:g}')
    test = [index for index, clip in enumerate(dataset.clips) if test_fold is not None and clip.fold == test_fold]
    held_out = set(test)
    rest = [index for index, clip in enumerate(dataset.clips) if not (clip.test_only or index in held_out)]
    chosen = _share(dataset, rest, validation, random.Random(seed)) if validation else set()
    split = Split(tuple(i for i in rest if i not in chosen), tuple(i for i in rest if i in chosen), tuple(test))
    learned = {dataset.clips[index].label for index in split.train}
    for label in dataset.classes:
        if label not in learned:
            raise SoundNetError(
                f'{dataset.name}: no clip of {label!r} is left for training. Hold out fewer clips, or add some'
            )
    return split


def checked_folds(dataset: DataSet, test_folds: Sequence[int] | None = None, strict: bool = False) -> tuple[int, ...]:
    """The folds to hold out in turn, by default all. Nothing that `split` raises for them is left for later.

    Raises SoundNetError if the clips have no folds, too, and as `check_recordings` does.
    """
    if not dataset.folds:
        raise SoundNetError(
            f'{dataset.name}: no folds to hold out. Assign some (--folds=5, in a material "folds": 5), or use a '
            'CSV with a column fold'
        )
    folds = tuple(dict.fromkeys(test_folds or dataset.folds))
    for fold in folds:
        split(dataset, fold)
    check_recordings(dataset, folds, strict)
    return folds


def check_recordings(dataset: DataSet, folds: Sequence[int], strict: bool = False) -> None:
    """Warn of recordings with clips inside and outside of one of these test folds, once per process.

    Published folds have some (ESC-50 has four), and others' numbers are for these folds. Those of `assign_folds` have
    none. With `strict`, raises SoundNetError instead.
    """
    folds_of: dict[str, set[int | None]] = {}
    for clip in dataset.clips:
        if clip.source:
            folds_of.setdefault(clip.source, set()).add(clip.fold)
    names = sorted(name for name, own in folds_of.items() if len(own) > 1 and not own.isdisjoint(folds))
    if not names:
        return
    count = '1 recording has' if len(names) == 1 else f'{len(names)} recordings have'
    found = f'{dataset.name}: {count} clips inside and outside of a test fold: {csv_rows.first_few(names, MAX_NAMES)}'
    if strict:
        raise SoundNetError(f'{found}. Keep each recording in one fold, or leave out --strict')
    _warn(f'{found}. The folds are used as published. Use --strict to refuse them')


@functools.cache
def _warn(line: str) -> None:
    files.echo(line)


def check_unseen(dataset: DataSet, folds: Sequence[int], origin: Mapping[str, Any]) -> None:
    """Raise SoundNetError if a net with this origin, or one it was fine-tuned from, was trained on these folds.

    Clips are compared by their identifiers, whatever the name of the data set.
    """
    learned, link = set[str](), origin
    while link:
        learned.update(link.get('clips', ()))
        link = link.get('before', {})
    if not learned:
        return
    seen = {
        fold: sum(not learned.isdisjoint(dataset.identifiers(clip)) for clip in split(dataset, fold).test)
        for fold in folds
    }
    first = next((fold for fold in folds if seen[fold]), None)
    if first is not None:
        rest = [str(fold) for fold in folds if not seen[fold]]
        hint = f'Use test_folds={",".join(rest)}' if rest else 'Use another net'
        raise SoundNetError(f'{dataset.name}: the net was trained on {seen[first]} clips of test fold {first}. {hint}')


def _share(dataset: DataSet, clips: list[int], share: float, rng: random.Random) -> set[int]:
    """About this fraction of each class, at least one clip, in whole recordings."""
    takes: dict[str, list[int]] = {}
    for index in clips:
        clip = dataset.clips[index]
        takes.setdefault(clip.source or clip.path, []).append(index)
    chosen: set[int] = set()
    for label in dataset.classes:
        own = [index for index in clips if dataset.clips[index].label == label]
        wanted = max(1, round(share * len(own)))
        sources = list(dict.fromkeys(dataset.clips[index].source or dataset.clips[index].path for index in own))
        rng.shuffle(sources)
        for source in sources:
            # A recording with clips of several classes may have been chosen for another class.
            if len(chosen.intersection(own)) >= wanted:
                break
            chosen.update(takes[source])
    return chosen
