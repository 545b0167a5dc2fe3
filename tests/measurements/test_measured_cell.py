"""Guards that what is measured on a cell is what was drawn: shapes of known size, density and texture, in µm."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.domain.geometry import CellOutline
from napari_cyto.measurements import COLUMNS, measured_cell, reference_nucleus
from napari_cyto.measurements._neighbours import cut_by_border, nuclei_inside, touching

GLASS = np.full(3, 240, np.float32)


def ellipse(centre_yx: tuple[float, float], major: float, minor: float, turn: float = 0.0, bumps: float = 0.0):
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    reach = 1 + bumps * np.cos(7 * angles)
    u, v = major * reach * np.cos(angles), minor * reach * np.sin(angles)
    y, x = u * np.cos(turn) - v * np.sin(turn), u * np.sin(turn) + v * np.cos(turn)
    return tuple(zip((centre_yx[0] + y).tolist(), (centre_yx[1] + x).tolist(), strict=True))


@pytest.mark.parametrize(("mpp", "turn"), [(0.1, 0.0), (0.25, 0.4), (0.25, 2.0), (0.5, 1.1)])
def test_an_ellipse_has_its_size_and_its_shape_at_every_scale_and_turn(mpp: float, turn: float) -> None:
    major, minor = 6.0, 4.0
    ring = ellipse((60 + 40.3, 90 + 40.7), major / mpp, minor / mpp, turn)
    side = 140
    found = measured_cell(np.full((side, side, 3), 120, np.uint8), (30, 60), CellOutline(ring), mpp, GLASS)
    assert found["nucleus_area_um2"] == pytest.approx(np.pi * major * minor, rel=0.02)
    assert found["nucleus_major_axis_um"] == pytest.approx(2 * major, rel=0.02)
    assert found["nucleus_minor_axis_um"] == pytest.approx(2 * minor, rel=0.02)
    assert found["nucleus_eccentricity"] == pytest.approx(np.sqrt(1 - (minor / major) ** 2), abs=0.02)
    # Ramanujan's approximation of the perimeter of an ellipse.
    h = ((major - minor) / (major + minor)) ** 2
    around = np.pi * (major + minor) * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h)))
    assert found["nucleus_perimeter_um"] == pytest.approx(around, rel=0.04)
    assert found["nucleus_solidity"] > 0.95
    assert found["contour_irregularity"] < 0.02
    assert found["nucleus_od_mean"] == pytest.approx(np.log10(2), abs=1e-6)
    assert found["nucleus_od_sd"] == pytest.approx(0, abs=1e-6)
    assert found["nucleus_integrated_od_um2"] == pytest.approx(np.log10(2) * found["nucleus_area_um2"], rel=1e-6)
    assert (found["chromatin_contrast"], found["chromatin_homogeneity"]) == pytest.approx((0, 1))
    assert "nc_ratio" not in found


def test_a_place_is_measured_where_it_lies_and_not_half_a_pixel_beside_it() -> None:
    pixels = np.full((12, 12, 3), 240, np.uint8)
    pixels[4:8, 4:8] = 24
    square = ((104.0, 204.0), (104.0, 208.0), (108.0, 208.0), (108.0, 204.0))
    found = measured_cell(pixels, (100, 200), CellOutline(square), 1.0, GLASS)
    assert found["nucleus_area_um2"] == 16
    assert (found["nucleus_od_mean"], found["nucleus_od_sd"]) == pytest.approx((1.0, 0.0), abs=1e-6)


def test_the_ratio_is_that_of_the_areas_and_an_impossible_one_is_none() -> None:
    nucleus, cell = ellipse((50, 50), 10, 10), ellipse((50, 50), 30, 20)
    pixels = np.full((100, 100, 3), 120, np.uint8)
    found = measured_cell(pixels, (0, 0), CellOutline(nucleus, cell), 0.25, GLASS)
    assert found["nc_ratio"] == pytest.approx(100 / 600, rel=0.02)
    assert np.isnan(measured_cell(pixels, (0, 0), CellOutline(cell, nucleus), 0.25, GLASS)["nc_ratio"])


def test_rough_contours_and_coarse_chromatin_measure_more() -> None:
    rng = np.random.default_rng(0)
    smooth, rough = (CellOutline(ellipse((50, 50), 30, 25, bumps=bumps)) for bumps in (0.0, 0.1))
    even = np.full((100, 100, 3), 120, np.uint8)
    mottled = np.where(rng.random((100, 100, 1)) < 0.5, 40, 200).astype(np.uint8).repeat(3, axis=2)
    plain = measured_cell(even, (0, 0), smooth, 0.25, GLASS)
    bumpy = measured_cell(mottled, (0, 0), rough, 0.25, GLASS)
    assert bumpy["contour_irregularity"] > 0.05 > plain["contour_irregularity"]
    assert bumpy["nucleus_circularity"] < plain["nucleus_circularity"] - 0.1
    assert bumpy["chromatin_contrast"] > 5
    # Half of the pairs are of one level, half of two: two bits, of which a coin of two sides knows no more.
    assert bumpy["chromatin_entropy"] == pytest.approx(2.0, abs=0.05)
    assert set(plain) | {"cell_area_um2", "nc_ratio", "nuclei_in_cytoplasm", "focus"} == {c.name for c in COLUMNS}


def test_what_speaks_against_a_nucleus_is_found() -> None:
    rings = [ellipse(place, 10, 10) for place in ((50, 50), (50, 70.5), (50, 120), (9, 300), (400, 400))]
    outlines = [*map(CellOutline, rings), CellOutline(ellipse((400, 400), 60, 60))]
    nuclei = [np.array(each.vertices_yx) for each in outlines]
    assert touching(nuclei, 1.0).tolist() == [True, True, False, False, True, True]
    assert touching(nuclei, 0.1).tolist() == [False, False, False, False, True, True]
    assert cut_by_border(np.array([o.bounds_yxyx for o in outlines]), (470, 461)).tolist() == [
        False,
        False,
        False,
        True,
        False,
        True,
    ]


def test_nuclei_of_one_cytoplasm_are_counted() -> None:
    cytoplasms = [np.array(ellipse((50, 50), 40, 30)), np.empty((0, 2))]
    centres = np.array([(50.0, 50.0), (80.0, 50.0), (50.0, 85.0), (300.0, 50.0)])
    counts = nuclei_inside(cytoplasms, centres)
    assert counts[0] == 2
    assert np.isnan(counts[1])
    assert np.isnan(nuclei_inside(cytoplasms, centres[:0])).all()


def test_the_intermediate_nucleus_is_the_median_of_at_least_twenty() -> None:
    areas = np.concatenate([np.full(10, 30.0), np.full(11, 36.0), [400.0, np.nan]])
    counts = np.arange(len(areas)) < 21
    assert reference_nucleus(areas, counts).area_um2 == 36.0
    few = reference_nucleus(areas, counts & (np.arange(len(areas)) > 1))
    assert few.area_um2 is None
    assert "cannot be said: 19 nuclei of NILM in focus, 20 are needed" in few.sentence
