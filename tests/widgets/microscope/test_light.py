"""Promise: the light changes what is on screen by its formula, says so there, and touches no pixel that is read."""

from __future__ import annotations

import numpy as np
import pytest
from microscope_hand import ALT, CTRL, SHIFT, Hand
from qtpy.QtCore import QPoint, Qt

from napari_cyto.errors import CytoError
from napari_cyto.slides import open_slide
from napari_cyto.widgets.microscope._light import BRIGHTNESS, CONTRAST, Light


def on_canvas(hand: Hand) -> np.ndarray:
    """What is painted in the middle of the canvas, 0 to 1, ``(60, 60, 3)``."""
    hand.bench.settle()
    shot = hand.window.viewer.screenshot(canvas_only=True, flash=False)
    y, x = shot.shape[0] // 2, shot.shape[1] // 2
    return shot[y - 30 : y + 30, x - 30 : x + 30, :3] / 255


def test_keys_sliders_and_white_balance_change_the_view_and_nothing_else(hand: Hand) -> None:
    lamp, signs = hand.window.microscope.lamp, hand.window.microscope.signs
    hand.key("4", CTRL)
    plain = on_canvas(hand)
    for _ in range(4):
        hand.key("Up", ALT)
        hand.key("Left", ALT)
        hand.key("PageDown", ALT)
    light = lamp.light
    assert (light.brightness, light.contrast) == pytest.approx((0.08, 1.05**-4))
    assert signs.words == [f"Light of the view: brightness +8 %, contrast 82 %, gamma {1.05**-4:.2f}"]
    shown = np.clip((plain - 0.5) * light.contrast + 0.5 + light.brightness, 0, 1) ** light.gamma
    assert np.abs(on_canvas(hand) - shown).max() < 2 / 255
    # Panning on, the light goes along.
    hand.camera.center = (0, hand.camera.center[1] + 20, hand.camera.center[2])
    hand.key("I", SHIFT)
    moved = on_canvas(hand)
    hand.key("Down", ALT)
    assert np.abs(on_canvas(hand) - np.clip(moved - 0.02, 0, 1)).max() < 2 / 255
    # Of each slide its own.
    hand.go_to(1)
    assert lamp.light.is_neutral
    assert signs.words == []
    hand.go_to(0)
    assert signs.words == ["Light of the view: brightness -2 %"]
    read = hand.bench.session.open_slide_handle.read_region(0, 300, 300, 40, 40)
    with open_slide(hand.bench.session.open_slide_handle.info.path) as another:
        assert np.array_equal(another.read_region(0, 300, 300, 40, 40), read), "no reader of the slide sees it"
    hand.bench.qtbot.mouseClick(signs._buttons["light"], Qt.MouseButton.LeftButton)
    assert lamp.light.is_neutral
    assert np.abs(on_canvas(hand) - moved).max() == 0, "the light of the file is that to the bit"
    hand.key("I")
    panel = hand.window.microscope.light_panel
    panel.contrast.setValue(panel.contrast.maximum())
    assert lamp.light == Light(contrast=CONTRAST[1])
    hand.bench.qtbot.mouseClick(panel.reset, Qt.MouseButton.LeftButton)
    assert panel.contrast.value() == 0
    balances(hand)
    hand.key("I")
    assert hand.window.microscope.light_panel is None


def balances(hand: Hand) -> None:
    lamp, session = hand.window.microscope.lamp, hand.bench.session
    place = hand.middle + QPoint(40, 30)
    hand.move(place)
    hand.key("W")
    mean = session.open_slide_handle.read_level0(box_under(hand, place)).reshape(-1, 3).mean(0)
    assert lamp.light.gains_rgb == pytest.approx(tuple(mean.max() / mean), abs=0.02)
    hand.key("I", SHIFT)
    hand.key("P")
    hand.bench.qtbot.mouseClick(hand.window.microscope.light_panel.pick, Qt.MouseButton.LeftButton)
    hand.click(place)
    assert lamp.light.is_balanced or "without colour already" in hand.said[-1]
    assert list(session.project.annotations()) == [], "this click chooses glass and annotates nothing"
    hand.key("W", SHIFT)
    assert "brightest glass of the slide" in hand.said[-1]
    hand.key("I", SHIFT)


def box_under(hand: Hand, place: QPoint) -> tuple[float, float, float, float]:
    """The box of 12 px of the screen round a place, level-0 px, at 40x of a slide of 0.25 µm: a px of one each."""
    _, centre_y, centre_x = hand.camera.center
    y = (centre_y + (place.y() - hand.native.height() / 2) / hand.camera.zoom) / 0.25 + 0.5
    x = (centre_x + (place.x() - hand.native.width() / 2) / hand.camera.zoom) / 0.25 + 0.5
    return (y - 6, x - 6, y + 6, x + 6)


def test_a_light_stays_within_its_bounds_and_comes_back_to_neutral() -> None:
    light = Light()
    for _ in range(60):
        light = light.changed(brightness=0.02, contrast=1.05, gamma=1 / 1.05)
    assert (light.brightness, light.contrast, light.gamma) == (BRIGHTNESS[1], CONTRAST[1], 0.4)
    there = Light().changed(contrast=1.05).changed(contrast=1.05)
    assert there.changed(contrast=1 / 1.05).changed(contrast=1 / 1.05).is_neutral
    assert Light().balanced_on((240, 240, 240)).is_neutral
    assert Light().balanced_on((250, 240, 200)).gains_rgb == pytest.approx((1, 250 / 240, 1.25))
    for no_glass in ((40, 40, 40), (200, 60, 200), (0, 0, 0)):
        with pytest.raises(CytoError, match="bare glass"):
            Light().balanced_on(no_glass)
