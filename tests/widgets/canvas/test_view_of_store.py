"""Promise: the layers are a view of the store: what is in it is on screen, whoever put it there, and only that."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QTimer

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas._visible_annotations import MOST_DRAWN
from napari_cyto.widgets.keys import KEYS


def _scatter(desk, n, low=0, high=4000):
    rng = np.random.default_rng(3)
    places = rng.uniform(low, high, (n, 2))
    slide_id = desk.session.slide.id
    cells = [Annotation(slide_id=slide_id, geometry=Point(y, x), class_id="LSIL") for y, x in places.tolist()]
    desk.session.project.apply(edits.add(cells, "Scatter"), "import")
    desk.session.annotations_changed.emit(None)
    desk.settle()
    return places


def test_only_what_is_in_view_is_drawn(desk):
    places = _scatter(desk, 1500)
    desk.settle()
    y0, x0, y1, x1 = desk.session.view_yxyx
    inside = ((places >= (y0, x0)) & (places < (y1, x1))).all(axis=1).sum()
    drawn = len(desk.canvas.layers.points.centres)
    assert inside <= drawn < 1500
    napari_window.look_at(desk.viewer, (100, 100), 0.25)
    desk.settle()
    shown = np.array([a.geometry.centre_yx for a in desk.canvas.shown.annotations.values()])
    assert (shown < 3000).all()


def test_beyond_the_cap_a_spread_sample_is_drawn_and_the_rest_is_reported(desk):
    _scatter(desk, 6000)
    region = desk.session.edits.add_region([(10, 10), (10, 3000), (3000, 3000)])
    napari_window.look_at(desk.viewer, (2000, 2000), 0.25, zoom=0.6)
    desk.settle()
    desk.qtbot.waitUntil(lambda: desk.canvas.shown.is_sample)
    drawn = desk.canvas.layers.points.centres
    assert region.id in desk.drawn()
    assert 1000 < len(drawn) <= MOST_DRAWN
    quarters = {(bool(y > 2000), bool(x > 2000)) for y, x in drawn}
    assert len(quarters) == 4
    assert "not drawn; zoom in" in desk.canvas.note.text()
    napari_window.look_at(desk.viewer, (2000, 2000), 0.25, zoom=4.0)
    desk.qtbot.waitUntil(lambda: not desk.canvas.shown.is_sample)
    assert not desk.canvas.note.isVisible()


def test_two_windows_on_one_project_see_each_others_edits(sit_down):
    one, two = sit_down("anna"), sit_down("ben")
    one.native.setFocus()
    one.keys("P")
    one.click((2000, 2000))
    two.canvas._poll()
    two.settle()
    assert two.drawn() == one.drawn() != set()
    two.session.select(two.drawn())
    two.keys("5")
    one.canvas._poll()
    one.settle()
    assert [a.class_id for a in one.canvas.shown.annotations.values()] == ["HSIL"]
    one.session.select(one.drawn())
    one.session.edits.delete_selected()
    two.canvas._poll()
    assert two.drawn() == set()
    assert not two.session.selection


def test_the_poll_runs_by_itself(desk):
    assert desk.canvas._poll_timer.isActive()
    assert desk.canvas._poll_timer.interval() <= 1000


def test_a_layer_that_the_user_removes_comes_back_with_everything_on_it(desk):
    _scatter(desk, 20, 1900, 2100)
    before = desk.drawn()
    desk.viewer.layers.remove(desk.canvas.layers.cells)
    desk.settle()
    assert desk.canvas.layers.cells in desk.viewer.layers
    assert desk.drawn() == before
    assert len(desk.canvas.layers.points.centres) == 20
    desk.keys("P5")
    desk.click((2200, 2200))
    assert len(desk.stored()) == 21


def test_our_layer_stays_above_a_slide_that_comes_later_and_stays_active(desk):
    desk.viewer.add_image(np.zeros((50, 50, 3), np.uint8), name="later", scale=(0.25, 0.25), units=("µm", "µm"))
    desk.settle()
    assert desk.viewer.layers[-1] is desk.canvas.layers.cells
    assert desk.viewer.layers.selection.active is desk.canvas.layers.cells


def test_colours_status_and_selection_show(desk):
    desk.keys("P5")
    desk.click((2000, 2000))
    layers = desk.canvas.layers
    assert layers._cell_markers.visible
    assert layers.points.face_rgba[0][:3] == pytest.approx(np.array([0xD5, 0x5E, 0x00]) / 255, abs=0.01)
    assert not desk.canvas.layers._rings.visible
    desk.session.select(desk.drawn())
    desk.settle()
    assert desk.canvas.layers._rings.visible
    desk.keys("X")
    assert layers.points.symbols[0] == "cross"


def test_outlines_of_boxes_show_only_where_they_can_be_seen(desk):
    slide_id = desk.session.slide.id
    box = Annotation(slide_id=slide_id, geometry=Box(1900, 1900, 2000, 2000), class_id="LSIL")
    desk.session.project.apply(edits.add([box], "x"), "a")
    desk.session.annotations_changed.emit(None)
    assert desk.canvas.layers._outlines.visible
    napari_window.camera_of(desk.viewer).zoom = 0.05
    desk.settle()
    assert not desk.canvas.layers._outlines.visible
    assert len(desk.canvas.layers.points.centres) == 1


def test_boxes_that_heap_up_give_way_to_dots_until_one_is_near(desk):
    slide_id, wide = desk.session.slide.id, 400.0
    boxes = [
        Annotation(slide_id=slide_id, geometry=Box.around((y, x), wide, wide), class_id="LSIL")
        for y in range(1500, 2600, 100)
        for x in range(1500, 2600, 100)
    ]
    desk.session.project.apply(edits.add(boxes, "x"), "a")
    napari_window.look_at(desk.viewer, (2000, 2000), 0.25, zoom=1.0)
    desk.session.annotations_changed.emit(None)
    desk.settle()
    assert len(desk.canvas.layers.points.centres) == len(boxes)
    assert not desk.canvas.layers._outlines.visible
    desk.session.select([boxes[0].id])
    desk.settle()
    assert desk.canvas.layers._outlines.visible
    desk.session.select([])
    napari_window.look_at(desk.viewer, (2000, 2000), 0.25, zoom=3.0)
    desk.settle()
    assert desk.canvas.layers._outlines.visible


def test_a_viewer_that_closes_leaves_no_timers_and_the_project_stays_usable(desk):
    desk.viewer.close()
    desk.settle()
    desk.session.edits.add_point((10.0, 10.0))
    assert len(desk.stored()) == 1


def test_detach_gives_the_viewer_back_as_it_was(desk):
    viewer, canvas = desk.viewer, desk.canvas
    canvas.detach()
    assert [layer.name for layer in viewer.layers] == ["slide"]
    assert not any(timer.isActive() for timer in vars(canvas).values() if isinstance(timer, QTimer))
    assert canvas.gestures.press not in viewer.mouse_drag_callbacks
    assert len(viewer.mouse_double_click_callbacks) == 1
    assert not {c for key in KEYS for c in key.keys} & {str(k) for k in viewer.keymap}


def test_it_can_be_attached_again(desk):
    desk.canvas.detach()
    from napari_cyto.widgets.canvas import attach

    desk.canvas = attach(desk.viewer, desk.session)
    desk.settle()
    desk.keys("P")
    desk.click((2000, 2000))
    assert len(desk.stored()) == 1
