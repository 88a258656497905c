"""TFLite files: a waveform in, layers or other outputs by name out."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from soundnet_tf import audio, storage
from soundnet_tf.audio import SAMPLE_RATE, Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.embedders import kinds, lite_graphs, lite_metadata
from soundnet_tf.evaluation.embedders.kinds import Values
from soundnet_tf.nets import litert, saved
from soundnet_tf.teachers.options import fingerprint


class Lite:
    """A file with one input, a waveform, in each signature or, without signatures, at all.

    Its sample rate is `rate` in Hz, or that of its metadata, or else 22,050. A model with a fixed input length
    processes a clip in consecutive windows of that length (`audio.windows`).
    """

    def __init__(self, path: str, rate: int | None = None):
        self.name = path
        file = pathlib.Path(path)
        if not file.is_file():
            raise SoundNetError(f'{path}: no such file')
        self.origin: Mapping[str, Any] = kinds.origin_of(file.parent)
        with storage.readable(path, 'Export or convert it again'):
            # Of an export with the hash that its model.json states: LiteRT does not check what it reads.
            model = saved.content(file, 'Export it again')
            self._interpreter = litert.interpreter(model)
            graphs = lite_graphs.of(self._interpreter)
            stated = lite_metadata.sample_rate(model)
        self._graph_of = {layer: graph for graph in graphs if graph.is_for_waveforms for layer in graph.outputs}
        if not self._graph_of:
            wants = '; or '.join(graph.wants for graph in graphs)
            raise SoundNetError(
                f'{path}: does not accept a waveform, but {wants}. Use a file with one input of samples'
            )
        self._rate = kinds.rate_of(path, stated if rate is None else rate, file.parent)
        self.fingerprint = f'tflite {fingerprint(file)} {self._rate} Hz'

    def resolve_layer(self, layer: str | None) -> str:
        """The output with this name; by default that of features, or else the widest."""
        widths = {output: graph.width(output) for output, graph in self._graph_of.items()}
        return kinds.choose_output(layer, widths, self.name)

    def hop_s(self, layer: str) -> float:
        """Of a model with a fixed input length, that length over the time steps of its output."""
        samples = self._graph_of[layer].samples
        if samples:
            return samples / self._rate / len(self._run(np.zeros(samples, np.float32), layer))
        return kinds.measured_hop_s(lambda samples: len(self._run(np.zeros(samples, np.float32), layer)), self._rate)

    def embed(self, waveforms: Sequence[Waveform], layer: str) -> list[Values]:
        return [self._run(audio.resample(waveform, SAMPLE_RATE, self._rate), layer) for waveform in waveforms]

    def _run(self, samples: Waveform, layer: str) -> Values:
        """The output for a sound at the file's own rate."""
        graph = self._graph_of[layer]
        pieces = audio.windows(samples, graph.samples) if graph.samples else samples[None]
        try:
            values = [graph.run(piece, layer) for piece in pieces]
        except (ValueError, RuntimeError) as error:
            raise SoundNetError(
                f'{self.name}: {layer} cannot be computed for {len(samples):,} samples at {self._rate:,} Hz '
                f'({storage.reason(error)}); it accepts {graph.wants}. '
                'Use longer clips, or a file of any length (soundnet-export --length_s=dynamic)'
            ) from None
        return np.concatenate([kinds.over_time(one, f'{self.name}: {layer}') for one in values])
