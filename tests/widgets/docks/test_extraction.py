"""Promise: the Predict dock extracts the cells in view for review, by stain where torch is not installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.presets import preset
from napari_cyto.inference.extract.options import MaskOf
from napari_cyto.session import Session
from napari_cyto.widgets.docks.predict.dock import PredictDock

LONGEST_MS = 60_000


def stained(tmp_path: Path) -> Path:
    """Return a project with an image of three stained discs of 20 µm radius."""
    y, x = np.mgrid[:600, :600]
    rgb = np.full((600, 600, 3), (238, 240, 243), np.uint8)
    for cy, cx in ((150, 150), (150, 430), (420, 300)):
        rgb[(y - cy) ** 2 + (x - cx) ** 2 < 40**2] = (120, 150, 190)
    Image.fromarray(rgb).save(tmp_path / "field.png")
    session = Session("anna")
    session.projects.create(tmp_path / "field.cyto", preset("bethesda"), "Field")
    session.slides.add([tmp_path / "field.png"])
    session.slides.go_to(session.project.slides()[0].id)
    session.facts.set_mpp(0.5)
    session.close()
    return tmp_path / "field.cyto"


def test_cells_in_view_are_extracted_for_review_and_taken_back_by_undo(
    open_window_on: Callable[..., Any], tmp_path: Path
) -> None:
    bench = open_window_on(stained(tmp_path))
    dock = bench.dock(PredictDock)
    bench.bring_to_front(dock)
    dock.extract.set_open(True)
    box = dock.extraction
    box.form.set_values({"mask": MaskOf.STAIN})
    project, slide = bench.session.project, bench.session.slide
    bench.settle()
    bench.click(box.steps)
    bench.qtbot.waitUntil(lambda: not box.job.running, timeout=LONGEST_MS)
    bench.settle()
    lines = bench.window.step_lines.lines
    assert {name for name, line in lines.items() if line.visible} == {"kept", "boxes"}, box.job.words.text()
    boxes_um = lines["boxes"]._pos.reshape(3, 8, 2)
    assert np.ptp(boxes_um, axis=1) == pytest.approx(46, abs=3), "discs of 40 µm with 3 µm on each side"
    assert not list(project.annotations(slide.id)), "nothing is added by looking"
    bench.click(box.steps)
    assert not any(line.visible for line in lines.values())
    before = {a.id for a in project.annotations(slide.id)}
    bench.settle()
    bench.click(box.here)
    bench.qtbot.waitUntil(lambda: not box.job.running, timeout=LONGEST_MS)
    bench.settle()
    added = [a for a in project.annotations(slide.id) if a.id not in before]
    assert len(added) == 3, box.job.words.text()
    assert {a.status for a in added} == {Status.UNREVIEWED}
    assert "3 cells added for review" in box.job.words.text()
    assert project.undo(bench.session.author) is not None
    assert {a.id for a in project.annotations(slide.id)} == before
