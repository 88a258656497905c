"""Modules of TensorFlow Hub and other SavedModels: a waveform in, one or several outputs out."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from soundnet_tf.audio import Waveform
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.evaluation.embedders import kinds
from soundnet_tf.evaluation.embedders.foreign import Foreign
from soundnet_tf.teachers.options import fingerprint

DEFAULT = 'embedding'
"""The name of an output without a name; those of a tuple are `output_0`, `output_1`, ..."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One way to call a module: with `[samples]`, or as `is_batch` with `[1, samples]`."""

    run: Callable[[Any], Any]
    is_batch: bool
    samples: int = 0
    """The input's length; 0 for any."""

    def outputs(self, waveform: Waveform) -> Mapping[str, Any]:
        """The module's outputs for `[samples]`, by name."""
        import tensorflow as tf

        return _named(self.run(tf.constant(waveform[None] if self.is_batch else waveform)))


class Module(Foreign):
    """A SavedModel's folder, or the address of a module, which tensorflow-hub then fetches.

    The module, or one of its signatures, accepts a waveform, `[samples]` or `[batch, samples]`, at `rate` in Hz, by
    default 22,050.
    """

    hint = 'Use longer clips'

    def __init__(self, where: str, rate: int | None = None):
        self.name = where
        self._module = _load(where)
        folder = pathlib.Path(where)
        self.origin: Mapping[str, Any] = kinds.origin_of(folder)
        self.rate = kinds.rate_of(where, rate, folder)
        found: dict[str, Call] = {}
        others: list[str] = []
        self._widths: dict[str, tuple[int, int]] = {}
        for call, outputs in _calls(self._module, self.rate):
            for name, values in outputs.items():
                array = np.asarray(values)
                if name not in {*found, 'times'} and array.ndim and array.dtype.kind in 'fiu':
                    found[name], self._widths[name] = call, (min(array.ndim, 2), array.shape[-1])
                else:
                    others.append(f'{name} {list(array.shape)} {array.dtype}')
        if not found and others:
            raise SoundNetError(
                f'{where}: no output of features, but {", ".join(dict.fromkeys(others))}. '
                'Use a module with an output [channels] or [time, channels] of numbers'
            )
        if not found:
            raise SoundNetError(
                f'{where}: does not accept a waveform, but {_wants(self._module)}. '
                'Use a module whose only input is samples, [samples] or [batch, samples], in float32'
            )
        self._calls = found
        self.fingerprint = f'module {fingerprint(folder) if folder.is_dir() else where} {self.rate} Hz'

    def resolve_layer(self, layer: str | None) -> str:
        """The output with this name; by default that of features, over time before single vectors, or the widest."""
        return kinds.choose_output(layer, self._widths, self.name)

    def samples(self, layer: str) -> int:
        return self._calls[layer].samples

    def wants(self, layer: str) -> str:
        return _wants(self._module)

    def run(self, waveform: Waveform, layer: str) -> Any:
        import tensorflow as tf

        try:
            return self._calls[layer].outputs(waveform)[layer]
        except (TypeError, tf.errors.OpError) as error:
            raise ValueError(str(error)) from None


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


def _calls(module: Any, rate: int) -> Iterator[tuple[Call, Mapping[str, Any]]]:
    """The calls that work, of the module itself before its signatures, and their outputs for noise."""
    import tensorflow as tf

    # Heads need more than 10 s.
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 12 * rate).astype(np.float32)
    for call in _ways(module):
        try:
            outputs = call.outputs(noise[: call.samples] if call.samples else noise)
        except (ValueError, TypeError, tf.errors.OpError):  # traced for another kind of input
            continue
        yield call, outputs


def _ways(module: Any) -> Iterator[Call]:
    traced = list(_traced(module))
    if callable(module) and not any(run is module for run, _ in traced):
        # What it accepts can only be found out by trying.
        yield from (Call(module, False), Call(module, True))
    for run, specs in traced:
        if len(specs) != 1 or specs[0].dtype.is_integer:
            continue
        (spec,) = specs
        # A signature does not refuse another rank, and makes what it will of it.
        if spec.shape.rank in (None, 1, 2):
            batches = (False, True) if spec.shape.rank is None else (spec.shape.rank == 2,)
            samples = (spec.shape[-1] or 0) if spec.shape.rank else 0
            call = run if run is module else lambda value, run=run, name=spec.name: run(**{name: value})
            yield from (Call(call, is_batch, samples) for is_batch in batches)


def _traced(module: Any) -> Iterator[tuple[Any, list[Any]]]:
    """What can be called, and the tensors that it accepts: the module itself as often as it was traced."""
    import tensorflow as tf

    for concrete in getattr(module.__call__, 'concrete_functions', ()) if callable(module) else ():
        values = tf.nest.flatten(concrete.structured_input_signature)
        yield module, [value for value in values if isinstance(value, tf.TensorSpec)]
    for key in getattr(module, 'signatures', {}):
        signature = module.signatures[key]
        specs = signature.structured_input_signature[1]
        yield signature, [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()]


def _wants(module: Any) -> str:
    """In words, what each call accepts: `rate [] int32 and samples [?] float32`; `?` for any length."""
    calls = [' and '.join(sorted(map(_describe, specs))) or 'no input' for _, specs in _traced(module)]
    return '; or '.join(dict.fromkeys(calls)) or 'nothing'


def _describe(spec: Any) -> str:
    sizes = '...' if spec.shape.rank is None else ', '.join(str(size or '?') for size in spec.shape)
    return f'{spec.name} [{sizes}] {spec.dtype.name}'


def _named(outputs: Any) -> Mapping[str, Any]:
    """A module's outputs by name: a dict, a named tuple, a list or tuple, or one tensor."""
    if isinstance(outputs, Mapping):
        return outputs
    if hasattr(outputs, '_asdict'):
        return outputs._asdict()
    if isinstance(outputs, list | tuple):
        return {f'output_{index}': output for index, output in enumerate(outputs)}
    return {DEFAULT: outputs}
