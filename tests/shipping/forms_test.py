"""The included nets in the other forms that `make models` makes: predictions are the same."""

import json
import pathlib
import subprocess

import numpy as np
import pytest

from soundnet_tf import inference
from soundnet_tf.audio import SAMPLE_RATE
from soundnet_tf.export import lite, reload
from soundnet_tf.export.verify import FILES, HALVED, cosine, difference
from soundnet_tf.inference.tags import clip_probabilities
from soundnet_tf.shipping import probes

TOP = pathlib.Path(__file__).parents[2]
READER = TOP / 'tests' / 'export' / 'mediapipe_reader.py'
PYTHON = TOP / '.venv-mediapipe' / 'bin' / 'python'
NETS = sorted((TOP / 'models').glob('*/hub'))
FOLDERS = [path.parent for path in sorted((TOP / 'models').glob('*/*/model.json'))]

pytestmark = pytest.mark.slow


@pytest.fixture(params=NETS or [None], ids=lambda hub: hub.parent.name if hub else 'none')
def forms(request):
    if request.param is None:
        pytest.skip('there are no other forms: make models')
    return request.param.parent


@pytest.fixture
def net(forms):
    return inference.load(forms.name)


def probabilities(net, head, waveform):
    own = next(own for own in net.spec.heads if own.name == head)
    return clip_probabilities(own, net.listener.listen_samples(waveform, SAMPLE_RATE, [head])[head].values)


def tagged(forms, kind):
    """A made sound of the length that the form of tags takes."""
    return np.resize(probes.synthetic(kind, 0), json.loads((forms / 'tags' / 'model.json').read_text())['samples'])


def expected(net, output, waveform):
    if output == 'embedding':
        return net.embed(waveform, SAMPLE_RATE).mean()
    head = output.removesuffix('_clip')
    if head != output:
        return probabilities(net, head, waveform)
    return net.listener.listen_samples(waveform, SAMPLE_RATE, [output])[output].values


@pytest.mark.parametrize('folder', FOLDERS, ids=lambda folder: f'{folder.parent.name}-{folder.name}')
def test_every_form(folder):
    facts, net = json.loads((folder / 'model.json').read_text()), inference.load(folder.parent.name)
    # The nets that ship are run from weights in float16 here.
    run, tolerance = reload.FORMS[facts['export']](folder), HALVED
    if 'precision' in facts:
        precision = facts['precision']
        tolerance = lite.TOLERANCES.get(f'{precision} {facts["kind"]}', lite.TOLERANCES[precision])
    shown = {*net.spec.layer_names, *net.spec.head_names, *(f'{head}_clip' for head in net.spec.head_names)}
    outputs = [name for name in facts['outputs'] if name in shown | {'embedding'}]
    assert outputs
    for kind in ('music-like', 'white noise', 'silence'):
        waveform = np.resize(probes.synthetic(kind, 0), facts['samples'] or 12 * SAMPLE_RATE)
        given = run(waveform)
        for output in outputs:
            wanted, values = expected(net, output, waveform), np.asarray(given[output])
            assert difference(values, wanted) <= tolerance.difference, f'{output} of {kind}'
            assert cosine(values, wanted) >= tolerance.cosine, f'{output} of {kind}'


def test_hub_and_tflite(forms, net):
    runs = [reload.hub(forms / 'hub'), reload.tflite(forms / 'tags')]
    embed = reload.tflite(forms / 'embedding')
    for kind in ('music-like', 'white noise', 'silence'):
        waveform = probes.synthetic(kind, 0)
        for head in net.spec.head_names:
            wanted = probabilities(net, head, tagged(forms, kind))
            for run in runs:
                np.testing.assert_allclose(run(tagged(forms, kind))[f'{head}_clip'], wanted, atol=5e-3)
        mean = net.embed(waveform, SAMPLE_RATE).mean()
        np.testing.assert_allclose(
            embed(waveform)['embedding'], mean, atol=HALVED.difference * max(1e-3, np.abs(mean).max())
        )


def test_mediapipe(forms, net, tmp_path):
    if not PYTHON.exists() or subprocess.run([PYTHON, '-c', 'import mediapipe'], capture_output=True).returncode:
        pytest.skip('MediaPipe is not there, or does not start: make .venv-mediapipe/made')
    waveform = tagged(forms, 'music-like')
    np.save(tmp_path / 'sound.npy', waveform)
    files = [forms / output / FILES['tflite'] for output in ('tags', 'embedding')]
    command = [PYTHON, READER, *files, tmp_path / 'sound.npy', SAMPLE_RATE]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env={}, cwd=tmp_path)
    assert not done.returncode, done.stderr[-2000:]
    (window,), (vector, *_) = json.loads(done.stdout.splitlines()[-1])
    for head in net.spec.head_names:
        said = [window[head][name] for name in net.labels[head]]
        np.testing.assert_allclose(said, probabilities(net, head, waveform), atol=5e-3)
    # The embedder's windows have 5 s.
    mean = net.embed(waveform[: 5 * SAMPLE_RATE], SAMPLE_RATE).mean()
    (values,) = vector.values()
    np.testing.assert_allclose(values, mean, atol=HALVED.difference * np.abs(mean).max())
