"""The tables of docs/streaming.md are those of the geometry and the streams."""

import pathlib

import numpy as np
import pytest

from soundnet_tf import geometry
from soundnet_tf.inference.engines import KerasEngine
from soundnet_tf.nets import fast, model
from soundnet_tf.spec import SAMPLE_RATE, SOUNDNET5, SOUNDNET8

TEXT = (pathlib.Path(__file__).parents[1] / 'docs' / 'streaming.md').read_text()


@pytest.mark.parametrize('spec', [SOUNDNET8, SOUNDNET5], ids=lambda spec: spec.name)
def test_the_tables(spec):
    (part,) = (part for part in TEXT.split('\nSoundNet')[1:] if part.startswith(spec.name[-1]))
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in part.splitlines() if line[:1] == '|'][2:]
    assert [row[0] for row in rows] == [*spec.layer_names, spec.head_alias]
    for layer, hop, latency, first in rows:
        assert float(hop) == round(geometry.hop(spec, layer) / SAMPLE_RATE, 4)
        assert float(latency) == round(geometry.latency(spec, layer) / SAMPLE_RATE, 4)
        samples = round(float(first) * SAMPLE_RATE)
        assert geometry.final_frames(spec, layer, samples + 2) >= 1
        assert geometry.final_frames(spec, layer, samples - 2) == 0


@pytest.mark.parametrize('spec', [SOUNDNET8, SOUNDNET5], ids=lambda spec: spec.name)
def test_samples_kept_are_within_the_documented_bound(spec):
    net = model.build(spec)
    rows = [row.name for row in spec.rows]
    stages = fast.stages(net, rows)
    widths = {None: 1} | {layer: geometry.channels(spec, layer) for layer in rows}
    most = sum(stage.kernel * widths[stage.source] for stage in stages)
    assert f'{most:,}' in TEXT
    stream = KerasEngine(net).open_stream(rows)
    for samples in (1, 997, 22_050, 30_011, 250_000):
        stream.push(np.zeros(samples, np.float32))
        assert stream.numbers() <= most
