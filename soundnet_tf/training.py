"""A student learns from its teachers: an explicit loop under `strategy.run`.

`fit` is not used because Keras 3 cannot run it under several workers; this one loop serves one
device, the devices of one machine, and, later, several machines.
"""

import contextlib
import dataclasses
import functools
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from soundnet_tf import data, decoding, fast, geometry, losses, model, records, saved, strategies
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.config import Training
from soundnet_tf.errors import BadRecord, SoundNetError
from soundnet_tf.spec import NetSpec

RUN = 'run.json'
KEPT_CHECKPOINTS = 3

ID_BYTES = 256
"""So much of a clip's id travels with its batch, to name it where the loss is no number."""

FREE = ('steps', 'save_every', 'decoder', 'distribution')
"""What may change when a run goes on: it does not change what is learned."""


class Diverged(SoundNetError):
    """The loss is no number any more."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a run gave: the folder of the saved net, and the losses of its steps by head."""

    net: pathlib.Path
    history: Mapping[str, list[float]]


@dataclasses.dataclass
class State:
    """All that a checkpoint holds."""

    net: model.SoundNet
    optimizer: Any
    step: tf.Variable

    @property
    def done(self) -> int:
        return int(self.step.numpy())

    def checkpoint(self) -> tf.train.Checkpoint:
        return tf.train.Checkpoint(net=self.net, optimizer=self.optimizer, step=self.step)


def train(folder: records.Path, spec: NetSpec, run: records.Path, config: Training) -> Trained:
    """Distil the teachers of the dataset in `folder` into a net of `spec`, in the run folder `run`.

    The heads are the dataset's teachers, in the geometry of the first head of `spec`. Goes on from
    the last checkpoint of `run`; ends with the saved net `run/net`. Raises SoundNetError where the
    clips are too short for a head, where `run` was begun differently, and Diverged at a NaN.
    """
    card = records.read_card(folder)
    if not card.teachers:
        raise SoundNetError(f'{folder} holds no teacher: there is nothing to learn from')
    taken = sorted(set(spec.layer_names) & set(card.teachers))
    if taken:
        raise SoundNetError(
            f'{folder}: a teacher cannot be called {taken[0]}, which is a layer: prepare under another name'
        )
    spec = spec.with_heads({name: about.classes for name, about in card.teachers.items()})
    samples = round(config.clip_s * SAMPLE_RATE)
    for head in spec.head_names:
        least_s = -(-geometry.min_samples(spec, head) // SAMPLE_RATE)
        way_out = f'train on clips of {least_s} s or more, or take the 5-layer net'
        geometry.require(spec, head, samples, f'a training clip (clip_s={config.clip_s:g})', way_out)
    if config.loss not in losses.LOSSES:
        raise SoundNetError(f'loss is {" or ".join(losses.LOSSES)}, not {config.loss!r}')
    decoding.require(config.decoder)
    strategy = strategies.make(config.distribution, config.batch)
    run = pathlib.Path(run)
    _agree(run, {'records': str(pathlib.Path(folder).resolve()), 'spec': spec.to_dict(), 'training': config.to_dict()})

    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        net = model.build(spec, labels=records.read_labels(folder))
        optimizer: Any = keras.optimizers.Adam(config.learning_rate, beta_1=0.9)
        optimizer.build(net.trainable_variables)
        state = State(net, optimizer, tf.Variable(tf.zeros([], tf.int64), name='step'))
    manager = tf.train.CheckpointManager(state.checkpoint(), str(run / 'checkpoints'), KEPT_CHECKPOINTS)
    if manager.latest_checkpoint:
        manager.checkpoint.restore(manager.latest_checkpoint).assert_consumed()
    done = state.done
    if done >= config.steps and (run / 'net').is_dir():
        print(f'{run} has its {done} steps already: give more to go on')
        return Trained(run / 'net', {head: [] for head in spec.head_names})
    lost = data.Lost(card.records)
    dataset = data.batches(
        folder,
        samples=samples,
        batch=config.batch,
        seed=config.seed,
        decoder=config.decoder,
        skip=done * config.batch,
        lost=lost,
    )
    # As numbers, since text cannot go to a GPU.
    dataset = dataset.map(lambda batch: {**batch, 'id': tf.io.decode_raw(batch['id'], tf.uint8, fixed_length=ID_BYTES)})
    try:
        history = _loop(
            strategy, state, strategy.experimental_distribute_dataset(dataset), config, manager, run / 'logs'
        )
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
        if lost.all:
            raise BadRecord(f'{folder}: {lost}') from error
        if isinstance(error, tf.errors.DataLossError):
            raise BadRecord(f'{folder} has a damaged shard ({records.words(error)}): prepare it again') from error
        if refused := records.refusal(error):
            raise BadRecord(refused) from error
        raise
    finally:
        if lost.reasons:
            print(lost)
    origin = {'trained_on': str(folder), 'training': config.to_dict(), 'steps': state.done}
    final = {f'loss_{head}': float(np.mean(values[-50:])) for head, values in history.items() if values}
    return Trained(saved.save(net, run / 'net', origin=origin | final), history)


def _loop(
    strategy: tf.distribute.Strategy,
    state: State,
    batches: Any,
    config: Training,
    manager: tf.train.CheckpointManager,
    logs: pathlib.Path,
) -> dict[str, list[float]]:
    done = state.done
    history: dict[str, list[float]] = {head: [] for head in state.net.spec.head_names}
    step_function = make_step(strategy, state, config)
    bar = tqdm(total=config.steps, initial=done, unit='step', desc='training')
    writer = tf.summary.create_file_writer(str(logs))
    waiting = iter(batches)
    with bar, writer.as_default(), _saved_at_the_end(manager, state):
        for step in range(done, config.steps):
            began = time.perf_counter()
            batch = next(waiting)
            fetched = time.perf_counter()
            results = {key: _joined(strategy, value) for key, value in step_function(batch).items()}
            _check(results, step, manager)
            ended = time.perf_counter()
            scalars = {f'{kind}/{head}': float(value.mean()) for (kind, head), value in _by_head(results)}
            scalars['clips_per_s'] = config.batch / (ended - began)
            scalars['share_of_time_waiting_for_data'] = (fetched - began) / (ended - began)
            scalars['learning_rate'] = np.asarray(keras.ops.convert_to_numpy(state.optimizer.learning_rate)).item()
            for name, value in scalars.items():
                tf.summary.scalar(name, value, step=step + 1)
            for head, values in history.items():
                values.append(scalars[f'loss/{head}'])
            shown = {head: f'{values[-1]:.3f}' for head, values in history.items()}
            bar.set_postfix(shown | {'clips/s': f'{scalars["clips_per_s"]:.1f}'}, refresh=False)
            bar.update()
            if (step + 1) % config.save_every == 0:
                _save(manager, state)
    return history


@contextlib.contextmanager
def _saved_at_the_end(manager: tf.train.CheckpointManager, state: State) -> Iterator[None]:
    """Ctrl-C and the end of the run save a checkpoint; a loss that is no number does not."""

    try:
        yield
    except KeyboardInterrupt:
        _save(manager, state)
        raise
    _save(manager, state)


def _save(manager: tf.train.CheckpointManager, state: State) -> None:
    number = state.done
    if not number or (manager.latest_checkpoint or '').endswith(f'-{number}'):
        return
    # The loss was a number before this step; what the step made of the weights shows only now.
    spoilt = [variable.path for variable in state.net.variables if not np.isfinite(np.asarray(variable)).all()]
    if spoilt:
        raise Diverged(
            f'step {number}: {spoilt[0]} is not finite any more. Start again with a lower learning rate; '
            f'earlier checkpoints: {", ".join(manager.checkpoints) or "none yet"}'
        )
    manager.save(checkpoint_number=number)


def make_step(strategy: tf.distribute.Strategy, state: State, config: Training) -> Callable[[Any], dict[str, Any]]:
    """One step on one global batch: per example the `id` as it came, and per head `loss/HEAD` and `agreement/HEAD`."""
    # Batch statistics over several replicas need the plain net's synchronised batch norm.
    net = state.net
    quick = strategy.num_replicas_in_sync == 1
    student = fast.training_form(net) if quick else functools.partial(model.logits(net), training=True)
    loss_of = losses.LOSSES[config.loss]
    heads = net.spec.head_names

    def replica_step(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = cast(dict[str, tf.Tensor], student(batch['waveform']))
            per_head = {head: loss_of(batch[head], logits[head]) for head in heads}
            # Divided by the global batch, since the gradients of all replicas are summed.
            total = tf.add_n([tf.reduce_sum(loss) for loss in per_head.values()]) / (len(heads) * config.batch)
        gradients = tape.gradient(total, net.trainable_variables)
        state.optimizer.apply(gradients, net.trainable_variables)
        results = {'id': batch['id']}
        for head in heads:
            results[f'loss/{head}'] = per_head[head]
            results[f'agreement/{head}'] = losses.agreement(batch[head], logits[head])
        return results

    @tf.function
    def step(batch: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        results = strategy.run(replica_step, args=(batch,))
        # Counted in the same call that moves the weights, so that no interruption comes between the two.
        state.step.assign_add(1)
        return results

    return step


def _joined(strategy: tf.distribute.Strategy, value: Any) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in strategy.experimental_local_results(value)])


def _by_head(results: Mapping[str, np.ndarray]) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    for key, value in results.items():
        kind, slash, head = key.partition('/')
        if slash:
            yield (kind, head), value


def _check(results: Mapping[str, np.ndarray], step: int, manager: tf.train.CheckpointManager) -> None:
    for (kind, head), value in _by_head(results):
        if kind == 'loss' and not np.isfinite(value).all():
            rows = results['id'][~np.isfinite(value)]
            bad = [bytes(row).rstrip(b'\0').decode(errors='replace') for row in rows]
            raise Diverged(
                f'step {step + 1}: the loss of {head} is not a number on {len(bad)} of {len(value)} clips '
                f'({", ".join(bad[:5])}). Look at these clips, or start again with a lower learning rate; '
                f'earlier checkpoints: {", ".join(manager.checkpoints) or "none yet"}'
            )


def _agree(run: pathlib.Path, about: dict[str, Any]) -> None:
    """Begin a run folder; go on only with the same net, data and training, but for what is FREE."""
    path = run / RUN
    if path.exists():
        try:
            begun = json.loads(path.read_text())
            was = {key: value for key, value in begun['training'].items() if key not in FREE}
        except (ValueError, KeyError, AttributeError) as error:
            raise SoundNetError(f'{path} is damaged ({error!r}): choose another --out, or remove {run}') from error
        now = {key: value for key, value in about['training'].items() if key not in FREE}
        other = [f'{key} {was.get(key)}, not {value}' for key, value in now.items() if was.get(key) != value]
        other += [key for key in ('records', 'spec') if json.loads(json.dumps(about[key])) != begun.get(key)]
        if other:
            raise SoundNetError(f'{run} was begun with other {" and ".join(other)}: choose another --out')
    run.mkdir(parents=True, exist_ok=True)
    saved.write_json(path, about)
