"""Make the image of the steps of an extraction on a field of CRIC in the real window, by clicks.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/extract_screenshots.py CRIC [FOLDER]``, where CRIC holds
``cells.csv`` (image, bethesda, x, y) and the folder ``images``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from microscope_screenshots import LEFT
from outline_screenshots import make, wait
from qtpy.QtTest import QTest
from screenshots import IMAGE_FOLDER, raise_dock, save, settle

from napari_cyto.widgets.canvas.napari_window import look_at, native_canvas, qt_window
from napari_cyto.widgets.docks.predict.dock import PredictDock
from napari_cyto.widgets.window import open_window, window_of

VIEW_PX = 640.0


def main() -> None:
    """Open the field, show the steps, and extract."""
    cric = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGE_FOLDER
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "cric.cyto"
        cells = make(folder, cric)
        viewer = open_window(folder)
        window = window_of(viewer)
        session = window.session
        session.message.connect(print)
        settle(3)
        dock = window.dock(PredictDock)
        raise_dock(dock)
        dock.extract.set_open(True)
        mpp = session.need_slide().mpp or 1.0
        middle = (sum(y for (y, _), _ in cells) / len(cells), sum(x for (_, x), _ in cells) / len(cells))
        look_at(viewer, middle, mpp, native_canvas(viewer).width() / VIEW_PX / mpp)
        settle(2)
        box = dock.extraction
        QTest.mouseClick(box.steps, LEFT)
        wait(lambda: not box.job.running)
        dock._scroll.ensureWidgetVisible(box.job)
        settle(1)
        save(qt_window(viewer), target / "extract.jpg")
        QTest.mouseClick(box.here, LEFT)
        wait(lambda: not box.job.running)
        print(box.job.words.text())
        viewer.close()


if __name__ == "__main__":
    main()
