"""Make the images of README and documentation from the demo in the real window.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/screenshots.py [FOLDER]``
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QPixmap
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDockWidget, QWidget

from napari_cyto.domain.adequacy import Preparation
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box
from napari_cyto.reporting.stored_facts import say_preparation
from napari_cyto.session import Session, Tool
from napari_cyto.synthesis.demo_job import demo_project
from napari_cyto.widgets.canvas.napari_window import look_at, qt_window
from napari_cyto.widgets.docks.annotate.dock import AnnotateDock
from napari_cyto.widgets.docks.export.dock import ExportDock
from napari_cyto.widgets.docks.report.dock import ReportDock
from napari_cyto.widgets.docks.review.dock import ReviewDock
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

IMAGE_FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
MOST_BYTES = 145_000
WIDEST_PX = 1240
# Screen px for each px of the slide: some ten cells in view.
ZOOM = 0.75
SETTLE_S = 1.5
LONGEST_PREVIEW_S = 120.0


def settle(seconds: float = SETTLE_S) -> None:
    """Let the window load tiles and draw."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        QApplication.processEvents()
        time.sleep(0.01)


def save(widget: QWidget, path: Path) -> None:
    """Save what the screen shows of ``widget``, small enough for a repository."""
    screen = QApplication.primaryScreen()
    corner = widget.mapToGlobal(widget.rect().topLeft())
    shot: QPixmap = screen.grabWindow(0, corner.x(), corner.y(), widget.width(), widget.height())
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "shot.png"
        shot.save(str(whole))
        with Image.open(whole) as image:
            write_light(image.convert("RGB"), path)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {widget.width()} x {widget.height()}")


def write_light(image: Image.Image, path: Path) -> None:
    """Write a PNG as it is, a JPEG in the best quality that is light enough."""
    if path.suffix == ".png":
        image.save(path, optimize=True)
        return
    image.thumbnail((WIDEST_PX, WIDEST_PX), Image.Resampling.LANCZOS)
    for quality in range(90, 40, -2):
        image.save(path, quality=quality, optimize=True, progressive=True)
        if path.stat().st_size <= MOST_BYTES:
            return


def worth_an_image(session: Session) -> Annotation:
    """Return a severe cell with many others about it."""
    project, slide = session.project, session.slide
    assert project is not None
    assert slide is not None
    severe = [a for a in project.annotations(slide.id) if a.class_id in ("HSIL", "SCC") and isinstance(a.geometry, Box)]

    def company(cell: Annotation) -> int:
        y, x = cell.geometry.centre_yx
        near = project.in_box(slide.id, (y - 350, x - 450, y + 350, x + 450))
        return 20 * len({a.class_id for a in near}) - len(near)

    return max(severe, key=company)


def annotated_slide(window: CytoWindow, folder: Path) -> None:
    """The whole window: cells of several classes, one of them selected."""
    session = window.session
    assert session.slide is not None
    cell = worth_an_image(session)
    session.tool = Tool.BOX
    session.edits.choose_class(str(cell.class_id))
    look_at(window.viewer, cell.geometry.centre_yx, session.slide.mpp or 1.0, ZOOM / (session.slide.mpp or 1.0))
    session.select([cell.id])
    settle(3 * SETTLE_S)
    save(qt_window(window.viewer), folder / "window.jpg")
    save(window.dock(AnnotateDock), folder / "annotate.png")


def export(window: CytoWindow, folder: Path) -> None:
    """The Export dock after it has looked at what it would write: an APACC dataset, and one for other trainers."""
    dock = window.dock(ExportDock)
    raise_dock(dock)
    for name, file_name in (("apacc", "export.png"), ("yolo", "export-images.png")):
        dock.format.setCurrentIndex(dock.format.findData(name))
        dock.target.setText("my-dataset")
        settle()
        dock.preview()
        end_s = time.monotonic() + LONGEST_PREVIEW_S
        while dock.looking.running and time.monotonic() < end_s:
            settle(0.1)
        settle()
        save(dock, folder / file_name)


def review(window: CytoWindow, folder: Path) -> None:
    """The Review dock after some verdicts, the slide on the cell that comes next."""
    dock = window.dock(ReviewDock)
    raise_dock(dock)
    settle()
    dock.gallery.setFocus()
    for key in (Qt.Key.Key_A, Qt.Key.Key_A, Qt.Key.Key_5, Qt.Key.Key_X, Qt.Key.Key_A):
        QTest.keyClick(dock.gallery, key)
        settle(0.3)
    window.message.hide()
    settle(2 * SETTLE_S)
    save(qt_window(window.viewer), folder / "review.jpg")


def result(window: CytoWindow, folder: Path) -> None:
    """The Result dock of a smear that was read in part, the slide on the best cell of its highest grade."""
    session = window.session
    assert session.project is not None
    assert session.slide is not None
    assert session.slide.size_hw is not None
    height, width = session.slide.size_hw
    mpp = session.slide.mpp or 1.0
    for row in range(10):
        for column in range(14):
            y, x = height * (0.18 + row * 0.05), width * (0.1 + column * 0.05)
            look_at(window.viewer, (y, x), mpp, 1.0)
            settle(0.02)
            window.looking.look()
            window.looking.look()
    say_preparation(session.project, [session.slide.id], Preparation.CONVENTIONAL, session.author)
    dock = window.dock(ReportDock)
    raise_dock(dock)
    settle()
    dock.quality.start()
    end_s = time.monotonic() + LONGEST_PREVIEW_S
    while dock.quality.job.running and time.monotonic() < end_s:
        settle(0.1)
    settle(2 * SETTLE_S)
    cell = dock.finding.cells.item(0)
    QTest.mouseClick(
        dock.finding.cells.viewport(),
        Qt.MouseButton.LeftButton,
        pos=dock.finding.cells.visualItemRect(cell).center(),
    )
    window.message.hide()
    settle(2 * SETTLE_S)
    save(qt_window(window.viewer), folder / "report.jpg")


def raise_dock(dock: QWidget) -> None:
    """Bring a dock to the front of its tabs."""
    holder = dock
    while not isinstance(holder, QDockWidget):
        holder = holder.parentWidget()
    holder.raise_()


def main() -> None:
    """Open the demo and take the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        project = demo_project(Path(scratch) / "demo.cyto")
        window = window_of(open_window(project))
        qt_window(window.viewer).move(0, 0)
        settle(3 * SETTLE_S)
        annotated_slide(window, folder)
        review(window, folder)
        result(window, folder)
        export(window, folder)
        window.viewer.close()
        settle()


if __name__ == "__main__":
    main()
