"""Which engine runs a saved net."""

import os
import pathlib
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, get_args

from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference.engines.base import Edges, Engine, Shared
from soundnet_tf.inference.engines.lite import LiteRTEngine
from soundnet_tf.inference.engines.openvino import OpenVINOEngine
from soundnet_tf.inference.engines.tensorflow import MAX_CLIP_S, stored
from soundnet_tf.inference.stream import NetStream, Outputs
from soundnet_tf.nets import openvino, precisions, processor, saved

if TYPE_CHECKING:
    from soundnet_tf.nets import fast


EngineName = Literal['auto', 'litert', 'openvino', 'tensorflow']
"""What runs a saved net, or `auto` for the quickest that is installed."""


LATER_S = 3600.0
"""Seconds of sound after which an engine that is quicker, but takes up to 2 s to start, has paid for its start."""


class FirstThatServes(Shared):
    """A fast engine for the layers that it serves, and one for all others, created when first needed.

    `later`, for all layers, takes the place of the fast one after `LATER_S`.
    """

    def __init__(self, quick: Engine, whole: Callable[[], Engine], later: Callable[[], Engine] | None = None):
        self._made_by = FirstThatServes, (quick, whole, later)
        self._lock = threading.Lock()
        self.spec = quick.spec
        self.labels = quick.labels
        self.precision = quick.precision
        self._quick = quick
        self._make, self._make_later = whole, later
        self._whole: Engine | None = None
        self._heard_s = 0.0

    def max_clip_s(self, layers: Sequence[str]) -> float:
        return self._quick.max_clip_s(layers) if self._is_quick(layers) else MAX_CLIP_S

    def run_many(self, waveforms: Sequence[Waveform], layers: Sequence[str]) -> list[Outputs]:
        with self._lock:
            self._heard_s += sum(map(len, waveforms)) / SAMPLE_RATE
            if self._make_later and self._heard_s > LATER_S:
                self._quick, self._make_later = self._make_later(), None
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


def engine_of(
    folder: str | os.PathLike[str],
    precision: 'fast.Precision' = 'float32',
    edges: Edges = 'drop',
    engine: EngineName = 'auto',
) -> Engine:
    """For a saved net: the engine of that name, or the quickest that is installed, and TensorFlow for the rest.

    LiteRT runs what the net's `net.tflite` serves, if it has one, in float32; OpenVINO any layer, but no streams. As
    `benchmarks/embed.py` has it, OpenVINO took 0.4 to 0.7 of LiteRT's time on one machine with AVX-512 and as long on
    another, but up to 2 s to start; with AVX2 alone 1.2 to 2.3 times.
    Raises SoundNetError if the folder is not a saved net, and for an engine that cannot run it as asked; MissingTool if
    the named engine is not installed.
    """
    if edges not in get_args(Edges):
        raise SoundNetError(f"edges={edges!r}: must be 'drop' or 'keep'")
    if engine not in get_args(EngineName):
        raise SoundNetError(f'engine={engine!r}: must be {", ".join(map(repr, get_args(EngineName)))}')
    saved.read_spec(folder)  # a wrong folder is reported before TensorFlow is loaded
    weights = saved.read_facts(folder).get('weights_sha256')

    def is_replaced() -> bool:
        return saved.read_facts(folder).get('weights_sha256') != weights

    def whole() -> Engine:
        if is_replaced():
            raise SoundNetError(f'{folder}: the net was replaced since it was loaded. Load it again')
        return stored(folder, precision, edges)

    quick, has_later = None, False
    if engine == 'auto':
        has_later = 'avx512f' in processor.flags() and openvino.installed()
        quick = None if _refusal('litert', folder, precision, edges) else _installed(LiteRTEngine, folder)
        if quick is None and has_later and not _refusal('openvino', folder, precision, edges):
            quick, has_later = OpenVINOEngine(folder, edges, precision), False
    elif engine != 'tensorflow':
        if refusal := _refusal(engine, folder, precision, edges):
            raise SoundNetError(f"{folder}: {refusal}. Use engine='auto'")
        quick = LiteRTEngine(folder) if engine == 'litert' else OpenVINOEngine(folder, edges, precision)
    if quick is None:
        return whole()

    def later() -> Engine:
        # A run of hours goes on with the net that it began with.
        return quick if is_replaced() else OpenVINOEngine(folder, edges)

    found = FirstThatServes(quick, whole, later if has_later else None)
    found._made_by = engine_of, (os.path.abspath(folder), precision, edges, engine)
    return found


def _installed(make: Callable[[str | os.PathLike[str]], Engine], folder: str | os.PathLike[str]) -> Engine | None:
    try:
        return make(folder)
    except MissingTool:
        return None


def _refusal(name: EngineName, folder: str | os.PathLike[str], precision: str, edges: Edges) -> str:
    """Why an engine other than TensorFlow cannot run a net; empty if it can."""
    if precision != 'float32' and not (name == 'openvino' and precisions.on_processor(precision)):
        return f'{name} runs nets in float32 here, not {precision}'
    if name == 'openvino':
        return ''
    quick = pathlib.Path(folder) / saved.TFLITE
    if edges == 'keep':
        return f"litert runs {saved.TFLITE}, which was written with edges='drop'"
    if not quick.is_file():
        return f'has no {saved.TFLITE} for litert. Write it with soundnet_tf.export.add_tflite'
    if saved.stated_hash(quick) is None:
        print(f'{quick}: not used, since model.json has no sha256 of it. {saved.NO_TFLITE}', file=sys.stderr)
        return f'its {saved.TFLITE} is not used'
    return ''
