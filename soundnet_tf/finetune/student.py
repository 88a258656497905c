"""The net that learns labels: built, trained through its quick form, and asked for the scores of whole clips."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation import svm
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.finetune.waveforms import FULL_SCALE, Samples, Sounds
from soundnet_tf.nets import fast, model, saved
from soundnet_tf.spec import NetSpec

SAMPLES_AT_ONCE = 160 * SAMPLE_RATE
"""So much sound is judged at once: 32 clips of 5 s."""

LearningForm = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""`[batch, samples]` and a seed `[2]` to the logits of a clip `[batch, classes]`."""


def spec_for(spec: NetSpec, dataset: DataSet, recipe: Recipe) -> NetSpec:
    """The trunk of `spec` with one head for the classes of `dataset`, which moves by single frames.

    Raises SoundNetError where a layer has the head's name, ShortClip where the recipe's crops give it no frame.
    """
    if dataset.name in spec.layer_names:
        raise SoundNetError(f'a head cannot be called {dataset.name}, which is a layer: give the data set another name')
    # By its mean logits it learns and is judged, so by these it answers.
    head = model.new_head(dataset.name, len(dataset.classes), recipe.head_kernel)
    # The new head learns from all the steps that a crop has, edges included.
    spec = dataclasses.replace(spec.with_edges(), heads=(head,))
    samples = round(recipe.crop_s * SAMPLE_RATE)
    way_out = 'take longer crops, or head_kernel=1'
    geometry.require(spec, head.name, samples, f'a training crop (crop_s={recipe.crop_s:g})', way_out)
    return geometry.trim_edges(spec, samples)


def build(spec: NetSpec, dataset: DataSet, start: saved.Path | None) -> model.SoundNet:
    """A net of `spec`, its layers as the saved net `start` has them, or as chance has it; its head always new."""
    net = model.build(spec, labels={dataset.name: dataset.classes})
    if start is not None:
        saved.load_weights(model.trunk_of(net), start)
    return net


def learned(net: model.SoundNet, recipe: Recipe) -> list[Any]:
    """The variables that the recipe changes by gradients."""
    (head,) = net.spec.head_names
    return net.get_layer(model.logits_name(head)).trainable_variables if recipe.freeze else net.trainable_variables


def learning_form(net: model.SoundNet, recipe: Recipe) -> LearningForm:
    """How the net is run while it learns: dropout before the head, and the clip's logits the mean over time.

    A frozen net is run in inference mode, so that neither weights nor moving statistics change.
    """
    (head,) = net.spec.heads
    trunk = _frozen_trunk(net) if recipe.freeze else fast.training_trunk(net, recipe.precision)

    def run(waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        x = trunk(waveform)
        if recipe.dropout:
            x = tf.nn.experimental.stateless_dropout(x, recipe.dropout, seed)
        return tf.reduce_mean(net.get_layer(model.logits_name(head.name))(x), axis=1)

    return run


def _frozen_trunk(net: model.SoundNet) -> Callable[[Any], Any]:
    last = net.spec.layer_names[-1]
    layers = model.features(net, [last])
    return lambda waveform: layers(waveform, training=False)[last]


class Judge:
    """Scores of clips by a net in inference mode, as it is whenever it is asked."""

    def __init__(self, net: model.SoundNet, recipe: Recipe):
        (head,) = net.spec.heads
        last = net.spec.layer_names[-1]
        layers = model.features(net, [last])
        self._head = net.get_layer(model.logits_name(head.name))
        self._least = geometry.min_samples(net.spec, head.name)
        self._crop = round(recipe.crop_s * SAMPLE_RATE)
        self._crops = recipe.test_crops
        signature = [tf.TensorSpec([None, None], tf.int16)]

        @tf.function(input_signature=signature)
        def run(samples: Any) -> Any:
            x = layers(tf.cast(samples, tf.float32) / FULL_SCALE, training=False)[last]
            steps = tf.shape(x)[1] - head.kernel + 1
            return tf.concat([tf.reduce_mean(x[:, k : k + steps], axis=1) for k in range(head.kernel)], axis=1)

        self._run: Any = run.get_concrete_function()

    def scores(self, sounds: Sounds, clips: Sequence[int]) -> NDArray[np.float32]:
        """`[clips, classes]`: a clip's mean logits over time, and over its crops where the recipe has several."""
        kernel, bias = map(np.array, self._head.weights)
        return self._heard(sounds, clips) @ kernel.reshape([-1, len(bias)]) + bias

    def refit(self, sounds: Sounds, clips: Sequence[int], targets: ArrayLike, c: float) -> None:
        """Fit the head anew: logistic regression of what `scores` makes its logits from, with that C, L2-regularised.

        While it learned, dropout, augmentation and the batches' own statistics stood between it and such clips.
        """
        fitted = svm.logistic(self._heard(sounds, clips), np.asarray(targets), c)
        kernel, bias = fitted.coef_.T, fitted.intercept_
        if len(bias) == 1:  # of two classes, the second one's: the first one's logit is 0
            kernel, bias = np.pad(kernel, [(0, 0), (1, 0)]), np.pad(bias, (1, 0))
        self._head.set_weights([kernel.reshape(self._head.kernel.shape), bias])

    def _heard(self, sounds: Sounds, clips: Sequence[int]) -> NDArray[np.float32]:
        """`[clips, kernel * channels]`: what the head sees, over time: as its logits' mean is made from."""
        windows = [window for clip in clips for window in self._windows(sounds[clip])]
        # Neighbours of one length go through the net together.
        order = sorted(range(len(windows)), key=lambda index: len(windows[index]))
        found = np.concatenate(
            [self._run(tf.constant(np.stack(batch))) for batch in _batches([windows[index] for index in order])]
        )
        heard = np.empty_like(found)
        heard[order] = found
        return heard.reshape(len(clips), -1, heard.shape[-1]).mean(axis=1)

    def _windows(self, samples: Samples) -> list[Samples]:
        if not self._crops:
            return [_at_least(samples, self._least)]
        samples = _at_least(samples, self._crop)
        room = len(samples) - self._crop
        starts = np.linspace(0, room, self._crops) if self._crops > 1 else [room / 2]
        return [samples[int(start) : int(start) + self._crop] for start in starts]


def _at_least(samples: Samples, least: int) -> Samples:
    """Too short a clip is repeated, as `soundnet-tag` does."""
    return samples if len(samples) >= least else np.resize(samples, least)


def _batches(windows: Sequence[Samples]) -> Iterator[Sequence[Samples]]:
    """Runs of equal length, not more than SAMPLES_AT_ONCE."""
    for length, run in itertools.groupby(windows, len):
        run = list(run)
        count = max(1, SAMPLES_AT_ONCE // length)
        yield from (run[begin : begin + count] for begin in range(0, len(run), count))
