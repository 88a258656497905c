"""Float weights of a TFLite model made small: the same operations, their own rounding, a fraction of the bytes."""

import numpy as np
import pytest

from soundnet_tf.export import constants, lite
from soundnet_tf.export.verify import difference
from soundnet_tf.testing import noise

litert = pytest.importorskip('ai_edge_litert.interpreter')


@pytest.mark.parametrize(('many', 'saved', 'largest'), [(2**62, 0.4, 5e-3), (constants.MIN_SIZE, 0.65, 5e-2)])
def test_fewer_bytes_and_nearly_the_same_numbers(net, tmp_path, monkeypatch, many, saved, largest):
    """All kernels as float16, and nearly all in 8 bits."""
    monkeypatch.setattr(constants, 'MIN_SIZE_8_BIT', many)
    lite.plan(net, 'layers').write(tmp_path)
    whole = (tmp_path / 'model.tflite').read_bytes()
    small = constants.with_small_constants(whole)
    weights = sum(np.asarray(v).nbytes for v in net.variables if len(v.shape) == 3 and 'logits' not in v.path)
    assert len(whole) - len(small) > saved * weights
    waveform = noise(1)[None]
    outputs = [
        litert.Interpreter(model_content=model).get_signature_runner()(waveform=waveform) for model in (whole, small)
    ]
    for name, values in outputs[0].items():
        assert 0 < difference(outputs[1][name], values) < largest


def test_sums_of_eight_bits_over_time_differ_by_half_a_step_at_most():
    sizes = np.array([1, 1e-6, 0], np.float32)[:, None, None, None]
    kernel = np.random.default_rng(0).normal(size=(3, 1, 8, 5)).astype(np.float32) * sizes
    rounded, scales = constants.in_eight_bits(kernel)
    again = rounded * scales[:, None, None, None]
    # Where the largest weight meets an error that would take it beyond 127, it keeps up to a whole step.
    wrong = np.abs(np.cumsum(again - kernel, axis=2)) / scales[:, None, None, None]
    assert wrong.max() <= 1.001
    assert (wrong > 0.501).mean() < 0.02
    assert np.abs(rounded[:2]).max(axis=(1, 2, 3)).tolist() == [127, 127]
    assert not again[2].any()
