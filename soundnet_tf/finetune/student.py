"""The net that is trained on labels: its spec, its forward pass in training, and the scores of whole clips."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from soundnet_tf import geometry
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.errors import SoundNetError, UnknownLayer
from soundnet_tf.evaluation import svm
from soundnet_tf.evaluation.datasets import DataSet
from soundnet_tf.experiments.recipes import Recipe
from soundnet_tf.finetune.waveforms import FULL_SCALE, Samples, Sounds
from soundnet_tf.nets import fast, model
from soundnet_tf.spec import NetSpec, Pool
from soundnet_tf.training.start import Start

SAMPLES_AT_ONCE = 160 * SAMPLE_RATE
"""Max samples per batch at test time: 32 clips of 5 s."""

TrainingForm = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""`[batch, samples]` and a seed `[2]` to the logits of the clips `[batch, classes]`."""


def spec_for(spec: NetSpec, dataset: DataSet, recipe: Recipe) -> NetSpec:
    """The trunk of `spec`, up to the recipe's last layer, with one head of stride 1 for the classes of `dataset`.

    Raises SoundNetError if a layer has the head's name, UnknownLayer for layers of the recipe that the trunk lacks,
    ShortClip if the recipe's crops are too short for one frame.
    """
    if recipe.last_layer:
        spec = _up_to(spec, recipe.last_layer)
    if recipe.last_stride:
        *below, last = spec.layers
        if isinstance(last, Pool):
            raise SoundNetError(f'last_stride: {last.name} is a pool. Use it with a last_layer that is a convolution')
        spec = dataclasses.replace(spec, layers=(*below, dataclasses.replace(last, stride=recipe.last_stride)))
    if recipe.freeze not in ('', 'all', *spec.layer_names):
        raise UnknownLayer(f'freeze: no layer {recipe.freeze!r}. Use all, {", ".join(spec.layer_names)}')
    if dataset.name in spec.layer_names:
        raise SoundNetError(f'{dataset.name}: a layer has this name, so the head cannot. Use another name')
    samples, kernel = round(recipe.crop_s * SAMPLE_RATE), recipe.head_kernel
    if frozen_layer(spec, recipe) == spec.layer_names[-1]:
        # What its own training never reached stays out: the mean over time would weigh it by the clip's length.
        kernel = min(kernel, max(1, geometry.frames(spec, spec.layer_names[-1], samples)))
    else:
        # Trained on all time steps of a crop, edges included.
        spec = spec.with_edges()
    # Training and evaluation use the mean logits over time, and so does inference.
    head = model.new_head(dataset.name, len(dataset.classes), kernel)
    spec = dataclasses.replace(spec, heads=(head,))
    geometry.densified(spec, recipe.dense)  # fails before training
    hint = 'use longer crops, or head_kernel=1'
    geometry.require(spec, head.name, samples, f'a training crop (crop_s={recipe.crop_s:g})', hint)
    return geometry.trim_edges(spec, samples)


def _up_to(spec: NetSpec, last: str) -> NetSpec:
    """The trunk without the layers above `last`."""
    if last not in spec.layer_names:
        raise UnknownLayer(f'last_layer: no layer {last!r}. Use {", ".join(spec.layer_names)}')
    layers = spec.layers[: spec.layer_names.index(last) + 1]
    feature_layer = spec.feature_layer if spec.feature_layer in [row.name for row in layers] else last
    return dataclasses.replace(spec, layers=layers, feature_layer=feature_layer, heads=())


def build(spec: NetSpec, dataset: DataSet, start: Start | None) -> model.SoundNet:
    """A net of `spec`, with the layers of the saved net `start`, or random ones; the head is always new."""
    net = model.build(spec, labels={dataset.name: dataset.classes})
    if start is not None:
        start.load(net, heads=())
    return net


def densified(net: model.SoundNet, factor: int) -> model.SoundNet:
    """The net with `factor` times as many steps of its last layer, see `geometry.densified`; for 1 the net itself."""
    if factor == 1:
        return net
    dense = model.build(geometry.densified(net.spec, factor), labels=net.labels)
    dense.set_weights(net.get_weights())
    return dense


def frozen_layer(spec: NetSpec, recipe: Recipe) -> str:
    """The last layer that is not trained; empty if all are."""
    return spec.layer_names[-1] if recipe.freeze == 'all' else recipe.freeze


def trainable_variables(net: model.SoundNet, recipe: Recipe) -> list[Any]:
    """The variables that are trained, from the lowest layer to the head."""
    return fast.trained_variables(net, frozen_layer(net.spec, recipe))


def training_form(net: model.SoundNet, recipe: Recipe) -> TrainingForm:
    """The forward pass in training: dropout before the head, and the mean logits over time.

    Frozen layers run in inference mode, so that neither weights nor moving statistics change.
    """
    (head,) = net.spec.heads
    trunk = fast.training_trunk(net, recipe.precision, frozen_layer(net.spec, recipe), recipe.moving_statistics)

    def run(waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        x = trunk(waveform)
        if recipe.dropout:
            x = tf.nn.experimental.stateless_dropout(x, recipe.dropout, seed)
        return tf.reduce_mean(net.get_layer(model.logits_name(head.name))(x), axis=1)

    return run


class Scorer:
    """Scores clips by a net in inference mode, with its current weights."""

    def __init__(self, net: model.SoundNet):
        (head,) = net.spec.heads
        last = net.spec.layer_names[-1]
        layers = model.features(net, [last])
        self._head = net.get_layer(model.logits_name(head.name))
        self._min_samples = geometry.min_samples(net.spec, head.name)
        signature = [tf.TensorSpec([None, None], tf.int16)]

        @tf.function(input_signature=signature)
        def run(samples: Any) -> Any:
            x = layers(tf.cast(samples, tf.float32) / FULL_SCALE, training=False)[last]
            steps = tf.shape(x)[1] - head.kernel + 1
            return tf.concat([tf.reduce_mean(x[:, k : k + steps], axis=1) for k in range(head.kernel)], axis=1)

        self._run: Any = run.get_concrete_function()

    def scores(self, sounds: Sounds, clips: Sequence[int]) -> NDArray[np.float32]:
        """`[clips, classes]`: a clip's mean logits over time."""
        kernel, bias = map(np.array, self._head.weights)
        return self._head_inputs([sounds[clip] for clip in clips]) @ kernel.reshape([-1, len(bias)]) + bias

    def refit(
        self, passes: Iterable[Sequence[Samples]], targets: ArrayLike, c: float, of_none: Sequence[Samples] = ()
    ) -> None:
        """Refit the head by logistic regression on the inputs of `scores`, L2-regularised with this C.

        In training it saw them through dropout, augmentation and batch statistics only. Each of the `passes` has a
        sound for each of the `targets`. Sounds `of_none` are of no class.
        """
        inputs = [self._head_inputs(sounds) for sounds in passes]
        rest = self._head_inputs(of_none) if of_none else None
        fitted = svm.logistic(np.concatenate(inputs), np.tile(targets, len(inputs)), c, rest)
        kernel, bias = fitted.coef_.T, fitted.intercept_
        if len(bias) == 1:  # two classes: those of the second; the first one's logit is 0
            kernel, bias = np.pad(kernel, [(0, 0), (1, 0)]), np.pad(bias, (1, 0))
        self._head.set_weights([kernel.reshape(self._head.kernel.shape), bias])

    def _head_inputs(self, clips: Sequence[Samples]) -> NDArray[np.float32]:
        """`[clips, kernel * channels]`: the head's inputs, averaged over time."""
        clips = [_at_least(clip, self._min_samples) for clip in clips]
        # Clips of equal length are batched.
        order = sorted(range(len(clips)), key=lambda index: len(clips[index]))
        found = np.concatenate(
            [self._run(tf.constant(np.stack(batch))) for batch in _batches([clips[index] for index in order])]
        )
        inputs = np.empty_like(found)
        inputs[order] = found
        return inputs


def _at_least(samples: Samples, count: int) -> Samples:
    """Repeat short clips, as `soundnet-tag` does."""
    return samples if len(samples) >= count else np.resize(samples, count)


def _batches(clips: Sequence[Samples]) -> Iterator[Sequence[Samples]]:
    """Batches of equal length, with at most SAMPLES_AT_ONCE samples."""
    for length, run in itertools.groupby(clips, len):
        run = list(run)
        count = max(1, SAMPLES_AT_ONCE // length)
        yield from (run[begin : begin + count] for begin in range(0, len(run), count))
