"""Which classes the timeline shows."""

import numpy as np

from soundnet_tf.visualize import timeline


def steps(classes, *tops):
    values = np.full((len(tops), classes), 0.001)
    for step, (index, probability) in enumerate(tops):
        values[step, index] = probability
    return values


def test_every_class_that_is_the_most_probable_at_some_time_is_shown():
    tops = [(index, 0.999 - 0.05 * index) for index in range(9)]
    values = steps(20, *tops)
    values[0, 15] = 0.9  # higher than most, and never the highest
    assert sorted(timeline.shown(values)) == list(range(9))
    assert len(timeline.shown(steps(50, *[(index, 0.5) for index in range(30)]))) == timeline.MAX_CLASSES


def test_more_are_shown_if_they_are_few_and_none_that_is_always_improbable():
    values = steps(20, (3, 0.9))
    values[0, 5:12] = np.linspace(0.03, 0.09, 7)
    assert timeline.shown(values) == [3, 11, 10, 9, 8, 7]
    assert timeline.shown(steps(20, (3, 0.9))) == [3]
    assert timeline.shown(np.full((2, 401), 1 / 401)) == [0]
