"""Promise: long work never blocks the window, is cancelled within a second, and ends exactly once."""

from __future__ import annotations

import signal
import time

import job_samples
import psutil
import pytest

from napari_cyto.jobs.events import Advanced, Cancelled, Done, Failed, Noted
from napari_cyto.widgets.jobs import Job

pytestmark = pytest.mark.gui


class Heard:
    """A job with everything that it said."""

    def __init__(self, qtbot, function, **kwargs):
        self.qtbot = qtbot
        self.job = Job(function, kwargs)
        self.progress, self.terminal = [], []
        self.job.progressed.connect(self.progress.append)
        self.job.ended.connect(self.terminal.append)
        self.job.start()

    def until_running(self):
        self.qtbot.waitUntil(lambda: bool(self.progress), timeout=30_000)

    def until_ended(self):
        self.qtbot.waitUntil(lambda: bool(self.terminal), timeout=30_000)
        self.qtbot.waitUntil(lambda: not self.job._timer.isActive(), timeout=10_000)
        assert len(self.terminal) == 1, "a job has exactly one last word"
        assert not self.job._timer.isActive()
        return self.terminal[0]


@pytest.fixture
def hear(qtbot):
    heard = []

    def start(function, **kwargs):
        heard.append(Heard(qtbot, function, **kwargs))
        return heard[-1]

    yield start
    for one in heard:
        one.job.close()


def test_events_arrive_in_order_and_end_once(hear):
    heard = hear(job_samples.counts, total=5000)
    assert heard.until_ended() == Done({"total": 5000})
    steps = [e.done for e in heard.progress if isinstance(e, Advanced)]
    assert steps == sorted(steps)
    assert steps[-1] == 5000
    assert len(steps) < 1000, "progress is thinned to what a person can see"
    assert Noted("all counted") in heard.progress


def test_a_job_that_listens_says_itself_what_was_kept(hear):
    heard = hear(job_samples.waits)
    heard.until_running()
    heard.job.cancel()
    heard.job.cancel()
    assert heard.until_ended() == Cancelled("Stopped politely; nothing was kept.")


def test_a_deaf_job_is_signalled_and_may_clean_up(hear, tmp_path):
    heard = hear(job_samples.deaf, marker=tmp_path / "marker")
    heard.until_running()
    heard.job.cancel()
    assert isinstance(heard.until_ended(), Cancelled)
    assert (tmp_path / "marker").read_text() == "cleaned"


def test_a_stone_deaf_job_is_ended_within_a_second(hear):
    heard = hear(job_samples.stone_deaf)
    heard.until_running()
    start = time.monotonic()
    heard.job.cancel()
    heard.qtbot.waitUntil(lambda: bool(heard.terminal), timeout=5000)
    took_s = time.monotonic() - start
    assert isinstance(heard.until_ended(), Cancelled)
    assert took_s < 3, "about one second; three on a busy machine"
    assert not psutil.pid_exists(heard.job.pid)


def test_a_refusal_arrives_as_its_sentence(hear):
    ended = hear(job_samples.refuses).until_ended()
    assert ended == Failed("labels.txt, line 3: a number was expected, but 'x' came")


def test_a_bug_keeps_its_traceback(hear):
    ended = hear(job_samples.breaks).until_ended()
    assert isinstance(ended, Failed)
    assert not ended.expected
    assert "ZeroDivisionError" in ended.traceback


def test_a_job_without_a_last_word_is_a_bug(hear):
    ended = hear(job_samples.forgets).until_ended()
    assert isinstance(ended, Failed)
    assert not ended.expected


def test_nothing_is_heard_after_the_last_word(hear):
    assert hear(job_samples.talks_on).until_ended() == Done({"first": 1})


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_child_is_one_sentence(hear, number):
    ended = hear(job_samples.dies, signal_number=int(number)).until_ended()
    assert isinstance(ended, Failed)
    assert ended.expected
    assert "untouched" in ended.message
    assert ended.message.count(".") == 1


def test_the_window_lives_while_a_job_runs(hear):
    """The event loop turns at its own pace: a 10 ms timer fires many times while the child works."""
    from qtpy.QtCore import QTimer

    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start(10)
    heard = hear(job_samples.waits)
    heard.until_running()
    before = len(ticks)
    heard.qtbot.wait(500)
    assert len(ticks) - before > 5
    timer.stop()


def test_closing_leaves_no_process(hear):
    heard = hear(job_samples.stone_deaf)
    heard.until_running()
    heard.job.close()
    assert not psutil.pid_exists(heard.job.pid)
    assert len(heard.terminal) == 1


def test_the_child_imports_neither_window_nor_test_runner(hear):
    assert hear(job_samples.what_is_loaded).until_ended() == Done({"heavy": []})
