import threading
import time

import pytest

from soundnet_tf.prepare import pace
from soundnet_tf.prepare.pace import Clock


def test_time_at_work_is_summed_over_threads():
    clock = Clock()

    def work():
        with clock.at('sound'):
            time.sleep(0.05)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.seconds['sound'] == pytest.approx(0.15, abs=0.1)
    assert clock.seconds['sound'] >= 0.15


def test_waiting_for_the_reader_is_no_work():
    clock = Clock()

    def items():
        for index in range(3):
            time.sleep(0.02)
            yield index

    for _ in clock.each('sound', items()):
        time.sleep(0.1)
    assert 0.06 <= clock.seconds['sound'] < 0.2


def test_what_fails_took_time_too():
    clock = Clock()
    with pytest.raises(ZeroDivisionError), clock.at('frames'):
        _ = 1 / 0
    assert 'frames' in clock.seconds


def test_the_table_marks_the_slowest():
    text = pace.table({'sound': 2.0, 'frames': 6.0, 'imagenet': 4.0}, {'sound': 2, 'frames': 2}, 12)
    assert text.splitlines() == [
        'stage          seconds  share  videos/s',
        'sound              2.0    17%      12.0',
        # Two threads share them, and one asks the teacher.
        'frames             6.0    50%       4.0',
        'imagenet           4.0    33%       3.0  <- the slowest',
    ]
    assert pace.table({}, {}, 0) == ''
