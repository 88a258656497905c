"""`SoundNet`, the Keras class of every net: it knows its table and its class names, and checks what it is given.

Keras' own tools (`clone_model`, `.keras` and HDF5 files, `copy.deepcopy`, pickles) rebuild a model from its layers, so
table and names are kept in a layer.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from soundnet_tf import geometry
from soundnet_tf.errors import BadAudio, SoundNetError
from soundnet_tf.nets import forks
from soundnet_tf.spec import NetSpec


def logits_name(head: str) -> str:
    """The name of the Keras layer with a head's logits."""
    return f'{head}_logits'


@keras.saving.register_keras_serializable(package='soundnet_tf')
class Waveform(keras.layers.Layer):
    """`[batch, samples]` to `[batch, samples, 1]`, the first layer of a net, which keeps its table and class names.

    Args:
      spec: the net's table, as `NetSpec.to_dict` gives it.
      labels: the class names of each head.
    """

    def __init__(self, spec: Mapping[str, Any], labels: Mapping[str, Iterable[str]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = NetSpec.from_dict(dict(spec))
        self.labels = {head: tuple(names) for head, names in labels.items()}

    def call(self, inputs: Any) -> Any:
        return keras.ops.expand_dims(inputs, -1)

    def get_config(self) -> dict[str, Any]:
        labels = {head: list(names) for head, names in self.labels.items()}
        return super().get_config() | {'spec': self.spec.to_dict(), 'labels': labels}


@keras.saving.register_keras_serializable(package='soundnet_tf')
class SoundNet(keras.Model):
    """A functional Keras model with its `NetSpec`, its class names, and a check of its input.

    Input `[batch, samples]` float32 in [-1, 1] at 22,050 Hz. A clip that is too short for its outputs raises ShortClip,
    where Keras would report negative dimensions; integers and several channels raise BadAudio.
    """

    @property
    def spec(self) -> NetSpec:
        """The table of the net, with the heads that it computes."""
        spec, own = self._waveform().spec, {layer.name for layer in self.layers}
        return dataclasses.replace(spec, heads=tuple(head for head in spec.heads if logits_name(head.name) in own))

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The class names of each head, which may be changed; nets that share layers share them."""
        return self._waveform().labels

    def _waveform(self) -> Waveform:
        for layer in self.layers:
            if isinstance(layer, Waveform):
                return layer
        raise SoundNetError(f'model {self.name!r} was not built by soundnet_tf, so its layers are unknown')

    # Not in `call`, whose errors Keras wraps in a page of arguments.
    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.check(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def check(self, inputs: Any) -> None:
        """Raise ShortClip, or BadAudio, for a tensor that is of no use as far as its shape and type are known.

        Raises SoundNetError where TensorFlow cannot run.
        """
        forks.check()
        x = next(iter(keras.tree.flatten(inputs)), None)
        shape = getattr(x, 'shape', None)
        # With a custom input tensor the last axis need not be samples.
        if x is None or shape is None or getattr(shape, 'rank', 0) is None or not isinstance(self.layers[1], Waveform):
            return
        try:
            self._check(tuple(shape), keras.backend.standardize_dtype(x.dtype))
        except SoundNetError as error:
            vars(error)['_keras_call_info_injected'] = True  # models that this one is part of add no page either
            raise

    def _check(self, shape: tuple[int | None, ...], dtype: str) -> None:
        if len(shape) != 2 and not (len(shape) == 3 and shape[2] == 1):
            raise BadAudio(
                f'a waveform of shape {list(shape)}: {self.name} needs [batch, samples]. '
                'Pass x[None] for one sound, x[..., 0] for the first of several channels'
            )
        if 'int' in dtype:
            raise BadAudio(f'a waveform of {dtype}: {self.name} needs floats in [-1, 1]. Use preprocess_input')
        if shape[1] is not None:
            for layer in self._ends():
                geometry.require(self.spec, layer, shape[1], hint=_hint(self.spec, shape[1]))

    def _ends(self) -> tuple[str, ...]:
        """The rows that need the most samples: the heads, or without one the last layer."""
        own = {layer.name for layer in self.layers}
        return self.spec.head_names or tuple(name for name in self.spec.layer_names if name in own)[-1:]

    def make_train_function(self, force: bool = False) -> None:
        if force or self.train_function is None:
            super().make_train_function(force)
            self.train_function = self._checked(self.train_function)

    def make_test_function(self, force: bool = False) -> None:
        if force or self.test_function is None:
            super().make_test_function(force)
            self.test_function = self._checked(self.test_function)

    def make_predict_function(self, force: bool = False) -> None:
        if force or self.predict_function is None:
            super().make_predict_function(force)
            self.predict_function = self._checked(self.predict_function)

    def _checked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with a check of its batches: once traced for any length, it calls no Python of the net."""

        def check(batch: Any) -> Any:
            self.check(keras.utils.unpack_x_y_sample_weight(batch)[0])
            return batch

        def checked(*args: Any) -> Any:
            *state, batches = args  # some backends have a state
            if hasattr(batches, 'element_spec'):  # an iterator of tf.data, which the function reads inside
                check(batches.element_spec)
            elif isinstance(batches, list):  # of `predict`, which would trace anew for the other rank
                batches = [keras.tree.map_structure(_without_channel, check(batch)) for batch in batches]
            else:
                batches = map(check, batches)
            return function(*state, batches)

        return checked

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Raise SoundNetError: Keras would leave the convolutions, all of the net, in float32 and say nothing."""
        raise SoundNetError(
            f'{self.name}: Keras cannot quantize convolutions. Use soundnet-export --format=tflite --precision=int8'
        )


# HDF5 files name a model's class without its package.
keras.saving.get_custom_objects()[SoundNet.__name__] = SoundNet


def _without_channel(x: Any) -> Any:
    """`[batch, samples]` of `[batch, samples, 1]`."""
    return x[..., 0] if len(getattr(x, 'shape', ())) == 3 and x.shape[2] == 1 else x


def _hint(spec: NetSpec, samples: int) -> str:
    deepest = geometry.deepest_layer(spec, samples)
    return 'use a longer clip' + (f", or features(net, '{deepest}')" if deepest else '')
