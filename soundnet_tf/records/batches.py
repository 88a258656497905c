"""From records to batches: an order that is arithmetic, then read, check, decode, fit, batch, prefetch."""

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
from soundnet_tf.records import Card, Sample, tfrecords


class Lost:
    """Which of so many records could not be used, and why, noted while the pipeline runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reasons: dict[str, str] = {}
        self.stopped: BadRecord | None = None
        """Why the pipeline ended: TensorFlow's own error says it less well."""

    def add(self, name: str, reason: str) -> None:
        """Note what could not be used."""
        with self._lock:
            self.reasons[name] = reason if name in reason else f'{name}: {reason}'

    def stop(self, error: BadRecord) -> BadRecord:
        """Keep the reason for the end."""
        self.stopped = error
        return error

    def __len__(self) -> int:
        return len(self.reasons)

    def __str__(self) -> str:
        first = '; '.join(list(self.reasons.values())[:3])
        return f'{len(self)} {"record" if len(self) == 1 else "records"} could not be used: {first}'


def batches(
    folder: records.Path,
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
    lost: Lost | None = None,
) -> tf.data.Dataset:
    """Batches of a dataset: `id` `[batch]`, `waveform` `[batch, samples]`, per teacher `[batch, frames, classes]`.

    A clip is fitted as the authors do: padded with zeros, or trimmed, to whole units of one frame
    each, then repeated with its frames up to `samples`. Posteriors come as probabilities.

    The records come in an order that is a function of `seed` alone, another one in each pass, and
    `first` batches of it are left out, at no cost, to go on after a stop. Of each batch comes the
    `part` of one worker of several, in as many batches as it has `replicas`: whoever joins the
    parts gets the same batches. Only some `shards` are read, where they are named. With
    `repeat=False` the records come once, in the order of the shards, the last batch short.

    With `gain_db` each clip gets louder or softer by up to so much; with `crop` a clip that is longer
    than `samples` begins at any of its units of one frame. Both are functions of the seed and the place.

    A record whose sound cannot be decoded is noted in `lost` and the next in the order takes its
    place (without `repeat`, none does). One that is damaged ends it, or is noted too with `skip_bad`.
    """
    decoding.require(decoder)
    card = records.read_card(folder, whole=not skip_bad)
    if not card.records:
        raise BadRecord(f'{folder} holds no records: all videos were skipped')
    lost = lost if lost is not None else Lost()
    paths = records.shard_paths(folder, card.shards)
    chosen = paths if shards is None else [paths[shard] for shard in shards]
    index = tfrecords.index(chosen, lost.add if skip_bad else None)
    if not len(index):
        way_out = 'hold out others, or prepare with fewer' if len(chosen) < len(paths) else 'prepare again'
        raise BadRecord(f'{folder}: {len(chosen)} of {len(paths)} shards hold no record: {way_out}')
    source = _Source(card, index, seed if repeat else None, decoder, skip_bad, lost)
    if not skip_bad:
        # A card of another dataset shows at once.
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
    """Records by their place in the order of training."""

    def __init__(
        self, card: Card, index: tfrecords.Index, seed: int | None, decoder: str, skip_bad: bool, lost: Lost
    ) -> None:
        self._card, self._index, self._seed, self._skip_bad, self._lost = card, index, seed, skip_bad, lost
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
        """The record at a place in the order, or the next that can be used: id, sound, frames, per teacher values."""
        epoch, at = divmod(int(place), len(self._index))
        order = self._order(epoch)
        once = self._seed is None
        for step in range(1 if once else len(order)):
            number = int(order[(at + step) % len(order)])
            if number not in self._unusable and (taken := self._usable(number)):
                return taken
        if once:
            return [b'', *self._nothing()]
        raise self._lost.stop(BadRecord(f'{self._lost}; none is left to learn from'))

    def _usable(self, number: int) -> list[Any] | None:
        try:
            sample = self.parsed(number)
        except BadRecord as error:
            if not self._skip_bad:
                raise self._lost.stop(error) from None
            return self._left_out(number, self._name(number), str(error))
        try:
            if not sample.frame_times or not all(np.isfinite(rows).all() for rows in sample.posteriors.values()):
                raise BadAudio('it has not one row of finite numbers for each frame')
            sound = _checked(sample) if self._decode_in_graph else self._decode(sample)
        except BadAudio as error:
            return self._left_out(number, sample.id, str(error))
        return [sample.id.encode(), sound, np.int32(len(sample.frame_times)), *sample.posteriors.values()]

    def _name(self, number: int) -> str:
        path, row = self._index.where(number)
        return f'{path}, record {row}'

    def _left_out(self, number: int, name: str, reason: str) -> None:
        self._unusable.add(number)
        self._lost.add(name, reason)

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
        """A taken clip -> decoded, augmented and fitted."""

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
    """How many frames stand for a clip of so many samples."""
    return -(-samples // _unit(card))


def _unit(card: Card) -> int:
    return round(card.frame_every_s * SAMPLE_RATE)


def cropped(clip: Mapping[str, Any], card: Card, samples: int, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    """A clip from one of its units on, so far that `samples` are left; frames come along."""
    spare = tf.maximum(clip['frames'] - frames_of(card, samples), 0)
    begin = tf.random.stateless_uniform([], seed, 0, spare + 1, tf.int32)
    return {
        **clip,
        'waveform': clip['waveform'][begin * _unit(card) :],
        'frames': clip['frames'] - begin,
        **{name: clip[name][begin:] for name in card.teachers},
    }


def fit(clip: Mapping[str, Any], card: Card, samples: int) -> dict[str, tf.Tensor]:
    """A parsed and decoded record, brought to exactly `samples` samples and as many frames as belong to them."""
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
    """A record's waveform. Raises BadAudio where it cannot be had."""

    def decode(sample: Sample) -> NDArray[np.float32]:
        if card.audio_format == 'pcm16':
            return to_float(np.frombuffer(sample.audio[: len(sample.audio) // 2 * 2], '<i2'))
        return decoding.decode(sample.audio, sample.id, decoder)

    return decode


def _checked(sample: Sample) -> bytes:
    """The MP3 of a record, for a decoder inside the graph, where nothing can be caught."""
    data = containers.without_id3(sample.audio)
    if containers.sniff(data) != 'mp3':
        raise BadAudio('its sound is no MP3')
    containers.whole(data, 'mp3')
    return sample.audio
