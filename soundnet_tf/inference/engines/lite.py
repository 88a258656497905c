"""LiteRT: the layers that a `net.tflite` was written with, without TensorFlow."""

import contextlib
import os
import pathlib
import queue
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.inference.engines.base import Shared
from soundnet_tf.inference.stream import NetStream, Outputs
from soundnet_tf.nets import litert, native, saved
from soundnet_tf.parallel import threads

AT_ONCE_S = 60.0
"""Seconds of sound that LiteRT processes before it copies the weights for faster kernels, which takes time."""


class LiteRTEngine(Shared):
    """The `net.tflite` of a saved net, which serves the layers that it was written with.

    Raises MissingTool without ai-edge-litert, SoundNetError if the file is missing or not the one that was written.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.spec = saved.read_spec(folder)
        self.labels = saved.read_labels(folder)
        self.precision = 'float32'
        self._made_by = LiteRTEngine, (os.path.abspath(folder),)
        self._lock = threading.Lock()
        self._path = pathlib.Path(folder) / saved.TFLITE
        self._content = saved.read_tflite(folder)
        self._seconds = 0.0
        with self._readable():
            first = _Interpreter(self._content, packed=False)
        self._signature_of = first.signature_of
        self._idle = {'at once': _queued([first])}

    def serves(self, layer: str) -> bool:
        return layer in self._signature_of

    def max_clip_s(self, layers: Sequence[str]) -> float:
        return 300.0  # beyond, its activations take more memory than TensorFlow's

    def run_many(self, waveforms: Sequence[Waveform], layers: Sequence[str]) -> list[Outputs]:
        # A batch in one interpreter is no faster, one thread for each clip is.
        idle, count = self._interpreters(waveforms)

        def run(waveform: Waveform) -> Outputs:
            interpreter = idle.get()
            try:
                return interpreter.run(waveform, layers)
            finally:
                idle.put(interpreter)

        with self._readable():
            return list(threads.ahead(run, waveforms, count) if count > 1 else map(run, waveforms))

    def open_stream(self, layers: Sequence[str]) -> NetStream:
        raise SoundNetError('streams need the weights of the net. Load its whole folder')

    def _interpreters(self, waveforms: Sequence[Waveform]) -> tuple['queue.SimpleQueue[_Interpreter]', int]:
        """The idle interpreters for so many clips, and how many run at once."""
        with self._lock, self._readable():
            self._seconds += sum(map(len, waveforms)) / SAMPLE_RATE
            if self._seconds <= AT_ONCE_S:
                return self._idle['at once'], 1
            kind, count = ('clips', litert.THREADS) if len(waveforms) > 1 else ('clip', 1)
            if kind not in self._idle:
                self._idle[kind] = _queued(
                    _Interpreter(self._content, threads=litert.THREADS // count) for _ in range(count)
                )
            return self._idle[kind], count

    def _readable(self) -> contextlib.AbstractContextManager[None]:
        return storage.readable(self._path, saved.NO_TFLITE)


class _Interpreter:
    """LiteRT's, which one thread may use at a time: it has one set of tensors."""

    def __init__(self, content: bytes, packed: bool = True, threads: int = 1):
        self._interpreter = litert.light(content, packed, threads)
        # Layers with different receptive fields have different signatures: a clip may be long enough for some only.
        signatures = self._interpreter.get_signature_list()
        self.signature_of = {layer: key for key, names in signatures.items() for layer in names['outputs']}
        self._runners: dict[str, Any] = {}

    def run(self, waveform: Waveform, layers: Sequence[str]) -> Outputs:
        outputs: Outputs = {}
        for layer in layers:
            if layer not in outputs:
                given = self._run(self.signature_of[layer], waveform)
                outputs |= {name: values[0] for name, values in given.items()}
        return {layer: outputs[layer] for layer in layers}

    def _run(self, signature: str, waveform: Waveform) -> Any:
        """One signature. In its first run LiteRT sets up, which it logs on stderr."""
        is_first = signature not in self._runners
        if is_first:
            self._runners[signature] = self._interpreter.get_signature_runner(signature)
        with native.quiet() if is_first else contextlib.nullcontext():
            return self._runners[signature](waveform=waveform[None])


def _queued(interpreters: Iterable[_Interpreter]) -> 'queue.SimpleQueue[_Interpreter]':
    waiting = queue.SimpleQueue[_Interpreter]()
    for interpreter in interpreters:
        waiting.put(interpreter)
    return waiting
