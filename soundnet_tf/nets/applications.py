"""SoundNet8 and SoundNet5 in the manner of `keras.applications`: with the weights' own heads, a new one, or none."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from soundnet_tf.nets import lookup, model, saved
from soundnet_tf.nets.model import Pooling, SoundNet
from soundnet_tf.spec import SOUNDNET5, SOUNDNET8, NetSpec

PREDICTIONS = 'predictions'
"""The head made by `classes`, named as the last layer in `keras.applications`."""


def SoundNet8(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling = None,
    teachers: Mapping[str, int] | None = None,
    classifier_activation: str | None = 'softmax',
    name: str = 'soundnet8',
    classes: int | None = None,
) -> SoundNet:
    """The 8-layer net of the paper's table 1, in the manner of `keras.applications`.

    From a waveform `[batch, samples]` (float32, mono, 22,050 Hz, in [-1, 1]) to a dict of `[batch, time, classes]` per
    head. One time step of the heads needs 209,374 samples (9.50 s); with the original weights 242,142 (10.98 s), since
    they leave out the edge that they never learned (docs/edges.md).

    For classes of your own, `X` `[clips, samples]` and `y` `[clips]`:

        net = SoundNet8(weights='soundnet8', classes=3, pooling='avg')
        net.compile('adam', loss='sparse_categorical_crossentropy')
        net.fit(X, y)

    Args:
      include_top: with the heads; without, the output is that of conv7, `[batch, time, 1024]`.
      weights: None for random ones, 'soundnet8' for the original ones, or another name or folder of a saved net.
      input_tensor: a Keras tensor `[batch, samples]` to build on.
      input_shape: `(samples,)` for a fixed length; any length by default.
      pooling: 'avg' or 'max' over time: a head gives `[batch, classes]`, as targets `[batch]` need it; without top the
        output is `[batch, 1024]`. Of the head that `classes` makes the logits are pooled, before the activation; of the
        heads of the original weights the probabilities.
      teachers: `{name: classes}` of the heads, by default those of `weights`, or `{'imagenet': 1000, 'places': 401}`.
      classifier_activation: what follows the heads' logits; None for the logits themselves.
      classes: in place of the heads a new one, `predictions`, of so many classes, on the trunk of `weights`; it needs
        0.58 s of sound.

    Raises ShortClip for an `input_shape` too short for the outputs, WeightsMismatch for weights that do not fit.
    """
    return _application(
        SOUNDNET8, include_top, weights, teachers, classes,
        name=name, input_tensor=input_tensor, input_shape=input_shape, pooling=pooling,
        classifier_activation=classifier_activation,
    )  # fmt: skip


def SoundNet5(
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling = None,
    teachers: Mapping[str, int] | None = None,
    classifier_activation: str | None = 'softmax',
    name: str = 'soundnet5',
    classes: int | None = None,
) -> SoundNet:
    """The 5-layer net of the paper's table 2; arguments as in `SoundNet8`.

    One frame of the heads needs 56,798 samples (2.58 s); without top the output is conv4, 256 channels.
    """
    return _application(
        SOUNDNET5, include_top, weights, teachers, classes,
        name=name, input_tensor=input_tensor, input_shape=input_shape, pooling=pooling,
        classifier_activation=classifier_activation,
    )  # fmt: skip


def _application(
    spec: NetSpec,
    include_top: bool,
    weights: Any,
    teachers: Mapping[str, int] | None,
    classes: int | None,
    *,
    name: str,
    **options: Any,
) -> SoundNet:
    """The net with its weights; `options` are those of `model.build`."""
    folder = None if weights is None else lookup.find(weights)
    spec, names = _table(spec, include_top, folder, teachers, classes)
    net = model.build(dataclasses.replace(spec, name=name), labels=names, **options)
    if folder is not None:
        # A new head starts untrained on the saved trunk.
        saved.load_weights(model.trunk_of(net) if classes else net, folder)
    return net


def _table(
    spec: NetSpec,
    include_top: bool,
    folder: pathlib.Path | None,
    teachers: Mapping[str, int] | None,
    classes: int | None,
) -> tuple[NetSpec, dict[str, tuple[str, ...]]]:
    """The net to build, and the class names of its heads if a saved net in `folder` has them."""
    if not include_top and (teachers or classes):
        raise ValueError('teachers and classes make heads. Use them with include_top=True')
    if teachers and classes:
        raise ValueError('pass teachers or classes, not both')
    if folder is not None:
        own = saved.read_spec(folder)
        # A trunk of other sizes stays as requested: loading the weights reports what does not fit. Its strides and
        # dilations are the saved net's, since its weights were trained for them.
        spec = own if _sizes(own) == _sizes(spec) else dataclasses.replace(spec, heads=own.heads)
    if not include_top:
        return spec.with_heads({}), {}
    if classes is not None:
        return dataclasses.replace(spec, heads=(model.new_head(PREDICTIONS, classes),)), {}
    names = {} if folder is None else saved.read_labels(folder)
    return spec if teachers is None else spec.with_heads(teachers), names


def _sizes(spec: NetSpec) -> list[tuple[object, ...]]:
    return [(row.name, row.kernel, getattr(row, 'filters', None)) for row in spec.layers]
