"""Promise: magnification, rulers and the circle of the field of view are true to the µm, and nothing is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from microscope_hand import ALT, CTRL, RIGHT, SHIFT, Hand
from qtpy.QtCore import QPoint, Qt

from napari_cyto.widgets.microscope._field_circle import FieldOfView, load, save
from napari_cyto.widgets.microscope._magnification_bar import of_step, to_step
from napari_cyto.widgets.microscope._rulers import Ruler, length_words


def um_per_screen_px(hand: Hand) -> float:
    return 1 / float(hand.camera.zoom)


def keys_buttons_and_slider_choose_the_magnification_that_the_slide_tells(hand: Hand) -> None:
    """40x is 0.25 µm per px of the screen, whatever the slide's own pixels measure."""
    bar = hand.window.microscope.bar
    for key, power in (("4", 40), ("1", 4), ("2", 10), ("3", 20)):
        hand.key(key, CTRL)
        assert um_per_screen_px(hand) == pytest.approx(10 / power)
        assert bar.words.text() == f"{power}x"
        assert [p for p, button in bar.objectives.items() if button.isChecked()] == [power]
    hand.key("Z")
    assert bar.words.text() == "40x"
    hand.key("Z")
    assert "highest objective is 40x" in hand.said[-1]
    hand.key("Z", SHIFT)
    assert bar.words.text() == "20x"
    hand.bench.qtbot.mouseClick(bar.objectives[10.0], Qt.MouseButton.LeftButton)
    assert um_per_screen_px(hand) == pytest.approx(1.0)
    assert hand.native.window().focusWidget() is hand.native, "keys go on to the slide"
    bar.slider.setValue(to_step(5.0))
    assert um_per_screen_px(hand) == pytest.approx(10 / of_step(to_step(5.0)))
    assert bar.words.text() == f"{of_step(to_step(5.0)):.3g}x"
    # Scanned at 0.25 µm per px, 40x: nearer, nothing new is seen, and the words say so.
    bar.slider.setValue(to_step(80.0))
    assert "its own pixels grow" in bar.words.toolTip()
    assert bar.geometry().bottom() <= hand.native.height()
    assert bar.geometry().right() < hand.native.width() - 130, "the scale bar stays to be seen"


def without_the_size_of_a_pixel_no_magnification_is_claimed(hand: Hand) -> None:
    hand.go_to(2)
    bar = hand.window.microscope.bar
    before = float(hand.camera.zoom)
    hand.key("4", CTRL)
    hand.key("Z")
    assert float(hand.camera.zoom) == before
    assert all("does not say how large a pixel is" in words for words in hand.said[-2:])
    assert not any(button.isEnabled() for button in bar.objectives.values())
    assert bar.words.text() == f"{before * 100:.3g} %"
    hand.key("F")
    assert not hand.window.microscope.circle.is_shown
    assert "needs the size of a pixel" in hand.said[-1]
    hand.hold("M", True)
    hand.drag(hand.middle, hand.middle + QPoint(60, 0))
    assert hand.window.microscope.rulers.words == [f"{60 / before:,.0f} px (pixel size unknown)"]
    hand.hold("M", False)


def rulers_measure_and_store_nothing(hand: Hand) -> None:
    session, rulers = hand.bench.session, hand.window.microscope.rulers
    hand.key("3", CTRL)
    hand.key("P")
    hand.hold("M", True)
    hand.drag(hand.middle, hand.middle + QPoint(30, 40))
    assert rulers.words == ["25.0 µm"]
    hand.click(hand.middle)
    hand.hold("M", False)
    assert rulers.words == [], "it goes with the key"
    hand.hold("M", True)
    hand.drag(hand.middle - QPoint(100, 50), hand.middle + QPoint(0, -50), SHIFT)
    hand.drag(hand.middle + QPoint(0, 50), hand.middle + QPoint(60, 50), SHIFT)
    hand.hold("M", False)
    assert rulers.words == ["50.0 µm", "30.0 µm"]
    assert list(session.project.annotations()) == []
    hand.key("4", CTRL)
    assert rulers.words == ["50.0 µm", "30.0 µm"]
    label = rulers._labels[0]
    ruler = rulers.kept[0]
    y, x = ((a + b) / 2 for a, b in zip(ruler.start_yx, ruler.end_yx, strict=True))
    assert label.isVisible()
    assert abs(label.geometry().center().x() - hand.on_screen((y, x)).x()) <= 2
    hand.go_to(1)
    assert rulers.words == [], "it lies on the slide on which it was drawn"
    hand.go_to(0)
    assert rulers.words == ["50.0 µm", "30.0 µm"]
    first = rulers.kept[0]
    hand.move(hand.on_screen(first.start_yx) + QPoint(60, 3))
    hand.key("M", ALT)
    assert rulers.words == ["30.0 µm"]
    hand.key("M", ALT)
    assert "No ruler stays under the mouse" in hand.said[-1]
    hand.click(hand.on_screen(rulers.kept[0].end_yx), RIGHT)
    hand.choose("Remove this ruler (30.0 µm)")
    assert rulers.words == []
    hand.hold("M", True)
    hand.drag(hand.middle, hand.middle + QPoint(100, 0), SHIFT)
    hand.hold("M", False)
    assert len(rulers.kept) == 1
    hand.key("M", CTRL)
    assert rulers.words == []
    hand.click(hand.middle)
    assert len(list(session.project.annotations())) == 1, "without M a click annotates as ever"


def the_circle_is_as_wide_as_field_number_by_objective(hand: Hand) -> None:
    circle = hand.window.microscope.circle
    hand.key("1", CTRL)
    hand.key("F")
    assert circle.is_shown
    assert circle.label.text() == "FN 22 / 40x = 0.55 mm"
    ring = circle._lines[0].pos
    assert np.ptp(ring[:, 0]) == pytest.approx(550, rel=1e-3)
    hand.camera.center = (0, 60.0, 70.0)
    assert tuple(circle._lines[0].transform.translate[:2]) == pytest.approx((70.0, 60.0), abs=1e-6)
    hand.key("F", SHIFT)
    hand.move(hand.middle + QPoint(25, 0))
    hand.bench.settle()
    x, y = circle._lines[0].transform.translate[:2]
    assert (x, y) == pytest.approx((70 + 25 * 2.5, 60), abs=2)
    dialog = hand.window.microscope.show_field_dialog()
    dialog.number.setValue(20.0)
    dialog.objective.setCurrentIndex(dialog.objective.findData(100))
    assert np.ptp(circle._lines[0].pos[:, 0]) == pytest.approx(200, rel=1e-3)
    assert load() == FieldOfView(20.0, 100, True)
    dialog.close()
    hand.key("F")
    assert not circle.is_shown
    assert not circle.label.isVisible()


def test_the_tools_on_the_slide(hand: Hand) -> None:
    """One window for all of them, since opening one costs more than they do."""
    keys_buttons_and_slider_choose_the_magnification_that_the_slide_tells(hand)
    without_the_size_of_a_pixel_no_magnification_is_claimed(hand)
    hand.go_to(0)
    rulers_measure_and_store_nothing(hand)
    the_circle_is_as_wide_as_field_number_by_objective(hand)


def test_lengths_have_the_unit_that_fits() -> None:
    words = [length_words(px, 0.25) for px in (40, 399.6, 1000, 8000)]
    assert words == ["10.0 µm", "99.9 µm", "250 µm", "2.00 mm"]
    assert Ruler((0, 0), (30, 40)).length_px == 50
    assert Ruler((0, 0), (0, 10)).distance_px((3, 14)) == 5


@pytest.mark.parametrize("kept", ["", "[]", '{"number": 1e400}', '{"number": 22, "objective": 41}', "nonsense"])
def test_what_was_kept_and_makes_no_sense_is_as_at_first(tmp_path: Path, kept: str) -> None:
    place = tmp_path / "microscope.json"
    place.write_text(kept)
    assert load(place) == FieldOfView()
    chosen: Any = FieldOfView(26.5, 10, True)
    save(chosen, place)
    assert load(place) == chosen
    assert json.loads(place.read_text())["number"] == 26.5
