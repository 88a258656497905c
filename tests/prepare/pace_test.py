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
    assert clock.seconds['sound'] >= 0.15


def test_waiting_for_the_reader_is_not_timed():
    clock = Clock()

    def items():
        for index in range(3):
            time.sleep(0.02)
            yield index

    for _ in clock.each('sound', items()):
        time.sleep(0.1)
    # The reader's own 0.3 s are not counted.
    assert 0.06 <= clock.seconds['sound'] < 0.3


def test_failed_work_is_timed():
    clock = Clock()
    with pytest.raises(ZeroDivisionError), clock.at('frames'):
        _ = 1 / 0
    assert 'frames' in clock.seconds


def test_the_table_names_the_bottleneck():
    """Two threads share sound and frames; the teacher takes longer than either, and less than half of both."""
    text = pace.table({'sound': 6.0, 'frames': 5.0, 'imagenet': 5.2, 'write': 0.1}, {'reading': 2}, 12)
    assert text.splitlines() == [
        'stage          seconds  share  videos/s',
        'sound              6.0    37%       4.0',
        'frames             5.0    31%       4.8',
        'imagenet           5.2    32%       2.3',
        'write              0.1     1%     120.0',
        'slowest: reading, 2.2 videos/s, mostly sound',
    ]
    assert pace.table({}, {}, 0) == ''
