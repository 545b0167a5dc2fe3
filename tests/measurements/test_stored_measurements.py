"""Promise: what was measured once is kept beside the project, counts only for the outline and slide it was measured on,
and neither a stop, a kill nor a damaged file costs more than the time to measure again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from outlined_project import outlined_project, ring

from napari_cyto.domain.edits import replace_all
from napari_cyto.domain.geometry import CellOutline
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Noted
from napari_cyto.measurements import MeasureOptions, _measure, measure, measurements_folder, stored_measurements
from napari_cyto.store import Project

OPTIONS = MeasureOptions()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return outlined_project(tmp_path)


def run(folder: Path, token: CancelToken | None = None) -> list:
    return list(measure(folder, OPTIONS, token))


def measured_anew(events: list) -> bool:
    return any(isinstance(event, Advanced) for event in events)


def test_what_is_kept_is_read_without_the_slide_and_counts_for_its_outline_only(folder: Path) -> None:
    made = run(folder)[-1].result
    with Project.open(folder) as project:
        found = stored_measurements(project)
        np.testing.assert_array_equal(found.values, made.values)
        assert (found.lacking, found.without_outline, found.plain_outlines) == (1, 1, 1), "slide b has no mpp"
        lsil = next(a for a in project.annotations() if a.class_id == "LSIL")
        wider = replace(lsil, geometry=CellOutline(ring(330, 420, 27), lsil.geometry.cytoplasm_yx, accepted=True))
        project.apply(replace_all([(lsil, wider)], "Correct the outline"), "Ana")
        assert lsil.id not in stored_measurements(project).slides[0].ids
        assert stored_measurements(project).lacking == 2
        project.undo("Ana")
        assert stored_measurements(project).lacking == 1, "the outline that is back has its numbers"
        again = replace(lsil, geometry=replace(lsil.geometry, accepted=True), class_id="HSIL")
        project.apply(replace_all([(lsil, again)], "Accept the outline"), "Ana")
        slide = stored_measurements(project).slides[0]
        row = slide.ids.index(lsil.id)
        assert (slide.accepted[row], slide.class_ids[row]) == (True, "HSIL"), "who accepts an outline changes no number"
        record = project.slide(slide.slide_id)
        project.update_slide(replace(record, mpp=0.5))
        assert stored_measurements(project).slides == (), "another scale"
        project.update_slide(record)
    (folder.parent / "a.png").unlink()
    events = run(folder)
    assert not measured_anew(events), "nothing is new, so the slide is not needed"
    assert events[-1].result.cells == 23


def test_a_damaged_file_and_a_stop_cost_only_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder)
    with Project.open(folder) as project:
        (kept,) = measurements_folder(project).glob("*.npz")
        content = bytearray(kept.read_bytes())
        content[len(content) // 2] ^= 0xFF
        kept.write_bytes(content)
        assert stored_measurements(project).cells == 0
    monkeypatch.setattr(_measure, "_PULSE", 5)
    token = CancelToken()
    events = []
    for event in measure(folder, OPTIONS, token):
        events.append(event)
        if isinstance(event, Advanced) and event.done >= 10:
            token.cancel()
    assert isinstance(events[-1], Cancelled)
    with Project.open(folder) as project:
        assert stored_measurements(project).cells == 15
    events = run(folder)
    assert (events[0].total, events[-1].result.cells) == (8, 23), "only the rest is measured"


def test_a_place_that_cannot_be_written_is_said_and_costs_no_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise CytoError("The measurements cannot be kept: the disk is full.")

    monkeypatch.setattr(_measure, "keep_measurements", full)
    events = run(folder)
    assert isinstance(events[-1], Done)
    assert events[-1].result.cells == 23
    assert sum(isinstance(e, Noted) and "disk is full" in e.message for e in events) == 1
