"""The distillation step, its loss, and evaluation on held-out clips."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from soundnet_tf import geometry, records
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.config import Training
from soundnet_tf.errors import BadRecord
from soundnet_tf.nets import fast, losses, model
from soundnet_tf.records import batches
from soundnet_tf.spec import NetSpec


class State:
    """What a checkpoint holds: the net, the optimizer and the step, which is also the position in the data."""

    def __init__(self, net: model.SoundNet, config: Training) -> None:
        self.net = net
        self.optimizer: Any = keras.optimizers.Adam(_learning_rate(config), beta_1=0.9)
        self.variables = fast.trained_variables(net, config.freeze)
        self.optimizer.build(self.variables)
        self.step = tf.Variable(tf.zeros([], tf.int64), name='step')
        # With the batch-norm statistics, since those of the last weights would not fit the EMA weights.
        averaged = net.variables if config.ema else []
        self.ema = [tf.Variable(tf.convert_to_tensor(variable), trainable=False) for variable in averaged]

    @property
    def done(self) -> int:
        return int(self.step.numpy())

    def checkpoint(self) -> tf.train.Checkpoint:
        return tf.train.Checkpoint(net=self.net, optimizer=self.optimizer, step=self.step, ema=self.ema)

    @contextlib.contextmanager
    def ema_weights(self) -> Iterator[None]:
        """The net has its EMA weights, if there are any, inside the `with` block."""
        variables = self.net.variables if self.ema else []
        last = [variable.numpy() for variable in variables]
        try:
            for variable, mean in zip(variables, self.ema, strict=True):
                variable.assign(mean)
            yield
        finally:
            for variable, value in zip(variables, last, strict=True):
                variable.assign(value)


def _learning_rate(config: Training) -> Any:
    if config.schedule == 'constant' and not config.warmup_steps:
        return config.learning_rate
    alpha = 0.0 if config.schedule == 'cosine' else 1.0
    warmup = {'warmup_target': config.learning_rate, 'warmup_steps': config.warmup_steps} if config.warmup_steps else {}
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else config.learning_rate, max(1, config.steps - config.warmup_steps), alpha=alpha, **warmup
    )


class Criterion:
    """The loss and metrics of a batch: per head the pairs of frames and steps, the loss, its scale and weight."""

    def __init__(self, spec: NetSpec, config: Training, card: records.Card) -> None:
        samples = round(config.clip_s * SAMPLE_RATE)
        frames = batches.frames_of(card, samples)
        middles = [(frame + 0.5) * card.frame_every_s for frame in range(frames)]
        steps = {head: geometry.frames(spec, head, samples) for head in spec.head_names}
        self.heads = spec.head_names
        self._loss = losses.softened(losses.LOSSES[config.loss], config.temperature)
        by_time = config.pairing == 'time'
        self._pairs = {
            head: losses.pairs(frames, count, middles, geometry.frame_times(spec, head, count) if by_time else ())
            for head, count in steps.items()
        }
        used = {head: len(pairs) for head, pairs in self._pairs.items()}
        classes = {head: card.teachers[head].classes for head in self.heads}
        self._scale = losses.scales(config.reduction, used, classes)
        self._weight = {head: config.weights.get(head, 1.0) for head in self.heads}

    def __call__(self, batch: Mapping[str, tf.Tensor], logits: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Per example: `total`, and per head `loss/HEAD`, `top1/HEAD`, `top5/HEAD`, each `[batch]`."""
        metrics: dict[str, Any] = {'total': 0.0}
        for head in self.heads:
            pairs = self._pairs[head]
            teacher, student = tf.gather(batch[head], pairs, axis=1), logits[head][:, : len(pairs)]
            metrics[f'loss/{head}'] = self._loss(teacher, student)
            metrics['total'] += self._scale[head] * self._weight[head] * metrics[f'loss/{head}']
            for top in (1, 5):
                metrics[f'top{top}/{head}'] = losses.agreement(teacher, student, top)
        return metrics


def make_step(
    strategy: tf.distribute.Strategy, state: State, config: Training, criterion: Criterion
) -> Callable[[Any], dict[str, Any]]:
    """One step on one global batch: the `means` over it, and per example its `id` and loss `each/HEAD`."""
    net = state.net
    student = fast.training_form(net, config.precision, config.freeze)

    def learn(batch: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], Any]:
        with tf.GradientTape() as tape:
            metrics = criterion(batch, student(batch['waveform']))
            # Divided by the global batch, since the gradients of all replicas are summed.
            total = tf.reduce_sum(metrics['total']) / config.batch
        return metrics, gradients(tape, total, state.variables, config.precision)

    def replica_step(batch: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        metrics, found = learn({key: value for key, value in batch.items() if key != 'id'})
        if config.clip_norm:
            found = _clipped(found, config.clip_norm)
        state.optimizer.apply(found, state.variables)
        if state.ema:
            _update_ema(state.ema, net.variables, config.ema, state.step)
        each = {f'each/{head}': metrics[f'loss/{head}'] for head in criterion.heads}
        means = {key: tf.reduce_mean(value) for key, value in metrics.items()}
        return {'id': batch['id'], **each, 'means': means}

    @tf.function
    def step(batch: Mapping[str, tf.Tensor]) -> dict[str, Any]:
        results = strategy.run(replica_step, args=(batch,))
        # Counted in the same call that moves the weights, so that an interrupt cannot come between them.
        state.step.assign_add(1)
        means = {key: strategy.reduce('MEAN', value, axis=None) for key, value in results['means'].items()}
        return {**results, 'means': means}

    return step


LOSS_SCALE = 1024.0
"""Of float16, whose smallest number is 6e-8."""


def gradients(tape: tf.GradientTape, loss: tf.Tensor, variables: Sequence[Any], precision: str) -> list[Any]:
    """The gradients of the loss. With float16 they pass through the net LOSS_SCALE times as large, so that small ones
    are not lost in it, and are divided in float32."""
    if precision != 'float16':
        return tape.gradient(loss, variables)
    scaled: Any = tape.gradient([loss], variables, output_gradients=[tf.constant(LOSS_SCALE)])
    return [part / LOSS_SCALE for part in scaled]


def _update_ema(ema: Sequence[Any], variables: Sequence[Any], decay: float, step: Any) -> None:
    """Move the averages towards the variables: faster in the first steps, so that they forget the initial weights."""
    share = tf.maximum(1 - decay, 9 / (10 + tf.cast(step, tf.float32)))
    for mean, variable in zip(ema, variables, strict=True):
        mean.assign(mean + share * (tf.convert_to_tensor(variable) - mean))


def _clipped(gradients: Sequence[tf.Tensor], norm: float) -> list[tf.Tensor]:
    """Clip by the global norm of the sum over all replicas."""
    replicas: Any = tf.distribute.get_replica_context()
    whole = replicas.all_reduce('SUM', list(gradients)) if replicas.num_replicas_in_sync > 1 else gradients
    scale = norm / tf.maximum(tf.linalg.global_norm(whole), norm)
    return [gradient * scale for gradient in gradients]


def make_evaluation(net: model.SoundNet, criterion: Criterion) -> Callable[[tf.data.Dataset], dict[str, float]]:
    """The mean metrics over a dataset in inference mode: `loss`, and those of the criterion per head."""
    student = model.logits(net)

    @tf.function(reduce_retracing=True)
    def run(batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return criterion(batch, student(batch['waveform'], training=False))

    def evaluate(batches: tf.data.Dataset) -> dict[str, float]:
        parts = [{key: np.asarray(value) for key, value in run(batch).items()} for batch in batches]
        if not parts:
            raise BadRecord('validation: no held-out clip can be decoded. Hold out more shards (held_out)')
        means = {key: float(np.concatenate([part[key] for part in parts]).mean()) for key in parts[0]}
        return {'loss': means.pop('total'), **means}

    return evaluate
