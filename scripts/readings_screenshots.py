"""Make the image of a reading in the window from the demo, read by keys.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/readings_screenshots.py [FOLDER]``
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget, QWidget
from screenshots import IMAGE_FOLDER, save, settle

from napari_cyto.files.reader import keep_reader
from napari_cyto.files.user_folders import DATA_VARIABLE
from napari_cyto.readings.assignment import Request, assign
from napari_cyto.synthesis.demo_job import demo_project
from napari_cyto.widgets.canvas.napari_window import native_canvas, qt_window
from napari_cyto.widgets.docks.readings.dock import ReadingsDock
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

DEMO_PX = 8000


def raise_dock(window: CytoWindow) -> ReadingsDock:
    """Bring the dock before the others."""
    dock = window.dock(ReadingsDock)
    holder: QWidget | None = dock
    while holder is not None and not isinstance(holder, QDockWidget):
        holder = holder.parentWidget()
    assert holder is not None
    holder.raise_()
    settle(1)
    return dock


def main(target: Path) -> None:
    """Make the images in a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ[DATA_VARIABLE] = str(Path(scratch) / "user")
        keep_reader("Ana")
        folder = demo_project(Path(scratch) / "demo.cyto", size_px=DEMO_PX)
        assign(folder, Request(reader="Ana", strategy="random", count=12, seed=1), "Lead")
        assign(folder, Request(reader="Ben", strategy="stratified", count=60, known_share=0.1, seed=2), "Lead")
        viewer = open_window(folder)
        window = window_of(viewer)
        dock = raise_dock(window)
        settle(2)
        save(qt_window(viewer), target / "readings_reader.jpg")
        window.reader_question.choose.click()
        dock.new.set_open(True)
        settle(2)
        save(qt_window(viewer), target / "readings_list.jpg")
        dock.begin.click()
        settle(2)
        for name in ("1", "1", "3"):
            QTest.keyClick(native_canvas(viewer), getattr(Qt.Key, f"Key_{name}"))
            settle(0.5)
        settle(3)
        save(qt_window(viewer), target / "readings.jpg")
        viewer.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGE_FOLDER)
