"""SoundNet as a functional Keras model, built from a `NetSpec`: the reference that every other form is compared with.

Only `keras` is used here, so the net runs on each of Keras' backends.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

import keras

from soundnet_tf import geometry, labels
from soundnet_tf.errors import SoundNetError, UnknownLayer
from soundnet_tf.nets.soundnet import SoundNet, Waveform, logits_name
from soundnet_tf.spec import BATCH_NORM_EPSILON, GAIN, Conv, Head, NetSpec, Row

# As in the authors' Torch code, where momentum 0.1 weighs the new value.
BATCH_NORM_MOMENTUM = 0.9

INPUT, DATA_FORMAT = 'waveform', 'channels_last'

Pooling = Literal['avg', 'max'] | None


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
      labels: the class names of each head; by default the included ones, or numbers.
      input_shape: `(samples,)` for a fixed length; `(None,)`, the default, for any.
      pooling: 'avg' or 'max' over time, which leaves `[batch, classes]` or `[batch, channels]`. Of a head whose
        `clip_mean` is 'logits' the logits are pooled, before the activation; of another the probabilities.

    Raises ShortClip if a fixed input is too short for the outputs.
    """
    if pooling not in (None, 'avg', 'max'):
        raise ValueError(f"pooling must be None, 'avg' or 'max', got {pooling!r}")
    output_layers = spec.head_names or spec.layer_names[-1:]
    waveform = _input(spec, output_layers, input_tensor, input_shape)
    x = Waveform(spec.to_dict(), _names(spec, labels or {}), name='channel', dtype='float32')(waveform)
    x = keras.layers.Rescaling(GAIN, name='gain', dtype='float32')(x)
    for row in spec.layers:
        x = _layer(row, x)
    outputs: Any = {head.name: _head(head, x, classifier_activation, pooling) for head in spec.heads}
    if not spec.heads:
        outputs = _pooled(x, pooling)
    inputs = waveform if input_tensor is None else keras.utils.get_source_inputs(input_tensor)
    return SoundNet(inputs, outputs, name=name or spec.name)


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
    return keras.Input(shape, name=INPUT, dtype='float32')


def _names(spec: NetSpec, labels_by_head: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    names = {}
    for head in spec.heads:
        own = tuple(labels_by_head.get(head.name, ()))
        if own and len(own) != head.classes:
            raise SoundNetError(f'head {head.name}: {len(own)} labels for {head.classes} classes')
        if wrong := [name for name in own if labels.CONTROL.search(name)]:
            raise SoundNetError(f'head {head.name}: label {wrong[0]!r} has a control character. Use another name')
        names[head.name] = own or labels.shipped(head.name, head.classes) or labels.numbered(head.classes)
    return names


def _layer(row: Row, x: Any) -> Any:
    """One row of the trunk; a convolution's output, after ReLU, carries the row's name."""
    if not isinstance(row, Conv):
        return keras.layers.MaxPooling1D(row.kernel, row.stride, name=row.name, **_settings())(x)
    x = _convolution(row, row.filters, f'{row.name}_conv', x)
    x = keras.layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=BATCH_NORM_EPSILON,
        gamma_initializer=_normal(1.0, 0.02),
        # Without it the moving statistics of replicas and workers drift apart; only TensorFlow has it.
        synchronized=keras.backend.backend() == 'tensorflow',
        name=f'{row.name}_bn',
        dtype=_dtype(),
    )(x)
    return keras.layers.ReLU(name=row.name, dtype=_dtype())(x)


def _head(head: Head, x: Any, activation: str | None, pooling: Pooling) -> Any:
    values = _convolution(head, head.classes, logits_name(head.name), x)
    activate = keras.layers.Activation(activation, name=head.name, dtype='float32')
    if head.clip_mean == 'logits':
        return activate(_pooled(values, pooling, f'{head.name}_'))
    return _pooled(activate(values), pooling, f'{head.name}_')


def _pooled(x: Any, pooling: Pooling, prefix: str = '') -> Any:
    """`[batch, time, channels]` to `[batch, channels]`, or as it is where nothing is pooled."""
    if pooling is None:
        return x
    layers = {'avg': keras.layers.GlobalAveragePooling1D, 'max': keras.layers.GlobalMaxPooling1D}
    return layers[pooling](name=f'{prefix}{pooling}_pool', data_format=DATA_FORMAT, dtype='float32')(x)


def _convolution(row: Conv | Head, filters: int, name: str, x: Any) -> Any:
    # Not padding='same': with an even kernel and stride 2 that pads one side only.
    if any(row.paddings):
        # Keras' annotations allow one number only.
        x = keras.layers.ZeroPadding1D(cast(Any, row.paddings), name=f'{row.name}_pad', **_settings())(x)
    # The bias stays, though batch norm makes it redundant in the trunk: the original weights have it.
    settings = _settings() | {'kernel_initializer': _normal(0.0, 0.01), 'name': name}
    return keras.layers.Conv1D(filters, row.kernel, row.stride, dilation_rate=row.spacing, **settings)(x)


def _settings() -> dict[str, Any]:
    """What layers would take from Keras' settings, which the tables of `spec` leave no choice of."""
    return {'data_format': DATA_FORMAT, 'dtype': _dtype()}


def _dtype() -> Any:
    """float32, or the global policy if that computes in half precision with float32 variables ('mixed_bfloat16')."""
    policy = keras.config.dtype_policy()
    return policy if policy.name.startswith('mixed_') else 'float32'


def _normal(mean: float, deviation: float) -> Any:
    # Keras' annotations allow initialisers by name only.
    return keras.initializers.RandomNormal(mean, deviation)


def new_head(name: str, classes: int, kernel: int = 1) -> Head:
    """A head to train on labels: stride 1 over the trunk's steps, mean of logits for a whole clip."""
    return Head(name, classes, kernel, padding=0, stride=1, clip_mean='logits')


def trunk_of(net: keras.Model) -> SoundNet:
    """The same net, with the same variables, without its heads."""
    spec = spec_of(net)
    last = net.get_layer(spec.layer_names[-1]).output
    return SoundNet(net.inputs[0], last, name=f'{net.name}_trunk')


def features(net: keras.Model, layers: str | Iterable[str]) -> SoundNet:
    """A model with the same input and weights, and a dict of the outputs of the named layers, or of one.

    Layers are named as in the paper: `conv1 pool1 ... conv7`, each after ReLU, `[batch, time,
    channels]`; a head by its name, and all heads one after the other as `conv8` (`conv5` in the
    5-layer net). `<head>_logits` gives a head before the softmax. Raises UnknownLayer.
    """
    spec = spec_of(net)
    known = [*spec.layer_names, *spec.head_names, *map(logits_name, spec.head_names)]
    known += [spec.head_alias] if spec.heads and spec.head_alias not in known else []
    chosen = [layers] if isinstance(layers, str) else list(dict.fromkeys(layers))
    for layer in chosen:
        if layer not in known:
            raise UnknownLayer(f'{spec.name} has no layer {layer!r}; it has {", ".join(known)}')
    outputs = _outputs(net, spec, chosen)
    return SoundNet(net.inputs[0], outputs, name=f'{net.name}_features')


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
    return keras.layers.Activation(layer.activation, name=head, dtype='float32')(
        logits
    )  # its own comes after the pooling


def logits(net: keras.Model) -> SoundNet:
    """The same net with each head's logits instead of its probabilities, by the head's name."""
    spec = spec_of(net)
    outputs = {head: net.get_layer(logits_name(head)).output for head in spec.head_names}
    return SoundNet(net.inputs[0], outputs, name=f'{net.name}_logits')


def spec_of(net: keras.Model) -> NetSpec:
    """The `NetSpec` of a net. Raises SoundNetError for a model that was not built by this package."""
    if not isinstance(net, SoundNet):
        raise SoundNetError(f'model {net.name!r} was not built by soundnet_tf, so its layers are unknown')
    return net.spec


def labels_of(net: keras.Model) -> dict[str, tuple[str, ...]]:
    """The class names of each head of a net."""
    heads, labels = spec_of(net).head_names, cast(SoundNet, net).labels
    return {head: tuple(labels[head]) for head in heads}


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
