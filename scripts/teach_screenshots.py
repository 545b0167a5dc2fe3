"""Make the images of teaching from fields of CRIC, or from the demo smear, in the real window, by keys and clicks.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/teach_screenshots.py CRIC_FOLDER|demo [FOLDER]``

The labels are hidden, and answer for the person who teaches: HSIL and worse, or not. It prints how many of the first
cells are right, and how many there are. Then the class is saved as a model, and a slide without annotations is
predicted with it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from screenshots import IMAGE_FOLDER, raise_dock, save, settle
from story import DEMO, DEMO_PX, run_prediction
from train_screenshots import click, subset

from napari_cyto.cli.entry import run
from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Status, origin_of_model
from napari_cyto.files.user_folders import DATA_VARIABLE
from napari_cyto.store import Project
from napari_cyto.synthesis.demo_job import demo_project
from napari_cyto.widgets.canvas.napari_window import qt_window
from napari_cyto.widgets.docks.teach.dock import MOST_LIKE, TeachDock
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

IMAGES, LABELS = 16, 40
TAUGHT = ("HSIL", "SCC", "ASC-H")
LONGEST_S = 300.0


def hide_labels(folder: Path) -> dict[str, str]:
    """Make predictions of a project's annotations, all of one class, and return what they were by id."""
    with Project.open(folder) as project:
        cells = [cell for cell in project.annotations() if not cell.is_region]
        origin = origin_of_model("nucleus-detector", "0" * 64)
        hidden = [
            replace(c, class_id="NILM", status=Status.UNREVIEWED, origin=origin, author="nucleus-detector")
            for c in cells
        ]
        project.apply(edits.replace_all(zip(cells, hidden, strict=True), "Run detection"), "finder")
    return {cell.id: str(cell.class_id) for cell in cells}


def until(done: object) -> None:
    """Let the window work until something is so."""
    end_s = time.monotonic() + LONGEST_S
    while not done() and time.monotonic() < end_s:  # type: ignore[operator]
        settle(0.1)


def project_in(scratch: Path, data: Path) -> Path:
    """Make a project of CRIC's fields or of the demo's smears."""
    folder = scratch / "fields.cyto"
    if data == Path(DEMO):
        return demo_project(folder, size_px=DEMO_PX, cache_dir=scratch / "smears")
    assert run(["import", "cric", str(subset(data, scratch / "cric", IMAGES)), str(folder)]) == 0
    return folder


def use_it(window: CytoWindow, place: Path) -> None:
    """Save what was taught as a model, use it by a click, and predict the slide on screen with it, found anew."""
    dock = window.dock(TeachDock)
    dock.save_to(place)
    until(lambda: dock.saved is not None)
    settle()
    click(dock.use)
    session = window.session
    assert session.project is not None
    assert session.slide is not None
    bare = edits.remove(list(session.project.annotations(session.slide.id)), "Leave unlabelled")
    session.annotations_changed.emit(session.project.apply(bare, "story"))
    settle()
    print(f"{run_prediction(window, 'nucleus-detector', place.name)} predictions by {place.name}")
    counts = session.project.counts(session.slide.id)
    print({name: count for name, count in counts.items() if count})


def main() -> None:
    """Teach a class, take the picture, and use what was taught."""
    data = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGE_FOLDER
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        # The model of an earlier run would be in the user's library under the same name.
        os.environ[DATA_VARIABLE] = str(Path(scratch) / "library")
        folder = project_in(Path(scratch), data)
        truth = hide_labels(folder)
        assert run(["embed", str(folder)]) == 0
        window = window_of(open_window(folder))
        qt_window(window.viewer).move(0, 0)
        settle(3)
        dock = window.dock(TeachDock)
        raise_dock(dock)
        until(lambda: dock.keeper.lesson is not None)
        dock.new.setFocus()
        QTest.keyClicks(dock.new, "high-grade")
        QTest.keyClick(dock.new, Qt.Key.Key_Return)
        settle(1)
        dock.gallery.setFocus()
        labels = 0
        while labels < LABELS:
            row = dock.gallery.current
            if row is None or not dock.review.cells:
                break
            yes = truth[dock.review.cells[row].id] in TAUGHT
            QTest.keyClick(dock.gallery, Qt.Key.Key_T if yes else Qt.Key.Key_O)
            labels += 1
            settle(0.05)
        until(lambda: dock.keeper.worth is not None and not dock.keeper.is_reading)
        settle(2)
        save(dock, target / "teach-suggested.png")
        dock.order.setCurrentIndex(dock.order.findData(MOST_LIKE))
        dock.refresh()
        until(lambda: not dock.review.is_being_made and bool(dock.review.cells))
        first = [truth[cell.id] in TAUGHT for cell in dock.review.cells[:30]]
        left = sum(truth[dock.keeper.lesson.ids[row]] in TAUGHT for row in dock.keeper.lesson.waiting_rows)
        print(
            f"{sum(first)} of the first {len(first)} are high-grade; {left} of {len(dock.review.cells)} waiting cells"
        )
        dock.gallery.setFocus()
        QTest.keyClick(dock.gallery, Qt.Key.Key_Right)
        window.message.hide()
        settle(3)
        save(qt_window(window.viewer), target / "teach.jpg")
        use_it(window, Path(scratch) / "high-grade-taught")
        window.message.hide()
        settle(1)
        save(qt_window(window.viewer), target / "teach-predict.jpg")
        window.viewer.close()
        settle()


if __name__ == "__main__":
    main()
