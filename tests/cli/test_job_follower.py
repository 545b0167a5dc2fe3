"""Guards how the command line follows jobs: their one last word becomes a value, a sentence or a traceback."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from napari_cyto.cli import job_follower as following
from napari_cyto.cli.job_follower import Interrupted, follow
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Event, Failed, Noted


def job(*events: Event) -> object:
    return lambda _token: iter(events)


def test_the_result_comes_back_and_notes_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert follow(job(Advanced(1, 2, "one"), Noted("Look here."), Done({"cells": 3})), "Count") == {"cells": 3}
    out, err = capsys.readouterr()
    assert (out, err) == ("", "Look here.\n")


def test_a_failure_says_its_sentence_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CytoError, match="No room"):
        follow(job(Advanced(0, 2), Noted("A note."), Failed("No room.")), "Count")
    assert capsys.readouterr().err == ""


def test_a_bug_in_a_job_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="line 7"):
        follow(job(Failed("KeyError: 1", expected=False, traceback="line 7")), "Count")


def test_a_job_without_a_last_word_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="without a final event"):
        follow(job(Advanced(1, 1)), "Count")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_job_and_handlers_come_back(number: signal.Signals, code: int) -> None:
    def counting(token: CancelToken) -> Iterator[Event]:
        os.kill(os.getpid(), number)
        for step in range(10_000):
            if token.cancelled():
                yield Cancelled("Stopped; nothing was written.")
                return
            yield Advanced(step, 10_000)

    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match="nothing was written") as caught:
        follow(counting, "Count")
    assert caught.value.code == code
    assert signal.getsignal(number) is before


def test_long_work_is_reported_by_tenths(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(following, "QUIET_S", -1.0)
    follow(job(*(Advanced(i, 100, "cells") for i in range(100)), Done()), "Count")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "0/100 cells"
    assert len(lines) == 10


def test_long_work_says_how_long_the_rest_takes_stretch_by_stretch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, *(float(n) for n in range(0, 1000, 5))])
    monkeypatch.setattr(following.time, "monotonic", lambda: next(clock))
    steps = [Advanced(i, 10, "MB read.") for i in range(10)] + [Advanced(i, 100, "Storing.") for i in range(0, 100, 10)]
    follow(job(*steps, Done()), "Import")
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("5/10 MB read. About ") for line in lines)
    first_stored = next(line for line in lines if "Storing" in line)
    assert "left" not in first_stored, "the pace of reading says nothing of storing"
    assert "About" in lines[-1]


def test_a_screen_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert follow(job(Advanced(1, 2, "[one]"), Noted("[see]"), Done({"a": 1})), "Count") == {"a": 1}
    assert "[see]" in capsys.readouterr().err
