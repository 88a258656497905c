"""What runs the net under an `Embedder`: Keras for any layer, LiteRT for a few of them without TensorFlow."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from soundnet_tf import geometry, litert, saved
from soundnet_tf.audio import Waveform
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.spec import NetSpec

if TYPE_CHECKING:
    import keras

Outputs = dict[str, NDArray[np.float32]]
"""By layer or head: `[time, channels]`."""


class Engine(Protocol):
    """A net that can be run: a waveform in, the outputs of some of its layers and heads out."""

    @property
    def spec(self) -> NetSpec:
        """The table of the net."""
        ...

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The class names of each head."""
        ...

    def serves(self, layer: str) -> bool:
        """Whether `run` knows the layer, or the head of that name."""
        ...

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        """`[samples]`, long enough for all `layers`, to `[time, channels]` of each; a head gives probabilities."""
        ...


class KerasEngine:
    """A net in memory. It sees every change of the net's variables."""

    def __init__(self, net: 'keras.Model'):
        from soundnet_tf import model

        self.spec = model.spec_of(net)
        self.labels = model.labels_of(net)
        self._net = net
        self._functions: dict[tuple[str, ...], Callable[..., Any]] = {}

    def serves(self, layer: str) -> bool:
        return layer in (*self.spec.layer_names, *self.spec.head_names)

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        outputs = self._function(tuple(layers))(waveform[None])
        return {layer: output.numpy()[0] for layer, output in outputs.items()}

    def _function(self, layers: tuple[str, ...]) -> Callable[..., Any]:
        """One graph for each set of layers, called: `predict` costs 50 ms at each call."""
        if layers not in self._functions:
            import tensorflow as tf

            from soundnet_tf import model

            net = model.features(self._net, layers)
            # Without a signature each new clip length would be traced anew.
            signature = [tf.TensorSpec([None, None], tf.float32)]
            self._functions[layers] = tf.function(lambda x: net(x, training=False), input_signature=signature)
        return self._functions[layers]


class LiteRTEngine:
    """The `net.tflite` of a saved net, which serves the layers that it was written with.

    Raises MissingTool without ai-edge-litert, SoundNetError where the file is missing or damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.spec = saved.read_spec(folder)
        self.labels = saved.read_labels(folder)
        path = pathlib.Path(folder) / saved.TFLITE
        try:
            self._interpreter: Any = litert.light(path)
        except (ValueError, RuntimeError) as error:
            raise SoundNetError(f'{path} cannot be read ({error}): delete it, or write it again') from None
        # Layers of different reach are in different signatures: a short clip may do for one and not for another.
        signatures = self._interpreter.get_signature_list()
        self._signature_of = {layer: key for key, names in signatures.items() for layer in names['outputs']}
        self._runners: dict[str, Any] = {}

    def serves(self, layer: str) -> bool:
        return layer in self._signature_of

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        outputs: Outputs = {}
        for layer in layers:
            if layer not in outputs:
                given = self._runner(self._signature_of[layer])(waveform=waveform[None])
                outputs |= {name: values[0] for name, values in given.items()}
        return {layer: outputs[layer] for layer in layers}

    def _runner(self, signature: str) -> Any:
        """Runs one signature. A first run on the shortest clip lets LiteRT set up, which it announces on stderr."""
        if signature not in self._runners:
            runner = self._interpreter.get_signature_runner(signature)
            own = (layer for layer, key in self._signature_of.items() if key == signature)
            least = max(geometry.min_samples(self.spec, layer) for layer in own)
            with litert.silent_stderr():
                runner(waveform=np.zeros([1, least], np.float32))
            self._runners[signature] = runner
        return self._runners[signature]


class FirstThatServes:
    """A quick engine for what it serves, and one that serves all, made when it is first needed."""

    def __init__(self, quick: Engine, whole: Callable[[], Engine]):
        self.spec = quick.spec
        self.labels = quick.labels
        self._quick = quick
        self._make = whole
        self._whole: Engine | None = None

    def serves(self, layer: str) -> bool:
        return layer in (*self.spec.layer_names, *self.spec.head_names)

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        if all(self._quick.serves(layer) for layer in layers):
            return self._quick.run(waveform, layers)
        self._whole = self._whole or self._make()
        return self._whole.run(waveform, layers)


def engine_of(folder: str | os.PathLike[str]) -> Engine:
    """For a saved net: LiteRT for what its `net.tflite` serves, where there is one and LiteRT is installed; else Keras.

    Raises SoundNetError where the folder is no saved net.
    """

    def whole() -> Engine:
        return KerasEngine(saved.load_net(folder))

    saved.read_spec(folder)  # a mistaken folder is told before TensorFlow is loaded
    if not (pathlib.Path(folder) / saved.TFLITE).is_file():
        return whole()
    try:
        return FirstThatServes(LiteRTEngine(folder), whole)
    except MissingTool:
        return whole()
