"""docs/streaming.md tells what the geometry and the streams do."""

import pathlib

import numpy as np
import pytest

import soundnet_tf
from soundnet_tf import geometry
from soundnet_tf.inference.engine import KerasEngine
from soundnet_tf.nets import fast, model
from soundnet_tf.spec import SAMPLE_RATE, SOUNDNET5, SOUNDNET8
from soundnet_tf.testing import thin_spec

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
def test_what_is_kept(spec):
    net = model.build(spec)
    rows = [row.name for row in spec.rows]
    stages = fast.stages(net, rows)
    widths = {None: 1} | {layer: geometry.channels(spec, layer) for layer in rows}
    most = sum(stage.kernel * widths[stage.source] for stage in stages)
    assert f'{most:,}' in TEXT
    flow = KerasEngine(net).open_stream(rows)
    for samples in (1, 997, 22_050, 30_011, 250_000):
        flow.push(np.zeros(samples, np.float32))
        assert flow.numbers() <= most


def test_the_snippet_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    soundnet_tf.save_net(soundnet_tf.build(thin_spec()), tmp_path / 'demo-run' / 'run' / 'net')
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(TEXT.split('```python\n')[1].partition('```')[0], names)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert len(names['rest']) >= 1
    whole = names['embedder'].embed(np.concatenate([names['noise'](0.1, seed=s) for s in range(20)]), 44_100, 'pool5')
    assert len(whole) == len(names['rest']) + len(said)
