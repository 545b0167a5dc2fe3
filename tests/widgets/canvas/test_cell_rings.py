"""The lines of many outlines are those of each, and only what changed is made anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import CellOutline
from napari_cyto.widgets.canvas._annotation_style import SELECTED_RGBA, outlines_of
from napari_cyto.widgets.canvas._cell_rings import CYTOPLASM_DASHES, NUCLEUS_DASHES, CellRings, closed_lines

SQUARE = ((10.0, 10.0), (10.0, 18.0), (18.0, 18.0), (18.0, 10.0))
WIDE = ((0.0, 0.0), (0.0, 32.0), (32.0, 32.0), (32.0, 0.0))


def cell(number: int, *, accepted: bool, cytoplasm: bool = True) -> Annotation:
    shape = CellOutline(SQUARE, WIDE if cytoplasm else (), accepted=accepted).translated(0.0, 100.0 * number)
    assert isinstance(shape, CellOutline)
    return Annotation(slide_id="s", geometry=shape, class_id="NILM", author="a", id=f"c{number}")


def test_lines_of_many_outlines_are_those_of_each_alone() -> None:
    cells = [
        cell(n, accepted=accepted, cytoplasm=cytoplasm)
        for n, (accepted, cytoplasm) in enumerate([(True, True), (False, True), (False, False), (True, False)] * 3)
    ]
    together = CellRings().ends(cells)
    for number, alone in enumerate(cells):
        for one, same in zip(together[number], CellRings().ends([alone])[0], strict=True):
            np.testing.assert_allclose(one, same, atol=1e-3)
    nucleus, cytoplasm = together[1]
    assert (len(nucleus), len(cytoplasm)) == (4 * NUCLEUS_DASHES, 4 * CYTOPLASM_DASHES)
    # Sixteen dashes on 32 px: each of 1.2 px, the first from the first corner (in napari's data, 0.5 px less).
    np.testing.assert_allclose(nucleus[:4], [(109.5, 9.5), (110.1, 9.5), (110.1, 9.5), (110.7, 9.5)], atol=1e-4)
    np.testing.assert_allclose(together[0][0], closed_lines([SQUARE])[0])
    assert together[0][0][-1].tolist() == [9.5, 9.5]
    assert not len(together[2][1])


def test_after_an_edit_only_what_changed_is_made_anew() -> None:
    rings = CellRings()
    cells = [cell(n, accepted=False) for n in range(5)]
    before = rings.ends(cells)
    moved = replace(cells[2], geometry=cells[2].geometry.translated(5.0, 0.0))
    named = replace(cells[3], class_id="HSIL")
    after = rings.ends([*cells[:2], moved, named])
    assert [a[0] is b[0] for a, b in zip(after, before, strict=False)] == [True, True, False, True]
    np.testing.assert_allclose(after[2][0][:, 1], before[2][0][:, 1] + 5.0, atol=1e-4)
    assert len(rings._kept) == 4

    segments = outlines_of(
        [*cells[:2], moved, named], {"NILM": (0.0, 0.5, 0.0), "HSIL": (1.0, 0.0, 0.0)}, frozenset({"c1"})
    )
    per_cell = 4 * (NUCLEUS_DASHES + CYTOPLASM_DASHES)
    assert len(segments.ends_xy) == len(segments.rgba) == 4 * per_cell
    assert segments.rgba[per_cell].tolist() == list(SELECTED_RGBA)
    assert segments.rgba[3 * per_cell][0] == 1.0
    assert segments.rgba[4 * NUCLEUS_DASHES][3] < segments.rgba[0][3]
