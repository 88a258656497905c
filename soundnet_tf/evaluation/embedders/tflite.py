"""TFLite files: a waveform in, layers by name, or one output, out."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from soundnet_tf import storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform, windows
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.embedders.kinds import Values, choose_output, measured_hop_s, origin_of, over_time
from soundnet_tf.nets import litert, saved
from soundnet_tf.teachers.options import fingerprint


class Lite:
    """A file whose signatures take one input, `[batch, samples]` or `[samples]` at 22,050 Hz.

    A model with a fixed input length processes a clip window by window.
    """

    def __init__(self, path: str):
        self.name = path
        if not pathlib.Path(path).is_file():
            raise SoundNetError(f'{path}: no such file')
        self.origin: Mapping[str, Any] = origin_of(pathlib.Path(path).parent)
        self.fingerprint = f'tflite {fingerprint(pathlib.Path(path))}'
        with storage.readable(path, 'Export or convert it again'):
            # Of an export with the hash that its model.json states: LiteRT does not check what it reads.
            self._interpreter = litert.interpreter(saved.content(pathlib.Path(path), 'Export it again'))
            self._signature_of = {
                layer: (key, names['inputs'][0])
                for key, names in self._interpreter.get_signature_list().items()
                if len(names['inputs']) == 1
                for layer in names['outputs']
            }
        if not self._signature_of:
            raise SoundNetError(f'{path}: no signature with one input. Convert a SavedModel with signatures')

    def resolve_layer(self, layer: str | None) -> str:
        """The output with this name; by default the feature layer, or the only one."""
        return choose_output(layer, list(self._signature_of), self.name)

    def hop_s(self, layer: str) -> float:
        _, _, samples = self._input(layer)
        if samples:
            return samples / SAMPLE_RATE / len(self._one(np.zeros(samples, np.float32), layer))
        return measured_hop_s(lambda samples: len(self._one(np.zeros(samples, np.float32), layer)))

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        return [self._one(waveform, layer) for waveform in waveforms]

    def _input(self, layer: str) -> tuple[Any, int, int]:
        """What runs the layer's signature, how many dimensions it takes, and how many samples; 0 for any number."""
        key, entry = self._signature_of[layer]
        runner = self._interpreter.get_signature_runner(key)
        shape = runner.get_input_details()[entry]['shape_signature']
        # Some converters write 1 for any.
        return runner, len(shape), int(shape[-1]) if shape[-1] > 1 else 0

    def _one(self, waveform: Waveform, layer: str) -> Values:
        _, entry = self._signature_of[layer]
        runner, dimensions, samples = self._input(layer)
        pieces = windows(waveform, samples) if samples else waveform[None]
        try:
            values = [runner(**{entry: piece if dimensions == 1 else piece[None]})[layer] for piece in pieces]
        except (ValueError, RuntimeError) as error:
            raise SoundNetError(
                f'{self.name}: {layer} cannot be computed for {len(waveform):,} samples ({storage.reason(error)}). '
                'Use longer clips, or a file of any length (soundnet-export --length_s=dynamic)'
            ) from None
        return np.concatenate([over_time(one, f'{self.name}: {layer}') for one in values])
