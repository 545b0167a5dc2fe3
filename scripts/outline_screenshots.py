"""Make the images of the Outline tool on a field of CRIC in the real window, by keys, clicks and drags.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/outline_screenshots.py CRIC [FOLDER]``, where CRIC holds
``cells.csv`` (image, bethesda, x, y) and the folder ``images``.
"""

from __future__ import annotations

import csv
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from microscope_screenshots import LEFT, NONE, SHIFT, at, drag, key
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from screenshots import IMAGE_FOLDER, save, settle

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import YX, CellOutline, Point
from napari_cyto.domain.presets import preset
from napari_cyto.session import Session
from napari_cyto.widgets.canvas.napari_window import look_at, native_canvas, qt_window
from napari_cyto.widgets.docks.annotate.dock import AnnotateDock
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

CRIC_MPP = 0.228
"""µm per px as published; the copies may be smaller."""

ALT = Qt.KeyboardModifier.AltModifier
CELLS, FIELD = 14, 3
VIEW_PX = 420.0
PATIENCE_S = 180.0


def cells_of(cric: Path) -> tuple[Path, float, list[tuple[YX, str]]]:
    """Return a field with some cells, its µm per px, and its cells."""
    with (cric / "cells.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [row["image"] for row in rows]
    # Some cells, far enough from each other to be seen.
    best = sorted(set(names), key=lambda name: (abs(names.count(name) - CELLS), name))[FIELD]
    found = [row for row in rows if row["image"] == best]
    places = [((float(row["y"]), float(row["x"])), row["bethesda"]) for row in found]
    return cric / "images" / best, CRIC_MPP / float(found[0]["px_per_cric_px"]), places


def make(folder: Path, cric: Path) -> list[tuple[YX, str]]:
    """Make a project of one field, each second cell annotated with a point."""
    field, mpp, cells = cells_of(cric)
    session = Session("reader")
    session.projects.create(folder, preset("bethesda"), "CRIC")
    (slide,) = session.slides.add([field])
    session.slides.go_to(slide.id)
    session.facts.set_mpp(mpp)
    project = session.need_project()
    points = [
        Annotation(slide_id=slide.id, geometry=Point(*yx), class_id=name if name in project.scheme else "HSIL")
        for yx, name in cells[1::2]
    ]
    project.apply(add(points, "Import"), "reader")
    session.close()
    return cells


def wait(until: Callable[[], object]) -> None:
    """Let the window work until something is so."""
    end_s = time.monotonic() + PATIENCE_S
    while not until() and time.monotonic() < end_s:
        settle(0.02)


def click(window: CytoWindow, place: QPoint) -> None:
    """Click with the Outline tool, and wait for the answer."""
    tool = window.canvas.outline_tool
    QTest.mouseClick(native_canvas(window.viewer), LEFT, NONE, place)
    wait(lambda: not tool.asker.waits)
    settle(0.3)


def outlined(window: CytoWindow) -> list[Annotation]:
    """Return the cells with an outline."""
    session = window.session
    slide = session.need_slide()
    return [a for a in session.need_project().annotations(slide.id) if isinstance(a.geometry, CellOutline)]


def act(window: CytoWindow, cells: list[tuple[YX, str]], target: Path) -> None:
    """Outline, correct and keep some cells, then all that are left."""
    session = window.session
    slide, native = session.need_slide(), native_canvas(window.viewer)
    places = np.array([yx for yx, _ in cells])
    near = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) < VIEW_PX / 2
    middle = places[near[int(near.sum(1).argmax())]].mean(axis=0)
    look_at(
        window.viewer, (float(middle[0]), float(middle[1])), slide.mpp or 1.0, native.width() / 640 / (slide.mpp or 1)
    )
    native.setFocus()
    key(window, "O")
    settle(2)
    order = np.argsort(np.hypot(*(places - middle).T))
    for number in order[:4]:
        click(window, at(window, cells[number][0]))
        if number != order[3]:
            key(window, "Return")
    cell = next(a for a in outlined(window) if a.id in session.selection)
    y0, _, y1, x1 = cell.geometry.bounds_yxyx
    edge = at(window, ((y0 + y1) / 2, x1))
    drag(native, edge, edge + QPoint(2, 7), SHIFT)
    settle(1)
    window.message.hide()
    settle(0.3)
    save(qt_window(window.viewer), target / "outline.jpg")
    key(window, "Return")
    dock = window.dock(AnnotateDock)
    dock.outline_section.set_open(True)
    settle(0.5)
    dock.outline_all.start("field")
    wait(lambda: not dock.outline_all.job.running)
    settle(1)
    window.message.hide()
    settle(0.3)
    save(qt_window(window.viewer), target / "outline-all.jpg")
    print(f"{len(outlined(window))} outlines; {dock.outline_all.job.words.text()}")


def main() -> None:
    """Open the field, and take the images."""
    cric = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGE_FOLDER
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "cric.cyto"
        cells = make(folder, cric)
        viewer = open_window(folder)
        window = window_of(viewer)
        window.session.message.connect(print)
        settle(2)
        act(window, cells, target)
        viewer.close()


if __name__ == "__main__":
    main()
