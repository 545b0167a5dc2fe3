"""Promise: the second view shows its own place in step with the slide, and never moves or edits anything of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from microscope_hand import ALT, LEFT, NONE, Hand
from mouse_moves import send_move
from qtpy.QtCore import QPoint, Qt

from napari_cyto.slides import open_slide


def shown(hand: Hand) -> Any:
    """Return the second view once it shows what it was last asked for."""
    second = hand.window.microscope.second_view
    assert second is not None
    hand.bench.qtbot.waitUntil(lambda: second.pane.has_pixels, timeout=20_000)
    hand.bench.qtbot.wait(150)
    return second


def main_view(hand: Hand) -> tuple[float, ...]:
    return (*hand.camera.center, hand.camera.zoom)


def check_pixel(second: Any, file: Path, at: QPoint) -> None:
    """What is painted at a place of the widget is the px of the file there."""
    y, x = second.pane.place_yx(at)
    with open_slide(file) as slide:
        expected = slide.read_region(0, int(y), int(x), 1, 1)[0, 0]
    painted = second.pane.grab().toImage().pixelColor(at)
    assert np.allclose((painted.red(), painted.green(), painted.blue()), expected, atol=2)


def drag(hand: Hand, pane: Any, by: QPoint) -> None:
    start = QPoint(pane.width() // 2, pane.height() // 2)
    hand.bench.qtbot.mousePress(pane, LEFT, NONE, start)
    for step in (0.5, 1.0):
        send_move(pane, start + by * step, LEFT)
    hand.bench.qtbot.mouseRelease(pane, LEFT, NONE, start + by)
    hand.bench.settle()


def test_a_second_view_goes_in_step_and_leaves_the_slide_alone(hand: Hand, slide_files: list[Path]) -> None:
    session, qtbot = hand.bench.session, hand.bench.qtbot
    files = {record.name: Path(record.path) for record in session.project.slides()}
    hand.go_to(1)
    session.facts.set_mpp(0.5)
    hand.go_to(0)
    hand.camera.center = (0, 80.0, 80.0)
    # 10 px of the screen for each of the slide: a colour is read off in the middle of one.
    hand.camera.zoom = 40.0
    before, height = main_view(hand), hand.native.height()
    hand.key("D")
    second = shown(hand)
    pane = second.pane
    qtbot.waitUntil(lambda: hand.native.height() < height - 100)
    assert main_view(hand) == before, "the slide has less room, but shows the same place at the same scale"
    assert pane.place_yx(QPoint(pane.width() // 2, pane.height() // 2)) == pytest.approx((320.5, 320.5), abs=0.1)
    assert second.words.text().startswith("smear_a.tif · 400x · 0.025 µm per px of the screen · colours of the file")
    check_pixel(second, files["smear_a.tif"], QPoint(pane.width() // 2 + 33, pane.height() // 2 - 21))

    # Another place, by a drag and an arrow key: only the second view goes there.
    drag(hand, pane, QPoint(-100, 40))
    qtbot.keyClick(pane, Qt.Key.Key_Down)
    assert pane.centre_yx == pytest.approx((320.5 - 4 + 6, 320.5 + 10), abs=0.1)
    assert main_view(hand) == before
    # In step: pan, zoom and turn of the slide; the distance stays.
    hand.camera.center = (0, 90.0, 70.0)
    hand.key("Plus")
    assert pane.centre_yx == pytest.approx((322.5 + 40, 330.5 - 40), abs=0.1)
    assert pane.level0_per_px == pytest.approx(4 / hand.camera.zoom)
    hand.key("Q")
    assert pane.degrees == 90
    assert "turned 90° clockwise" in shown(hand).words.text()
    check_pixel(second, files["smear_a.tif"], QPoint(pane.width() // 2 + 50, pane.height() // 2 + 30))
    held = pane.centre_yx
    drag(hand, pane, QPoint(0, 50))
    assert pane.centre_yx == pytest.approx((held[0], held[1] - 50 * pane.level0_per_px), abs=0.1), "as it is seen"
    hand.key("Q", ALT)

    # A slide of another scale, chosen by key: its middle first, the same µm per px of the screen, in step in µm.
    second.choice.setFocus()
    qtbot.keyClick(second.choice, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: pane.centre_yx == (320.0, 320.0), timeout=20_000)
    assert shown(hand).words.text().startswith("smear_b.tif · ")
    assert pane.level0_per_px * 0.5 == pytest.approx(1 / hand.camera.zoom)
    hand.camera.center = (0, 95.0, 70.0)
    assert pane.centre_yx == pytest.approx((330.0, 320.0))
    check_pixel(shown(hand), files["smear_b.tif"], QPoint(pane.width() // 2 + 4, pane.height() // 2 + 4))
    # Out of step it stays, and zooms alone; in step again it has the scale of the slide's view, at its own place.
    qtbot.keyClick(pane, Qt.Key.Key_Plus)
    assert "In step off" in hand.said[-1]
    hand.bench.click(second.in_step)
    before = main_view(hand)
    qtbot.keyClick(pane, Qt.Key.Key_Minus)
    assert main_view(hand) == before
    hand.camera.center = (0, 60.0, 60.0)
    assert pane.centre_yx == pytest.approx((330.0, 320.0))
    assert "not in step" in second.words.text()
    hand.bench.click(second.in_step)
    assert pane.level0_per_px * 0.5 == pytest.approx(1 / hand.camera.zoom)
    assert pane.centre_yx == pytest.approx((330.0, 320.0))

    # Another slide on the canvas: the second view keeps its own; without a scale it goes by px, and says so.
    hand.go_to(2)
    assert pane.centre_yx == pytest.approx((330.0, 320.0))
    assert "in step by px, as a pixel size is unknown" in shown(hand).words.text()
    hand.go_to(0)
    assert "by px" not in second.words.text()
    # A file that is gone is said; where it is chosen again and back, it is read.
    files["field.png"].unlink()
    second.choice.setFocus()
    qtbot.keyClick(second.choice, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: "'field.png' is missing" in second.words.text(), timeout=20_000)
    assert not pane.has_pixels
    second.choice.setFocus()
    qtbot.keyClick(second.choice, Qt.Key.Key_Home)
    assert shown(hand).words.text().startswith("smear_a.tif · ")
    hand.bench.click(second.same)
    assert pane.centre_yx == pytest.approx(hand.window.microscope.places._middle_yx)

    # The same key closes it, and the slide has its room again, at the same place; nothing was edited.
    before = main_view(hand)
    qtbot.keyClick(pane, Qt.Key.Key_D)
    assert hand.window.microscope.second_view is None
    qtbot.waitUntil(lambda: hand.native.height() == height)
    assert main_view(hand) == before
    assert not list(session.project.annotations())
    # From the menu; with the project closed it is gone.
    action = next(a for a in hand.window.microscope.bar.tools.menu().actions() if a.text().startswith("Second view"))
    action.trigger()
    shown(hand)
    session.close()
    qtbot.waitUntil(lambda: hand.window.microscope.second_view is None)
