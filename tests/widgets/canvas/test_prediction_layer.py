"""Promise: proposals are drawn, filtered, hovered and judged on the slide; too many of them become a map."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.presets import preset
from napari_cyto.review.predictions import Heat, ShownFilter
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas._annotation_style import HIDDEN_RGB, REGION_RGBA, box_segments, halo_of, line_segments
from napari_cyto.widgets.canvas._heat import VEIL, coloured, smoothed
from napari_cyto.widgets.canvas._prediction_layer import READ_AT_ONCE

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
ORIGIN = origin_of_model("finder", "0" * 64)


def add_predictions(desk, places, class_id="HSIL", score=0.8, side=80.0) -> list[str]:
    slide_id = desk.session.slide.id
    scores = ((class_id, score), ("NILM", round((1 - score) / 4, 3)))
    cells = [
        Annotation(
            slide_id=slide_id,
            geometry=Box.around(yx, side, side),
            class_id=class_id,
            status=Status.UNREVIEWED,
            author="finder",
            origin=ORIGIN,
            scores=scores,
        )
        for yx in places
    ]
    entry = desk.session.project.apply(edits.add(cells, "Predict"), "finder")
    desk.session.annotations_changed.emit(entry)
    desk.settle()
    return [a.id for a in cells]


def hover(desk, yx) -> None:
    """Move the real mouse, no button down."""
    desk._move(desk.screen(yx), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier)
    # A move within 5 ms of the last comes with napari's timer, which a busy machine holds up.
    desk.qtbot.wait(20)
    desk.settle()


def now(desk, cell) -> Annotation:
    return desk.session.project.annotation(cell)


def many(desk, n=READ_AT_ONCE + 500, score=0.8) -> None:
    places = np.random.default_rng(3).uniform(100, 3900, (n, 2)).tolist()
    add_predictions(desk, [tuple(p) for p in places], score=score)
    desk.qtbot.waitUntil(lambda: desk.canvas.prediction_layer.table is not None, timeout=30_000)
    desk.settle()


def test_filters_act_live_on_what_is_drawn(desk):
    sure = add_predictions(desk, [(2000, 2000), (2100, 2100)], "HSIL", 0.9)
    faint = add_predictions(desk, [(2000, 2200)], "LSIL", 0.3)
    point = desk.session.edits.add_point((1900, 1900))
    desk.settle()
    everything = {*sure, *faint, point.id}
    cases = [
        (ShownFilter(), everything),
        (ShownFilter(threshold=0.5), everything - set(faint)),
        (ShownFilter(hidden_classes=frozenset({"HSIL"})), everything - set(sure)),
        (ShownFilter(statuses=frozenset({Status.UNREVIEWED})), everything - {point.id}),
        (ShownFilter(), everything),
    ]
    assert point.class_id != "HSIL"
    for shown, expected in cases:
        desk.session.view.show_only(shown)
        desk.settle()
        assert desk.drawn() == expected
    desk.session.view.show_only(ShownFilter(threshold=0.95))
    later = add_predictions(desk, [(2050, 2050)], "HSIL", 0.9)
    assert later[0] not in desk.drawn()


def test_hidden_cells_cannot_be_hit_or_swept(desk):
    [faint] = add_predictions(desk, [(2000, 2000)], "LSIL", 0.3)
    [sure] = add_predictions(desk, [(2100, 2100)], "HSIL", 0.9)
    desk.session.view.show_only(ShownFilter(threshold=0.5))
    desk.settle()
    desk.click((2000, 2000))
    assert not desk.session.selection
    desk.drag([(1850, 1850), (2250, 2250)])
    assert desk.session.selection == {sure}
    desk.session.view.show_only(ShownFilter())
    desk.settle()
    desk.click((2000, 2000))
    assert desk.session.selection == {faint}


def test_hover_tells_the_scores_and_leaves_with_the_mouse(desk):
    add_predictions(desk, [(2000, 2000)], "HSIL", 0.81)
    card = desk.canvas.hover.card
    hover(desk, (2000, 2000))
    assert card.isVisible()
    for words in ("HSIL", "0.81", "NILM", "0.05", "finder", "unreviewed"):
        assert words in card.text()
    assert desk.native.rect().contains(card.geometry())
    hover(desk, (2300, 2300))
    assert not card.isVisible()
    hover(desk, (2020, 2020))  # inside its box
    assert card.isVisible()
    QApplication.sendEvent(desk.native, QEvent(QEvent.Type.Leave))
    assert not card.isVisible()
    # A person's own mark has no scores to tell.
    desk.session.edits.add_point((2200, 2000))
    desk.settle()
    hover(desk, (2200, 2000))
    assert not card.isVisible()


@pytest.mark.parametrize(
    ("key", "status", "class_id"),
    [("A", Status.ACCEPTED, "HSIL"), ("X", Status.REJECTED, "HSIL"), ("3", Status.ACCEPTED, "LSIL")],
)
def test_keys_review_the_cell_under_the_mouse(desk, key, status, class_id):
    cell, other = add_predictions(desk, [(2000, 2000), (2200, 2200)])
    hover(desk, (2000, 2000))
    desk.keys(key)
    after = now(desk, cell)
    assert (after.status, after.class_id, after.author, after.origin) == (status, class_id, "anna", ORIGIN)
    assert now(desk, other).status is Status.UNREVIEWED
    assert not desk.session.selection
    if status is Status.ACCEPTED:
        assert "accepted by anna" in desk.canvas.hover.card.text()
    desk.ctrl("Z")
    assert now(desk, cell).status is Status.UNREVIEWED


def test_what_is_selected_comes_before_what_is_under_the_mouse(desk):
    cell, other = add_predictions(desk, [(2000, 2000), (2200, 2200)])
    desk.session.select([other])
    hover(desk, (2000, 2000))
    desk.keys("A")
    assert now(desk, cell).status is Status.UNREVIEWED
    assert now(desk, other).status is Status.ACCEPTED


def test_the_cell_under_the_mouse_comes_before_a_selection_that_is_out_of_view(desk):
    """X over one cell rejected three others that nobody saw, without a word."""
    said = []
    desk.session.message.connect(said.append)
    far = add_predictions(desk, [(300, 300), (350, 350), (400, 400)])
    [near] = add_predictions(desk, [(2000, 2000)])
    desk.session.select(far)
    hover(desk, (2000, 2000))
    desk.keys("X")
    assert now(desk, near).status is Status.REJECTED
    assert {now(desk, cell).status for cell in far} == {Status.UNREVIEWED}
    assert "Only the cell under the mouse" in said[-1]
    hover(desk, (2300, 2300))
    for key in (Qt.Key.Key_X, Qt.Key.Key_A, Qt.Key.Key_5, Qt.Key.Key_Delete):
        desk.key(key)
        assert {now(desk, cell).status for cell in far} == {Status.UNREVIEWED}
        assert "3 of 3 selected annotations are not in view" in said[-1]
    napari_window.look_at(desk.viewer, (350, 350), 0.25)
    desk.settle()
    desk.keys("X")
    assert said[-1] == "3 cells rejected. Undo with Ctrl+Z."


def test_nothing_is_under_the_mouse_when_the_slide_has_moved_away_under_it(desk):
    [cell] = add_predictions(desk, [(2000, 2000)])
    hover(desk, (2000, 2000))
    desk.key(Qt.Key.Key_Right)
    desk.keys("X")
    assert now(desk, cell).status is Status.UNREVIEWED


def test_no_key_changes_what_is_hidden_and_a_click_shows_it_again(desk):
    said = []
    desk.session.message.connect(said.append)
    [cell] = add_predictions(desk, [(2000, 2000)])
    desk.session.select([cell])
    desk.keys("HX")
    assert now(desk, cell).status is Status.UNREVIEWED
    assert "hidden" in said[-1]
    desk.keys("P")
    desk.click((2200, 2200))
    assert desk.canvas.layers.cells.visible
    assert len(desk.stored()) == 2


def test_the_map_can_be_had_at_any_number(desk):
    cells = add_predictions(desk, [(1900, 1900), (2100, 2100)])
    desk.session.view.show_only(ShownFilter(map_always=True))
    desk.settle()
    assert desk.canvas.layers.heat.node.visible
    assert not desk.drawn()
    assert "shown as a map of risk" in desk.canvas.note.text()
    desk.session.view.show_only(ShownFilter())
    desk.settle()
    assert not desk.canvas.layers.heat.node.visible
    assert desk.drawn() == set(cells)


def test_an_outline_selects_and_one_key_reviews_as_one_step(desk):
    places = [(2000, 2000), (2050, 2050), (2000, 2100), (2200, 2200)]
    cells = add_predictions(desk, places, side=30)
    desk.drag([(1950, 1950), (1950, 2150), (2020, 2150), (2090, 2050), (2020, 1960)], modifier=CTRL)
    assert desk.session.selection == set(cells[:3])
    desk.keys("A")
    assert [now(desk, c).status for c in cells] == [Status.ACCEPTED] * 3 + [Status.UNREVIEWED]
    desk.ctrl("Z")
    assert {now(desk, c).status for c in cells} == {Status.UNREVIEWED}
    desk.session.select([cells[3]])
    desk.drag([(1980, 1980), (1980, 2020), (2020, 2020), (2020, 1980)], modifier=CTRL | SHIFT)
    assert desk.session.selection == {cells[0], cells[3]}
    said = []
    desk.session.message.connect(said.append)
    desk.drag([(1900, 1900), (1900, 1960)], modifier=CTRL)
    assert "three corners" in said[-1]


def test_a_blind_reader_sees_neither_scores_nor_classes(desk):
    [cell] = add_predictions(desk, [(2000, 2000)], "HSIL", 0.81)
    desk.session.view.show_only(ShownFilter(blind=True))
    desk.settle()
    assert desk.canvas.layers.points.face_rgba[0][:3] == pytest.approx(HIDDEN_RGB, abs=0.01)
    hover(desk, (2000, 2000))
    card = desk.canvas.hover.card
    assert card.isVisible()
    assert "HSIL" not in card.text()
    assert "0.81" not in card.text()
    desk.keys("A")
    assert now(desk, cell).status is Status.UNREVIEWED
    desk.keys("5")
    assert now(desk, cell).status is Status.ACCEPTED
    # It is the reader's word now, and still without the model's.
    assert "HSIL" in card.text()
    assert "0.81" not in card.text()
    desk.session.view.show_only(ShownFilter())
    desk.settle()
    assert "0.81" in card.text()


def test_too_many_become_a_map_with_their_number_and_come_back_on_zooming_in(desk):
    many(desk)
    accepted = desk.session.edits.add_point((2000, 2000))
    napari_window.look_at(desk.viewer, (2000, 2000), 0.25, zoom=0.6)
    heat = desk.canvas.layers.heat
    desk.qtbot.waitUntil(lambda: bool(heat.node.visible))
    desk.settle()
    assert desk.drawn() == {accepted.id}
    n = READ_AT_ONCE + 500
    assert desk.canvas.note.text().startswith(f"{n:,} cells here are not drawn; zoom in. Map: risk")
    image = heat._image._data
    assert image[..., 3].max() > 200
    desk.session.view.show_only(ShownFilter(threshold=0.9, heat=Heat.DENSITY))
    desk.settle()
    assert not heat.node.visible
    assert desk.drawn() == {accepted.id}
    desk.session.view.show_only(ShownFilter())
    desk.settle()
    assert heat.node.visible
    napari_window.look_at(desk.viewer, (2000, 2000), 0.25, zoom=4.0)
    desk.qtbot.waitUntil(lambda: not heat.node.visible)
    desk.settle()
    y0, x0, y1, x1 = desk.session.view_yxyx
    inside = {a.id for a in desk.stored() if y0 < a.geometry.centre_yx[0] < y1 and x0 < a.geometry.centre_yx[1] < x1}
    assert len(inside) > 50
    assert inside <= desk.drawn()


def test_the_map_follows_what_is_predicted_and_reviewed(desk):
    many(desk)
    napari_window.look_at(desk.viewer, (2000, 2000), 0.25, zoom=0.6)
    heat = desk.canvas.layers.heat
    desk.qtbot.waitUntil(lambda: bool(heat.node.visible))
    new = add_predictions(desk, [(2000.0, 2000.0)])
    assert new[0] not in desk.drawn()
    table = desk.canvas.prediction_layer.table
    before = table.heat(ShownFilter(heat=Heat.DENSITY), (4000, 4000)).sum()
    desk.session.edits.set_status(Status.ACCEPTED, of=new)
    desk.settle()
    assert new[0] in desk.drawn()
    assert table.heat(ShownFilter(heat=Heat.DENSITY), (4000, 4000)).sum() == before - 1
    desk.key(Qt.Key.Key_PageDown)
    assert not heat.node.visible


def test_the_maps_scale_is_a_pale_veil_where_nothing_is_and_darkens_with_more():
    image = coloured(np.array([[0, 1, 5, 50]], np.float32))
    assert image.dtype == np.uint8
    assert list(image[0, 0]) == [255, 255, 255, int(255 * VEIL)]
    light = image[0, 1:, :3].astype(int).sum(axis=1)
    assert list(light) == sorted(light, reverse=True)
    assert list(image[0, 1:, 3]) == sorted(image[0, 1:, 3])
    assert (coloured(np.zeros((2, 2), np.float32))[..., 3] == int(255 * VEIL)).all()


def test_smoothing_spreads_and_loses_nothing():
    spot = np.zeros((9, 7), np.float32)
    spot[4, 0] = 16
    spread = smoothed(spot)
    assert spread.sum() == pytest.approx(16)
    assert spread[4, 0] == spread.max() < 16
    assert (spread[:, 6] == 0).all()


def test_the_map_lies_where_the_cells_are(desk):
    """A pixel of the screen over a crowd is tinted, one over bare glass is not."""
    crowd = np.random.default_rng(1).uniform(2600, 3400, (READ_AT_ONCE + 100, 2)).tolist()
    add_predictions(desk, [tuple(p) for p in crowd], "SCC", 1.0)
    napari_window.look_at(desk.viewer, (2000, 2000), 0.25, zoom=0.6)
    desk.qtbot.waitUntil(lambda: bool(desk.canvas.layers.heat.node.visible), timeout=30_000)
    desk.settle()
    shot = desk.native.grabFramebuffer() if hasattr(desk.native, "grabFramebuffer") else desk.native.grab().toImage()

    def colour(yx):
        at = desk.screen(yx)
        return shot.pixelColor(QPoint(at.x(), at.y())).getRgb()[:3]

    glass = colour((1000, 1000))
    assert max(glass) - min(glass) < 20
    tinted = [colour((y, x)) for y in (2700, 3000, 3300) for x in (2700, 3000, 3300)]
    assert sum(max(c) - min(c) > 40 for c in tinted) >= 7


def test_dark_lines_have_a_pale_halo_and_regions_the_colour_of_no_class():
    black, green = (0.0, 0.0, 0.0, 1.0), (0.0, 0.62, 0.45, 1.0)
    halo = halo_of(box_segments([(0, 0, 9, 9), (20, 20, 29, 29)], [black, green]))
    assert len(halo.ends_xy) == 8
    assert halo.rgba[:, :3].min() > 0.9
    assert len(halo_of(line_segments([(0, 0), (9, 9)], REGION_RGBA, closed=False)).ends_xy) == 2
    for name in ("bethesda", "bethesda-4", "apacc", "ki67"):
        for cell_class in preset(name).classes:
            assert max(abs(v / 255 - r) for v, r in zip(cell_class.rgb, REGION_RGBA[:3], strict=True)) > 0.3


def test_detached_while_cells_are_read(desk):
    places = np.random.default_rng(3).uniform(100, 3900, (READ_AT_ONCE + 500, 2)).tolist()
    cells = [
        Annotation(slide_id=desk.session.slide.id, geometry=Point(*p), class_id="LSIL", status=Status.UNREVIEWED)
        for p in places
    ]
    desk.session.project.apply(edits.add(cells, "Predict"), "finder")
    desk.session.annotations_changed.emit(None)
    desk.canvas.detach()
    assert desk.canvas.prediction_layer.table is None
