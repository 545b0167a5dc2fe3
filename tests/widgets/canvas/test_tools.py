"""Promise: the mouse does what the tool in hand says, and every mark is where the click was."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.session import Tool
from napari_cyto.widgets.canvas import napari_window

pytestmark = pytest.mark.smoke


def test_a_click_on_the_middle_of_a_pixel_gives_the_frames_half(desk):
    napari_window.look_at(desk.viewer, (2000.5, 2000.5), 0.25, zoom=40.0)  # ten screen px per level-0 px
    desk.settle()
    desk.keys("P")
    native = desk.native
    desk.qtbot.mouseClick(native, Qt.MouseButton.LeftButton, pos=desk.screen((1990.5, 2010.5)))
    desk.settle()
    [mark] = desk.stored()
    assert mark.geometry.centre_yx == pytest.approx((1990.5, 2010.5), abs=0.06)
    assert desk.canvas.layers.points.centres[0] == pytest.approx((1990.0, 2010.0), abs=0.06)


def test_each_tool_has_its_key(desk):
    for key, tool in (("P", Tool.POINT), ("B", Tool.BOX), ("R", Tool.REGION), ("V", Tool.SELECT)):
        desk.keys(key)
        assert desk.session.tool is tool
        assert desk.viewer.cursor.style == ("standard" if tool is Tool.SELECT else "crosshair")


def test_a_point_click_that_trembles_is_still_a_click(desk):
    desk.keys("P")
    desk.click((2000, 2000), jitter=(3, -3))
    [mark] = desk.stored()
    assert isinstance(mark.geometry, Point)
    assert mark.geometry.centre_yx == pytest.approx((2000, 2000), abs=1.1)
    assert (mark.class_id, mark.author, mark.status) == ("NILM", "anna", Status.ACCEPTED)
    assert desk.drawn() == {mark.id}


def test_a_new_annotation_is_not_selected_so_the_next_digit_is_for_the_next_cell(desk):
    desk.keys("P")
    desk.click((2000, 2000))
    desk.keys("5")
    desk.click((2100, 2100))
    assert [a.class_id for a in desk.stored()] == ["NILM", "HSIL"]


def test_dragging_the_point_tool_pans_and_annotates_nothing(desk):
    desk.keys("P")
    before = napari_window.camera_of(desk.viewer).center
    desk.drag([(2000, 2000), (2000, 2200)])
    after = napari_window.camera_of(desk.viewer).center
    assert desk.stored() == []
    assert after[2] == pytest.approx(before[2] - 50, abs=1)  # 200 px of 0.25 µm to the left
    assert napari_window.camera_of(desk.viewer).mouse_pan


def test_the_middle_button_pans_with_any_tool(desk):
    for tool in "VPBR":
        desk.keys(tool)
        before = napari_window.camera_of(desk.viewer).center
        desk.drag([(2000, 2000), (2120, 2000)], button=Qt.MouseButton.MiddleButton)
        assert napari_window.camera_of(desk.viewer).center[1] == pytest.approx(before[1] - 30, abs=1)
    assert desk.stored() == []


def test_space_and_drag_pans_with_the_box_tool(desk):
    desk.keys("B")
    before = napari_window.camera_of(desk.viewer).center
    desk.qtbot.keyPress(desk.native, Qt.Key.Key_Space)
    desk.drag([(2000, 2000), (2120, 2000)])
    desk.qtbot.keyRelease(desk.native, Qt.Key.Key_Space)
    assert napari_window.camera_of(desk.viewer).center[1] == pytest.approx(before[1] - 30, abs=1)
    desk.drag([(2000, 2000), (2120, 2120)])
    assert len(desk.stored()) == 1


def test_a_click_with_the_box_tool_makes_a_box_of_the_classs_size_around_it(desk):
    desk.keys("B5")
    desk.click((2000, 2100), jitter=(2, 2))
    [mark] = desk.stored()
    assert isinstance(mark.geometry, Box)
    assert mark.geometry.centre_yx == pytest.approx((2000, 2100), abs=1.1)
    assert mark.geometry.size_hw == pytest.approx((30 / 0.25, 30 / 0.25), abs=1e-9)  # HSIL: 30 µm


def test_a_drag_with_the_box_tool_makes_a_box_of_any_size_and_does_not_pan(desk):
    desk.keys("B")
    before = napari_window.camera_of(desk.viewer).center
    desk.drag([(2000, 2000), (2100, 2300)])
    [mark] = desk.stored()
    assert mark.geometry.bounds_yxyx == pytest.approx((2000, 2000, 2100, 2300), abs=1.1)
    assert napari_window.camera_of(desk.viewer).center == before


def test_a_box_click_without_a_pixel_size_asks_for_it(desk):
    said, questions = [], []
    desk.session.message.connect(said.append)
    desk.session.mpp_needed.connect(lambda: questions.append(True))
    desk.key(Qt.Key.Key_PageDown)
    desk.keys("B")
    desk.click((100, 100))
    assert desk.stored() == []
    assert questions
    assert "the pixel size of two is unknown" in said[-1]
    desk.drag([(100, 100), (150, 160)])
    assert len(desk.stored()) == 1


def test_a_click_beside_the_slide_annotates_nothing_and_says_so(desk):
    said = []
    desk.session.message.connect(said.append)
    napari_window.look_at(desk.viewer, (0, 0), 0.25)
    desk.settle()
    desk.keys("P")
    desk.click((-50, 100))
    assert desk.stored() == []
    assert "outside the slide" in said[-1]


def test_clicks_are_corners_of_a_region_that_enter_closes(desk):
    desk.keys("R")
    for corner in ((1900, 1900), (1900, 2100), (2100, 2100)):
        desk.click(corner)
    assert desk.stored() == []
    desk.key(Qt.Key.Key_Return)
    [region] = desk.stored()
    assert region.is_region
    assert sorted(region.geometry.vertices_yx) == [
        pytest.approx(c, abs=1.1) for c in ((1900, 1900), (1900, 2100), (2100, 2100))
    ]


def test_a_double_click_or_a_click_on_the_first_corner_closes_a_region(desk):
    desk.keys("R")
    for corner in ((1900, 1900), (1900, 2100)):
        desk.click(corner)
    zoom = napari_window.camera_of(desk.viewer).zoom
    desk.double_click((2100, 2100))
    assert len(desk.stored()) == 1
    assert napari_window.camera_of(desk.viewer).zoom == zoom
    for corner in ((1600, 1900), (1600, 2100), (1700, 2100), (1602, 1902)):
        desk.click(corner)
    assert len(desk.stored()) == 2


def test_delete_drops_the_last_corner_and_escape_the_whole_drawing(desk):
    desk.keys("R")
    for corner in ((1900, 1900), (1900, 2100), (2300, 2300), (2100, 2100)):
        desk.click(corner)
    desk.key(Qt.Key.Key_Backspace)
    desk.key(Qt.Key.Key_Escape)
    desk.key(Qt.Key.Key_Return)
    assert desk.stored() == []
    assert not desk.canvas.gestures.region.is_open


def test_one_sweep_with_the_region_tool_is_a_freehand_region(desk):
    desk.keys("R")
    desk.drag([(1900, 1900), (1900, 2200), (2200, 2200), (2200, 1900), (1950, 1900)])
    [region] = desk.stored()
    assert isinstance(region.geometry, Polygon)
    assert region.geometry.bounds_yxyx == pytest.approx((1900, 1900, 2200, 2200), abs=3)
    assert len(region.geometry.vertices_yx) <= 6


def test_a_click_on_an_annotations_middle_selects_it_with_any_tool_and_a_digit_relabels_it(desk):
    desk.keys("P")
    desk.click((2000, 2000))
    for tool, digit, class_id in (("P", "3", "LSIL"), ("B", "5", "HSIL"), ("R", "6", "SCC")):
        desk.session.select(())
        desk.keys(tool)
        desk.click((2003, 2003))
        [mark] = desk.stored()
        assert desk.session.selection == {mark.id}
        desk.keys(digit)
        assert [a.class_id for a in desk.stored()] == [class_id]


def test_the_select_tool_selects_adds_moves_and_lets_go(desk):
    desk.keys("P")
    desk.click((2000, 2000))
    desk.click((2000, 2200))
    first, second = (a.id for a in desk.stored())
    desk.keys("V")
    desk.click((2000, 2000))
    assert desk.session.selection == {first}
    desk.click((2000, 2200), modifier=Qt.KeyboardModifier.ShiftModifier)
    assert desk.session.selection == {first, second}
    desk.drag([(2000, 2000), (2100, 2000)])
    assert [a.geometry.centre_yx for a in desk.stored()] == [
        pytest.approx((2100, 2000), abs=1.6),
        pytest.approx((2100, 2200), abs=1.6),
    ]
    desk.ctrl("Z")
    assert desk.stored()[0].geometry.centre_yx == pytest.approx((2000, 2000), abs=1.1)
    desk.click((2300, 2300))
    assert desk.session.selection == frozenset()


def test_a_rubber_band_selects_what_is_inside_and_a_digit_relabels_it_in_one_step(desk):
    desk.keys("P")
    for yx in ((2000, 2000), (2000, 2100), (2400, 2400)):
        desk.click(yx)
    desk.keys("V")
    desk.drag([(1950, 1950), (2050, 2150)])
    assert len(desk.session.selection) == 2
    desk.keys("6")
    assert [a.class_id for a in desk.stored()] == ["SCC", "SCC", "NILM"]
    desk.ctrl("Z")
    assert [a.class_id for a in desk.stored()] == ["NILM", "NILM", "NILM"]


def test_a_selected_box_is_resized_by_its_handles(desk):
    desk.keys("B")
    desk.drag([(2000, 2000), (2100, 2100)])
    desk.keys("V")
    desk.click((2050, 2030))
    assert len(desk.session.selection) == 1
    desk.drag([(2100, 2100), (2200, 2150)])
    [mark] = desk.stored()
    assert mark.geometry.bounds_yxyx == pytest.approx((2000, 2000, 2200, 2150), abs=2)


def test_glass_inside_a_region_is_glass_and_its_line_selects_it(desk):
    desk.session.edits.add_region([(1800, 1800), (1800, 2200), (2200, 2200), (2200, 1800)])
    desk.keys("V")
    desk.click((2000, 2000))
    assert not desk.session.selection
    desk.click((1800, 2000))
    assert len(desk.session.selection) == 1


def test_a_layer_of_the_users_own_that_is_being_drawn_on_keeps_its_clicks(desk):
    """Where no pins hide it: one click is one mark, its own or ours, never both."""
    desk.keys("P")
    own = desk.viewer.add_shapes(name="own", scale=(0.25, 0.25), units=("µm", "µm"))
    own.mode = "add_rectangle"
    desk.click((2000, 2000))
    assert desk.stored() == []
    assert len(own.data) == 1
    for mode, visible in (("pan_zoom", True), ("add_rectangle", False)):
        own.mode, own.visible = mode, visible
        desk.click((2000 + 200 * visible, 2300))
    assert len(desk.stored()) == 2
    assert len(own.data) == 1
