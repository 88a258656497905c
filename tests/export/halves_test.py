"""Float weights of a TFLite model as float16: the same operations, half the bytes, float16's own rounding."""

import numpy as np
import pytest

from soundnet_tf.export import halves, lite
from soundnet_tf.export.verify import difference
from soundnet_tf.testing import noise

litert = pytest.importorskip('ai_edge_litert.interpreter')


def test_half_the_bytes_and_nearly_the_numbers(net, tmp_path):
    lite.plan(net, 'layers').write(tmp_path)
    whole = (tmp_path / 'model.tflite').read_bytes()
    half = halves.with_halves(whole)
    weights = sum(np.asarray(v).nbytes for v in net.variables if len(v.shape) == 3 and 'logits' not in v.path)
    assert len(whole) - len(half) > 0.4 * weights
    waveform = noise(1)[None]
    outputs = [
        litert.Interpreter(model_content=model).get_signature_runner()(waveform=waveform) for model in (whole, half)
    ]
    for name, values in outputs[0].items():
        assert 0 < difference(outputs[1][name], values) < 5e-3
