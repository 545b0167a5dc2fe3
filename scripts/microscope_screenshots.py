"""Make the images of the microscope's tools from the demo in the real window, by keys and drags of the mouse.

``xvfb-run -a -s "-screen 0 1366x768x24" python scripts/microscope_screenshots.py [FOLDER]``
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget
from screenshots import IMAGE_FOLDER, save, settle, worth_an_image

from napari_cyto.domain.geometry import YX
from napari_cyto.synthesis.demo_job import demo_project
from napari_cyto.widgets.canvas.napari_window import look_at, native_canvas, qt_window, screen_xy
from napari_cyto.widgets.window import CytoWindow, open_window, window_of

LEFT = Qt.MouseButton.LeftButton
NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier
CTRL = Qt.KeyboardModifier.ControlModifier
DEMO_PX = 8000


def move(widget: QWidget, place: QPoint, modifier: Qt.KeyboardModifier, button: Qt.MouseButton = LEFT) -> None:
    """Send a move of the mouse with a button down."""
    at = QPointF(widget.mapToGlobal(place))
    QApplication.sendEvent(widget, QMouseEvent(QEvent.Type.MouseMove, QPointF(place), at, button, button, modifier))
    settle(0.02)


def drag(widget: QWidget, start: QPoint, end: QPoint, modifier: Qt.KeyboardModifier = NONE) -> None:
    """Drag the left button from one place of the canvas to another."""
    QTest.mousePress(widget, LEFT, modifier, start)
    for step in range(1, 9):
        move(widget, start + (end - start) * step / 8, modifier)
    QTest.mouseRelease(widget, LEFT, modifier, end)
    settle(0.2)


def key(window: CytoWindow, name: str, modifier: Qt.KeyboardModifier = NONE) -> None:
    """Press a key on the slide."""
    QTest.keyClick(native_canvas(window.viewer), getattr(Qt.Key, f"Key_{name}"), modifier)
    settle(0.3)


def at(window: CytoWindow, yx: YX) -> QPoint:
    """Return where a place on the slide is on the canvas."""
    slide = window.session.slide
    assert slide is not None
    x, y = screen_xy(window.viewer, yx, slide.mpp or 1.0)
    return QPoint(round(x), round(y))


def rulers_and_field(window: CytoWindow, target: Path) -> None:
    """Two rulers, and the circle of the field of view."""
    native = native_canvas(window.viewer)
    key(window, "2", CTRL)
    key(window, "F")
    middle = QPoint(native.width() // 2, native.height() // 2)
    QTest.keyPress(native, Qt.Key.Key_M)
    drag(native, middle + QPoint(-200, -90), middle + QPoint(-40, -120), SHIFT)
    drag(native, middle + QPoint(30, 40), middle + QPoint(120, 90))
    settle(2)
    save(qt_window(window.viewer), target / "microscope.jpg")
    QTest.keyRelease(native, Qt.Key.Key_M)
    key(window, "F")
    key(window, "M", CTRL)


def light(window: CytoWindow, target: Path) -> None:
    """The light turned up, with its panel and its sign."""
    for name, times in (("Up", 3), ("Right", 5), ("PageDown", 3)):
        for _ in range(times):
            key(window, name, ALT)
    key(window, "W", SHIFT)
    key(window, "I")
    settle(1)
    panel = window.microscope.light_panel
    assert panel is not None
    save(qt_window(window.viewer), target / "light.jpg")
    key(window, "I")
    key(window, "I", SHIFT)


def cell_menu(window: CytoWindow, yx: YX, target: Path) -> None:
    """The menu of a right click on a cell."""
    key(window, "4", CTRL)
    slide = window.session.slide
    assert slide is not None
    look_at(window.viewer, yx, slide.mpp or 1.0)
    settle(1)
    QTest.mouseClick(native_canvas(window.viewer), Qt.MouseButton.RightButton, NONE, at(window, yx))
    settle(1)
    save(qt_window(window.viewer), target / "cell_menu.jpg")
    menu = QApplication.activePopupWidget()
    assert menu is not None
    menu.close()
    settle(0.2)


def turned(window: CytoWindow, target: Path) -> None:
    """The view turned askew, with annotations and a ruler."""
    key(window, "3", CTRL)
    for _ in range(7):
        key(window, "Period")
    native = native_canvas(window.viewer)
    middle = QPoint(native.width() // 2, native.height() // 2)
    QTest.keyPress(native, Qt.Key.Key_M)
    drag(native, middle + QPoint(40, -60), middle + QPoint(150, -20))
    settle(2)
    save(qt_window(window.viewer), target / "turned.jpg")
    QTest.keyRelease(native, Qt.Key.Key_M)
    key(window, "Q", ALT)


def second_view(window: CytoWindow, target: Path) -> None:
    """Another slide, in step with the view."""
    key(window, "3", CTRL)
    key(window, "D")
    settle(2)
    second = window.microscope.second_view
    assert second is not None
    QTest.keyClick(second.choice, Qt.Key.Key_Down)
    settle(2)
    middle = QPoint(second.pane.width() // 2, second.pane.height() // 2)
    drag(second.pane, middle, middle + QPoint(120, 60))
    settle(3)
    save(qt_window(window.viewer), target / "second_view.jpg")
    QTest.keyClick(second.pane, Qt.Key.Key_D)
    settle(0.5)


def main() -> None:
    """Open the demo, and take the pictures."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGE_FOLDER
    with tempfile.TemporaryDirectory() as scratch:
        folder = demo_project(Path(scratch) / "demo.cyto", size_px=DEMO_PX)
        viewer = open_window(folder)
        window = window_of(viewer)
        slide = window.session.slide
        assert slide is not None
        cell = worth_an_image(window.session)
        look_at(viewer, cell.geometry.centre_yx, slide.mpp or 1.0)
        settle(2)
        rulers_and_field(window, target)
        light(window, target)
        turned(window, target)
        second_view(window, target)
        cell_menu(window, cell.geometry.centre_yx, target)
        viewer.close()


if __name__ == "__main__":
    main()
