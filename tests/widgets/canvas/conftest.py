"""A window with a slide in it, and a hand that moves the real mouse and presses the real keys."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from mouse_moves import send_move
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_cyto.domain.geometry import YX
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.session import Session
from napari_cyto.store import Project
from napari_cyto.widgets.canvas import Canvas, attach, napari_window
from napari_cyto.widgets.canvas.frames import frame_to_world

MPP = 0.25
SIZE = 4000
NONE = Qt.KeyboardModifier.NoModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
CTRL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton
MIDDLE = Qt.MouseButton.MiddleButton


@dataclass
class Desk:
    """One window on a project, and the hand before it."""

    viewer: object
    session: Session
    canvas: Canvas
    qtbot: object

    @property
    def native(self):
        return napari_window.native_canvas(self.viewer)

    def settle(self) -> None:
        for _ in range(4):
            QApplication.processEvents()

    def screen(self, yx: YX) -> QPoint:
        """Where a place on the slide is on the screen; px of the canvas widget."""
        camera = napari_window.camera_of(self.viewer)
        height, width = napari_window.canvas_size_px(self.viewer)
        y, x = frame_to_world(yx, self.canvas.mpp)
        _, cy, cx = camera.center
        return QPoint(round(width / 2 + (x - cx) * camera.zoom), round(height / 2 + (y - cy) * camera.zoom))

    def click(self, yx: YX, modifier=NONE, jitter=(0, 0), button=LEFT) -> None:
        start = self.screen(yx)
        self.qtbot.mousePress(self.native, button, modifier, start)
        if jitter != (0, 0):
            self._move(start + QPoint(*jitter), button, modifier)
        self.qtbot.mouseRelease(self.native, button, modifier, start + QPoint(*jitter))
        self.settle()

    def drag(self, path: list[YX], modifier=NONE, button=LEFT) -> None:
        places = [self.screen(yx) for yx in path]
        self.qtbot.mousePress(self.native, button, modifier, places[0])
        for a, b in itertools.pairwise(places):
            for step in (0.25, 0.5, 0.75, 1.0):
                self._move(a + (b - a) * step, button, modifier)
        self.qtbot.mouseRelease(self.native, button, modifier, places[-1])
        self.settle()

    def double_click(self, yx: YX) -> None:
        place = self.screen(yx)
        self.qtbot.mousePress(self.native, LEFT, NONE, place)
        self.qtbot.mouseRelease(self.native, LEFT, NONE, place)
        self.qtbot.mouseDClick(self.native, LEFT, NONE, place)
        self.qtbot.mouseRelease(self.native, LEFT, NONE, place)
        self.settle()

    def _move(self, place: QPoint, button, modifier) -> None:
        send_move(self.native, place, button, modifier)
        # napari looks at moves at most every 5 ms.
        self.qtbot.wait(7)

    def key(self, key, modifier=NONE) -> None:
        self.qtbot.keyClick(self.native, key, modifier)
        self.settle()

    def ctrl(self, letter: str, *, shift: bool = False) -> None:
        self.key(getattr(Qt.Key, f"Key_{letter}"), CTRL | SHIFT if shift else CTRL)

    def keys(self, text: str) -> None:
        for letter in text:
            self.key(getattr(Qt.Key, f"Key_{letter.upper()}"))

    def stored(self) -> list:
        return list(self.session.project.annotations(self.session.slide.id))

    def drawn(self) -> set[str]:
        return set(self.canvas.shown.annotations)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project of two slides, of which only the labels are known; the pixels come from the test's own layer."""
    place = tmp_path / "p.cyto"
    project = Project.create(place, preset("bethesda"))
    project.add_slides(
        [
            SlideRecord(name="one", size_hw=(SIZE, SIZE), mpp=MPP, mpp_source="file"),
            SlideRecord(name="two", size_hw=(SIZE, SIZE)),
        ]
    )
    project.close()
    return place


@pytest.fixture
def sit_down(make_napari_viewer: Callable, qtbot, folder: Path) -> Iterator[Callable[..., Desk]]:
    """Open a window on the project."""
    desks: list[Desk] = []

    def open_desk(author: str = "anna") -> Desk:
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1200, 720)
        # Coarse pixels as large as the slide: a fine image would only cost time.
        glass = np.full((SIZE // 8, SIZE // 8, 3), 230, np.uint8)
        viewer.add_image(glass, scale=(MPP * 8,) * 2, units=("µm", "µm"), name="slide")
        session = Session(author)
        canvas = attach(viewer, session)
        session.projects.open(folder)
        desk = Desk(viewer, session, canvas, qtbot)
        desk.settle()
        napari_window.look_at(viewer, (2000, 2000), MPP, zoom=2.0)
        desk.settle()
        desk.native.setFocus()
        desks.append(desk)
        return desk

    yield open_desk
    for desk in desks:
        desk.canvas.detach()
        desk.session.close()


@pytest.fixture
def desk(sit_down: Callable[..., Desk]) -> Desk:
    """One window on the project, the middle of slide one in view at 2 screen px per µm (half a px per level-0 px)."""
    return sit_down()
