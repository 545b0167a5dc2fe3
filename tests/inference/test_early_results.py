"""Guards that cells reported tile by tile are those of all tiles merged at the end, in whatever order tiles come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cyto.domain.geometry import points_in_box
from napari_cyto.inference.engine._early_results import IncrementalMerge, Key
from napari_cyto.inference.engine.tile_grid import Tile, plan_tiles

SEAM, SLACK = 3.0, 1.0
Tables = list[np.ndarray]


def whole_numbers(rng: np.random.Generator, shape: tuple[int, ...], high: tuple[int, int]) -> np.ndarray:
    """Places on a grid of a px, where many distances are exactly what is compared with, and many scores are equal."""
    return rng.integers(0, high, shape).astype(np.float64)


@st.composite
def found_on_tiles(draw: st.DrawFn) -> tuple[list[Tile], Tables, float, list[int]]:
    """Tiles, what was found on each, how far cells are apart, and the order in which tiles come."""
    side = draw(st.sampled_from([96, 128, 256]))
    tiles = plan_tiles((300, 260), side, 32, 32, offset_yx=(draw(st.sampled_from([0, 32])), 0))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    on_grid = draw(st.booleans())
    count = draw(st.integers(0, 150))
    cells = whole_numbers(rng, (count, 2), (300, 260)) if on_grid else rng.uniform(0, (300, 260), (count, 2))
    if draw(st.booleans()):
        # Most of what can go wrong goes wrong where tiles end.
        near = rng.random(cells.shape) < 0.6
        cells = np.where(near, np.round(cells / 32) * 32 + rng.integers(-4, 5, cells.shape), cells)
    scores = rng.integers(1, 6, len(cells)) / 5
    tables = []
    for tile in tiles:
        own = points_in_box(cells, tile.core_yxyx, SLACK)
        jitter = cells[own] + (0 if on_grid else rng.uniform(-0.2, 0.2, (int(own.sum()), 2)))
        tables.append(np.column_stack([jitter, np.full((len(jitter), 2), 9.0), scores[own], scores[own]]))
    apart = draw(st.sampled_from([0.0, 2.0, 3.0, 5.0, 12.0, 40.0]))
    return tiles, tables, apart, draw(st.permutations(range(len(tiles))))


def brute_force(tables: Tables, apart: float) -> set[Key]:
    """Every cell against every surer one that stays; of two tiles those nearer than a seam are one."""
    cells = [(-row[4], row[0], row[1], tile, n) for tile, table in enumerate(tables) for n, row in enumerate(table)]
    kept: list[tuple[float, ...]] = []
    for cell in sorted(cells):
        for other in kept:
            away = np.hypot(cell[1] - other[1], cell[2] - other[2])
            if away < apart or (cell[3] != other[3] and away < SEAM):
                break
        else:
            kept.append(cell)
    return {(int(tile), int(row)) for *_, tile, row in kept}


@settings(max_examples=60)
@given(found_on_tiles())
def test_the_answer_is_that_of_all_tiles_merged_at_the_end(case: tuple) -> None:
    tiles, tables, apart, order = case
    merge, came = IncrementalMerge(tiles, apart, SEAM, SLACK), []
    for number in order:
        final = merge.add(number, tables[number])
        scores = [tables[tile][row, 4] for tile, row in final]
        assert scores == sorted(scores, reverse=True)
        came += final
    assert merge.waiting == 0
    assert not any(merge.holds(n) for n in range(len(tiles)))
    assert len(set(came)) == len(came)
    assert set(came) == brute_force(tables, apart)


@settings(max_examples=60)
@given(found_on_tiles())
def test_a_run_that_stops_reports_the_rest_as_if_nothing_more_came(case: tuple) -> None:
    tiles, tables, apart, order = case
    done = order[: len(order) // 2]
    merge, came = IncrementalMerge(tiles, apart, SEAM, SLACK), []
    for number in done:
        came += merge.add(number, tables[number])
    came += merge.finish()
    assert merge.waiting == 0
    empty = np.empty((0, 6))
    assert set(came) == brute_force([t if n in done else empty for n, t in enumerate(tables)], apart)


def cell(y: float, x: float, score: float) -> np.ndarray:
    return np.array([[y, x, 9.0, 9.0, score, score]])


ROW = [Tile(-32, x - 32, 128, 128, (0.0, float(x), 64.0, float(x + 64))) for x in (0, 64, 128, 192)]


def test_a_cell_is_final_as_soon_as_no_tile_to_come_reaches_it() -> None:
    """Not before, or it might be taken back; not much later, or nothing would be seen of a run until its end."""
    merge = IncrementalMerge(ROW, 4.0, SEAM, SLACK)
    assert merge.add(0, np.concatenate([cell(30, 30, 0.5), cell(30, 63, 0.5)])) == []
    assert merge.waiting == 2
    assert merge.holds(0)
    assert sorted(merge.add(1, cell(30, 96, 0.5))) == [(0, 0), (0, 1)]
    assert not merge.holds(0)
    assert merge.holds(1)
    assert merge.add(2, np.empty((0, 6))) == [(1, 0)]
    assert merge.waiting == 0


def test_a_surer_cell_beyond_the_seam_is_waited_for() -> None:
    merge = IncrementalMerge(ROW, 4.0, SEAM, SLACK)
    merge.add(0, cell(30, 63, 0.5))
    assert merge.add(1, cell(30, 65, 0.9)) == []  # tile 2 is not done, and might have a surer one still
    assert merge.add(2, np.empty((0, 6))) == [(1, 0)]


@pytest.mark.parametrize(("away", "stays"), [(3.9, 1), (4.0, 2), (4.1, 2)])
def test_as_far_as_the_merging_distance_two_cells_are_two(away: float, stays: int) -> None:
    merge = IncrementalMerge(ROW[:1], 4.0, 0.0, SLACK)
    assert len(merge.add(0, np.concatenate([cell(30, 30, 0.5), cell(30, 30 + away, 0.4)]))) == stays


@pytest.mark.parametrize(("away", "stays"), [(2.9, 1), (3.0, 2), (3.1, 2)])
def test_only_cells_of_different_tiles_are_one_across_a_seam(away: float, stays: int) -> None:
    merge = IncrementalMerge(ROW[:2], 0.0, SEAM, SLACK)
    came = merge.add(0, cell(30, 63.5, 0.5)) + merge.add(1, cell(30, 63.5 + away, 0.4))
    assert len(came) == stays
    merge = IncrementalMerge(ROW[:1], 0.0, SEAM, SLACK)
    assert len(merge.add(0, np.concatenate([cell(30, 63.5, 0.5), cell(30, 63.5 + away, 0.4)]))) == 2


def test_what_waits_lies_along_the_edge_of_what_is_done() -> None:
    """However large a slide is, cells inside a tile are decided at once, and most tables can go."""
    tiles = plan_tiles((64, 64 * 40), 128, 32, 32)
    rng = np.random.default_rng(1)
    merge, most = IncrementalMerge(tiles, 6.0, SEAM, SLACK), 0
    for number, tile in enumerate(tiles):
        y0, x0, y1, x1 = tile.core_yxyx
        places = rng.uniform((y0, x0), (y1, x1), (200, 2))
        merge.add(number, np.column_stack([places, np.full((200, 2), 9.0), rng.random((200, 2))]))
        most = max(most, merge.waiting)
        assert not any(merge.holds(n) for n in range(number - 3))
    assert most < 450
