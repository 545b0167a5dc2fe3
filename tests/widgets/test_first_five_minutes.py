"""Guards the README's first five minutes: done with real keys and clicks in the real window, from slide to dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QPoint, Qt

from napari_cyto.cli.entry import run
from napari_cyto.domain.geometry import YX
from napari_cyto.jobs.events import Done
from napari_cyto.store import Project
from napari_cyto.widgets.canvas.frames import frame_to_world
from napari_cyto.widgets.canvas.napari_window import camera_of, canvas_size_px, native_canvas

pytestmark = pytest.mark.smoke

CTRL = Qt.KeyboardModifier.ControlModifier
APACC = {"HSIL": "unhealthy", "NILM": "healthy"}


def press(bench: Any, key: str, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    bench.qtbot.keyClick(native_canvas(bench.window.viewer), getattr(Qt.Key, f"Key_{key}"), modifier)
    bench.settle()


def click(bench: Any, yx: YX) -> None:
    """Click a place on the slide, level-0 px."""
    viewer = bench.window.viewer
    camera, (height, width) = camera_of(viewer), canvas_size_px(viewer)
    y, x = frame_to_world(yx, bench.session.slide.mpp or 1.0)
    _, cy, cx = camera.center
    place = QPoint(round(width / 2 + (x - cx) * camera.zoom), round(height / 2 + (y - cy) * camera.zoom))
    bench.qtbot.mouseClick(native_canvas(viewer), Qt.MouseButton.LeftButton, pos=place)
    bench.settle()


def cells(folder: Path) -> list[tuple[str, tuple[int, ...]]]:
    """Class and centre of each cell, the latter to whole px."""
    with Project.open(folder) as project:
        found = [(str(a.class_id), tuple(round(v) for v in a.geometry.centre_yx)) for a in project.annotations()]
    return sorted(found)


def annotate_two_smears(bench: Any) -> None:
    press(bench, "5")
    press(bench, "B")
    click(bench, (200, 200))
    press(bench, "1")
    press(bench, "P")
    click(bench, (400, 420))
    press(bench, "V")
    click(bench, (200, 200))
    press(bench, "4")
    assert bench.session.selected()[0].class_id == "ASC-H"
    press(bench, "Z", CTRL)
    assert bench.session.selected()[0].class_id == "HSIL"
    press(bench, "Delete")
    press(bench, "Z", CTRL)
    press(bench, "PageDown")
    press(bench, "1")
    press(bench, "B")
    click(bench, (300, 300))
    click(bench, (500, 200))


def test_from_a_slide_to_a_dataset_and_back(window_bench: Any, project_folder: Path, tmp_path: Path) -> None:
    annotate_two_smears(window_bench)
    annotated = cells(project_folder)
    assert [class_id for class_id, _ in annotated] == ["HSIL", "NILM", "NILM", "NILM"]
    export = window_bench.export
    heard: list[object] = []
    export.bar.ended.connect(heard.append)
    export.target.clear()
    window_bench.type(export.target, str(tmp_path / "dataset"))
    window_bench.click(export.go)
    window_bench.qtbot.waitUntil(lambda: bool(heard), timeout=120_000)
    assert isinstance(heard[0], Done), heard[0]
    assert run(["audit", str(tmp_path / "dataset")]) == 0
    assert run(["import", "apacc", str(tmp_path / "dataset"), str(tmp_path / "back.cyto")]) == 0
    back = cells(tmp_path / "back.cyto")
    assert sorted(c for c, _ in back) == sorted(APACC[c] for c, _ in annotated)
    needed = sorted((APACC[c], at) for c, at in annotated)
    for (class_id, (y, x)), (expected, (expected_y, expected_x)) in zip(back, needed, strict=True):
        # A point becomes a box whose corners are whole px, so its middle may move by half of one.
        assert class_id == expected
        assert abs(y - expected_y) <= 1
        assert abs(x - expected_x) <= 1
