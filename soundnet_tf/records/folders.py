"""Several folders of records that are read as one dataset: they have equal teachers and settings."""

import collections
import dataclasses
import os
from collections.abc import Mapping, Sequence

from soundnet_tf import records
from soundnet_tf.errors import BadRecord

Folders = records.Path | Sequence[records.Path]
"""A dataset: one folder, or several."""


def folders_of(folders: Folders) -> list[str]:
    """The folders of a dataset. Raises BadRecord if one is given twice."""
    found = (
        [os.fspath(folders)] if isinstance(folders, str | os.PathLike) else [os.fspath(folder) for folder in folders]
    )
    for index, folder in enumerate(found):
        if os.path.realpath(folder) in map(os.path.realpath, found[:index]):
            raise BadRecord(f'{folder}: given twice. Pass each folder of records once')
    return found


def paths_of(folders: Folders) -> list[str]:
    """All shards of a dataset."""
    found = folders_of(folders)
    return [
        path for folder in found for path in records.shard_paths(folder, *records.read_card(folder, whole=False).ends)
    ]


def read_card(folders: Folders, whole: bool = True) -> records.Card:
    """The card of a dataset; of several folders one that describes them together.

    Raises BadRecord if there is none, if folders do not fit together or, with `whole`, if shards are missing.
    """
    first, *others = folders_of(folders)
    card = records.read_card(first, whole)
    counts = ('records', 'shards', 'videos', 'hours', 'incomplete')
    for other in others:
        more = records.read_card(other, whole)
        _check_alike(first, _alike(card), other, _alike(more))
        card = dataclasses.replace(
            card,
            clip_s=max(card.clip_s, more.clip_s),
            **{name: getattr(card, name) + getattr(more, name) for name in counts},
            skipped=collections.Counter(card.skipped) + collections.Counter(more.skipped),
            parts=(),
        )
    return card


def _alike(card: records.Card) -> dict[str, object]:
    """What must be equal in folders that are read as one."""
    values: dict[str, object] = {'teachers': ', '.join(card.teachers)}
    for name, about in card.teachers.items():
        values |= {f'classes of {name}': about.classes, f'outputs of {name}': about.kind}
        values |= {f'class names of {name}': about.labels_sha256}
    keys = ('audio_format', 'frame_every_s', 'sample_rate')
    return values | {key: getattr(card, key) for key in keys}


def _check_alike(one: str, values: Mapping[str, object], other: str, others: Mapping[str, object]) -> None:
    for key, value in values.items():
        if others.get(key) != value:
            what = f'other {key}' if key.startswith('class names') else f'{key}: {others.get(key)} instead of {value}'
            raise BadRecord(
                f'{other}: differs from {one} ({what}). '
                'Train on folders that were prepared with the same teachers and settings'
            )
