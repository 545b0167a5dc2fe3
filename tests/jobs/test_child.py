"""Guards what a window hears from the process that works for it: all that counts, in order, and one last word."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from typing import Any

import pytest

from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.jobs.child import PROGRESS_INTERVAL_S, JobFunction, PipeToken, run_in_child
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Events, Failed, Measured, Noted, Token


def heard(function: JobFunction, **kwargs: Any) -> list[Any]:
    """All that the other end of the pipe hears of a job that runs in this process."""
    here, there = Pipe()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        run_in_child(there, function, kwargs)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return list(received(here))


def received(connection: Connection) -> Iterator[Any]:
    try:
        while True:
            yield connection.recv()
    except EOFError:
        return


def quick(steps: int, token: Token) -> Events:
    for step in range(steps):
        yield Advanced(step, steps, "Working.")
    yield Noted("One file was left out.")
    yield Measured({"loss": 0.5})
    yield Advanced(steps, steps, "Working.")
    yield Done({"steps": steps})


def test_quick_progress_is_thinned_but_neither_its_end_nor_any_word_is_lost() -> None:
    first, *rest = heard(quick, steps=5000)
    assert first == Advanced(0, 5000, "Working.")
    assert rest[-4:] == [
        Noted("One file was left out."),
        Measured({"loss": 0.5}),
        Advanced(5000, 5000, "Working."),
        Done({"steps": 5000}),
    ]
    assert len(rest) < 1000


def slow(token: Token) -> Events:
    for step in range(4):
        time.sleep(1.1 * PROGRESS_INTERVAL_S)
        yield Advanced(step, 10)
    yield Done()


def test_slow_progress_is_passed_on_whole() -> None:
    assert heard(slow) == [Advanced(step, 10) for step in range(4)] + [Done()]


def after_the_end(last: Event, token: Token) -> Events:
    yield last
    raise RuntimeError("nobody asks for this")


@pytest.mark.parametrize("last", [Done({"a": 1}), Failed("No space."), Cancelled("Nothing was written.")])
def test_what_ends_a_job_is_the_last_that_is_heard_of_it(last: Event) -> None:
    assert heard(after_the_end, last=last) == [last]


def raising(error: BaseException, token: Token) -> Events:
    yield Noted("begun")
    raise error


def test_an_error_of_ours_is_its_sentence() -> None:
    assert heard(raising, error=CytoError("The slide is gone."))[1:] == [Failed("The slide is gone.")]


def test_a_stop_is_a_stop() -> None:
    assert heard(raising, error=JobCancelled("Stopped."))[1:] == [Cancelled()]


def test_a_bug_comes_with_its_traceback() -> None:
    (failed,) = heard(raising, error=ZeroDivisionError("by nought"))[1:]
    assert (failed.message, failed.expected) == ("ZeroDivisionError: by nought", False)
    assert "in raising" in failed.traceback


def test_a_job_that_cannot_even_begin_says_so_too() -> None:
    (failed,) = heard(quick, unknown=1)
    assert not failed.expected
    assert "unknown" in failed.message


def silent(token: Token) -> Events:
    yield Noted("begun")


def test_a_job_without_a_last_word_is_called_a_bug() -> None:
    failed = heard(silent)[-1]
    assert not failed.expected
    assert "bug" in failed.message


def test_a_word_from_the_window_or_its_end_stops_the_job() -> None:
    here, there = Pipe()
    token = PipeToken(there)
    assert not token.cancelled()
    here.send("cancel")
    assert token.cancelled()
    there.recv()
    assert token.cancelled(), "who was cancelled stays so"

    here, there = Pipe()
    token = PipeToken(there)
    here.close()
    assert token.cancelled()

    here, there = Pipe()
    there.close()
    assert PipeToken(there).cancelled()


def test_a_window_that_is_gone_ends_the_job_without_an_error() -> None:
    here, there = Pipe()
    here.close()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        run_in_child(there, slow, {})
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert there.closed


def tidy(path: str, token: Token) -> Events:
    with open(path, "w", encoding="utf-8") as stream:  # noqa: PTH123
        stream.write("half")
    try:
        yield Noted("begun")
        time.sleep(60)
        yield Done()
    finally:
        os.unlink(path)  # noqa: PTH108


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it.")
def test_a_process_that_is_terminated_tidies_up_and_says_that_it_was_cancelled(tmp_path: Any) -> None:
    half = tmp_path / ".data.part"
    here, there = Pipe()
    process = get_context("fork").Process(target=run_in_child, args=(there, tidy, {"path": str(half)}))
    process.start()
    there.close()
    assert here.recv() == Noted("begun")
    assert half.exists()
    process.terminate()
    assert list(received(here)) == [Cancelled()]
    process.join(10)
    assert not half.exists()
