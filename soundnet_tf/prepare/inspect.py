"""Records as readable text."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from soundnet_tf import labels as label_files
from soundnet_tf import records, storage
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import BadRecord
from soundnet_tf.records import gfiles, tfrecords

TOP = 3


def describe(path: str) -> Iterator[str]:
    """The records of a shard, or of all shards of a dataset's folder, as a few lines of text each.

    Reads any schema, without the dataset's card, and so also records that `records.parse` rejects.
    Raises BadRecord if a file is damaged or not a TFRecord file.
    """
    isdir = gfiles.isdir(path)
    shards = records.listed(path, 'records-*.tfrecord') if isdir else [path]
    if not shards or not gfiles.exists(shards[0]):
        raise BadRecord(f'{path}: no records. Pass a shard, records-*.tfrecord, or the folder of a dataset')
    for shard in shards:
        names = _Names(os.path.dirname(shard) or '.')
        rows = tfrecords.index([shard], lambda *_: None)
        for row in range(len(rows)):
            where = f'{shard}, record {row}'
            yield f'{where}\n' + '\n'.join(_lines(_fields(rows.read(row), where), names))
        tfrecords.index([shard])  # raises, now that its good records are shown


class _Names(dict[str, Sequence[str]]):
    """The class names of each teacher, if the dataset has them."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __missing__(self, teacher: str) -> Sequence[str]:
        path = f'{self._folder}/labels/{teacher}.txt'
        if gfiles.exists(path):
            text = storage.parse_text(gfiles.read(path), path, 'Restore the file', BadRecord)
            self[teacher] = label_files.parse(text, path)
            return self[teacher]
        return ()


def _fields(record: bytes, where: str) -> dict[str, Any]:
    kinds = {
        'bytes_list': lambda v: v[0] if v else b'',
        'float_list': np.array,
        'int64_list': lambda v: v[0] if v else 0,
    }
    return {
        key: kinds[kind](getattr(feature, kind).value)
        for key, feature in records.parse_example(record, where).items()
        if (kind := feature.WhichOneof('kind'))
    }


def _lines(fields: Mapping[str, Any], names: _Names) -> Iterator[str]:
    def text(key: str) -> str:
        return fields.get(key, b'').decode(errors='replace')

    start_s, samples = float(fields.get('clip/start_s', [0])[0]), fields.get('audio/samples', 0)
    sound, times = fields.get('audio/encoded', b''), fields.get('frames/times_s', ())
    yield f'  schema    {fields.get("schema", "none")}'
    yield f'  id        {text("id")}'
    yield f'  source    {text("source")}, from {start_s:g} s'
    seconds, size = f'{samples / SAMPLE_RATE:.2f} s ({samples:,} samples)', f'{len(sound):,} bytes'
    yield f'  sound     {seconds}, {size} of {text("audio/format")}'
    for teacher in sorted(key.removesuffix('/values') for key in fields if key.endswith('/values')):
        values, kind = fields[f'{teacher}/values'], text(f'{teacher}/kind')
        if not len(times) or len(values) % len(times):
            yield f'  {teacher:<9} {len(values):,} numbers for {len(times)} frames'
            continue
        for time, row in zip(times, values.reshape(len(times), -1), strict=True):
            yield f'  {teacher:<9} at {time:5.2f} s: {_top(row, kind, names[teacher])}'


def _top(row: np.ndarray, kind: str, names: Sequence[str]) -> str:
    if kind == 'logits':
        row = np.exp(row - row.max())
        row /= row.sum()
    best = row.argsort()[::-1][:TOP]
    named = (names[index] if len(names) == len(row) else f'class {index}' for index in best)
    return ', '.join(f'{name} {row[index]:.1%}' for name, index in zip(named, best, strict=True)) + f' of {len(row)}'
