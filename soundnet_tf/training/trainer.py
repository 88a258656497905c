"""Distillation of teachers into a net: a custom loop on one device or several, since Keras 3's `fit` has no workers."""

import contextlib
import dataclasses
import pathlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from soundnet_tf import geometry, progress, records, storage
from soundnet_tf.audio import SAMPLE_RATE, decoding
from soundnet_tf.config import PRECISIONS, Experiment, Training
from soundnet_tf.errors import LostWorker, SoundNetError
from soundnet_tf.nets import fast, model, precisions, saved
from soundnet_tf.records import batches, folders
from soundnet_tf.records.folders import Folders
from soundnet_tf.spec import NetSpec
from soundnet_tf.training import runs, strategies
from soundnet_tf.training.checkpoints import Checkpoints
from soundnet_tf.training.start import Start
from soundnet_tf.training.steps import Criterion, State, make_evaluation, make_step

ID_BYTES = 256
"""Max length of a clip's id in a batch; it is reported if the loss is NaN or infinite."""

WORKER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
"""What TensorFlow raises when another worker fails."""


class Diverged(SoundNetError):
    """The loss is NaN or infinite."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """The result of a run: the folder of the saved net, and the loss of each step by head."""

    net: pathlib.Path
    history: Mapping[str, list[float]]
    chief: bool = True
    """Whether this worker is the one that writes files."""


def train(
    folder: Folders,
    experiment: Experiment,
    run: records.Path,
    spec: NetSpec | None = None,
    strategy: tf.distribute.Strategy | None = None,
    start: Start | None = None,
) -> Trained:
    """Distil the teachers of the dataset in `folder`, one or several, into a net, in the run folder `run`.

    `strategy` overrides the experiment's `distribution`, `spec` its net. `start` is a saved net to continue from: its
    table, if there is no `spec`, its layers where they fit, and its heads for teachers of the same name and number of
    classes. Each teacher gets a head with the kernel and stride of the spec's first one. Resumes from the last
    checkpoint in `run`; at the end the net is saved in `run/net`.

    Raises SoundNetError if clips are too short for a head or `run` was started with other settings,
    BadRecord for damaged records, LostWorker if another worker fails, Diverged if the loss is NaN or infinite.
    """
    config = experiment.training
    # Before any other use of TensorFlow: several workers have to connect first.
    chosen: tf.distribute.Strategy = strategy or strategies.make(config.distribution)
    strategies.check(chosen, config.batch)
    precisions.require(config.precision, PRECISIONS)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    card = folders.read_card(folder, whole=not config.skip_bad_records)
    spec = _student(spec or (start.spec() if start else experiment.spec()), card, folder, config)
    decoding.require(config.decoder)
    chief, run = strategies.is_chief(chosen), pathlib.Path(run)
    with storage.claimed(run) if chief else contextlib.nullcontext():
        return _train(folder, experiment, run, spec, chosen, card, start)


def _train(
    folder: Folders,
    experiment: Experiment,
    run: pathlib.Path,
    spec: NetSpec,
    chosen: tf.distribute.Strategy,
    card: records.Card,
    start: Start | None,
) -> Trained:
    """Start or resume a run; the chief has claimed its folder."""
    config, chief, facts = experiment.training, strategies.is_chief(chosen), start.facts() if start else {}
    if chief:
        runs.begin(run, experiment.to_dict(), spec.to_dict(), folder, facts.get('start_sha256'))
        storage.sweep(run, 'net', 'best')
    keras.utils.set_random_seed(config.seed)
    with chosen.scope():
        labels = records.read_labels(folders.folders_of(folder)[0])
        net = model.build(spec, labels={head: labels[head] for head in spec.head_names})
        said = start.load(net) if start else ''
        state = State(net, config)
    checkpoints = Checkpoints(state.checkpoint(), run / 'checkpoints', chief)
    if checkpoints.restore() is not None and chief:
        # A run may be stopped between its last checkpoint and its net, which is then that of an earlier run, or none.
        if state.done >= config.steps and (runs.saved_origin(run / 'net') or {}).get('steps') == state.done:
            print(f'{run}: already trained for {state.done} steps. Set more steps to continue')
            return Trained(run / 'net', {head: [] for head in spec.head_names}, chief)
        print(f'{run}: resuming from step {state.done} of {config.steps}')
    elif said and chief:
        print(f'{run}: {said}')
    if chief:
        print(f'{run}: {strategies.about(chosen)}')
    lost = batches.SkippedRecords()
    loop = _Loop(chosen, state, experiment, checkpoints, run if chief else None, card)
    try:
        held_out = _validation(folder, card, config, lost)
        history = loop.go(_batches(chosen, folder, card, config, state.done, lost), held_out)
    except tf.errors.OpError as error:
        if lost.stopped:
            raise lost.stopped from error
        if config.distribution == 'multiworker' and isinstance(error, WORKER_ERRORS):
            raise LostWorker(
                f'{_failed_worker(chosen, str(error))} ({records.words(error)[:200]}). '
                'Start all workers with the same command to resume from the last checkpoint'
            ) from error
        raise
    finally:
        if lost:
            print(lost)
    origin = {
        'trained_on': ', '.join(folders.folders_of(folder)),
        'experiment': experiment.to_dict(),
        'steps': state.done,
        **facts,
    }
    if chief:
        origin |= {f'loss_{head}': loss for head, loss in runs.last_losses(run, spec.head_names).items()}
        with state.ema_weights():
            saved.save_net(net, run / 'net', origin=origin)
    return Trained(run / 'net', history, chief)


def _failed_worker(strategy: tf.distribute.Strategy, error: str) -> str:
    """Which worker failed, as far as the error says so."""
    own = getattr(strategy.cluster_resolver, 'task_id', None)
    others = [number for number in re.findall(r'/job:worker/replica:\d+/task:(\d+)', error) if number != str(own)]
    return f'worker {others[0]} failed or cannot be reached' if others else 'a worker failed or cannot be reached'


def _student(spec: NetSpec, card: records.Card, folder: Folders, config: Training) -> NetSpec:
    """The spec with a head for each teacher. Raises SoundNetError if the settings do not fit the records."""
    teachers, named = config.teachers or tuple(card.teachers), ', '.join(folders.folders_of(folder))
    if not teachers:
        raise SoundNetError(f'{named}: the records have no teacher. Prepare them with --teacher')
    if unknown := sorted((set(teachers) | set(config.weights)) - set(card.teachers)):
        raise SoundNetError(f'{named}: no teacher {unknown[0]!r}. Use {", ".join(card.teachers)}')
    if idle := sorted(set(config.weights) - set(teachers)):
        raise SoundNetError(f'weights: {idle[0]!r} is not one of the teachers in use, {", ".join(teachers)}')
    if taken := sorted(set(spec.layer_names) & set(teachers)):
        raise SoundNetError(
            f'{named}: teacher {taken[0]!r} has the name of a layer. Prepare the records with another name'
        )
    if config.held_out >= card.shards:
        raise SoundNetError(f'{named}: held_out={config.held_out} leaves none of {card.shards} shards. Hold out fewer')
    fast.frozen_layers(spec, config.freeze)
    spec = spec.with_heads({name: card.teachers[name].classes for name in teachers})
    samples = round(config.clip_s * SAMPLE_RATE)
    for head in spec.head_names:
        min_s = -(-geometry.min_samples(spec, head) // SAMPLE_RATE)
        hint = f'use clip_s={min_s} or more, or net=soundnet5'
        geometry.require(spec, head, samples, f'a training clip (clip_s={config.clip_s:g})', hint)
    return geometry.trim_edges(spec, samples)


def _batches(
    strategy: tf.distribute.Strategy,
    folder: Folders,
    card: records.Card,
    config: Training,
    done: int,
    lost: batches.SkippedRecords,
) -> Any:
    """Each worker's part of each batch, starting with batch number `done`."""

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
            skipped=lost,
        )
        # As bytes, since a GPU cannot hold strings.
        return dataset.map(
            lambda batch: {**batch, 'id': tf.io.decode_raw(batch['id'], tf.uint8, fixed_length=ID_BYTES)}
        )

    return strategy.distribute_datasets_from_function(part)


def _validation(
    folder: Folders, card: records.Card, config: Training, lost: batches.SkippedRecords
) -> tf.data.Dataset | None:
    """One pass over the clips of the held-out shards."""
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
        skipped=lost,
    )


@dataclasses.dataclass
class _Loop:
    """The training loop, with logging, checkpoints and validation."""

    strategy: tf.distribute.Strategy
    state: State
    experiment: Experiment
    checkpoints: Checkpoints
    run: pathlib.Path | None
    """None for workers that write no files."""
    card: records.Card

    def go(self, batches: Any, validation: tf.data.Dataset | None) -> dict[str, list[float]]:
        """Train to the last step; returns the losses of the steps by head."""
        config, heads = self.experiment.training, self.state.net.spec.head_names
        history: dict[str, list[float]] = {head: [] for head in heads}
        done = self.state.done
        criterion = Criterion(self.state.net.spec, config, self.card)
        step_function = make_step(self.strategy, self.state, config, criterion)
        evaluate = make_evaluation(self.state.net, criterion) if validation else None
        options = {'total': config.steps, 'initial': done, 'unit': 'step', 'desc': 'training'}
        bar = progress.bar(keep=True, disable=self.run is None, **options)
        log = runs.Log(self.run, done) if self.run else None
        waiting = iter(batches)
        with bar, contextlib.closing(log) if log else contextlib.nullcontext(), self._saved_at_the_end(log):
            for step in range(done + 1, config.steps + 1):
                began = time.perf_counter()
                batch = next(waiting)
                fetched = time.perf_counter()
                rate = float(np.asarray(self.state.optimizer.learning_rate))
                with runs.delay_signals():  # a step is logged if and only if it is taken
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
        """Save a checkpoint at Ctrl-C and at the end of the run, but not if the loss is NaN or infinite."""
        try:
            yield
        except KeyboardInterrupt:
            self._save(log)
            saved_at = f'saved at step {self.state.done} of {self.experiment.training.steps}'
            raise KeyboardInterrupt(f'{saved_at}. Run the same command to resume') from None
        self._save(log)

    def _save(self, log: runs.Log | None) -> None:
        step = self.state.done
        if not step or step in self.checkpoints.steps():
            return
        # The loss was computed before the update, which may have spoilt the weights.
        spoilt = [variable.path for variable in self.state.net.variables if not np.isfinite(np.asarray(variable)).all()]
        if spoilt:
            raise Diverged(f'step {step}: {spoilt[0]} is NaN or infinite. {self._hint()}')
        if log:
            log.flush()
        self.checkpoints.save(step)

    def _hint(self) -> str:
        return f'Start again with a lower learning rate. Earlier checkpoints: {self.checkpoints}'

    def _check(self, scalars: Mapping[str, float], results: Mapping[str, Any], step: int) -> None:
        for head in self.state.net.spec.head_names:
            if not np.isfinite(scalars[f'loss/{head}']):
                each = _joined(self.strategy, results[f'each/{head}'])
                rows = _joined(self.strategy, results['id'])[~np.isfinite(each)]
                bad = [bytes(row).rstrip(b'\0').decode(errors='replace') for row in rows]
                raise Diverged(
                    f'step {step}: the loss of {head} is NaN or infinite on {len(bad)} of {len(each)} clips '
                    f'({", ".join(bad[:5])}). Check these clips. {self._hint()}'
                )

    def _validate(
        self, evaluate: Callable[[tf.data.Dataset], dict[str, float]], validation: tf.data.Dataset, step: int
    ) -> None:
        """Validate, and save the net as `run/best` if its loss is the lowest so far."""
        with self.state.ema_weights():
            metrics = evaluate(validation)
            if self.run is None:
                return
            best = self.run / 'best'
            with storage.readable(best, 'Remove it'):
                before = float(saved.read_facts(best)['origin']['loss']) if best.exists() else float('inf')
            if metrics['loss'] < before:
                saved.save_net(self.state.net, best, origin={'step': step, **metrics})
        mark = 'the best so far' if metrics['loss'] < before else f'best {before:.4f}'
        tqdm.write(f'step {step}: held-out loss {metrics["loss"]:.4f} ({mark})')
        runs.log_validation(self.run, step, metrics)


def _joined(strategy: tf.distribute.Strategy, value: Any) -> np.ndarray:
    return np.concatenate([np.asarray(part) for part in strategy.experimental_local_results(value)])
