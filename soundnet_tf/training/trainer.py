"""A student learns from its teachers: an explicit loop under `strategy.run`.

`fit` is not used because Keras 3 cannot run it under several workers; this one loop serves one
device, the devices of one machine, and several machines.
"""

import contextlib
import dataclasses
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from soundnet_tf import geometry, records
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.config import Experiment, Training
from soundnet_tf.errors import LostWorker, SoundNetError
from soundnet_tf.nets import model, saved
from soundnet_tf.records import batches
from soundnet_tf.spec import NetSpec
from soundnet_tf.training import runs, strategies
from soundnet_tf.training.checkpoints import Checkpoints
from soundnet_tf.training.steps import Criterion, State, make_evaluation, make_step

ID_BYTES = 256
"""So much of a clip's id travels with its batch, to name it where the loss is no number."""


LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
"""As which TensorFlow tells that another worker is gone."""


class Diverged(SoundNetError):
    """The loss is no number any more."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a run gave: the folder of the saved net, and the losses of its steps by head."""

    net: pathlib.Path
    history: Mapping[str, list[float]]
    chief: bool = True
    """Whether this worker, of several, is the one that writes."""


def train(
    folder: records.Path,
    experiment: Experiment,
    run: records.Path,
    spec: NetSpec | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> Trained:
    """Distil the teachers of the dataset in `folder` into a net, in the run folder `run`.

    The net is the experiment's, or of another `spec`; its heads are the teachers, in the geometry of
    the first head. The strategy is that of the experiment's `distribution`, or another. Goes on from
    the last checkpoint of `run`; ends with the saved net `run/net`.

    Raises SoundNetError where the clips are too short for a head or where `run` was begun
    differently, BadRecord at damaged records, LostWorker, and Diverged at a NaN.
    """
    config = experiment.training
    # Before anything else of TensorFlow: several workers have to find each other first.
    chosen: tf.distribute.Strategy = strategy or strategies.make(config.distribution)
    strategies.check(chosen, config.batch)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    card = records.read_card(folder, whole=not config.skip_bad_records)
    spec = _student(spec or experiment.spec(), card, folder, config)
    decoding.require(config.decoder)
    chief, run = strategies.is_chief(chosen), pathlib.Path(run)
    if chief:
        runs.begin(run, experiment.to_dict(), spec.to_dict(), folder)

    keras.utils.set_random_seed(config.seed)
    with chosen.scope():
        labels = records.read_labels(folder)
        net = model.build(spec, labels={head: labels[head] for head in spec.head_names})
        state = State(net, config)
    checkpoints = Checkpoints(state.checkpoint(), run / 'checkpoints', chief)
    checkpoints.restore()
    if state.done >= config.steps and (run / 'net').is_dir():
        print(f'{run} has its {state.done} steps already: give more to go on')
        return Trained(run / 'net', {head: [] for head in spec.head_names}, chief)
    lost = batches.Lost()
    loop = _Loop(chosen, state, experiment, checkpoints, run if chief else None, card)
    try:
        held_out = _validation(folder, card, config, lost)
        history = loop.go(_batches(chosen, folder, card, config, state.done, lost), held_out)
    except tf.errors.OpError as error:
        if lost.stopped:
            raise lost.stopped from error
        if config.distribution == 'multiworker' and isinstance(error, LOST):
            raise LostWorker(
                f'another worker is gone, or cannot be reached ({records.words(error)[:200]}). '
                'What is saved stays: start all workers with the same command to go on'
            ) from error
        raise
    finally:
        if lost:
            print(lost)
    origin = {'trained_on': str(folder), 'experiment': experiment.to_dict(), 'steps': state.done}
    origin |= {f'loss_{head}': float(np.mean(values[-50:])) for head, values in history.items() if values}
    if chief:
        with state.ema_weights():
            saved.save(net, run / 'net', origin=origin)
    return Trained(run / 'net', history, chief)


def _student(spec: NetSpec, card: records.Card, folder: records.Path, config: Training) -> NetSpec:
    """The net's table with the teachers as heads. Raises SoundNetError where that cannot be."""
    teachers = config.teachers or tuple(card.teachers)
    if not teachers:
        raise SoundNetError(f'{folder} holds no teacher: there is nothing to learn from')
    if unknown := sorted((set(teachers) | set(config.weights)) - set(card.teachers)):
        raise SoundNetError(f'{folder} holds no teacher {unknown[0]}: it has {", ".join(card.teachers)}')
    if idle := sorted(set(config.weights) - set(teachers)):
        raise SoundNetError(f'a weight for {idle[0]}, which is none of the teachers {", ".join(teachers)}')
    if taken := sorted(set(spec.layer_names) & set(teachers)):
        raise SoundNetError(
            f'{folder}: a teacher cannot be called {taken[0]}, which is a layer: prepare under another name'
        )
    if config.held_out >= card.shards:
        raise SoundNetError(f'{folder} has {card.shards} shards: hold out fewer than {config.held_out}')
    spec = spec.with_heads({name: card.teachers[name].classes for name in teachers})
    samples = round(config.clip_s * SAMPLE_RATE)
    for head in spec.head_names:
        least_s = -(-geometry.min_samples(spec, head) // SAMPLE_RATE)
        way_out = f'train on clips of {least_s} s or more, or take the 5-layer net'
        geometry.require(spec, head, samples, f'a training clip (clip_s={config.clip_s:g})', way_out)
    return geometry.trim_edges(spec, samples)


def _batches(
    strategy: tf.distribute.Strategy,
    folder: records.Path,
    card: records.Card,
    config: Training,
    done: int,
    lost: batches.Lost,
) -> Any:
    """Every worker's part of every batch, from the first that was not yet learned from."""

    def part(context: tf.distribute.InputContext) -> tf.data.Dataset:
        workers = context.num_input_pipelines
        dataset = batches.batches(
            folder,
            samples=round(config.clip_s * SAMPLE_RATE),
            batch=config.batch,
            seed=config.seed,
            decoder=config.decoder,
            first=done,
            part=(context.input_pipeline_id, workers),
            replicas=context.num_replicas_in_sync // workers,
            shards=range(card.shards - config.held_out),
            gain_db=config.gain_db,
            crop=config.crop,
            skip_bad=config.skip_bad_records,
            lost=lost,
        )
        # As numbers, since text cannot go to a GPU.
        return dataset.map(
            lambda batch: {**batch, 'id': tf.io.decode_raw(batch['id'], tf.uint8, fixed_length=ID_BYTES)}
        )

    return strategy.distribute_datasets_from_function(part)


def _validation(
    folder: records.Path, card: records.Card, config: Training, lost: batches.Lost
) -> tf.data.Dataset | None:
    """The clips of the held-out shards, once."""
    if not config.held_out:
        return None
    return batches.batches(
        folder,
        samples=round(config.clip_s * SAMPLE_RATE),
        batch=config.batch,
        decoder=config.decoder,
        repeat=False,
        shards=range(card.shards - config.held_out, card.shards),
        skip_bad=config.skip_bad_records,
        lost=lost,
    )


@dataclasses.dataclass
class _Loop:
    """Step by step to the last, with what is told and kept on the way."""

    strategy: tf.distribute.Strategy
    state: State
    experiment: Experiment
    checkpoints: Checkpoints
    run: pathlib.Path | None
    """None for workers that do not write."""
    card: records.Card

    def go(self, batches: Any, validation: tf.data.Dataset | None) -> dict[str, list[float]]:
        """The losses by head, step by step."""
        config, heads = self.experiment.training, self.state.net.spec.head_names
        history: dict[str, list[float]] = {head: [] for head in heads}
        done = self.state.done
        criterion = Criterion(self.state.net.spec, config, self.card)
        step_function = make_step(self.strategy, self.state, config, criterion)
        evaluate = make_evaluation(self.state.net, criterion) if validation else None
        # A log file of a run of weeks wants a line a minute.
        every_s = 0.1 if sys.stderr.isatty() else 60.0
        bar = tqdm(
            total=config.steps,
            initial=done,
            unit='step',
            desc='training',
            disable=self.run is None,
            mininterval=every_s,
            maxinterval=every_s,
        )
        log = runs.Log(self.run, done) if self.run else None
        waiting = iter(batches)
        with bar, contextlib.closing(log) if log else contextlib.nullcontext(), self._saved_at_the_end(log):
            for step in range(done + 1, config.steps + 1):
                began = time.perf_counter()
                batch = next(waiting)
                fetched = time.perf_counter()
                rate = float(np.asarray(self.state.optimizer.learning_rate))
                # A step is taken and told of, or neither.
                with runs.uninterrupted():
                    results = step_function(batch)
                    scalars = {key: float(value) for key, value in results['means'].items()}
                    self._check(scalars, results, step)
                    ended = time.perf_counter()
                    scalars['clips_per_s'] = config.batch / (ended - began)
                    scalars['share_of_time_waiting_for_data'] = (fetched - began) / (ended - began)
                    scalars['learning_rate'] = rate
                    if log:
                        log.write(step, scalars)
                for head, values in history.items():
                    values.append(scalars[f'loss/{head}'])
                shown = {head: f'{values[-1]:.3f}' for head, values in history.items()}
                bar.set_postfix(shown | {'clips/s': f'{scalars["clips_per_s"]:.1f}'}, refresh=False)
                bar.update()
                if evaluate and validation and step % config.validate_every == 0:
                    self._validate(evaluate, validation, step)
                if step % config.save_every == 0:
                    self._save(log)
        return history

    @contextlib.contextmanager
    def _saved_at_the_end(self, log: runs.Log | None) -> Iterator[None]:
        """Ctrl-C and the end of the run save a checkpoint; a loss that is no number does not."""
        try:
            yield
        except KeyboardInterrupt:
            self._save(log)
            way_on = f'step {self.state.done} of {self.experiment.training.steps} is saved, the same command goes on'
            raise KeyboardInterrupt(way_on) from None
        self._save(log)

    def _save(self, log: runs.Log | None) -> None:
        step = self.state.done
        if not step or step in self.checkpoints.steps():
            return
        # The loss was a number before this step; what the step made of the weights shows only now.
        spoilt = [variable.path for variable in self.state.net.variables if not np.isfinite(np.asarray(variable)).all()]
        if spoilt:
            raise Diverged(f'step {step}: {spoilt[0]} is not finite any more. {self._way_out()}')
        if log:
            log.flush()
        self.checkpoints.save(step)

    def _way_out(self) -> str:
        return f'Start again with a lower learning rate; earlier checkpoints: {self.checkpoints}'

    def _check(self, scalars: Mapping[str, float], results: Mapping[str, Any], step: int) -> None:
        for head in self.state.net.spec.head_names:
            if not np.isfinite(scalars[f'loss/{head}']):
                each = _joined(self.strategy, results[f'each/{head}'])
                rows = _joined(self.strategy, results['id'])[~np.isfinite(each)]
                bad = [bytes(row).rstrip(b'\0').decode(errors='replace') for row in rows]
                raise Diverged(
                    f'step {step}: the loss of {head} is not a number on {len(bad)} of {len(each)} clips '
                    f'({", ".join(bad[:5])}). Look at these clips. {self._way_out()}'
                )

    def _validate(
        self, evaluate: Callable[[tf.data.Dataset], dict[str, float]], validation: tf.data.Dataset, step: int
    ) -> None:
        """Keep the net as `run/best` if it is better than the one there."""
        with self.state.ema_weights():
            told = evaluate(validation)
            if self.run is None:
                return
            best = self.run / 'best'
            before = saved.read_facts(best)['origin']['loss'] if best.exists() else float('inf')
            if told['loss'] < before:
                saved.save(self.state.net, best, origin={'step': step, **told})
        mark = 'the best so far' if told['loss'] < before else f'best {before:.4f}'
        tqdm.write(f'step {step}: held-out loss {told["loss"]:.4f} ({mark})')
        runs.note_validation(self.run, step, told)


def _joined(strategy: tf.distribute.Strategy, value: Any) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in strategy.experimental_local_results(value)])
