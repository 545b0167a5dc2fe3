"""Guards the promise that the demo's cells are plausible: sizes and ratios as the Bethesda System states them.

Source: Nayar R, Wilbur DC (eds). The Bethesda System for Reporting Cervical Cytology, 3rd ed. Springer 2015: a normal
intermediate nucleus has about 35 µm² (ch. 2); ASC-US 2.5 to 3 times that, ASC-H 1.5 to 2.5 times (ch. 4); LSIL more
than 3 times, HSIL with a markedly raised nucleus:cytoplasm ratio (ch. 5).
"""

from __future__ import annotations

from statistics import median

import numpy as np
import pytest

from napari_cyto.synthesis import Smear
from napari_cyto.synthesis._catalogue import Catalogue
from napari_cyto.synthesis._specs import CLASSES, KINDS, NORMAL_NUCLEUS_UM2, CellKind

MPP = 0.25


def areas(smear: Smear, class_id: str) -> list[float]:
    return [c.nucleus_area_um2 / NORMAL_NUCLEUS_UM2 for c in smear.truth.cells if c.class_id == class_id]


def nc_ratios(smear: Smear, class_id: str) -> float:
    return median(c.nc_ratio for c in smear.truth.cells if c.class_id == class_id)


# Rasterising and roughening an outline changes an area by a few per cent.
@pytest.mark.parametrize(
    ("class_id", "least", "most"), [("NILM", 0.5, 1.5), ("ASC-US", 2.3, 3.2), ("ASC-H", 1.4, 2.7), ("LSIL", 2.95, 5.5)]
)
def test_nuclei_have_the_size_that_defines_their_class(smear: Smear, class_id: str, least: float, most: float) -> None:
    found = areas(smear, class_id)
    assert least <= min(found)
    assert max(found) <= most


def test_nuclear_area_orders_the_low_grade_classes(smear: Smear) -> None:
    nilm, asc_us, lsil = (median(areas(smear, c)) for c in ("NILM", "ASC-US", "LSIL"))
    assert nilm < asc_us < lsil


def test_the_ratio_of_nucleus_to_cell_orders_normal_low_grade_and_high_grade(smear: Smear) -> None:
    nilm, asc_us, lsil, asc_h, hsil = (nc_ratios(smear, c) for c in ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL"))
    assert nilm < asc_us < lsil < asc_h < hsil
    assert hsil > 0.45


def test_high_grade_cells_are_smaller_than_low_grade_ones(smear: Smear) -> None:
    size = {c: median(t.cell_area_um2 for t in smear.truth.cells if t.class_id == c) for c in ("LSIL", "HSIL")}
    assert size["HSIL"] < size["LSIL"] / 3


def test_carcinoma_is_more_pleomorphic_than_anything_else(smear: Smear) -> None:
    spread = {c: float(np.std(areas(smear, c)) / np.mean(areas(smear, c))) for c in ("ASC-US", "LSIL", "ASC-H", "SCC")}
    assert max(spread, key=lambda c: spread[c]) == "SCC"


def test_low_grade_lesions_have_some_cells_with_two_nuclei(smear: Smear) -> None:
    assert any(c.nuclei == 2 for c in smear.truth.cells if c.class_id == "LSIL")


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_every_drawn_nucleus_is_darker_than_the_cytoplasm_round_it(kind: CellKind) -> None:
    catalogue = Catalogue(MPP, seed=3)
    for number in range(6):
        nucleus, body = catalogue.nucleus(kind, number).planes[0], catalogue.body(kind, number)
        middle = nucleus[nucleus.shape[0] // 2 - 3 :, nucleus.shape[1] // 2 - 3 :][:7, :7]
        cytoplasm = body.planes.sum(axis=0, dtype=int)
        # Haematoxylin at full dye absorbs more than any cytoplasm stain does; the nucleus adds to what is below it.
        assert middle.mean() > 60
        assert middle.mean() > 0.5 * np.median(cytoplasm[cytoplasm > 20])


@pytest.mark.parametrize("class_id", CLASSES)
def test_in_the_image_every_true_centre_is_darker_than_the_cytoplasm_next_to_it(smear: Smear, class_id: str) -> None:
    brightness = smear.renderer.draw(0, 0, *smear.spec.size_hw).mean(axis=2)
    # Neighbours' nuclei are no cytoplasm; farther from the nucleus other cells may lie on top of this one.
    nuclei = np.zeros(brightness.shape, dtype=bool)
    for y0, x0, y1, x1 in (c.nucleus_box_yxyx for c in smear.truth.cells):
        nuclei[y0:y1, x0:x1] = True
    for cell in (c for c in smear.truth.cells if c.class_id == class_id):
        y0, x0, y1, x1 = cell.nucleus_box_yxyx
        around = np.s_[max(y0 - 8, 0) : y1 + 8, max(x0 - 8, 0) : x1 + 8]
        y, x = (int(v) for v in cell.nucleus_yx)
        centre = brightness[y - 2 : y + 3, x - 2 : x + 3].mean()
        assert centre < np.median(brightness[around][~nuclei[around]]) - 8, cell
