"""Promise: every cell lies in a tile, its box leads back to the slide, and what was cut or left out adds up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.datasets.export.image_sets._tile_plan import TilePlan, plan_tiles
from napari_cyto.domain.geometry import Polygon

SIDE = 100


@st.composite
def boxes(draw: st.DrawFn) -> np.ndarray:
    numbers = st.floats(-50, 700, allow_nan=False).map(lambda v: round(v, 3))
    sizes = st.floats(0.5, 150).map(lambda v: round(v, 3))
    rows = draw(st.lists(st.tuples(numbers, numbers, sizes, sizes), max_size=12))
    return np.array([(y, x, y + h, x + w) for y, x, h, w in rows], dtype=np.float64).reshape(-1, 4)


sizes_hw = st.tuples(st.integers(1, 650), st.integers(1, 650))


def on_slide(found: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    return np.clip(found, 0, [*size_hw, *size_hw])


def area(found: np.ndarray) -> np.ndarray:
    return np.prod(np.clip(found[:, 2:] - found[:, :2], 0, None), axis=1)


def pairs(plan: TilePlan) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Cell, its box back in the frame of the slide, and its tile."""
    listed = []
    for corner, members, parts in zip(plan.origins_yx, plan.members, plan.boxes, strict=True):
        tile = np.array([*corner, *(corner + plan.size_hw)], dtype=np.float64)
        listed += [(int(cell), part + np.tile(corner, 2), tile) for cell, part in zip(members, parts, strict=True)]
    return listed


@given(boxes(), sizes_hw, st.sampled_from(["half", "centre", "whole"]))
def test_each_cell_lies_where_the_rule_says(found: np.ndarray, size_hw: tuple[int, int], keep: str) -> None:
    plan = plan_tiles(size_hw, (SIDE, SIDE), found, keep=keep)
    clipped = on_slide(found, size_hw)
    inside = {int(i) for i in np.flatnonzero(area(clipped) > 0)}
    listed = pairs(plan)
    held = {cell for cell, _, _ in listed}
    assert plan.outside == len(found) - len(inside)
    assert held <= inside
    assert plan.dropped == len(inside - held)
    if keep != "whole":
        assert held == inside
    assert plan.repeated == len(listed) - len(held)
    assert plan.repeated <= sum(share.sum() for share in plan.shared)
    assert all((corner % SIDE == 0).all() for corner in plan.origins_yx), "tiles share no pixel"
    beyond = np.maximum(plan.origins_yx + SIDE - np.array(size_hw), 0).reshape(-1, 2)
    assert np.array_equal(plan.padding_hw, beyond)
    assert (
        plan.clipped
        == sum(map(np.sum, plan.cut))
        == sum(not np.array_equal(part, found[cell]) for cell, part, _ in listed)
    )
    for cell, part, tile in listed:
        whole = clipped[cell]
        np.testing.assert_allclose(part[:2], np.maximum(whole[:2], tile[:2]), atol=1e-9)
        np.testing.assert_allclose(part[2:], np.minimum(whole[2:], tile[2:]), atol=1e-9)
        middle = (whole[:2] + whole[2:]) / 2
        has_centre = bool(((middle >= tile[:2]) & (middle <= tile[2:])).all())
        share = float(area(part[None])[0] / area(whole[None])[0])
        assert {"half": has_centre or share >= 0.499, "centre": has_centre, "whole": share > 1 - 1e-9}[keep]


@given(boxes(), sizes_hw)
def test_a_tile_with_half_of_a_cell_has_it_labelled(found: np.ndarray, size_hw: tuple[int, int]) -> None:
    """The other way round, from the definition: every tile of the grid against every cell."""
    plan = plan_tiles(size_hw, (SIDE, SIDE), found, keep="half")
    listed = {(cell, tuple(tile.tolist())) for cell, _, tile in pairs(plan)}
    clipped = on_slide(found, size_hw)
    for cell in np.flatnonzero(area(clipped) > 0):
        for y in range(0, size_hw[0], SIDE):
            for x in range(0, size_hw[1], SIDE):
                tile = np.array([y, x, y + SIDE, x + SIDE], dtype=np.float64)
                part = np.concatenate(
                    [np.maximum(clipped[cell, :2], tile[:2]), np.minimum(clipped[cell, 2:], tile[2:])]
                )
                if area(part[None])[0] >= 0.501 * area(clipped[cell][None])[0]:
                    assert (int(cell), tuple(tile.tolist())) in listed


def square(y0: float, x0: float, y1: float, x1: float) -> Polygon:
    return Polygon(((y0, x0), (y0, x1), (y1, x1), (y1, x0)))


CELLS = np.array([[110.0, 110, 130, 130], [310, 310, 330, 330]])


@pytest.mark.parametrize(("share", "empty"), [(0.0, 0), (0.5, 2), (0.75, 6), (0.99, 14)])
def test_empty_tiles_are_of_regions_at_most_the_share_and_always_the_same(share: float, empty: int) -> None:
    region = square(0, 0, 400, 400)
    plan = plan_tiles((1000, 1000), (SIDE, SIDE), CELLS, regions=[region], empty_share=share, seed=3, name="a.svs")
    assert (plan.empty, plan.empty_possible, plan.beyond_regions) == (empty, 14, 0)
    assert len(plan.origins_yx) == 2 + empty
    assert (plan.origins_yx < 400).all()
    assert sum(len(members) == 0 for members in plan.members) == empty
    again = plan_tiles((1000, 1000), (SIDE, SIDE), CELLS, regions=[region], empty_share=share, seed=3, name="a.svs")
    assert np.array_equal(plan.origins_yx, again.origins_yx)


def test_a_tile_is_not_empty_where_a_region_ends_or_a_prediction_waits() -> None:
    half = square(0, 0, 150, 400)
    plan = plan_tiles((1000, 1000), (SIDE, SIDE), CELLS[:1], regions=[half], empty_share=0.99, name="a")
    assert plan.empty_possible == 4, "the upper row, less nothing; the lower row leaves the region"
    waiting = np.array([[50.0, 50.0]])
    plan = plan_tiles(
        (1000, 1000), (SIDE, SIDE), CELLS[:1], regions=[half], doubtful_yx=waiting, empty_share=0.99, name="a"
    )
    assert plan.empty_possible == 3
    assert plan_tiles((1000, 1000), (SIDE, SIDE), CELLS[:1], empty_share=0.99).empty == 0, (
        "nobody said that glass is empty"
    )


def test_a_million_cells_on_the_largest_slide_are_planned_in_seconds() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, [99_000, 219_000], (1_000_000, 2)) / 2
    plan = plan_tiles((50_000, 110_000), (1024, 1024), np.hstack([corner, corner + 40]))
    assert sum(map(len, plan.members)) == 1_000_000 + plan.repeated
