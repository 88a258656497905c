"""Which engine runs a saved net."""

import os
import pathlib
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, get_args

from soundnet_tf.audio import Waveform
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference.engines.base import Edges, Engine, Shared
from soundnet_tf.inference.engines.lite import LiteRTEngine
from soundnet_tf.inference.engines.tensorflow import MAX_CLIP_S, stored
from soundnet_tf.inference.stream import NetStream, Outputs
from soundnet_tf.nets import saved

if TYPE_CHECKING:
    from soundnet_tf.nets import fast


class FirstThatServes(Shared):
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
