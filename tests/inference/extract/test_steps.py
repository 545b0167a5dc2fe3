"""Guards the steps of the extraction: what is parted, kept and dropped, and that no border of a slice hides a cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cyto.formats.apacc.names import SLICE_SIDE
from napari_cyto.inference.extract._masks import NucleiMask
from napari_cyto.inference.extract._slices import cells_of_slice, steps_of_slice
from napari_cyto.inference.extract._steps import Fate, steps_from
from napari_cyto.inference.extract.options import USUAL, ExtractOptions, MaskOf

LIMITS = USUAL[MaskOf.NUCLEI]


def discs(size: int, *found: tuple[float, float, float]) -> np.ndarray:
    """Return a mask of discs: middle and radius, px."""
    y, x = np.mgrid[:size, :size] + 0.5
    return np.any([(y - cy) ** 2 + (x - cx) ** 2 < r**2 for cy, cx, r in found], axis=0)


def circle(cy: float, cx: float, radius: float) -> tuple[tuple[float, float], ...]:
    """Return a ring, px."""
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return tuple((cy + radius * np.sin(t), cx + radius * np.cos(t)) for t in turns)


def test_touching_nuclei_are_parted_by_erosion_and_grown_again() -> None:
    mask = discs(80, (40, 30, 10), (40, 48, 10), (15, 15, 8))
    found = steps_from(mask, LIMITS)
    assert found.fates.tolist() == [Fate.KEPT] * 3
    assert np.count_nonzero(found.parts) == np.count_nonzero(mask), "the pieces grow back to all of the mask"
    areas = np.sort(found.areas_um2)
    assert areas == pytest.approx([64 * np.pi / 4, *[(mask.sum() / 4 - 64 * np.pi / 4) / 2] * 2], rel=0.08)


def test_one_nucleus_is_not_parted_however_long() -> None:
    y, x = np.mgrid[:80, :80] + 0.5
    oval = ((y - 40) / 10) ** 2 + ((x - 40) / 22) ** 2 < 1
    assert steps_from(oval, LIMITS).boxes_yxyx.tolist() == [[30, 18, 50, 62]]


def test_what_is_too_small_too_large_or_ragged_is_counted_as_such() -> None:
    y, x = np.mgrid[:200, :200]
    comb = (x >= 150) & (x < 190) & (y >= 20) & (y < 60) & ((x % 8 < 3) | (y < 26))
    mask = discs(200, (20, 20, 3), (20, 60, 10), (100, 60, 30)) | comb
    found = steps_from(mask, replace(LIMITS, deepest_erosion_um=0.0))
    kinds = {tuple(box[:2]): Fate(fate) for box, fate in zip(found.boxes_yxyx.tolist(), found.fates, strict=True)}
    assert kinds == {(17, 17): Fate.TOO_SMALL, (10, 50): Fate.KEPT, (70, 30): Fate.TOO_LARGE, (20, 150): Fate.NOT_ROUND}
    dropped = steps_from(mask, replace(LIMITS, largest_component_um2=500))
    assert len(dropped.large_centres_yx) == 1
    assert dropped.large_centres_yx[0] == pytest.approx([100, 60], abs=0.6)
    assert (dropped.parts > 0).sum() + (dropped.large > 0).sum() == mask.sum(), "each px is in one step or the other"


def test_limits_that_are_not_given_are_those_of_the_mask() -> None:
    assert ExtractOptions(mask=MaskOf.STAIN, pad_um=5).limits == replace(USUAL[MaskOf.STAIN], pad_um=5)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1850, 2150), st.integers(1850, 2150)),
        min_size=1,
        max_size=12,
        unique_by=lambda p: (p[0] // 60, p[1] // 60),
    ),
    st.sampled_from([0.2, 0.25, 0.34, 0.5]),
)
def test_each_cell_is_in_one_slice_wherever_the_borders_run(middles: list[tuple[int, int]], mpp: float) -> None:
    """Nuclei of 4 µm radius, some touching, near the corner that four slices share: none is lost, none there twice."""
    size = (4000, 4000)
    step = LIMITS.um_per_px / mpp
    source = NucleiMask([circle(y, x, 4 / mpp) for y, x in middles], step)
    limits = replace(LIMITS, pad_um=0.0, least_roundness=0.0, least_area_um2=0.0, most_area_um2=1e6)
    whole = steps_from(source.mask((0, 0, *(int(np.ceil(s / step)) for s in size))), limits)
    expected = sorted(((b[:2] + b[2:]) / 2 * step).tolist() for b in whole.boxes_yxyx)
    found = []
    for corner in source.corners(size):
        steps = steps_of_slice(source, corner, size, step, limits)
        cells = cells_of_slice(steps, corner, size, limits, None)
        assert all(
            c <= low and high <= c + SLICE_SIDE
            for box in cells.boxes_yxyx
            for c, low, high in zip(corner, box[:2], box[2:], strict=True)
        )
        assert cells.fates.kept == len(cells.boxes_yxyx)
        for box in (steps.steps.boxes_yxyx + np.tile(steps.window[:2], 2)) * step:
            middle = (box[:2] + box[2:]) / 2
            if all(c <= m < c + SLICE_SIDE for c, m in zip(corner, middle, strict=True)):
                found.append(middle.tolist())
    assert np.allclose(sorted(found), expected)
