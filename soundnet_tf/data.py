"""From shards to batches: interleave, shuffle, repeat, parse, decode and fit, batch, prefetch."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from soundnet_tf import containers, decoding, records
from soundnet_tf.audio import SAMPLE_RATE, to_float
from soundnet_tf.errors import BadAudio, BadRecord
from soundnet_tf.records import Card

SHUFFLE_BYTES = 200_000_000
"""Memory that waiting records may take; with MP3 of 20 s that is about 1,200 of them."""

BYTES_PER_SECOND = {'mp3': 8_000, 'pcm16': 2 * SAMPLE_RATE}


class Lost:
    """Which of so many records could not be used, and why, noted while the pipeline runs."""

    def __init__(self, records: int) -> None:
        self._lock = threading.Lock()
        self.records = records
        self.reasons: dict[str, str] = {}

    def add(self, id: bytes, reason: str) -> None:
        """Note a record; raises BadRecord once none is left that could be used."""
        name = id.decode(errors='replace')
        with self._lock:
            self.reasons[name] = reason if name in reason else f'{name}: {reason}'
            if self.all:
                raise BadRecord(str(self))

    @property
    def all(self) -> bool:
        """Whether no record is left to learn from."""
        return len(self.reasons) >= self.records

    def __len__(self) -> int:
        return len(self.reasons)

    def __str__(self) -> str:
        first = '; '.join(list(self.reasons.values())[:3])
        return f'{len(self)} records could not be used: {first}{"; none is left to learn from" if self.all else ""}'


def batches(
    folder: records.Path,
    *,
    samples: int,
    batch: int,
    seed: int = 0,
    decoder: str = 'auto',
    skip: int = 0,
    repeat: bool = True,
    lost: Lost | None = None,
) -> tf.data.Dataset:
    """Batches of a dataset: `id` `[batch]`, `waveform` `[batch, samples]`, per teacher `[batch, frames, classes]`.

    A clip is fitted as the authors do: padded with zeros, or trimmed, to whole units of one frame
    each, then repeated with its frames up to `samples`. Posteriors come as probabilities. The order
    is a function of `seed` alone; `skip` leaves out the first so many records, to go on after a
    stop. With `repeat=False` the records come once, in the order of the shards, the last batch short.
    Records that cannot be used are left out and noted in `lost`.
    """
    decoding.require(decoder)
    card = records.read_card(folder)
    if not card.records:
        raise BadRecord(f'{folder} holds no records: all videos were skipped')
    teachers = {name: about.classes for name, about in card.teachers.items()}
    # A card of another dataset shows at once, and in plain words.
    next(records.read(folder))
    paths = records.shard_paths(folder, card.shards)
    dataset = tf.data.Dataset.from_tensor_slices(paths)
    if repeat:
        dataset = dataset.shuffle(len(paths), seed=seed).interleave(
            _numbered, cycle_length=min(16, len(paths)), num_parallel_calls=tf.data.AUTOTUNE
        )
        waiting = max(batch, int(SHUFFLE_BYTES / (card.clip_s * BYTES_PER_SECOND[card.audio_format])))
        dataset = dataset.shuffle(min(waiting, card.records), seed=seed).repeat().skip(skip)
    else:
        dataset = dataset.flat_map(_numbered)
    dataset = dataset.map(
        lambda shard, index, record: records.parse(record, teachers, shard, index), num_parallel_calls=tf.data.AUTOTUNE
    )
    lost = lost if lost is not None else Lost(card.records)
    dataset = dataset.filter(_usable(teachers, card, lost))
    dataset = dataset.map(_decoder(decoder, card, lost), num_parallel_calls=tf.data.AUTOTUNE)
    if decoder == 'tfio':
        # Inside the graph nothing can be caught: what passed the check and still fails, TensorFlow leaves out.
        dataset = dataset.ignore_errors(log_warning=True)
    dataset = dataset.filter(lambda clip: tf.size(clip['waveform']) > 0)
    dataset = dataset.map(lambda clip: fit(clip, card, samples), num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(batch, drop_remainder=repeat).prefetch(tf.data.AUTOTUNE)


def _numbered(path: tf.Tensor) -> tf.data.Dataset:
    """The records of a shard, each with where it stands, so that it can be named."""
    return tf.data.TFRecordDataset(path).enumerate().map(lambda index, record: (path, index, record))


def frames_of(card: Card, samples: int) -> int:
    """How many frames stand for a clip of so many samples."""
    return -(-samples // _unit(card))


def _unit(card: Card) -> int:
    return round(card.frame_every_s * SAMPLE_RATE)


def fit(clip: Mapping[str, Any], card: Card, samples: int) -> dict[str, tf.Tensor]:
    """A parsed and decoded record, brought to exactly `samples` samples and as many frames as belong to them."""
    unit = _unit(card)
    frames = tf.shape(clip['frames/times_s'])[0]
    whole = frames * unit
    sound = clip['waveform'][:whole]
    sound = tf.pad(sound, [[0, whole - tf.size(sound)]])
    sound = tf.tile(sound, tf.stack([-(-samples // whole)]))[:samples]
    fitted = {'id': clip['id'], 'waveform': tf.ensure_shape(sound, [samples])}
    rows = tf.range(frames_of(card, samples)) % frames
    for name, about in card.teachers.items():
        values = tf.gather(clip[f'{name}/values'], rows)
        values = tf.nn.softmax(values) if about.kind == 'logits' else values
        fitted[name] = tf.ensure_shape(values, [frames_of(card, samples), about.classes])
    return fitted


def _usable(teachers: Iterable[str], card: Card, lost: Lost) -> Callable[[dict[str, tf.Tensor]], tf.Tensor]:
    """Whether a parsed record has frames, from every teacher one finite row for each, and a whole sound."""
    names = list(teachers)

    def check(id: bytes, sound: bytes, frames: int, *rows: int) -> bool:
        wrong = [name for name, count in zip(names, rows, strict=True) if count != frames]
        try:
            if wrong or not frames:
                raise BadRecord(f'{" and ".join(wrong) or "it"} has not one row of numbers for each frame')
            if card.audio_format == 'mp3':
                _check_mp3(sound)
        except (BadRecord, BadAudio) as error:
            lost.add(id, str(error))
            return False
        return True

    def usable(clip: dict[str, tf.Tensor]) -> tf.Tensor:
        rows = [_finite_rows(clip[f'{name}/values']) for name in names]
        sound, frames = clip['audio/encoded'], tf.size(clip['frames/times_s'])
        ok = tf.numpy_function(check, [clip['id'], sound, frames, *rows], tf.bool)
        return tf.ensure_shape(ok, [])

    return usable


def _check_mp3(sound: bytes) -> None:
    # Here, and not only where it is decoded, since tensorflow-io cannot say what it leaves out.
    data = containers.without_id3(sound)
    if containers.sniff(data) != 'mp3':
        raise BadAudio('its sound is no MP3')
    containers.whole(data, 'mp3')


def _finite_rows(values: tf.Tensor) -> tf.Tensor:
    return tf.math.count_nonzero(tf.reduce_all(tf.math.is_finite(values), axis=-1), dtype=tf.int32)


def _decoder(decoder: str, card: Card, lost: Lost) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """Parsed record -> the same with its `waveform`, empty where it could not be had."""
    if decoder == 'tfio' and card.audio_format == 'mp3':
        decode_mp3 = decoding.tfio_graph_decoder()
        return lambda clip: {**clip, 'waveform': decode_mp3(clip['audio/encoded'])}

    def decode(id: bytes, data: bytes) -> np.ndarray:
        try:
            if card.audio_format == 'pcm16':
                return to_float(np.frombuffer(data[: len(data) // 2 * 2], '<i2'))
            return decoding.decode(data, id.decode(errors='replace'), decoder)
        except BadAudio as error:
            lost.add(id, str(error))
            return np.zeros(0, np.float32)

    def with_sound(clip: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        sound = tf.numpy_function(decode, [clip['id'], clip['audio/encoded']], tf.float32)
        return {**clip, 'waveform': tf.ensure_shape(sound, [None])}

    return with_sound
