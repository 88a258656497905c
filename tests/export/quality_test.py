"""Whether a quantised export is kept depends on what its users would lose."""

import dataclasses
import sys

import numpy as np
import pytest

from soundnet_tf.errors import ExportRefused
from soundnet_tf.export import exporter, lite, quality
from soundnet_tf.export.quality import Accuracy, Quality
from soundnet_tf.nets import model
from soundnet_tf.testing import enliven
from tests.export.made_clips import clips


def test_the_same_net_loses_nothing(net, tmp_path):
    pytest.importorskip('sklearn')
    plan = lite.plan(net, 'embedding', length_s=2)
    plan.write(tmp_path)
    (same,) = quality.measured(net, plan, tmp_path, clips())
    assert (same.output, same.clips, same.neighbours) == ('embedding', 24, 1)
    assert isinstance(same.accuracy, Accuracy)
    assert (same.accuracy.clips, same.accuracy.classes) == (12, 3)
    assert same.accuracy.keras == same.accuracy.export > 0.6
    assert not same.wrong()


def test_another_net_is_refused_by_its_loss(net, tmp_path):
    pytest.importorskip('sklearn')
    other = enliven(model.build(net.spec, labels=net.labels), seed=5)
    # Past any cosine, so that only the clips can tell.
    plan = dataclasses.replace(
        lite.plan(other, 'embedding', 'dynamic', 2), tolerance=lite.Tolerance(), about={'precision': 'dynamic'}
    )
    with pytest.raises(ExportRefused) as raised:
        exporter.carry_out(net, plan, tmp_path / 'out', clips=clips())
    words = str(raised.value)
    assert 'of 24 clips keep their nearest neighbour on embedding (90% required)' in words
    assert words.endswith('Use another precision')
    assert not list(tmp_path.iterdir())
    # The cosine decides where there are no clips, and that is said.
    with pytest.raises(
        ExportRefused, match=r'or 20 or more clips \(--calibration\): the loss of quality on them is then'
    ):
        exporter.carry_out(net, lite.plan(other, 'embedding', 'dynamic', 2), tmp_path / 'out')


def test_enough_clips_decide(net):
    few, enough = clips()[: quality.MIN_CLIPS - 1], clips()
    for precision in ('dynamic', 'int8'):
        assert lite.plan(net, 'embedding', precision, 2, few).tolerance == lite.TOLERANCES[precision]
        assert lite.plan(net, 'embedding', precision, 2, enough).tolerance == lite.JUDGED_BY_CLIPS
    assert lite.plan(net, 'embedding', 'float16', 2, enough).tolerance == lite.TOLERANCES['float16']


@pytest.mark.parametrize(
    ('neighbours', 'accuracy', 'words'),
    [
        (0.9, Accuracy(100, 2, 0.9, 0.88), []),
        (0.9, Accuracy(10, 2, 0.9, 0.8), []),  # one clip
        (0.9, 'no linear classifier was tried', []),
        (0.899, 'none', ['89.9% of 40 clips keep their nearest neighbour on pool5 (90% required)']),
        (float('nan'), 'it gives NaN', ['nan% of 40 clips keep their nearest neighbour on pool5 (90% required)']),
        (
            1,
            Accuracy(100, 2, 0.9, 0.87),
            [
                'on pool5, a linear classifier of 2 classes has an accuracy of 90.0% on 100 clips with Keras, '
                '87.0% with the export (a loss of 2 points is allowed)'
            ],
        ),
    ],
)
def test_limits_of_the_loss(neighbours, accuracy, words):
    assert Quality('pool5', 40, neighbours, accuracy).wrong() == words


def test_neighbours_are_the_nearest_by_direction():
    features = np.array([[1, 0], [5, 0.5], [0, 1], [0.1, 7], [0, 0]], np.float32)
    assert quality.nearest(features)[:4].tolist() == [1, 0, 3, 2]


def test_an_export_that_gives_nan(net, tmp_path, monkeypatch):
    monkeypatch.setitem(
        quality.reload.FORMS, 'tflite', lambda folder: lambda waveform: {'embedding': np.full(4, np.nan)}
    )
    (found,) = quality.measured(net, lite.plan(net, 'embedding', length_s=2), tmp_path, clips())
    assert found.wrong() == ['nan% of 24 clips keep their nearest neighbour on embedding (90% required)']


def test_classes_are_not_needed():
    """Of a flat folder the neighbours alone tell, and a class of a few clips takes nothing from the others."""
    pytest.importorskip('sklearn')
    features = np.random.default_rng(0).normal(size=(24, 8)).astype(np.float32)
    one = quality._accuracy(features, features, ['sounds'] * 24)
    assert one == 'no linear classifier, which needs two folders of 4 or more clips (--calibration)'
    two = quality._accuracy(features, features, [*['a', 'b'] * 11, 'c', 'c'])
    assert isinstance(two, Accuracy)
    assert two.classes == 2


def test_an_export_needs_no_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn.pipeline', None)
    said = quality._accuracy(np.eye(8, dtype=np.float32), np.eye(8, dtype=np.float32), [*'aaaabbbb'])
    assert said == "no linear classifier, which needs scikit-learn: pip install 'soundnet_tf[transfer]'"
