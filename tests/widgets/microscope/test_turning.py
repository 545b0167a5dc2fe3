"""Promise: in a turned view a click, a box, a ruler and a drag mean the place of the slide that is under them."""

from __future__ import annotations

import numpy as np
import pytest
from microscope_hand import CTRL, SHIFT, Hand
from qtpy.QtCore import QPoint, Qt

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import YX
from napari_cyto.widgets.canvas.frames import around_turned, turned, within_turned


def pixel_at(hand: Hand, place: QPoint) -> np.ndarray:
    hand.bench.settle()
    shot = hand.window.viewer.screenshot(canvas_only=True, flash=False)
    return shot[place.y(), place.x(), :3].astype(int)


def newest(hand: Hand, known: set[str]) -> Annotation:
    [made] = [a for a in hand.bench.session.project.annotations() if a.id not in known]
    known.add(made.id)
    return made


def check_at(hand: Hand, degrees: float, known: set[str], down: float) -> None:
    session = hand.bench.session
    hand.camera.center = (0, 80.0 + down / 4, 80.0)
    # So near that a px of the slide is many of the screen, and its colour is read off in its middle.
    hand.camera.zoom = 40.0
    # Each time elsewhere: a click on a cell selects it.
    target = (330.5 + down, 316.5)
    place = hand.on_screen(target, degrees)
    hand.key("H")
    with_file = session.open_slide_handle.read_region(0, int(330 + down), 316, 1, 1)[0, 0].astype(int)
    assert np.abs(pixel_at(hand, place) - with_file).max() <= 2, f"the slide is drawn turned by {degrees}"
    hand.key("H")
    hand.camera.zoom = 4.0
    hand.key("P")
    hand.click(hand.on_screen(target, degrees))
    assert newest(hand, known).geometry.centre_yx == pytest.approx(target, abs=0.8)
    hand.key("B")
    corners: tuple[YX, YX] = ((250.5 + down, 260.5), (290.5 + down, 320.5))
    hand.drag(*(hand.on_screen(corner, degrees) for corner in corners))
    assert newest(hand, known).geometry.bounds_yxyx == pytest.approx((*corners[0], *corners[1]), abs=1.6)
    hand.key("V")
    hand.hold("M", True)
    hand.drag(hand.on_screen((300.5, 300.5), degrees), hand.on_screen((300.5, 360.5), degrees), SHIFT)
    hand.hold("M", False)
    rulers = hand.window.microscope.rulers
    assert rulers.kept[-1].end_yx == pytest.approx((300.5, 360.5), abs=0.8)
    label = rulers._labels[len(rulers.kept) - 1].geometry().center()
    between = hand.on_screen((300.5, 330.5), degrees)
    assert (label - between).manhattanLength() <= 18, "its words lie beside it"
    # Space and drag: the place under the mouse stays under it. An arrow shows what lies on that side of the screen.
    hand.hold("Space", True)
    hand.drag(hand.on_screen(target, degrees), hand.middle + QPoint(50, -30))
    hand.hold("Space", False)
    assert (hand.on_screen(target, degrees) - hand.middle - QPoint(50, -30)).manhattanLength() <= 2
    before = hand.on_screen(target, degrees)
    hand.key("Right")
    moved = hand.on_screen(target, degrees) - before
    assert moved.x() < -50
    assert abs(moved.y()) <= 2
    hand.key("M", CTRL)


def test_what_is_done_in_a_turned_view_is_done_where_it_is_seen(hand: Hand) -> None:
    known: set[str] = set()
    signs, session = hand.window.microscope.signs, hand.bench.session
    hand.key("Q")
    assert signs.words == ["View turned 90° clockwise"]
    check_at(hand, 90, known, 0)
    for _ in range(7):
        hand.key("Period")
    assert signs.words == ["View turned 125° clockwise"]
    check_at(hand, 125, known, 70)
    y0, x0, y1, x1 = session.view_yxyx
    for corner in ((y0, x0), (y0, x1), (y1, x0), (y1, x1)):
        at = hand.on_screen(corner, 125)
        assert hand.native.rect().adjusted(-2, -2, 2, 2).contains(at), "nothing counts as seen that was not on screen"
    hand.go_to(1)
    assert signs.words == [], "another slide is upright"
    assert pixel_at(hand, hand.middle).any()
    hand.go_to(0)
    assert signs.words == ["View turned 125° clockwise"]
    hand.bench.qtbot.mouseClick(signs._buttons["turn"], Qt.MouseButton.LeftButton)
    assert signs.words == []
    check_at(hand, 0, known, -70)
    hand.key("Q", SHIFT)
    assert signs.words == ["View turned 90° anticlockwise"]
    hand.key("Home")
    assert all(hand.native.rect().contains(hand.on_screen(c, 270)) for c in ((0, 0), (0, 640), (640, 0), (640, 640)))


def test_boxes_round_and_within_what_is_turned() -> None:
    assert turned((1, 2), 90) == (2, -1)
    assert turned(turned((3, 4), 33), -33) == pytest.approx((3, 4))
    assert around_turned((10, 20), 90) == within_turned((10, 20), 270) == (20, 10)
    assert around_turned((10, 10), 45) == pytest.approx((200**0.5, 200**0.5))
    height, width = within_turned((10, 20), 30)
    assert around_turned((height, width), -30)[0] <= 10 + 1e-9
    assert around_turned((height, width), -30)[1] <= 20 + 1e-9
