"""Guards the masks that outlines are learned from and measured on: they are where the smear shows the cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_cyto.synthesis import SmearSpec, lay_out
from napari_cyto.synthesis.outlined_fields import CELLS_MM2, OutlinedField, make_field


@pytest.fixture(scope="module")
def field() -> OutlinedField:
    return make_field(3, 700)


def test_masks_are_those_of_the_truth_and_where_it_says(field: OutlinedField) -> None:
    truth = lay_out(SmearSpec((700, 700), 3, 0.25, CELLS_MM2)).truth.cells
    assert len(field.cells) == len(truth) > 5
    for cell, known in zip(field.cells, truth, strict=True):
        assert len(cell.nuclei) == known.nuclei
        assert cell.nuclei[0].mask.sum() * 0.25**2 == pytest.approx(known.nucleus_area_um2)
        assert cell.cell.mask.sum() * 0.25**2 == pytest.approx(known.cell_area_um2)
        ys, xs = np.nonzero(cell.nuclei[0].mask)
        middle = (ys.mean() + cell.nuclei[0].y0, xs.mean() + cell.nuclei[0].x0)
        assert np.allclose(middle, known.nucleus_yx, atol=2.5)


def test_nuclei_are_darker_than_what_lies_round_them(field: OutlinedField) -> None:
    from scipy import ndimage

    darker = []
    grey = field.rgb.mean(axis=2)
    for cell in field.cells:
        nucleus = cell.nuclei[0].on(0, 0, 700, 700)
        ring = ndimage.binary_dilation(nucleus, iterations=6) & ~ndimage.binary_dilation(nucleus, iterations=2)
        if nucleus.any() and ring.any():
            darker.append(grey[nucleus].mean() < grey[ring].mean())
    assert np.mean(darker) > 0.9


def test_overlap_is_the_share_on_which_other_cells_lie(field: OutlinedField) -> None:
    bodies = [cell.cell.on(0, 0, 700, 700) for cell in field.cells]
    for number, (cell, body) in enumerate(zip(field.cells, bodies, strict=True)):
        others = np.any([b for n, b in enumerate(bodies) if n != number], axis=0)
        assert cell.overlap == pytest.approx((body & others).sum() / body.sum())


def test_a_field_comes_back_from_its_file(field: OutlinedField, tmp_path: Path) -> None:
    field.save(tmp_path / "field.npz")
    back = OutlinedField.load(tmp_path / "field.npz")
    assert (back.rgb == field.rgb).all()
    assert (back.mpp, back.knows_cells, len(back.cells)) == (0.25, True, len(field.cells))
    for one, other in zip(back.cells, field.cells, strict=True):
        assert (one.cell.mask == other.cell.mask).all()
        assert (one.nuclei[-1].y0, one.nuclei[-1].x0) == (other.nuclei[-1].y0, other.nuclei[-1].x0)
