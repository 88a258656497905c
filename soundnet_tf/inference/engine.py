"""What runs the net of an `Embedder`: TensorFlow for any layer, or LiteRT for some of them without TensorFlow.

Threads may share an engine. A copy of an engine is the engine itself; a pickle stores how to load it.
"""

import os
import pathlib
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, cast, get_args

import numpy as np

from soundnet_tf import geometry, storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference.stream import NetStream, Outputs, Run
from soundnet_tf.nets import forks, litert, native, precisions, saved
from soundnet_tf.spec import NetSpec

if TYPE_CHECKING:
    import keras

    from soundnet_tf.nets import fast


Edges = Literal['drop', 'keep']
"""Whether the steps at a clip's end that training never used are dropped: see `geometry.trim_edges`."""

MAX_CLIP_S = 60.0
"""TensorFlow gets longer sounds in pieces, which is as fast and keeps memory constant."""


class Engine(Protocol):
    """A net that can be run: waveforms in, the outputs of some of its layers and heads out."""

    @property
    def spec(self) -> NetSpec:
        """The table of the net."""
        ...

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The class names of each head."""
        ...

    @property
    def precision(self) -> str:
        """The number format of multiplications: float32, or bfloat16."""
        ...

    def serves(self, layer: str) -> bool:
        """Whether `run` knows the layer, or the head of that name."""
        ...

    def max_clip_s(self, layers: Sequence[str]) -> float:
        """The length in seconds above which a sound is streamed: the memory of `run` grows with the length."""
        ...

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        """`[samples]`, long enough for all `layers`, to `[time, channels]` of each; a head gives probabilities."""
        ...

    def run_many(self, waveforms: Sequence[Waveform], layers: Sequence[str]) -> list[Outputs]:
        """`run` of each, as one batch where that is faster. Memory is that of the longest, so use similar lengths."""
        ...

    def open_stream(self, layers: Sequence[str]) -> NetStream:
        """The net for one sound that arrives piece by piece."""
        ...


class _Shared:
    """An engine that copies share, since it never changes; a pickle has `_made_by`, the call that creates it."""

    _made_by: tuple[Callable[..., Any], tuple[Any, ...]]

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._made_by


class TensorFlowEngine(_Shared):
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

    def serves(self, layer: str) -> bool:
        return layer in (*self.spec.layer_names, *self.spec.head_names)

    def max_clip_s(self, layers: Sequence[str]) -> float:
        return MAX_CLIP_S

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        return self.run_many([waveform], layers)[0]

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


AT_ONCE_S = 60.0
"""Seconds of sound that LiteRT processes before it copies the weights for faster kernels, which takes time."""


class LiteRTEngine(_Shared):
    """The `net.tflite` of a saved net, which serves the layers that it was written with.

    Raises MissingTool without ai-edge-litert, SoundNetError if the file is missing or not the one that was written.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.spec = saved.read_spec(folder)
        self.labels = saved.read_labels(folder)
        self.precision = 'float32'
        self._made_by = LiteRTEngine, (os.path.abspath(folder),)
        self._lock = threading.Lock()  # an interpreter has one set of tensors
        self._path = pathlib.Path(folder) / saved.TFLITE
        self._content = saved.read_tflite(folder)
        self._seconds = 0.0
        self._packed = False
        with storage.readable(self._path, saved.NO_TFLITE):
            self._interpreter = litert.light(self._content, self._packed)
            # Layers with different receptive fields have different signatures: a clip may be long enough for some only.
            signatures = self._interpreter.get_signature_list()
            self._signature_of = {layer: key for key, names in signatures.items() for layer in names['outputs']}
        self._runners: dict[str, Any] = {}

    def serves(self, layer: str) -> bool:
        return layer in self._signature_of

    def max_clip_s(self, layers: Sequence[str]) -> float:
        return 300.0  # beyond, its activations take more memory than TensorFlow's

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        with self._lock, storage.readable(self._path, saved.NO_TFLITE):
            return self._run(waveform, layers)

    def _run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        self._seconds += len(waveform) / SAMPLE_RATE
        if self._seconds > AT_ONCE_S and not self._packed:
            self._packed, self._runners = True, {}
            self._interpreter = litert.light(self._content, self._packed)
        outputs: Outputs = {}
        for layer in layers:
            if layer not in outputs:
                given = self._runner(self._signature_of[layer])(waveform=waveform[None])
                outputs |= {name: values[0] for name, values in given.items()}
        return {layer: outputs[layer] for layer in layers}

    def run_many(self, waveforms: Sequence[Waveform], layers: Sequence[str]) -> list[Outputs]:
        return [self.run(waveform, layers) for waveform in waveforms]  # LiteRT gains nothing from a batch

    def open_stream(self, layers: Sequence[str]) -> NetStream:
        raise SoundNetError('streams need the weights of the net. Load its whole folder')

    def _runner(self, signature: str) -> Any:
        """Runs one signature. The first run, on the shortest clip, lets LiteRT set up, which it logs on stderr."""
        if signature not in self._runners:
            runner = self._interpreter.get_signature_runner(signature)
            own = (layer for layer, key in self._signature_of.items() if key == signature)
            samples = max(geometry.min_samples(self.spec, layer) for layer in own)
            with native.quiet():
                runner(waveform=np.zeros([1, samples], np.float32))
            self._runners[signature] = runner
        return self._runners[signature]


class FirstThatServes(_Shared):
    """A fast engine for the layers that it serves, and one for all others, created when first needed."""

    def __init__(self, quick: Engine, whole: Callable[[], Engine]):
        self._made_by = FirstThatServes, (quick, whole)
        self._lock = threading.Lock()
        self.spec = quick.spec
        self.labels = quick.labels
        self.precision = quick.precision
        self._quick = quick
        self._make = whole
        self._whole: Engine | None = None

    def serves(self, layer: str) -> bool:
        return layer in (*self.spec.layer_names, *self.spec.head_names)

    def max_clip_s(self, layers: Sequence[str]) -> float:
        return self._quick.max_clip_s(layers) if self._is_quick(layers) else MAX_CLIP_S

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        return self._of(layers).run(waveform, layers)

    def run_many(self, waveforms: Sequence[Waveform], layers: Sequence[str]) -> list[Outputs]:
        return self._of(layers).run_many(waveforms, layers)

    def open_stream(self, layers: Sequence[str]) -> NetStream:
        return self._made().open_stream(layers)

    def _is_quick(self, layers: Sequence[str]) -> bool:
        return all(self._quick.serves(layer) for layer in layers)

    def _of(self, layers: Sequence[str]) -> Engine:
        if self._is_quick(layers):
            return self._quick
        try:
            return self._made()
        except ModuleNotFoundError as error:  # TensorFlow
            more = ', '.join(layer for layer in layers if not self._quick.serves(layer))
            there = ', '.join(row.name for row in self.spec.rows if self._quick.serves(row.name))
            purpose = f'{more} of {self.spec.name}, whose {saved.TFLITE} has {there},'
            raise MissingTool(error.name or 'TensorFlow', purpose) from None

    def _made(self) -> Engine:
        with self._lock:
            self._whole = self._whole or self._make()
        return self._whole


def engine_of(folder: str | os.PathLike[str], precision: 'fast.Precision' = 'float32', edges: Edges = 'drop') -> Engine:
    """For a saved net: LiteRT for what its `net.tflite` serves, if it has one and LiteRT is installed; else TensorFlow.

    TensorFlow alone computes in other precisions than float32, and with `edges='keep'`. Raises SoundNetError if the
    folder is not a saved net.
    """
    if edges not in get_args(Edges):
        raise SoundNetError(f"edges={edges!r}: must be 'drop' or 'keep'")
    saved.read_spec(folder)  # a wrong folder is reported before TensorFlow is loaded
    weights = saved.read_facts(folder).get('weights_sha256')

    def whole() -> Engine:
        if saved.read_facts(folder).get('weights_sha256') != weights:
            raise SoundNetError(f'{folder}: the net was replaced since it was loaded. Load it again')
        return stored(folder, precision, edges)

    quick = pathlib.Path(folder) / saved.TFLITE
    if edges == 'keep' or precision != 'float32' or not quick.is_file():
        return whole()
    if saved.stated_hash(quick) is None:
        print(f'{quick}: not used, since model.json has no sha256 of it. {saved.NO_TFLITE}', file=sys.stderr)
        return whole()
    try:
        engine = FirstThatServes(LiteRTEngine(folder), whole)
    except MissingTool:
        return whole()
    engine._made_by = engine_of, (os.path.abspath(folder), precision, edges)
    return engine
