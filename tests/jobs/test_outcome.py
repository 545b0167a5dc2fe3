"""Guards that each job ends exactly once, with a sentence, and with what was said before it ended."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.jobs.events import Cancelled, CancelToken, Done, Event, Failed, Noted
from napari_cyto.jobs.outcome import ending_once, stop_if_cancelled


def steps(error: BaseException | None) -> Iterator[Event]:
    yield Noted("One slide was left out.")
    if error is not None:
        raise error
    yield Done({"slides": 2})


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (None, Done({"slides": 2})),
        (JobCancelled("Cancelled. Nothing was written."), Cancelled("Cancelled. Nothing was written.")),
        (CytoError("The slide is not there."), Failed("The slide is not there.")),
    ],
)
def test_a_job_ends_with_its_own_word(error: BaseException | None, last: Event) -> None:
    assert list(ending_once(steps(error))) == [Noted("One slide was left out."), last]


def test_what_the_system_refuses_is_an_expected_sentence_with_the_file() -> None:
    *_, failed = ending_once(steps(OSError(errno.ENOSPC, "No space left on device", "/data/cells.csv")))
    assert isinstance(failed, Failed)
    assert failed.expected
    assert "/data/cells.csv" in failed.message


def test_a_bug_is_recognised_from_what_can_be_expected() -> None:
    *_, failed = ending_once(steps(KeyError("cells")))
    assert isinstance(failed, Failed)
    assert not failed.expected
    assert failed.message == "KeyError: 'cells'"
    assert "Traceback" in failed.traceback


def test_only_who_was_to_stop_stops() -> None:
    token = CancelToken()
    stop_if_cancelled(None)
    stop_if_cancelled(token)
    token.cancel()
    with pytest.raises(JobCancelled, match="Nothing was written"):
        stop_if_cancelled(token)
    with pytest.raises(JobCancelled, match="Two slides are kept"):
        stop_if_cancelled(token, "Two slides are kept.")
