"""One training step on labels, and the state that it updates."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.finetune import student
from soundnet_tf.finetune.augment import Batch, Crops, render
from soundnet_tf.nets import model
from soundnet_tf.training import steps

Step = Callable[[Batch, float], None]
"""Takes a batch and a learning rate."""


@dataclasses.dataclass
class State:
    """What a checkpoint holds."""

    net: model.SoundNet
    optimizer: Any
    step: tf.Variable
    sums: tf.Variable
    """Sums over this epoch: cross-entropy, correct clips, clips."""

    @property
    def done(self) -> int:
        """Number of steps so far."""
        return int(self.step.numpy())

    def checkpoint(self) -> tf.train.Checkpoint:
        """A checkpoint of this state."""
        return tf.train.Checkpoint(**vars(self))


def make_state(net: model.SoundNet, recipe: Recipe) -> State:
    """The initial state of a net, with Adam and decoupled weight decay (AdamW)."""
    optimizer: Any = keras.optimizers.Adam(recipe.learning_rate, beta_1=0.9, weight_decay=recipe.weight_decay or None)
    variables = student.trainable_variables(net, recipe)
    # Only kernels: decay of biases and batch-norm scales does not regularise.
    optimizer.exclude_from_weight_decay([variable for variable in variables if variable.name != 'kernel'])
    optimizer.build(variables)
    return State(net, optimizer, tf.Variable(tf.zeros([], tf.int64)), tf.Variable(tf.zeros(3)))


def make_step(state: State, recipe: Recipe, crops: Crops, seed: int) -> Step:
    """A step of Adam on the cross-entropy of the clip's logits and the (mixed) label."""
    variables = student.trainable_variables(state.net, recipe)
    forward = student.training_form(state.net, recipe)
    signature = [tf.TensorSpec([None, crops.samples]), tf.TensorSpec([None, None]), tf.TensorSpec([])]

    @tf.function(input_signature=signature)
    def step(waveforms: Any, targets: Any, rate: Any) -> None:
        with tf.GradientTape() as tape:
            logits = forward(waveforms, tf.stack([tf.constant(seed, tf.int64), state.step]))
            losses = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
            loss = tf.reduce_mean(losses)
        state.optimizer.learning_rate.assign(rate)
        state.optimizer.apply(steps.gradients(tape, loss, variables, recipe.precision), variables)
        correct = tf.cast(tf.equal(tf.argmax(logits, axis=1), tf.argmax(targets, axis=1)), tf.float32)
        counted = tf.cast(tf.size(losses), tf.float32)
        state.sums.assign_add(tf.stack([tf.reduce_sum(losses), tf.reduce_sum(correct), counted]))
        # Counted in the same call that moves the weights, so that an interrupt cannot come between them.
        state.step.assign_add(1)

    run: Any = step.get_concrete_function()

    def rendered(batch: Batch, rate: float) -> None:
        waveforms = render(batch, crops.samples, stretched=crops.stretched)
        run(tf.constant(waveforms), tf.constant(batch.targets), tf.constant(np.float32(rate)))

    return rendered
