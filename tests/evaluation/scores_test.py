"""Scores: accuracy, confusion, and their table."""

from soundnet_tf.evaluation.scores import Scores
from soundnet_tf.evaluation.text_tables import confusion_table


def test_accuracy_and_confusion():
    scores = Scores.of(['cat', 'dog'], [0, 0, 1, 1, 1], [[2, 1], [0, 1], [0, 3], [5, 4], [1, 2]])
    assert scores.accuracy == 0.6
    assert scores.confusion == [[1, 1], [1, 2]]
    assert confusion_table(scores.classes, scores.confusion) == (
        'class \\ predicted  1  2  recall\n'
        '1 cat              1  1     50%\n'
        '2 dog              1  2     67%'
    )  # fmt: skip


def test_a_class_without_clips_has_a_row():
    scores = Scores.of('ab', [0], [[1, 0]])
    assert confusion_table(scores.classes, scores.confusion).splitlines()[-1].split() == ['2', 'b', '.', '.', '0%']
