"""Make the images of the map of cells from fields of CRIC in the real window, by keys, clicks and a lasso.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/map_screenshots.py CRIC_FOLDER|demo [FOLDER] [SLIDE_MODEL]``

Prints what the dock says of the map, how many cells a lasso takes, that a key relabels them in one step and `Ctrl+Z`
undoes it, and of which classes the cells most like one are. With SLIDE_MODEL, the folder of a model of whole slides,
the slide on screen is scored, too. Names of images of the demo begin with demo-.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from screenshots import IMAGE_FOLDER, raise_dock, save, settle
from story import DEMO
from teach_screenshots import project_in, until
from train_screenshots import click

from napari_cyto.cli.entry import run
from napari_cyto.models.library import add_model, find_model
from napari_cyto.review.query import Sort
from napari_cyto.widgets.canvas.napari_window import qt_window
from napari_cyto.widgets.docks.map.dock import MapDock
from napari_cyto.widgets.docks.predict.dock import PredictDock
from napari_cyto.widgets.docks.review.dock import ReviewDock
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

SIDE_PX = 40


def lasso(dock: MapDock, at: QPoint) -> None:
    """Draw a square round a place of the map with the mouse."""
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    path = [at + QPoint(x * SIDE_PX, y * SIDE_PX) for x, y in corners]
    QTest.mousePress(dock.plot, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, path[0])
    for begin, end in itertools.pairwise(path):
        for step in range(1, 9):
            QTest.mouseMove(dock.plot, begin + (end - begin) * step / 8)
            settle(0.01)
    QTest.mouseRelease(dock.plot, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, path[-1])
    settle(1)


def relabel(window: CytoWindow, to: Callable[[str], Path]) -> None:
    """Take cells by a lasso, and give them a class by a key and take it back."""
    dock = window.dock(MapDock)
    dock.by.setCurrentIndex(0)
    project = window.session.project
    assert project is not None
    before = {cell.id: cell.class_id for cell in project.annotations()}
    places = dock.plot.screen_xy()
    at = places[int(np.argmin(np.abs(places - np.median(places, 0)).sum(1)))]
    lasso(dock, QPoint(int(at[0]), int(at[1])))
    print(dock.words.text())
    dock.plot.setFocus()
    QTest.keyClick(dock.plot, Qt.Key.Key_3)
    settle(1)
    changed = [cell for cell in project.annotations() if cell.class_id != before[cell.id]]
    QTest.keyClick(dock.plot, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    settle(1)
    left = [cell for cell in project.annotations() if cell.class_id != before[cell.id]]
    print(f"{len(changed)} relabelled by one key; {len(left)} after one Ctrl+Z")
    window.message.hide()
    save(qt_window(window.viewer), to("map.jpg"))


def like_one(window: CytoWindow, to: Callable[[str], Path]) -> None:
    """List the cells most like a severe one by its key."""
    dock, project = window.dock(MapDock), window.session.project
    assert project is not None
    QTest.keyClick(dock.plot, Qt.Key.Key_Escape)
    rare = next(cell for cell in project.annotations() if cell.class_id in ("HSIL", "SCC"))
    window.session.select([rare.id])
    settle(1)
    QTest.keyClick(dock.plot, Qt.Key.Key_L)
    review = window.dock(ReviewDock)
    until(lambda: bool(review.review.cells) and not review.review.is_being_made)
    settle(3)
    raise_dock(review)
    settle(2)
    print("most like a cell of", rare.class_id, dict(Counter(c.class_id for c in review.review.cells[:20])))
    window.message.hide()
    save(qt_window(window.viewer), to("similar.jpg"))


def score(window: CytoWindow, to: Callable[[str], Path], model: Path) -> None:
    """Score the slide on screen by a click, and show the map of the attention and the cells attended most."""
    if find_model(model.name) is None:
        add_model(model)
    dock = window.dock(PredictDock)
    raise_dock(dock)
    settle(1)
    dock.whole_slide.set_open(True)
    box = dock.slide_score
    box.refresh()
    box.model.setCurrentIndex(box.model.findData(model.name))
    click(box.here)
    until(lambda: not box.job.running)
    settle(1)
    print("score:", box.job.words.text(), "|", box.score.text())
    QTest.keyClick(qt_window(window.viewer), Qt.Key.Key_Home)
    click(box.map)
    dock._scroll.ensureWidgetVisible(box.words)
    settle(2)
    window.message.hide()
    save(qt_window(window.viewer), to("score.jpg"))
    review = window.dock(ReviewDock)
    raise_dock(review)
    click(review.unlist)
    settle(1)
    order, slide = review.filters.sort, window.session.slide
    assert slide is not None
    review.filters.slide.setCurrentIndex(review.filters.slide.findData(slide.id))
    order.setCurrentIndex(order.findData(Sort.ATTENTION))
    settle(2)
    print("most attended:", dict(Counter(c.class_id for c in review.review.cells[:12])))
    save(qt_window(window.viewer), to("score-review.jpg"))


def main() -> None:
    """Make a map, and take the pictures."""
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGE_FOLDER
    target.mkdir(parents=True, exist_ok=True)
    prefix = "demo-" if sys.argv[1] == DEMO else ""

    def to(name: str) -> Path:
        return target / f"{prefix}{name}"

    with tempfile.TemporaryDirectory() as scratch:
        folder = project_in(Path(scratch), Path(sys.argv[1]))
        assert run(["embed", str(folder)]) == 0
        window = window_of(open_window(folder))
        qt_window(window.viewer).move(0, 0)
        settle(3)
        dock = window.dock(MapDock)
        raise_dock(dock)
        settle(1)
        click(dock.make)
        until(lambda: not dock.job.running and dock.shown is not None)
        settle(2)
        print(dock.trust.text())
        save(qt_window(window.viewer), to("map-class.jpg"))
        dock.by.setCurrentIndex(dock.by.findText("Slide"))
        settle(1)
        print(dock.trust.text())
        save(qt_window(window.viewer), to("map-slide.jpg"))
        relabel(window, to)
        like_one(window, to)
        if len(sys.argv) > 3:
            score(window, to, Path(sys.argv[3]))
        window.viewer.close()
        settle()


if __name__ == "__main__":
    main()
