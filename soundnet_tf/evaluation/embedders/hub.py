"""Modules of TensorFlow Hub and other SavedModels: a waveform in, a dict of outputs by name out."""

import itertools
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.evaluation.embedders.kinds import Values, choose_output, measured_hop_s, origin_of, over_time
from soundnet_tf.teachers.options import fingerprint

DEFAULT = 'embedding'
"""The name of an output without a name."""

Call = Callable[[Waveform], Mapping[str, Any]]


class Module:
    """A SavedModel's folder, or the address of a module, which tensorflow-hub then fetches.

    The module, or one of its signatures, takes `waveform`, `[samples]` or `[batch, samples]` at 22,050 Hz.
    """

    def __init__(self, where: str):
        self.name = where
        self._module = _load(where)
        folder = pathlib.Path(where)
        self.origin: Mapping[str, Any] = origin_of(folder)
        self.fingerprint = f'module {fingerprint(folder) if folder.is_dir() else where}'
        self._calls: dict[str, Call] = {}
        # Heads need more than 10 s.
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, 12 * SAMPLE_RATE).astype(np.float32)
        for call in _signatures(self._module, noise):
            for output in call(noise):
                self._calls.setdefault(output, call)
        if not self._calls:
            raise SoundNetError(
                f'{where}: does not accept a waveform. Use a module from a waveform to a dict of outputs'
            )

    def resolve_layer(self, layer: str | None) -> str:
        """The output with this name; by default the feature layer over time, or else `embedding`."""
        return choose_output(layer, [output for output in self._calls if output != 'times'], self.name)

    def hop_s(self, layer: str) -> float:
        return measured_hop_s(lambda samples: len(self._one(np.zeros(samples, np.float32), layer)))

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        return [self._one(waveform, layer) for waveform in waveforms]

    def _one(self, waveform: Waveform, layer: str) -> Values:
        return over_time(self._calls[layer](waveform)[layer], f'{self.name}: {layer}')


def _load(where: str) -> Any:
    import tensorflow as tf

    try:
        if pathlib.Path(where).is_dir():
            return tf.saved_model.load(where)
        try:
            import tensorflow_hub
        except ImportError:
            raise MissingTool('tensorflow-hub', 'a module from the web', 'hub') from None
        return tensorflow_hub.load(where)
    except (OSError, ValueError, RuntimeError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise SoundNetError(f'{where}: cannot be loaded as a module ({reason})') from error


def _signatures(module: Any, noise: Waveform) -> Iterator[Call]:
    """The module itself, then its signatures, each for a waveform alone or else for a batch of one, if it takes it."""
    import tensorflow as tf

    ways = [(module, None)] if callable(module) else []
    for key in getattr(module, 'signatures', {}):
        signature = module.signatures[key]
        entries = signature.structured_input_signature[1]
        if len(entries) == 1:
            ((entry, spec),) = entries.items()
            ways.append((lambda waveform, run=signature, entry=entry: run(**{entry: waveform}), spec.shape.rank))
    for (way, rank), batched in itertools.product(ways, (False, True)):
        # A signature does not refuse another rank, and makes what it will of it.
        if rank not in (None, 2 if batched else 1):
            continue

        def call(waveform: Waveform, way: Any = way, batched: bool = batched) -> Mapping[str, Any]:
            outputs = way(tf.constant(waveform[None] if batched else waveform))
            return outputs if isinstance(outputs, Mapping) else {DEFAULT: outputs}

        try:
            call(noise)
        except (ValueError, TypeError, tf.errors.OpError):  # traced for the other kind of input
            continue
        yield call
