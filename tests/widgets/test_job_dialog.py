"""Guards the dialog for work that must end first: its result, its sentence, and that it can be stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import job_samples
import pytest
from qtpy.QtCore import QTimer

from napari_cyto.errors import FormatError, JobCancelled
from napari_cyto.widgets.job_dialog import JobDialog

# Every test here begins and ends a child process; the fixture only makes sure of a QApplication.
pytestmark = pytest.mark.usefixtures("qapp")


def test_the_result_comes_back() -> None:
    assert JobDialog("Counting").run(job_samples.counts, {"total": 3}) == {"total": 3}


def test_a_failure_is_its_sentence() -> None:
    with pytest.raises(Exception, match=r"labels\.txt, line 3") as caught:
        JobDialog("Reading").run(job_samples.refuses, {})
    assert not isinstance(caught.value, FormatError | RuntimeError)


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        JobDialog("Reading").run(job_samples.breaks, {})


@pytest.mark.parametrize("way", ["escape", "close"])
def test_it_can_be_stopped(way: str) -> None:
    dialog = JobDialog("Unreviewed")
    press = dialog.reject if way == "escape" else dialog.close
    QTimer.singleShot(50, press)
    with pytest.raises(JobCancelled):
        dialog.run(job_samples.waits, {})


def test_the_demo_smear_is_offered_as_sample_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from napari_cyto import synthesis
    from napari_cyto.widgets import npe2_hooks

    small = synthesis.demo_smear(tmp_path, 1500)
    ran: list[Any] = []
    monkeypatch.setattr(npe2_hooks, "_with_progress", lambda *args: ran.append(args[1]))
    monkeypatch.setattr(synthesis, "demo_smear", lambda: small)
    image, points = npe2_hooks.demo_smear()
    assert ran == [npe2_hooks.make_demo_smear]
    assert image[2] == "image"
    assert image[0][0].shape == (1500, 1500, 3)
    assert len(points[0]) == len(points[1]["features"]["class"]) > 0
