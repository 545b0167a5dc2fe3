"""Act the story of the Measure dock on fields of CRIC in the real window, and save its images.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/measure_screenshots.py CRIC_FOLDER [FOLDER]``

By keys, clicks and a lasso: outline all cells, measure them, filter by N:C ratio, go to a dyskaryotic cell, draw round
others in the scatter, review them, and export to QuPath's GeoJSON. Prints what the dock says, and of which classes the
cells that were found are.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from screenshots import IMAGE_FOLDER, raise_dock, save, settle
from teach_screenshots import until
from train_screenshots import click, enter, subset

from napari_cyto.cli.entry import run
from napari_cyto.inference.outline import job as outlining
from napari_cyto.jobs.events import Done
from napari_cyto.widgets.canvas.napari_window import qt_window
from napari_cyto.widgets.docks.measure.dock import MeasureDock
from napari_cyto.widgets.docks.review.dock import ReviewDock
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

IMAGES = 16
LEAST_NC = "0.5"
REVIEWED = 12


def outlined_fields(cric: Path, scratch: Path) -> Path:
    """Make a project of fields of CRIC, each cell outlined by the model that ships."""
    folder = scratch / "fields.cyto"
    assert run(["import", "cric", str(subset(cric, scratch / "cric", IMAGES)), str(folder)]) == 0
    last = list(outlining.run(outlining.OutlineRequest(project=folder, author="story")))[-1]
    assert isinstance(last, Done), last
    print(json.dumps(last.result.to_json(), default=str)[:300])
    return folder


def filtered(window: CytoWindow, dock: MeasureDock, target: Path) -> None:
    """Keep the cells with a large N:C ratio, go to one by a click on its row, and colour the slide."""
    dock.by.setCurrentIndex(dock.by.findData("nc_ratio"))
    enter(dock.low, LEAST_NC)
    QTest.keyClick(dock.low, Qt.Key.Key_Return)
    dock.tint.setCurrentIndex(dock.tint.findData("nc_ratio"))
    settle(1)
    print(dock.words.text(), "|", dock.medians.text(), "|", dock.reference.text())
    table = dock.table
    assert table is not None
    print("of classes", dict(Counter(table.class_ids[dock.rows].tolist()).most_common()))
    line = next(n for n, row in enumerate(dock.model.rows.tolist()) if not table.flagged[row])
    at = dock.view.visualRect(dock.model.index(line, 0)).center()
    QTest.mouseClick(dock.view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
    settle(3)
    window.message.hide()
    save(qt_window(window.viewer), target / "measure.jpg")


def plotted(window: CytoWindow, dock: MeasureDock, target: Path) -> None:
    """Look at the histogram, and draw round the large nuclei of small cells in the scatter."""
    click(dock.views.buttons[1])
    settle(1)
    save(dock, target / "measure-histogram.png")
    dock.low.clear()
    QTest.keyClick(dock.low, Qt.Key.Key_Return)
    click(dock.views.buttons[2])
    settle(1)
    table = dock.table
    assert table is not None
    values = np.stack([table.column("nucleus_area_um2"), table.column("nc_ratio")], axis=1)[dock._plotted]
    large = (values[:, 0] > np.nanpercentile(values[:, 0], 60)) & (values[:, 1] > 0.4)
    places = dock.scatter.screen_xy(np.flatnonzero(large))
    (left, top), (right, low) = places.min(0) - 6, places.max(0) + 6
    corners = [QPoint(int(x), int(y)) for x, y in ((left, top), (right, top), (right, low), (left, low), (left, top))]
    QTest.mousePress(dock.scatter, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, corners[0])
    for begin, end in itertools.pairwise(corners):
        for step in range(1, 9):
            QTest.mouseMove(dock.scatter, begin + (end - begin) * step / 8)
            settle(0.01)
    QTest.mouseRelease(dock.scatter, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, corners[-1])
    settle(2)
    print(dock.words.text(), dict(Counter(table.class_ids[dock.chosen].tolist()).most_common()))
    window.message.hide()
    save(qt_window(window.viewer), target / "measure-scatter.jpg")


def reviewed(window: CytoWindow, dock: MeasureDock, target: Path) -> None:
    """Go through the cells that were found in the gallery."""
    click(dock.review)
    review = window.dock(ReviewDock)
    until(lambda: bool(review.review.cells) and not review.review.is_being_made)
    raise_dock(review)
    settle(3)
    print(review.list_title.text(), review.list_words.text())
    window.message.hide()
    save(qt_window(window.viewer), target / "measure-review.jpg")


def main() -> None:
    """Act the story."""
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGE_FOLDER
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = outlined_fields(Path(sys.argv[1]), Path(scratch))
        window = window_of(open_window(folder))
        qt_window(window.viewer).move(0, 0)
        settle(3)
        dock = window.dock(MeasureDock)
        raise_dock(dock)
        until(lambda: dock.table is not None)
        settle(1)
        save(dock, target / "measure-before.png")
        click(dock.measure)
        until(lambda: not dock.job.running)
        settle(3)
        print(dock.hint.text())
        filtered(window, dock, target)
        plotted(window, dock, target)
        reviewed(window, dock, target)
        out = Path(scratch) / "qupath"
        assert run(["export", "geojson", str(folder), str(out)]) == 0
        features = [f for path in out.glob("*.geojson") for f in json.loads(path.read_text("utf-8"))["features"]]
        measured = [
            f["properties"] for f in features if "Nucleus: Area µm^2" in f["properties"].get("measurements", {})
        ]
        print(f"{len(features)} cells exported, {len(measured)} with measurements, for example", measured[0])
        window.viewer.close()
        settle()


if __name__ == "__main__":
    main()
