"""Guards that one long call can be watched and stopped, and that its value or its error comes back as it was."""

from __future__ import annotations

import gc
import threading
import time

import pytest

from napari_cyto.errors import JobCancelled
from napari_cyto.jobs.events import Advanced, CancelToken
from napari_cyto.jobs.progress import progressed, watched
from napari_cyto.jobs.watched_call import Pace, seldom_collecting, watched_work


def finished(work: object) -> tuple[list[Advanced], object]:
    """The steps of some watched work, and what it returned."""
    steps: list[Advanced] = []
    while True:
        try:
            steps.append(next(work))  # type: ignore[call-overload]
        except StopIteration as stop:
            return steps, stop.value


def test_the_value_of_the_call_comes_back() -> None:
    assert finished(watched_work(lambda: {"cells": 3}, None, "")) == ([], {"cells": 3})


def test_the_error_of_the_call_comes_back_as_it_was() -> None:
    error = ValueError("line 3")

    def fails() -> None:
        raise error

    with pytest.raises(ValueError, match="line 3") as caught:
        finished(watched_work(fails, None, ""))
    assert caught.value is error


def test_progress_is_shown_in_mb_of_what_is_read() -> None:
    def reads() -> str:
        for done in range(1, 4):
            progressed(done * 2_000_000, 6_500_000, "Reading cells.csv")
            time.sleep(0.15)
        return "read"

    steps, value = finished(watched_work(reads, None, ""))
    assert value == "read"
    assert steps
    assert {step.total for step in steps} == {6}
    assert {step.done for step in steps} <= {2, 4, 6}
    assert all(step.message == "Reading cells.csv." for step in steps)


def test_a_stop_ends_the_call_itself_and_says_what_is_kept() -> None:
    ended = threading.Event()
    token = CancelToken()

    def endless() -> None:
        try:
            while True:
                progressed(1, 0, "Reading")
                time.sleep(0.01)
        finally:
            ended.set()

    work = watched_work(endless, token, "The project is as it was.")
    assert next(work) == Advanced(0, 0, "Reading.")
    token.cancel()
    with pytest.raises(JobCancelled, match="The project is as it was"):
        finished(work)
    assert ended.wait(2)


def test_a_listener_that_goes_away_ends_the_call_too() -> None:
    ended = threading.Event()

    def endless() -> None:
        try:
            while True:
                progressed(1, 0, "Reading")
                time.sleep(0.01)
        finally:
            ended.set()

    work = watched_work(endless, None, "")
    next(work)
    work.close()
    assert ended.wait(2)


def test_nobody_need_watch() -> None:
    progressed(1, 2, "Reading")
    seen: list[tuple[int, int, str]] = []
    with watched(lambda *step: seen.append(step)):
        progressed(1, 2, "Reading")
    progressed(2, 2, "Reading")
    assert seen == [(1, 2, "Reading")]


def test_a_rate_is_of_the_stretch_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    pace = Pace()
    assert pace.advanced(0, 900, "Reading", " MB") == Advanced(0, 900, "Reading.")
    now_s[0] += 1.0
    assert pace.advanced(50, 900, "Reading", " MB").message == "Reading.", "a second is too short to tell"
    now_s[0] += 1.0
    assert pace.advanced(300, 900, "Reading", " MB") == Advanced(300, 900, "Reading (150 MB/s).")
    assert pace.advanced(0, 10, "Writing").message == "Writing."
    now_s[0] += 5.0
    assert pace.advanced(0, 10, "Writing").message == "Writing.", "nothing done yet has no rate"
    assert pace.advanced(10_000, 10, "Writing").message == "Writing (2,000/s)."


def test_memory_is_looked_through_as_before_even_after_an_error() -> None:
    before = gc.get_threshold()
    during: list[int] = []

    def fails() -> None:
        with seldom_collecting():
            during.append(gc.get_threshold()[0])
            raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        fails()
    assert during[0] > before[0]
    assert gc.get_threshold() == before
