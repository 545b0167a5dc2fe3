"""Promise: every cell is in exactly one slice, and its label line reads back to the same whole-px box."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.datasets.export.cells import whole_square
from napari_cyto.domain.geometry import Box
from napari_cyto.formats.apacc.label_lines import parse_label_text, slice_labels, whole_box
from napari_cyto.formats.apacc.slices import BorderRule, Cell, corners, cut_into_slices

SIZE_HW = (5100, 4300)
SIDE = 2000

coordinate = st.floats(-50, 5200, allow_nan=False) | st.integers(0, 5100).map(float)
extent = st.floats(0.01, 900) | st.integers(1, 900).map(float)
boxes = st.builds(lambda y, x, h, w: Box(y, x, y + h, x + w), coordinate, coordinate, extent, extent)
cells = st.lists(st.builds(Cell, st.sampled_from(["healthy", "rubbish", "unhealthy", "bothcells"]), boxes), max_size=12)


def inside(box: Box) -> bool:
    y, x = box.centre_yx
    return 0 <= y < SIZE_HW[0] and 0 <= x < SIZE_HW[1]


@given(cells)
def test_each_cell_is_in_the_one_slice_that_holds_its_centre(annotated: list[Cell]) -> None:
    dealt = cut_into_slices(annotated, SIZE_HW)
    assert set(dealt.cells) <= set(corners(SIZE_HW))
    written = sum(len(found) for found in dealt.cells.values())
    assert written + dealt.outside == len(annotated)
    assert dealt.outside == sum(not inside(c.box) for c in annotated)
    for (y0, x0), found in dealt.cells.items():
        expected = [c for c in annotated if inside(c.box) and _home(c.box) == (y0, x0)]
        assert [c.class_id for c in found] == [c.class_id for c in expected]
        assert [c.box for c in found] == [whole_box(c.box.translated(-y0, -x0)) for c in expected]


def _home(box: Box) -> tuple[int, int]:
    y, x = box.centre_yx
    return (int(y // SIDE) * SIDE, int(x // SIDE) * SIDE)


@given(cells)
def test_label_files_read_back_to_the_same_boxes(annotated: list[Cell]) -> None:
    for found in cut_into_slices(annotated, SIZE_HW).cells.values():
        lines = parse_label_text(slice_labels([c.box for c in found], [c.class_id for c in found]))
        in_order = sorted(found, key=lambda c: c.class_id)
        assert [(line.class_id, line.box) for line in lines] == [(c.class_id, c.box) for c in in_order]
        assert slice_labels([line.box for line in lines], [line.class_id or "" for line in lines]) == slice_labels(
            [c.box for c in found], [c.class_id for c in found]
        )


@given(cells)
def test_every_slice_gets_its_part_when_requested(annotated: list[Cell]) -> None:
    dealt = cut_into_slices(annotated, SIZE_HW, BorderRule.EVERY)
    area = sum(_area(c.box) for found in dealt.cells.values() for c in found)
    slices = set(corners(SIZE_HW))
    reached = [
        part
        for c in annotated
        if inside(c.box)
        for y0, x0 in slices
        if (part := whole_box(c.box.translated(-y0, -x0))) is not None and _reaches(c.box, y0, x0)
    ]
    assert area == sum(_area(part) for part in reached)


def _reaches(box: Box, y0: int, x0: int) -> bool:
    home = _home(box) == (y0, x0)
    down = round(box.y0) < y0 + SIDE and round(box.y1) > y0
    across = round(box.x0) < x0 + SIDE and round(box.x1) > x0
    return home or (down and across and box.y1 - 1e-9 > y0 and box.x1 - 1e-9 > x0)


def _area(box: Box) -> float:
    return box.size_hw[0] * box.size_hw[1]


@given(cells)
def test_dropping_leaves_only_cells_that_are_whole(annotated: list[Cell]) -> None:
    dealt = cut_into_slices(annotated, SIZE_HW, BorderRule.DROP)
    written = sum(len(found) for found in dealt.cells.values())
    assert written + dealt.outside + dealt.dropped == len(annotated)
    assert dealt.dropped == dealt.clipped


@given(st.floats(0, 3000), st.floats(0, 3000), st.floats(0.1, 500))
def test_a_points_box_has_whole_corners_and_the_nearest_whole_side(y: float, x: float, side: float) -> None:
    box = whole_square((y, x), side)
    assert all(v == int(v) for v in box.bounds_yxyx)
    assert box.size_hw == (max(1, round(side)),) * 2
    assert max(abs(a - b) for a, b in zip(box.centre_yx, (y, x), strict=True)) <= 0.5
