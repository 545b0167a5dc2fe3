"""Promise: a stroke changes the ring that it is meant for, keeps the nucleus in its cell, and is refused if idle."""

from __future__ import annotations

import pytest

from napari_cyto.domain.geometry import CellOutline, CellRing, area, box_contains_point, painted
from napari_cyto.errors import CytoError

NUCLEUS = ((10.0, 10.0), (10.0, 20.0), (20.0, 20.0), (20.0, 10.0))
CELL = ((0.0, 0.0), (0.0, 40.0), (40.0, 40.0), (40.0, 0.0))
OUTLINE = CellOutline(NUCLEUS, CELL, accepted=False)
N, C = CellRing.NUCLEUS, CellRing.CYTOPLASM


def size(ring) -> float:
    return area(CellOutline(ring))


def test_a_stroke_adds_to_its_ring_or_takes_away_and_leaves_the_other_as_it_is():
    more = painted(OUTLINE, N, [(15, 20), (15, 24)], 2.0, adds=True)
    assert size(more.outline.vertices_yx) == pytest.approx(100 + 4 * 4 + 2 * 3.14, abs=0.3)
    assert (more.outline.cytoplasm_yx, more.outline.accepted, more.remark) == (CELL, False, "")
    less = painted(OUTLINE, N, [(15, 20), (15, 20)], 2.0, adds=False)
    assert size(less.outline.vertices_yx) == pytest.approx(100 - 2 * 3.14, abs=0.3)
    cell = painted(OUTLINE, C, [(20, 42)], 3.0, adds=True).outline
    assert (cell.vertices_yx, size(cell.cytoplasm_yx) > 1600) == (NUCLEUS, True)


def test_the_nucleus_stays_in_its_cell():
    grown = painted(OUTLINE, N, [(15, 15), (15, 50)], 2.0, adds=True)
    assert size(grown.outline.cytoplasm_yx) == pytest.approx(1600 + 10 * 4 + 2 * 3.14, abs=0.5)
    assert "widened" in grown.remark
    shrunk = painted(OUTLINE, C, [(0, 15), (15, 15)], 3.0, adds=False).outline
    assert shrunk.vertices_yx == NUCLEUS
    assert size(shrunk.cytoplasm_yx) == pytest.approx(1600 - 10 * 6, abs=3)


def test_a_ring_that_is_cut_apart_keeps_its_largest_part_and_it_is_said():
    cut = painted(OUTLINE, N, [(8, 13), (22, 13)], 0.5, adds=False)
    assert size(cut.outline.vertices_yx) == pytest.approx(10 * 6.5, abs=0.5)
    assert "cut off" in cut.remark


@pytest.mark.parametrize(
    ("stroke", "radius", "adds", "words"),
    [
        ([(60, 60)], 2.0, True, "did not touch"),
        ([(15, 15)], 2.0, True, "did not touch"),
        ([(15, 15)], 2.0, False, "no holes"),
        ([(15, 5), (15, 25)], 20.0, False, "nothing of the nucleus"),
    ],
)
def test_a_stroke_that_changes_nothing_or_all_is_refused(stroke, radius, adds, words):
    with pytest.raises(CytoError, match=words):
        painted(OUTLINE, N, stroke, radius, adds=adds)


def test_cytoplasm_that_is_not_there_is_what_a_stroke_goes_round():
    bare = CellOutline(NUCLEUS)
    around = [(5, 5), (5, 30), (30, 30), (30, 5)]
    made = painted(bare, C, around, 1.0, adds=True).outline
    assert (made.vertices_yx, size(made.cytoplasm_yx)) == (NUCLEUS, pytest.approx(625))
    over = painted(bare, C, [(12, 12), (12, 40), (40, 40), (40, 12)], 1.0, adds=True).outline
    assert all(box_contains_point((10, 10, 40, 40), yx, closed=True) for yx in over.cytoplasm_yx)
    for stroke, adds in (([(50, 50), (50, 60), (60, 60)], True), ([(15, 15)], True), (around, False)):
        with pytest.raises(CytoError, match="once round the whole cell"):
            painted(bare, C, stroke, 1.0, adds=adds)
