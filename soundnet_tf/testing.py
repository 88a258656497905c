"""Test helpers, also for tests of your own code: tones, noise, small models, random weights, small datasets."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.spec import SOUNDNET8, Head, NetSpec, thin

if TYPE_CHECKING:
    from soundnet_tf.nets.model import SoundNet
    from soundnet_tf.records import AudioFormat, Kind


def tone(seconds: float, hz: float = 440.0, amplitude: float = 0.5, sample_rate: int = SAMPLE_RATE) -> Waveform:
    """A sine, `[samples]` float32."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * hz * times)).astype(np.float32)


def noise(seconds: float, amplitude: float = 0.1, seed: int = 0) -> Waveform:
    """White noise, `[samples]` float32, uniform in [-amplitude, amplitude]."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-amplitude, amplitude, round(seconds * SAMPLE_RATE)).astype(np.float32)


def thin_spec(spec: NetSpec = SOUNDNET8, heads: dict[str, int] | None = None, fraction: float = 1 / 16) -> NetSpec:
    """The same geometry with fewer filters and classes, by default 10 objects and 4 scenes."""
    return thin(spec, fraction).with_heads({'imagenet': 10, 'places': 4} if heads is None else heads)


def dense_spec() -> NetSpec:
    """A thin 8-layer net with dilated kernels and a pool that overlaps: eight times as many steps of conv7."""
    head = Head('pets', classes=3, kernel=1, stride=1, clip_mean='logits')
    return geometry.densified(dataclasses.replace(thin_spec(heads={}), name='dense', heads=(head,)), 8)


def enliven(net: 'SoundNet', seed: int = 0) -> 'SoundNet':
    """Set every variable to a random value that keeps activations in a useful range, batch-norm statistics included.

    A new model has mean 0, variance 1 and bias 0 throughout, which hides bugs in all of them.
    """
    from soundnet_tf.nets import model

    rng = np.random.default_rng(seed)
    kinds: dict[str, Any] = {
        'kernel': lambda shape: rng.normal(0, 1 / np.sqrt(shape[0] * shape[1]), shape),
        'bias': lambda shape: rng.normal(0, 0.3, shape),
        'gamma': lambda shape: rng.normal(1, 0.2, shape),
        'beta': lambda shape: rng.normal(0.3, 0.2, shape),
        'moving_mean': lambda shape: rng.normal(0, 0.5, shape),
        'moving_variance': lambda shape: rng.uniform(0.5, 1.5, shape),
    }
    for key, variable in model.variables_of(net).items():
        value = kinds[key.split('/')[1]](tuple(variable.shape))
        # The input of conv1 is scaled by 256: without this, the signal would dwarf its batch-norm statistics.
        variable.assign(value / 64 if key == 'conv1/kernel' else value)
    return net


def make_records(
    folder: 'str | os.PathLike[str]',
    count: int = 12,
    teachers: Mapping[str, int] | None = None,
    seconds: float = 10.0,
    audio_format: 'AudioFormat' = 'mp3',
    kind: 'Kind' = 'probabilities',
    shards: int = 2,
) -> None:
    """Write a small dataset with learnable teacher labels: clip i is a tone of class i modulo the class count."""
    import tensorflow as tf

    from soundnet_tf import records
    from soundnet_tf.audio import encoding
    from soundnet_tf.labels import numbered
    from soundnet_tf.prepare import sound

    teachers = teachers or {'imagenet': 10, 'places': 4}
    frames = math.ceil(seconds / 5)
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    samples: list[list[bytes]] = [[] for _ in range(shards)]
    for index in range(count):
        seen = {
            name: np.eye(classes, dtype=np.float32)[[index % classes] * frames] for name, classes in teachers.items()
        }
        if kind == 'logits':
            seen = {name: 20 * values for name, values in seen.items()}
        waveform = tone(seconds, 200 * 1.25 ** (index % 18)) + noise(seconds, 0.01, seed=index)
        waveform = encoding.statable(waveform) if audio_format == 'mp3' else waveform
        sample = records.Sample(
            id=f'clip{index}',
            source='made',
            audio=sound.encode(waveform, audio_format),
            audio_format=audio_format,
            samples=len(waveform),
            start_s=0.0,
            frame_times=tuple(5.0 * frame + 2.5 for frame in range(frames)),
            posteriors=seen,
            kinds=dict.fromkeys(teachers, kind),
        )
        samples[records.shard_of(sample.id, shards)].append(records.encode(sample))
    for path, encoded in zip(records.shard_paths(folder, shards), samples, strict=True):
        with tf.io.TFRecordWriter(path) as writer:
            for record in encoded:
                writer.write(record)
    about = {name: records.TeacherCard(classes, kind, 'made') for name, classes in teachers.items()}
    card = records.Card(about, audio_format, 5.0, max(seconds, 5.0), count, shards, count, count * seconds / 3600)
    records.write_card(folder, card, {name: numbered(classes) for name, classes in teachers.items()})
