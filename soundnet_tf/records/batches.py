"""Batches of records for training: order, read, check, decode, fit, batch, prefetch."""

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from soundnet_tf import records
from soundnet_tf.audio import SAMPLE_RATE, containers, decoding, to_float
from soundnet_tf.errors import BadAudio, BadRecord
from soundnet_tf.records import Card, Sample, folders, tfrecords
from soundnet_tf.records.folders import Folders


class SkippedRecords:
    """The records that could not be used, with reasons, collected while the pipeline runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reasons: dict[str, str] = {}
        self.stopped: BadRecord | None = None
        """Why the pipeline stopped, since TensorFlow's own error is less clear."""

    def add(self, name: str, reason: str) -> None:
        """Add a record that could not be used."""
        with self._lock:
            self.reasons[name] = reason if name in reason else f'{name}: {reason}'

    def stop(self, error: BadRecord) -> BadRecord:
        """Keep the reason of the stop."""
        self.stopped = error
        return error

    def __len__(self) -> int:
        return len(self.reasons)

    def __str__(self) -> str:
        first = '; '.join(list(self.reasons.values())[:3])
        return f'{len(self)} {"record" if len(self) == 1 else "records"} could not be used: {first}'


def batches(
    folder: Folders,
    *,
    samples: int,
    batch: int,
    seed: int = 0,
    decoder: str = 'auto',
    first: int = 0,
    part: tuple[int, int] = (0, 1),
    replicas: int = 1,
    shards: Sequence[int] | None = None,
    repeat: bool = True,
    gain_db: float = 0.0,
    crop: bool = False,
    skip_bad: bool = False,
    skipped: SkippedRecords | None = None,
) -> tf.data.Dataset:
    """Batches of a dataset: `id` `[batch]`, `waveform` `[batch, samples]`, per teacher `[batch, frames, classes]`.

    A clip is fitted as the authors did: padded with zeros, or trimmed, to whole units of one frame
    each, then repeated with its frames up to `samples`. Posteriors come as probabilities.

    The order depends on `seed` alone and differs in each epoch; the `first` batches are skipped, at no
    cost, to resume a run. With `part` (worker, workers) each batch is only the share of one worker, in as
    many batches as it has `replicas`: joined, they are the same batches. `shards` limits the shards that
    are read. With `repeat=False` each record is read once, in the order of the shards, and the last batch
    may be smaller.

    `gain_db` changes the level of each clip by up to this much; `crop` starts a clip that is longer than
    `samples` at a random unit of one frame. Both depend on the seed and the position only.

    A record whose sound cannot be decoded is added to `skipped` and replaced by the next one (without
    `repeat`, it is only left out). A damaged record is an error, or also skipped with `skip_bad`.
    """
    decoding.require(decoder)
    card = folders.read_card(folder, whole=not skip_bad)
    named = ', '.join(folders.folders_of(folder))
    if not card.records:
        raise BadRecord(f'{named}: no records, all videos were skipped. See skipped.csv')
    skipped = skipped if skipped is not None else SkippedRecords()
    paths = folders.paths_of(folder)
    chosen = paths if shards is None else [paths[shard] for shard in shards]
    index = tfrecords.index(chosen, skipped.add if skip_bad else None)
    if not len(index):
        hint = 'Hold out others, or prepare with fewer' if len(chosen) < len(paths) else 'Run soundnet-prepare again'
        raise BadRecord(f'{named}: {len(chosen)} of {len(paths)} shards have no records. {hint}')
    source = _Source(card, index, seed if repeat else None, decoder, skip_bad, skipped)
    if not skip_bad:
        # Detects the card of another dataset.
        source.parsed(0)
    if repeat:
        worker, workers = part
        share = batch // workers
        steps = tf.data.Dataset.range(first, np.iinfo(np.int64).max // batch)
        begin = worker * share
        places = steps.flat_map(lambda s: tf.data.Dataset.range(s * batch + begin, s * batch + begin + share))
        batch = share // replicas
    else:
        places = tf.data.Dataset.range(len(index))
    dataset = places.map(source.taken, num_parallel_calls=tf.data.AUTOTUNE)
    if not repeat:
        dataset = dataset.filter(lambda clip: clip['id'] != b'')
    finish = source.finisher(samples, gain_db, crop, seed)
    dataset = dataset.map(finish, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(batch, drop_remainder=repeat).prefetch(tf.data.AUTOTUNE)


class _Source:
    """Records by their position in the order of training."""

    def __init__(
        self,
        card: Card,
        index: tfrecords.Index,
        seed: int | None,
        decoder: str,
        skip_bad: bool,
        skipped: SkippedRecords,
    ) -> None:
        self._card, self._index, self._seed, self._skip_bad, self._skipped = card, index, seed, skip_bad, skipped
        self._teachers = {name: about.classes for name, about in card.teachers.items()}
        self._unusable: set[int] = set()
        self._decode = _decoder(decoder, card)
        self._decode_in_graph = (
            decoding.tfio_graph_decoder() if decoder == 'tfio' and card.audio_format == 'mp3' else None
        )
        self._order = functools.lru_cache(2)(self._order_of)

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        count = len(self._index)
        return np.arange(count) if self._seed is None else np.random.default_rng([self._seed, epoch]).permutation(count)

    def parsed(self, number: int) -> Sample:
        path, row = self._index.where(number)
        return records.parse(self._index.read(number), self._teachers, path, row)

    def take(self, place: int) -> list[Any]:
        """The record at a position, or the next usable one: id, sound, frames, per teacher values."""
        epoch, at = divmod(int(place), len(self._index))
        order = self._order(epoch)
        once = self._seed is None
        for step in range(1 if once else len(order)):
            number = int(order[(at + step) % len(order)])
            if number not in self._unusable and (taken := self._usable(number)):
                return taken
        if once:
            return [b'', *self._nothing()]
        raise self._skipped.stop(BadRecord(f'{self._skipped}; no records are left'))

    def _usable(self, number: int) -> list[Any] | None:
        try:
            sample = self.parsed(number)
        except BadRecord as error:
            if not self._skip_bad:
                raise self._skipped.stop(error) from None
            return self._left_out(number, self._name(number), str(error))
        try:
            if not sample.frame_times or not all(np.isfinite(rows).all() for rows in sample.posteriors.values()):
                raise BadAudio('not one row of finite numbers for each frame')
            sound = _checked(sample) if self._decode_in_graph else self._decode(sample)
        except BadAudio as error:
            return self._left_out(number, sample.id, str(error))
        return [sample.id.encode(), sound, np.int32(len(sample.frame_times)), *sample.posteriors.values()]

    def _name(self, number: int) -> str:
        path, row = self._index.where(number)
        return f'{path}, record {row}'

    def _left_out(self, number: int, name: str, reason: str) -> None:
        self._unusable.add(number)
        self._skipped.add(name, reason)

    def _nothing(self) -> list[Any]:
        sound = b'' if self._decode_in_graph else np.zeros(0, np.float32)
        return [sound, np.int32(1), *(np.zeros([1, classes], np.float32) for classes in self._teachers.values())]

    def taken(self, place: tf.Tensor) -> dict[str, tf.Tensor]:
        """`take` in the graph."""
        names = list(self._teachers)
        types = [tf.string, tf.string if self._decode_in_graph else tf.float32, tf.int32, *[tf.float32 for _ in names]]
        id, sound, frames, *values = tf.numpy_function(self.take, [place], types)
        sound = tf.ensure_shape(sound, [] if self._decode_in_graph else [None])
        clip = {'place': place, 'id': tf.ensure_shape(id, []), 'waveform': sound, 'frames': tf.ensure_shape(frames, [])}
        return clip | {name: tf.ensure_shape(rows, [None, None]) for name, rows in zip(names, values, strict=True)}

    def finisher(
        self, samples: int, gain_db: float, crop: bool, seed: int
    ) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
        """Decode, augment and fit a clip."""

        def finish(clip: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            place = clip['place']
            if self._decode_in_graph:
                clip = {**clip, 'waveform': self._decode_in_graph(clip['waveform'])}
            if crop:
                clip = cropped(clip, self._card, samples, tf.stack([seed, place]))
            fitted = fit(clip, self._card, samples)
            if gain_db:
                loudness = tf.random.stateless_uniform([], tf.stack([seed, -1 - place]), -gain_db, gain_db)
                fitted['waveform'] *= tf.pow(10.0, loudness / 20)
            return fitted

        return finish


def frames_of(card: Card, samples: int) -> int:
    """The number of frames of a clip of this length."""
    return -(-samples // _unit(card))


def _unit(card: Card) -> int:
    return round(card.frame_every_s * SAMPLE_RATE)


def cropped(clip: Mapping[str, Any], card: Card, samples: int, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    """A clip from a random unit on, with its frames, with at least `samples` samples left."""
    spare = tf.maximum(clip['frames'] - frames_of(card, samples), 0)
    begin = tf.random.stateless_uniform([], seed, 0, spare + 1, tf.int32)
    return {
        **clip,
        'waveform': clip['waveform'][begin * _unit(card) :],
        'frames': clip['frames'] - begin,
        **{name: clip[name][begin:] for name in card.teachers},
    }


def fit(clip: Mapping[str, Any], card: Card, samples: int) -> dict[str, tf.Tensor]:
    """A parsed and decoded record, with exactly `samples` samples and their frames."""
    unit, frames = _unit(card), clip['frames']
    whole = frames * unit
    sound = clip['waveform'][:whole]
    sound = tf.pad(sound, [[0, whole - tf.size(sound)]])
    sound = tf.tile(sound, tf.stack([-(-samples // whole)]))[:samples]
    fitted = {'id': clip['id'], 'waveform': tf.ensure_shape(sound, [samples])}
    rows = tf.range(frames_of(card, samples)) % frames
    for name, about in card.teachers.items():
        values = tf.gather(clip[name], rows)
        values = tf.nn.softmax(values) if about.kind == 'logits' else values
        fitted[name] = tf.ensure_shape(values, [frames_of(card, samples), about.classes])
    return fitted


def _decoder(decoder: str, card: Card) -> Callable[[Sample], NDArray[np.float32]]:
    """A record's waveform. Raises BadAudio if it cannot be decoded."""

    def decode(sample: Sample) -> NDArray[np.float32]:
        if card.audio_format == 'pcm16':
            return to_float(np.frombuffer(sample.audio[: len(sample.audio) // 2 * 2], '<i2'))
        return decoding.decode(sample.audio, sample.id, decoder)

    return decode


def _checked(sample: Sample) -> bytes:
    """The MP3 of a record, checked for a decoder inside the graph, where errors cannot be caught."""
    plain = containers.plain(sample.audio[containers.start(sample.audio) :])
    if not plain or plain.format != 'mp3':
        raise BadAudio('not a whole MP3')
    return sample.audio
