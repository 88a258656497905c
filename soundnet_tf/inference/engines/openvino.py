"""OpenVINO: any layer of any net in whole clips, without TensorFlow."""

import itertools
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from soundnet_tf.audio import Waveform
from soundnet_tf.errors import MissingTool, SoundNetError
from soundnet_tf.inference.engines.base import Edges, Shared
from soundnet_tf.inference.stream import NetStream, Outputs
from soundnet_tf.nets import openvino, saved

if TYPE_CHECKING:
    from soundnet_tf.nets import fast


class OpenVINOEngine(Shared):
    """The net of a saved folder; only the weights of the requested layers are read.

    Raises MissingTool without openvino, SoundNetError if the folder is not a saved net, WeightsMismatch if its parts
    disagree.
    """

    def __init__(self, folder: str | os.PathLike[str], edges: Edges = 'drop', precision: 'fast.Precision' = 'float32'):
        if not openvino.installed():
            raise MissingTool('openvino', 'running a net with OpenVINO', 'openvino')
        spec = saved.read_spec(folder)
        self.spec = spec.with_edges() if edges == 'keep' else spec
        self.labels = saved.read_labels(folder)
        self.precision: fast.Precision = precision
        self._made_by = OpenVINOEngine, (os.path.abspath(folder), edges, precision)
        self._tensors = saved.Tensors(folder, self.spec)
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, ...], Any] = {}

    def max_clip_s(self, layers: Sequence[str]) -> float:
        return 300.0  # conv1 gives 3.5 MB for each 5 s

    def run_many(self, waveforms: Sequence[Waveform], layers: Sequence[str]) -> list[Outputs]:
        """Clips of one length as a batch: beside a longer clip, zeros at a clip's end would not be its padding."""
        found = dict[int, Outputs]()
        with self._lock:  # a request has one set of tensors
            request = self._request(tuple(layers))
            order = sorted(range(len(waveforms)), key=lambda index: len(waveforms[index]))
            for _, same in itertools.groupby(order, key=lambda index: len(waveforms[index])):
                batch = list(same)
                given = request.infer([np.stack([waveforms[index] for index in batch])])
                # Copies: the request's own arrays change at the next call.
                values = {layer: np.array(given[layer]) for layer in layers}
                found |= {index: {layer: values[layer][at] for layer in layers} for at, index in enumerate(batch)}
        return [found[index] for index in range(len(waveforms))]

    def open_stream(self, layers: Sequence[str]) -> NetStream:
        raise SoundNetError('streams need TensorFlow')

    def _request(self, layers: tuple[str, ...]) -> Any:
        if layers not in self._requests:
            net = openvino.compiled(self.spec, self._tensors, layers, self.precision)
            self._requests[layers] = net.create_infer_request()
        return self._requests[layers]
