"""Bars: on a terminal as tqdm has them, in a log file a line a minute, and nothing for short work."""

import io

import pytest

from soundnet_tf import progress


class Stream(io.StringIO):
    terminal = False

    def isatty(self):
        return self.terminal


@pytest.fixture
def as_stderr(monkeypatch):
    """A function that puts a stream in the place of stderr; pytest's own comes back before a test begins."""

    def use(terminal=False):
        stream = Stream()
        stream.terminal = terminal
        monkeypatch.setattr('sys.stderr', stream)
        return stream

    return use


def test_short_work_leaves_a_log_empty(as_stderr):
    log = as_stderr()
    assert sum(progress.bar(range(100), desc='short')) == 4950
    assert log.getvalue() == ''


def test_long_work_writes_lines(as_stderr):
    log = as_stderr()
    # A minute passes at each step.
    now = iter(range(0, 10_000, 60))
    with progress.bar(total=5, desc='long', unit='step') as bar:
        bar._time = lambda: float(next(now))
        bar.start_t = bar.last_print_t = 0.0
        for _ in range(5):
            bar.update()
    lines = log.getvalue().splitlines()
    assert len(lines) >= 4
    assert all(line.startswith('long: ') and line == line.strip() for line in lines)
    assert '\r' not in log.getvalue()
    assert '5/5' in lines[-1]


def test_a_terminal_has_the_bar_at_once(as_stderr):
    log = as_stderr(terminal=True)
    for _ in progress.bar(range(2), desc='shown', keep=True):
        pass
    assert '\rshown: 100%' in log.getvalue()
