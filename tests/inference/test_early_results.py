"""Guards that cells told tile by tile are those of all tiles merged at the end, in whatever order tiles come."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.geometry import points_in_box
from napari_cyto.inference.engine._early_results import Settling
from napari_cyto.inference.engine._merge import surest_apart
from napari_cyto.inference.engine._run_tiles import plan_tiles


@st.composite
def told(draw: st.DrawFn) -> tuple[list, list[np.ndarray], float, list[int]]:
    """Tiles, what each told, how far cells are apart, and the order in which they come."""
    side = draw(st.sampled_from([96, 128, 256]))
    tiles = plan_tiles((300, 260), side, 32, 32, offset_yx=(draw(st.sampled_from([0, 32])), 0))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    cells = rng.uniform(0, (300, 260), (draw(st.integers(0, 150)), 2))
    scores = rng.integers(1, 6, len(cells)) / 5
    tables = []
    for tile in tiles:
        own = np.flatnonzero(points_in_box(cells, tile.core_yxyx, 1.0))
        jitter = cells[own] + rng.uniform(-0.2, 0.2, (len(own), 2))
        tables.append(np.column_stack([jitter, np.full((len(own), 2), 9.0), scores[own], scores[own]]))
    return tiles, tables, draw(st.sampled_from([0.0, 2.0, 12.0, 40.0])), draw(st.permutations(range(len(tiles))))


@given(told())
def test_the_answer_is_that_of_all_tiles_merged_at_the_end(case: tuple) -> None:
    tiles, tables, apart, order = case
    settling, came = Settling(tiles, apart, 3.0, 1.0), []
    for number in order:
        came += settling.add(number, tables[number])
    assert settling.waiting == 0
    assert len(set(came)) == len(came)
    together = np.concatenate([np.empty((0, 6)), *tables])
    of_tile = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
    rows = np.concatenate([np.arange(len(t)) for t in tables]) if tables else []
    kept = surest_apart(together[:, :2], together[:, 4], apart, of_tile, 3.0)
    assert set(came) == {(int(of_tile[k]), int(rows[k])) for k in kept}


@given(told())
def test_a_run_that_stops_tells_the_rest_as_if_nothing_more_came(case: tuple) -> None:
    tiles, tables, apart, order = case
    settling, came = Settling(tiles, apart, 3.0, 1.0), []
    for number in order[: len(order) // 2]:
        came += settling.add(number, tables[number])
    came += settling.finish()
    assert settling.waiting == 0
    points = np.array([tables[tile][row, :2] for tile, row in came]).reshape(-1, 2)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e9 * np.eye(len(points))
    assert not len(points) or distances.min() >= apart


@given(
    st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.sampled_from([96, 160, 512]),
    st.tuples(st.sampled_from([0, 32, 64]), st.sampled_from([0, 32])),
)
def test_every_place_is_in_one_core(size_hw: tuple[int, int], side: int, offset: tuple[int, int]) -> None:
    seen = np.zeros((size_hw[0] + 32, size_hw[1] + 32), np.int64)
    for tile in plan_tiles(size_hw, side, 32, 32, offset_yx=offset):
        y0, x0, y1, x1 = map(int, tile.core_yxyx)
        seen[y0:y1, x0:x1] += 1
        assert (tile.y0, tile.x0) == (y0 - 32, x0 - 32)
        assert tile.y0 % 32 == tile.x0 % 32 == 0
        assert max(tile.height, tile.width) <= side
    assert (seen[: size_hw[0], : size_hw[1]] == 1).all()
    assert seen.max() == 1
