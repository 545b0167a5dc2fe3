"""Promise: Alt and the wheel, and the keys, show the true pixels of each focal plane; place, zoom and turn stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from microscope_hand import ALT, NO_BUTTON, NONE, SHIFT, Hand
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_cyto.domain.presets import preset
from napari_cyto.session import Session
from napari_cyto.widgets.canvas.napari_window import native_canvas

GREYS = (40, 80, 120, 160, 200)


@pytest.fixture
def stack_folder(tmp_path: Path) -> Path:
    """A project of a stack of five planes, 0.5 µm apart, each of a grey of its own, and of an image of one plane."""
    planes = np.ones((5, 400, 500, 3), np.uint8) * np.array(GREYS, np.uint8)[:, None, None, None]
    said = {"axes": "ZYXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 0.5}
    tifffile.imwrite(tmp_path / "a_stack.ome.tif", planes, photometric="rgb", tile=(128, 128), metadata=said)
    tifffile.imwrite(tmp_path / "b_flat.tif", planes[0], photometric="rgb")
    session = Session("anna")
    session.projects.create(tmp_path / "stack.cyto", preset("bethesda"), "Stack")
    session.slides.add([tmp_path / "a_stack.ome.tif", tmp_path / "b_flat.tif"])
    session.slides.go_to(session.project.slides()[0].id)
    session.close()
    return tmp_path / "stack.cyto"


@pytest.fixture
def hand(open_window_on: Callable[..., Any], stack_folder: Path, tmp_path: Path, monkeypatch: Any) -> Hand:
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "user"))
    bench = open_window_on(stack_folder)
    said: list[str] = []
    bench.session.message.connect(said.append)
    native_canvas(bench.window.viewer).setFocus()
    return Hand(bench, said)


def wheel(hand: Hand, eighths: int, *, sideways: bool = False, modifier: Any = ALT) -> None:
    """Turn the wheel, in eighths of a degree; with Alt, Qt's platforms report it as turned sideways."""
    at = QPointF(hand.middle)
    turned = QPoint(eighths, 0) if sideways else QPoint(0, eighths)
    over = QPointF(hand.native.mapToGlobal(hand.middle))
    event = QWheelEvent(at, over, QPoint(), turned, NO_BUTTON, modifier, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(hand.native, event)
    hand.bench.settle()


def plane_said(hand: Hand) -> str:
    return " ".join(words for words in hand.window.microscope.signs.words if words.startswith("Plane"))


def grey_shown(hand: Hand) -> int:
    hand.bench.settle()
    shot = hand.window.viewer.screenshot(canvas_only=True, flash=False)
    return int(shot[hand.middle.y() + 40, hand.middle.x() + 40, 0])


def test_alt_and_the_wheel_and_keys_go_through_the_planes_and_the_view_stays(hand: Hand) -> None:
    hand.key("Q")
    hand.camera.center, hand.camera.zoom = (0, 55.0, 60.0), 9.0
    hand.bench.settle()
    view = (tuple(hand.camera.center), hand.camera.zoom, tuple(hand.camera.angles))
    assert (grey_shown(hand), plane_said(hand)) == (GREYS[2], "Plane 3 of 5")
    wheel(hand, 120)
    assert (grey_shown(hand), plane_said(hand)) == (GREYS[3], "Plane 4 of 5, +0.5 µm")
    wheel(hand, -240, sideways=True)
    assert grey_shown(hand) == GREYS[1]
    for _ in range(3):  # parts of a notch, as a touchpad gives them
        wheel(hand, -40)
    assert (grey_shown(hand), plane_said(hand)) == (GREYS[0], "Plane 1 of 5, -1 µm")
    hand.key("E", SHIFT)
    assert grey_shown(hand) == GREYS[0]
    for _ in range(6):
        hand.key("E")
    assert (grey_shown(hand), plane_said(hand)) == (GREYS[4], "Plane 5 of 5, +1 µm")
    assert (tuple(hand.camera.center), hand.camera.zoom, tuple(hand.camera.angles)) == view
    wheel(hand, 120, modifier=NONE)
    assert hand.camera.zoom > view[1]
    hand.key("PageDown")
    assert plane_said(hand) == ""
    hand.key("E")
    assert hand.said[-1] == "This slide has one focal plane."
