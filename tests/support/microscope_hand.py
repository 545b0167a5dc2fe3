"""A hand at the microscope: real keys and real moves of the mouse in one whole window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mouse_moves import send_move
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_cyto.domain.geometry import YX
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas.frames import PIXEL_CENTRE

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NO_BUTTON = Qt.MouseButton.NoButton
NONE = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier


@dataclass
class Hand:
    """What a person does at the window of a bench, and what is heard meanwhile."""

    bench: Any
    said: list[str]

    @property
    def window(self) -> Any:
        return self.bench.window

    @property
    def native(self) -> Any:
        return napari_window.native_canvas(self.window.viewer)

    @property
    def camera(self) -> Any:
        return napari_window.camera_of(self.window.viewer)

    @property
    def middle(self) -> QPoint:
        return QPoint(self.native.width() // 2, self.native.height() // 2)

    def key(self, name: str, modifier: Qt.KeyboardModifier = NONE) -> None:
        self.bench.qtbot.keyClick(self.native, getattr(Qt.Key, f"Key_{name}"), modifier)
        self.bench.settle()

    def hold(self, name: str, down: bool) -> None:
        press = self.bench.qtbot.keyPress if down else self.bench.qtbot.keyRelease
        press(self.native, getattr(Qt.Key, f"Key_{name}"))
        self.bench.settle()

    def move(self, place: QPoint, button: Qt.MouseButton = NO_BUTTON, modifier: Qt.KeyboardModifier = NONE) -> None:
        send_move(self.native, place, button, modifier)
        # napari looks at moves at most every 5 ms.
        self.bench.qtbot.wait(7)

    def drag(
        self, start: QPoint, end: QPoint, modifier: Qt.KeyboardModifier = NONE, button: Qt.MouseButton = LEFT
    ) -> None:
        self.bench.qtbot.mousePress(self.native, button, modifier, start)
        for step in (0.3, 0.6, 1.0):
            self.move(start + (end - start) * step, button, modifier)
        self.bench.qtbot.mouseRelease(self.native, button, modifier, end)
        self.bench.settle()

    def click(self, place: QPoint, button: Qt.MouseButton = LEFT, modifier: Qt.KeyboardModifier = NONE) -> None:
        self.bench.qtbot.mouseClick(self.native, button, modifier, place)
        self.bench.settle()

    @property
    def menu(self) -> Any:
        """The menu that is open over the slide."""
        return QApplication.activePopupWidget()

    def choose(self, words: str) -> None:
        """Click the row of the open menu that begins with some words; what has a key shows it after a tab."""
        action = next(a for a in self.menu.actions() if a.text().startswith(words))
        self.bench.qtbot.mouseClick(self.menu, LEFT, NONE, self.menu.actionGeometry(action).center())
        self.bench.settle()

    def on_screen(self, yx: YX, degrees: float = 0.0) -> QPoint:
        """Where a place on the slide is on the canvas, reckoned here rather than by the program."""
        mpp = self.bench.session.slide.mpp or 1.0
        y, x = ((v - PIXEL_CENTRE) * mpp for v in yx)
        _, centre_y, centre_x = self.camera.center
        down, right, turn = y - centre_y, x - centre_x, math.radians(degrees)
        right, down = (
            math.cos(turn) * right - math.sin(turn) * down,
            math.sin(turn) * right + math.cos(turn) * down,
        )
        zoom = self.camera.zoom
        return QPoint(round(self.native.width() / 2 + right * zoom), round(self.native.height() / 2 + down * zoom))

    def go_to(self, number: int) -> None:
        """Put a slide of the project on screen, by its number."""
        session = self.bench.session
        session.slides.go_to(session.project.slides()[number].id)
        self.bench.settle()
