"""SoundNet as a functional Keras model, built from a `NetSpec`: the reference that every other form is compared with.

Only `keras` is used here, so the net runs on each of Keras' backends.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import keras

from soundnet_tf import geometry, labels
from soundnet_tf.errors import SoundNetError
from soundnet_tf.spec import BATCH_NORM_EPSILON, GAIN, Conv, Head, NetSpec, Row

# As in the authors' Torch code, where momentum 0.1 weighs the new value.
BATCH_NORM_MOMENTUM = 0.9

INPUT = 'waveform'

Pooling = Literal['avg', 'max'] | None


@keras.saving.register_keras_serializable(package='soundnet_tf')
class SoundNet(keras.Model):
    """A functional Keras model with its `NetSpec`, its class names, and a check of the clip's length.

    Input `[batch, samples]` float32 in [-1, 1] at 22,050 Hz. Calling it on a clip that is too
    short for its outputs raises ShortClip, where Keras would report negative dimensions.
    """

    spec: NetSpec
    labels: dict[str, tuple[str, ...]]
    """The class names of each head."""
    output_layers: tuple[str, ...]
    """The layers and heads that the outputs come from."""

    # Not in `call`, whose errors Keras wraps in a page of arguments.
    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        samples = inputs.shape[-1] if getattr(inputs, 'shape', None) else None
        # With a custom input tensor the last axis need not be samples.
        if isinstance(samples, int) and self.layers[0].name == INPUT:
            for layer in self.output_layers:
                geometry.require(self.spec, layer, samples, way_out=_way_out(self.spec, samples))
        return super().__call__(inputs, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        own = {'spec': self.spec.to_dict(), 'labels': {k: list(v) for k, v in self.labels.items()}}
        return super().get_config() | {'soundnet': own | {'asked': list(self.output_layers)}}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> 'SoundNet':
        config = dict(config)
        own = config.pop('soundnet')
        net = super().from_config(config, custom_objects=custom_objects)
        return _annotate(net, NetSpec.from_dict(own['spec']), own['labels'], own['asked'])


def _way_out(spec: NetSpec, samples: int) -> str:
    deepest = geometry.deepest_layer(spec, samples)
    return 'use a longer clip' + (f", or features(net, '{deepest}')" if deepest else '')


def _annotate(
    net: SoundNet, spec: NetSpec, names: Mapping[str, Iterable[str]], output_layers: Iterable[str]
) -> SoundNet:
    net.spec = spec
    net.labels = {head: tuple(classes) for head, classes in names.items()}
    net.output_layers = tuple(output_layers)
    return net


def build(
    spec: NetSpec,
    *,
    labels: Mapping[str, Iterable[str]] | None = None,
    input_tensor: Any = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: Pooling = None,
    classifier_activation: str | None = 'softmax',
    name: str | None = None,
) -> SoundNet:
    """The net of `spec`, randomly initialised as in the paper's released code.

    From `[batch, samples]` to a dict of `[batch, time, classes]` per head; without heads, to the last layer's
    `[batch, time, channels]`.

    Args:
      labels: the class names of each head; by default those that ship, or numbers.
      input_shape: `(samples,)` for a fixed length; `(None,)`, the default, for any.
      pooling: 'avg' or 'max' over time, which leaves `[batch, classes]` or `[batch, channels]`. Of a head whose
        `clip_mean` is 'logits' the logits are pooled, before the activation; of another the probabilities.

    Raises ShortClip if a fixed input is too short for the outputs.
    """
    if pooling not in (None, 'avg', 'max'):
        raise ValueError(f"pooling must be None, 'avg' or 'max', got {pooling!r}")
    output_layers = spec.head_names or spec.layer_names[-1:]
    waveform = _input(spec, output_layers, input_tensor, input_shape)
    x = keras.layers.Reshape((-1, 1), name='channel')(waveform)
    x = keras.layers.Rescaling(GAIN, name='gain')(x)
    for row in spec.layers:
        x = _layer(row, x)
    outputs: Any = {head.name: _head(head, x, classifier_activation, pooling) for head in spec.heads}
    if not spec.heads:
        outputs = _pooled(x, pooling)
    inputs = waveform if input_tensor is None else keras.utils.get_source_inputs(input_tensor)
    net = SoundNet(inputs, outputs, name=name or spec.name)
    return _annotate(net, spec, _names(spec, labels or {}), output_layers)


def _input(
    spec: NetSpec, output_layers: Iterable[str], input_tensor: Any, input_shape: tuple[int | None, ...] | None
) -> Any:
    if input_tensor is not None:
        return input_tensor
    shape = (None,) if input_shape is None else tuple(input_shape)
    if len(shape) != 1:
        raise ValueError(f'input_shape must be (samples,), got {shape}')
    if shape[0] is not None:
        for layer in output_layers:
            geometry.require(spec, layer, shape[0], 'input_shape', 'use a longer one, or include_top=False')
    return keras.Input(shape, name=INPUT)


def _names(spec: NetSpec, labels_by_head: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    names = {}
    for head in spec.heads:
        own = tuple(labels_by_head.get(head.name, ()))
        if own and len(own) != head.classes:
            raise SoundNetError(f'head {head.name}: {len(own)} labels for {head.classes} classes')
        names[head.name] = own or labels.shipped(head.name, head.classes) or labels.numbered(head.classes)
    return names


def _layer(row: Row, x: Any) -> Any:
    """One row of the trunk; a convolution's output, after ReLU, carries the row's name."""
    if not isinstance(row, Conv):
        return keras.layers.MaxPooling1D(row.kernel, row.stride, name=row.name)(x)
    x = _convolution(row, row.filters, f'{row.name}_conv', x)
    x = keras.layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=BATCH_NORM_EPSILON,
        gamma_initializer=_normal(1.0, 0.02),
        # Without it the moving statistics of replicas and workers drift apart; only TensorFlow has it.
        synchronized=keras.backend.backend() == 'tensorflow',
        name=f'{row.name}_bn',
    )(x)
    return keras.layers.ReLU(name=row.name)(x)


def _head(head: Head, x: Any, activation: str | None, pooling: Pooling) -> Any:
    values = _convolution(head, head.classes, logits_name(head.name), x)
    activate = keras.layers.Activation(activation, name=head.name)
    if head.clip_mean == 'logits':
        return activate(_pooled(values, pooling, f'{head.name}_'))
    return _pooled(activate(values), pooling, f'{head.name}_')


def _pooled(x: Any, pooling: Pooling, prefix: str = '') -> Any:
    """`[batch, time, channels]` to `[batch, channels]`, or as it is where nothing is pooled."""
    if pooling is None:
        return x
    layers = {'avg': keras.layers.GlobalAveragePooling1D, 'max': keras.layers.GlobalMaxPooling1D}
    return layers[pooling](name=f'{prefix}{pooling}_pool')(x)


def _convolution(row: Conv | Head, filters: int, name: str, x: Any) -> Any:
    # Not padding='same': with an even kernel and stride 2 that pads one side only.
    if any(row.paddings):
        # Keras' annotations allow one number only.
        x = keras.layers.ZeroPadding1D(cast(Any, row.paddings), name=f'{row.name}_pad')(x)
    # The bias stays, though batch norm makes it redundant in the trunk: the original weights have it.
    return keras.layers.Conv1D(filters, row.kernel, row.stride, kernel_initializer=_normal(0.0, 0.01), name=name)(x)


def _normal(mean: float, deviation: float) -> Any:
    # Keras' annotations allow initialisers by name only.
    return keras.initializers.RandomNormal(mean, deviation)


def logits_name(head: str) -> str:
    """The name of the Keras layer with a head's logits."""
    return f'{head}_logits'


def new_head(name: str, classes: int, kernel: int = 1) -> Head:
    """A head to train on labels: stride 1 over the trunk's steps, mean of logits for a whole clip."""
    return Head(name, classes, kernel, padding=0, stride=1, clip_mean='logits')


def trunk_of(net: keras.Model) -> SoundNet:
    """The same net, with the same variables, without its heads."""
    spec = spec_of(net)
    last = net.get_layer(spec.layer_names[-1]).output
    return _annotate(
        SoundNet(net.inputs[0], last, name=f'{net.name}_trunk'), spec.with_heads({}), {}, spec.layer_names[-1:]
    )


def features(net: keras.Model, layers: str | Iterable[str]) -> SoundNet:
    """A model with the same input and weights, and a dict of the outputs of the named layers, or of one.

    Layers are named as in the paper: `conv1 pool1 ... conv7`, each after ReLU, `[batch, time,
    channels]`; a head by its name, and all heads one after the other as `conv8` (`conv5` in the
    5-layer net). `<head>_logits` gives a head before the softmax.
    """
    spec = spec_of(net)
    layers_of = {row.name: row.name for row in spec.rows} | {logits_name(h): h for h in spec.head_names}
    layers_of |= {spec.head_alias: spec.head_alias} if spec.heads and spec.head_alias not in layers_of else {}
    chosen = [layers] if isinstance(layers, str) else list(dict.fromkeys(layers))
    for layer in chosen:
        if layer not in layers_of:
            raise ValueError(f'{spec.name} has no layer {layer!r}; it has {", ".join(layers_of)}')
    outputs = _outputs(net, spec, chosen)
    part = SoundNet(net.inputs[0], outputs, name=f'{net.name}_features')
    return _annotate(part, spec, labels_of(net), [layers_of[layer] for layer in chosen])


def _outputs(net: keras.Model, spec: NetSpec, layers: Sequence[str]) -> dict[str, Any]:
    """The outputs of these layers; a head's are its time steps, `[batch, time, classes]`, also in a net that pools."""
    all_heads = spec.head_alias in layers
    steps = {head: _steps(net, head) for head in spec.head_names if all_heads or head in layers}
    outputs = {}
    for layer in layers:
        if layer == spec.head_alias and layer not in steps:
            geometry.path(spec, layer)  # heads of several geometries are not one layer
            outputs[layer] = keras.ops.concatenate(list(steps.values()), axis=-1)
        else:
            outputs[layer] = steps[layer] if layer in steps else net.get_layer(layer).output
    return outputs


def _steps(net: keras.Model, head: str) -> Any:
    layer: Any = net.get_layer(head)
    logits = net.get_layer(logits_name(head)).output
    if len(layer.output.shape) == len(logits.shape):
        return layer.output
    return keras.layers.Activation(layer.activation, name=head)(logits)  # its own comes after the pooling


def logits(net: keras.Model) -> SoundNet:
    """The same net with each head's logits instead of its probabilities, by the head's name."""
    spec = spec_of(net)
    outputs = {head: net.get_layer(logits_name(head)).output for head in spec.head_names}
    return _annotate(SoundNet(net.inputs[0], outputs, name=f'{net.name}_logits'), spec, labels_of(net), spec.head_names)


def spec_of(net: keras.Model) -> NetSpec:
    """The `NetSpec` of a net. Raises SoundNetError for a model that was not built by this package."""
    if not isinstance(net, SoundNet) or not hasattr(net, 'spec'):
        raise SoundNetError(f'model {net.name!r} was not built by soundnet_tf, so its layers are unknown')
    return net.spec


def labels_of(net: keras.Model) -> dict[str, tuple[str, ...]]:
    """The class names of each head of a net."""
    spec_of(net)
    return net.labels


def variables_of(net: keras.Model) -> dict[str, Any]:
    """Every variable of a net by its row and kind: `conv1/kernel`, `conv1/gamma`, `imagenet/bias`.

    A convolution has kernel `[kernel, in, out]` and bias; its batch norm gamma, beta, moving_mean
    and moving_variance; a head kernel and bias. This is the naming of a saved net's `weights.npz`.
    """
    spec = spec_of(net)
    variables = {}
    for row in spec.rows:
        layers = {Conv: [f'{row.name}_conv', f'{row.name}_bn'], Head: [logits_name(row.name)]}.get(type(row), [])
        for layer in layers:
            variables |= {f'{row.name}/{v.name}': v for v in net.get_layer(layer).variables}
    return variables
