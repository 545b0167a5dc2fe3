"""Promise: our keys do what the keys table says, whatever layer is active, and napari's do not come first."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QLineEdit, QPushButton

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Point
from napari_cyto.session import Tool
from napari_cyto.widgets.canvas import napari_window

pytestmark = pytest.mark.smoke

SHIFT = Qt.KeyboardModifier.ShiftModifier


def _put(desk, *places, class_id="NILM", status=Status.ACCEPTED) -> list[str]:
    slide = desk.session.slide
    cells = [
        Annotation(
            slide_id=slide.id,
            geometry=Point(*yx),
            class_id=class_id,
            status=status,
            origin=origin_of_model("m", "0" * 64),
        )
        for yx in places
    ]
    desk.session.project.apply(edits.add(cells, "Put"), "model")
    desk.session.annotations_changed.emit(None)
    return [a.id for a in cells]


@pytest.mark.parametrize("active", ["cells", "slide", "nothing"])
def test_digits_choose_and_relabel_and_never_delete(desk, active):
    [cell] = _put(desk, (2000, 2000), class_id="SCC")
    layers = {"cells": desk.canvas.layers.cells, "slide": desk.viewer.layers["slide"], "nothing": None}
    desk.viewer.layers.selection.active = layers[active]
    desk.session.select([cell])
    for digit, class_id in (("1", "NILM"), ("3", "LSIL"), ("8", "bothcells")):
        desk.keys(digit)
        assert [a.class_id for a in desk.stored()] == [class_id]
        assert desk.session.current_class == "NILM"
    assert desk.viewer.layers["slide"].mode == "pan_zoom"


def test_a_digit_without_a_class_says_so(desk):
    said = []
    desk.session.message.connect(said.append)
    desk.keys("9")
    assert said == ["No class of this project has the key 9."]


def test_delete_is_an_edit_like_any_other(desk):
    [cell, _] = _put(desk, (2000, 2000), (2100, 2100))
    for key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
        desk.session.select([cell])
        desk.key(key)
        assert len(desk.stored()) == 1
        assert cell not in desk.drawn()
        desk.ctrl("Z")
        assert cell in desk.drawn()
        assert len(desk.stored()) == 2


def test_undo_and_redo_by_each_of_their_keys(desk):
    desk.keys("P")
    desk.click((2000, 2000))
    ndisplay = desk.viewer.dims.ndisplay
    for redo in (lambda: desk.ctrl("Z", shift=True), lambda: desk.ctrl("Y")):
        desk.ctrl("Z")
        assert desk.stored() == []
        assert desk.drawn() == set()
        redo()
        assert len(desk.stored()) == 1
        assert len(desk.drawn()) == 1
    assert desk.viewer.dims.ndisplay == ndisplay


def test_keys_reach_the_slide_from_a_dock_but_not_from_what_is_being_typed(desk):
    button, field = QPushButton("x"), QLineEdit()
    for widget in (button, field):
        desk.viewer.window.add_dock_widget(widget)
    desk.keys("P")
    desk.click((2000, 2000))
    ndisplay = desk.viewer.dims.ndisplay
    button.setFocus()
    desk.qtbot.keyClick(button, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert desk.stored() == []
    desk.qtbot.keyClick(button, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert len(desk.stored()) == 1
    assert desk.viewer.dims.ndisplay == ndisplay
    field.setFocus()
    desk.qtbot.keyClicks(field, "12")
    assert field.text() == "12"
    assert desk.session.current_class == "NILM"


def test_letters_mean_nothing_where_the_slide_has_not_the_focus(desk):
    """What is typed beside a field must not relabel, reject, choose a tool or hide, whatever has the focus."""
    desk.keys("P")
    desk.click((2000, 2000))
    desk.session.select(desk.drawn())
    button, bare = QPushButton("x"), QLabel("beside the field")
    bare.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
    for widget in (button, bare):
        desk.viewer.window.add_dock_widget(widget)
    before = desk.stored()
    for widget in (button, bare, desk.viewer.window._qt_window, desk.viewer.window._qt_viewer):
        widget.setFocus()
        desk.qtbot.keyClicks(widget, "5xahvbrg nu")
        for key in (Qt.Key.Key_Delete, Qt.Key.Key_PageDown, Qt.Key.Key_Return):
            desk.qtbot.keyClick(widget, key)
        desk.settle()
        assert desk.stored() == before
        assert desk.session.tool is Tool.POINT
        assert desk.session.slide.name == "one"
        assert desk.session.selection
        assert desk.canvas.layers.cells.visible
        assert not desk.canvas.gestures.is_space_held


def test_escape_in_a_dock_leads_back_to_the_slide(desk):
    field = QLineEdit()
    desk.viewer.window.add_dock_widget(field)
    field.setFocus()
    desk.qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert desk.viewer.window._qt_window.focusWidget() is desk.native


def test_arrows_pan_and_plus_and_minus_zoom(desk):
    camera = napari_window.camera_of(desk.viewer)
    for key, axis, sign in (("Left", 2, -1), ("Right", 2, 1), ("Up", 1, -1), ("Down", 1, 1)):
        before = camera.center[axis]
        desk.key(getattr(Qt.Key, f"Key_{key}"))
        assert (camera.center[axis] - before) * sign > 0
    zoom = camera.zoom
    desk.key(Qt.Key.Key_Plus, SHIFT)
    assert camera.zoom == pytest.approx(zoom * 1.25)
    desk.key(Qt.Key.Key_Minus)
    assert camera.zoom == pytest.approx(zoom)


def test_undo_goes_to_what_changed_when_it_is_out_of_view(desk):
    desk.keys("P")
    desk.click((2000, 2000))
    napari_window.look_at(desk.viewer, (500, 500), 0.25)
    desk.settle()
    desk.ctrl("Z")
    y0, x0, y1, x1 = desk.session.view_yxyx
    assert y0 < 2000 < y1
    assert x0 < 2000 < x1


def test_undo_goes_back_to_the_other_slide(desk):
    desk.keys("P")
    desk.click((2000, 2000))
    desk.key(Qt.Key.Key_PageDown)
    assert desk.session.slide.name == "two"
    assert desk.drawn() == set()
    desk.ctrl("Z")
    assert desk.session.slide.name == "one"


def test_next_and_previous_go_to_each_annotation_and_show_it_well(desk):
    cells = _put(desk, (300, 300), (3000, 3000), (600, 3500))
    napari_window.camera_of(desk.viewer).zoom = 0.1
    for expected in (*cells, cells[0]):
        desk.keys("N")
        assert desk.session.selection == {expected}
        yx = desk.session.selected()[0].geometry.centre_yx
        y0, x0, y1, x1 = desk.session.view_yxyx
        assert ((y0 + y1) / 2, (x0 + x1) / 2) == pytest.approx(yx, abs=1)
        assert y1 - y0 < 1000
        assert expected in desk.drawn()
    desk.key(Qt.Key.Key_N, SHIFT)
    assert desk.session.selection == {cells[2]}


def test_next_of_the_class_and_next_unreviewed(desk):
    _put(desk, (2000, 2000))
    [scc] = _put(desk, (2100, 2100), class_id="SCC")
    [unreviewed] = _put(desk, (2200, 2200), class_id="LSIL", status=Status.UNREVIEWED)
    desk.keys("6C")
    assert desk.session.selection == {scc}
    desk.keys("U")
    assert desk.session.selection == {unreviewed}
    desk.keys("A")
    assert desk.session.selected()[0].status is Status.ACCEPTED
    desk.keys("X")
    assert desk.session.selected()[0].status is Status.REJECTED


def test_next_goes_on_after_the_one_it_stood_on_was_deleted(desk):
    cells = _put(desk, (2000, 2000), (2100, 2100), (2200, 2200))
    desk.keys("NN")
    desk.key(Qt.Key.Key_Delete)
    desk.keys("N")
    assert desk.session.selection == {cells[2]}


def test_next_and_previous_slide(desk):
    key = Qt.Key
    for forward, back in ((key.Key_PageDown, key.Key_PageUp), (key.Key_BracketRight, key.Key_BracketLeft)):
        desk.key(forward)
        assert desk.session.slide.name == "two"
        assert desk.canvas.layers.cells.scale == pytest.approx((1, 1))
        desk.key(back)
        assert desk.session.slide.name == "one"
        assert desk.canvas.layers.cells.scale == pytest.approx((0.25, 0.25))


def test_escape_selects_nothing_and_h_hides(desk):
    [cell] = _put(desk, (2000, 2000))
    desk.session.select([cell])
    desk.key(Qt.Key.Key_Escape)
    assert not desk.session.selection
    desk.keys("H")
    assert not desk.canvas.layers.cells.visible
    assert "hidden" in desk.canvas.note.text()
    desk.keys("H")
    assert desk.canvas.layers.cells.visible


def test_keys_are_naparis_again_when_the_project_closes(desk):
    image = desk.viewer.layers["slide"]
    desk.session.close()
    desk.viewer.layers.selection.active = image
    desk.keys("2")
    assert image.mode == "transform"
    assert desk.canvas.layers.cells is None
