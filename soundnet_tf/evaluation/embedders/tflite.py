"""TFLite files: a waveform in, layers or other outputs by name out."""

import pathlib
from collections.abc import Mapping
from typing import Any

from soundnet_tf import storage
from soundnet_tf.audio import Waveform
from soundnet_tf.errors import SoundNetError
from soundnet_tf.evaluation.embedders import kinds, lite_graphs, lite_metadata
from soundnet_tf.evaluation.embedders.foreign import Foreign
from soundnet_tf.nets import litert, native, saved
from soundnet_tf.teachers.options import fingerprint


class Lite(Foreign):
    """A file with one input, a waveform, in each signature or, without signatures, at all.

    Its sample rate is `rate` in Hz, or that of its metadata, or else 22,050.
    """

    hint = 'Use longer clips, or a file of any length (soundnet-export --length_s=dynamic)'

    def __init__(self, path: str, rate: int | None = None):
        self.name = path
        file = pathlib.Path(path)
        if not file.is_file():
            raise SoundNetError(f'{path}: no such file')
        self.origin: Mapping[str, Any] = kinds.origin_of(file.parent)
        with storage.readable(path, 'Export or convert it again'):
            # Of an export with the hash that its model.json states: LiteRT does not check what it reads.
            model = saved.content(file, 'Export it again')
            if saved.stated_hash(file) is None:
                litert.check_foreign(file)
            with native.quiet():
                self._interpreter = litert.interpreter(model)
                graphs = lite_graphs.of(self._interpreter)
            stated = lite_metadata.sample_rate(model)
        self._graph_of = {layer: graph for graph in graphs if graph.is_for_waveforms for layer in graph.outputs}
        if not self._graph_of:
            wants = '; or '.join(graph.wants for graph in graphs)
            raise SoundNetError(
                f'{path}: does not accept a waveform, but {wants}. '
                'Use a file whose only input is samples, in floats or quantised'
            )
        if rate is not None and stated not in (None, rate):
            from absl import logging

            words = '%s: its metadata states %s Hz, but %s Hz are used, as appended. Leave out the rate to use its own'
            logging.warning(words, path, f'{stated:,}', f'{rate:,}')
        self.rate = kinds.rate_of(path, stated if rate is None else rate, file.parent)
        self.fingerprint = f'tflite {fingerprint(file)} {self.rate} Hz'

    def resolve_layer(self, layer: str | None) -> str:
        """The output with this name; by default that of features, or else the widest."""
        widths = {output: graph.width(output) for output, graph in self._graph_of.items()}
        return kinds.choose_output(layer, widths, self.name)

    def samples(self, layer: str) -> int:
        return self._graph_of[layer].samples

    def wants(self, layer: str) -> str:
        return self._graph_of[layer].wants

    def run(self, waveform: Waveform, layer: str) -> Any:
        return self._graph_of[layer].run(waveform, layer)
