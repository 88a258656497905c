"""TensorFlow: any layer of any net, in whole clips and in streams."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from soundnet_tf import geometry
from soundnet_tf.audio import Waveform
from soundnet_tf.inference.engines.base import Edges, Shared
from soundnet_tf.inference.stream import NetStream, Outputs, Run
from soundnet_tf.nets import forks, precisions, saved

if TYPE_CHECKING:
    import keras

    from soundnet_tf.nets import fast


MAX_CLIP_S = 60.0
"""Longer sounds come in pieces, which is as fast and keeps memory constant."""


class TensorFlowEngine(Shared):
    """Runs the net with these `weights` through TensorFlow.

    `precision` 'bfloat16' multiplies in half precision: faster on processors that support it, SoundNetError elsewhere.
    """

    def __init__(
        self, weights: 'fast.Weights', labels: dict[str, tuple[str, ...]], precision: 'fast.Precision' = 'float32'
    ):
        self._made_by = TensorFlowEngine, (weights, labels, precision)
        self._lock = threading.RLock()
        self.spec = weights.spec
        self.labels = labels
        self._weights = weights
        precisions.require(precision, ('float32', 'bfloat16'))
        self.precision: fast.Precision = precision
        self._graphs: dict[tuple[str, ...], Callable[..., Any]] = {}
        self._stages: dict[tuple[str, ...], list[tuple[fast.Stage, Run]]] = {}

    def max_clip_s(self, layers: Sequence[str]) -> float:
        return MAX_CLIP_S

    def run_many(self, waveforms: Sequence[Waveform], layers: Sequence[str]) -> list[Outputs]:
        lengths = [len(waveform) for waveform in waveforms]
        batch = np.zeros([len(waveforms), _rounded_up(max(lengths))], np.float32)
        for row, waveform in zip(batch, waveforms, strict=True):
            row[: len(waveform)] = waveform
        outputs = self._whole(tuple(layers))(batch, np.array(lengths, np.int32))
        values = {layer: output.numpy() for layer, output in outputs.items()}
        return [
            {layer: values[layer][index, : geometry.frames(self.spec, layer, length)] for layer in layers}
            for index, length in enumerate(lengths)
        ]

    def open_stream(self, layers: Sequence[str]) -> NetStream:
        forks.check()
        with self._lock:
            if tuple(layers) not in self._stages:
                from soundnet_tf.nets import fast

                stages = fast.stages(self._weights, layers, self.precision)
                self._stages[tuple(layers)] = [(stage, self._compiled(stage)) for stage in stages]
        return NetStream(self.spec, layers, self._stages[tuple(layers)])

    def _whole(self, layers: tuple[str, ...]) -> Callable[..., Any]:
        """A graph to call: `predict` costs 50 ms at each call."""
        forks.check()
        with self._lock:
            if layers not in self._graphs:
                self._graphs[layers] = self._traced(layers)
        return self._graphs[layers]

    def _traced(self, layers: tuple[str, ...]) -> Callable[..., Any]:
        import tensorflow as tf

        from soundnet_tf.nets import fast

        form = fast.inference_form(self._weights, layers, self.precision)
        # Without a signature each new clip length would be traced again.
        signature = [tf.TensorSpec([None, None], tf.float32), tf.TensorSpec([None], tf.int32)]
        graph: Any = tf.function(form, input_signature=signature)
        concrete = graph.get_concrete_function()
        return lambda *arrays: concrete(*map(tf.constant, arrays))

    def _compiled(self, stage: 'fast.Stage') -> Run:
        import tensorflow as tf

        channels = 1 if stage.source is None else geometry.channels(self.spec, stage.source)
        signature = [tf.TensorSpec([1, None, channels], tf.float32)]
        graph: Any = tf.function(lambda x: tf.cast(stage.run(x), tf.float32), input_signature=signature)
        # Not at its first call: TensorFlow warns if several calls trace, and each stage would.
        concrete = graph.get_concrete_function()
        return lambda x: concrete(tf.constant(x)).numpy()


def _rounded_up(samples: int) -> int:
    """The next of 16 lengths per octave, so at most 1/16 more: oneDNN keeps memory for each length it sees."""
    step = 1 << max(0, samples.bit_length() - 5)
    return -(-samples // step) * step


class KerasEngine(TensorFlowEngine):
    """A net in memory. It sees every change of the net's variables."""

    def __init__(self, net: 'keras.Model', precision: 'fast.Precision' = 'float32'):
        from soundnet_tf.nets import fast, model

        labels, known = model.labels_of(net), cast(model.SoundNet, net)
        super().__init__(fast.Weights.of(known), labels, precision)
        self._made_by = KerasEngine, (net, precision)


def stored(
    folder: str | os.PathLike[str], precision: 'fast.Precision' = 'float32', edges: Edges = 'drop'
) -> TensorFlowEngine:
    """The net of a saved folder, without a Keras model; only the weights of the requested layers are read.

    Raises SoundNetError if the folder is not a saved net, WeightsMismatch if its parts disagree.
    """
    spec, labels = saved.read_spec(folder), saved.read_labels(folder)
    spec = spec.with_edges() if edges == 'keep' else spec
    tensors = saved.Tensors(folder, spec)
    from soundnet_tf.nets import fast

    engine = TensorFlowEngine(fast.Weights(spec, tensors, constant=True), labels, precision)
    engine._made_by = stored, (os.path.abspath(folder), precision, edges)
    return engine
