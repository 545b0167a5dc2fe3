"""Guards that cells on damage are found by place: as by looking at every damaged tile, without doing so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_cells import planted, slide_of

from napari_cyto.domain.geometry import points_in_box
from napari_cyto.inference.cluster.chunks import _OpenSlide
from napari_cyto.inference.engine import _damage_map as met_damage
from napari_cyto.inference.engine._damage_map import MetDamage
from napari_cyto.slides import UnreadableTile


def tile(y0: float, x0: float, side: float, level: int = 0) -> UnreadableTile:
    return UnreadableTile("a.tif", level, (y0, x0, y0 + side, x0 + side), "damaged")


@given(
    st.lists(st.builds(tile, *[st.integers(0, 5000)] * 2, st.integers(1, 3000), st.integers(0, 1)), max_size=8),
    st.lists(st.tuples(*[st.integers(-10, 8100)] * 2), max_size=20),
)
def test_it_is_what_each_damaged_tile_of_the_level_says(
    tiles: list[UnreadableTile], points: list[tuple[int, int]]
) -> None:
    points_yx = np.array(points, dtype=np.float64).reshape(-1, 2)
    expected = np.ones(len(points_yx), dtype=np.bool_)
    for each in tiles:
        if each.level == 0:
            expected[points_in_box(points_yx, each.bounds_yxyx)] = False
    damage = MetDamage(0)
    assert damage.add(tiles) == list(dict.fromkeys(tiles))
    assert damage.add(tiles) == []
    np.testing.assert_array_equal(damage.readable(points_yx), expected)


def test_only_damage_nearby_is_looked_at(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    damage = MetDamage(0)
    damage.add(tile(y * 256, x * 256, 256) for y in range(100) for x in range(100))
    looked: list[object] = []

    def counted(points: np.ndarray, box: tuple[float, ...]) -> np.ndarray:
        looked.append(box)
        return points_in_box(points, box)

    monkeypatch.setattr(
        met_damage, "points_in_box", lambda points, box: (looked.append(box), points_in_box(points, box))[1]
    )
    assert not damage.readable(np.array([[5000.0, 5000.0], [5010.0, 5010.0]])).any()
    assert len(looked) <= 36


def test_an_answer_of_a_worker_tells_of_the_damage_at_its_chunk_and_not_of_all() -> None:
    """Else the answers of a slide that is damaged all over grow with the square of the damage."""
    damaged = {(level, row, column) for level in (0, 1) for row in range(8) for column in range(8)}
    with slide_of(planted(256, 256, []), factor=2, tile=32, damaged=damaged) as slide:
        opened = _OpenSlide(slide)
        assert opened.damage((0.0, 0.0, 512.0, 512.0)) == ()
        for level in (0, 1):
            slide.read_region(level, 0, 0, 256, 256)
        assert len(slide.unreadable) == 128
        result = opened.damage((64.0, 96.0, 128.0, 160.0))
        assert sorted((t.level, t.bounds_yxyx) for t in result) == [
            *((0, (y, x, y + 32.0, x + 32.0)) for y in (64.0, 96.0) for x in (96.0, 128.0)),
            *((1, (64.0, x, 128.0, x + 64.0)) for x in (64.0, 128.0)),
        ]
        assert [t.level for t in slide.unreadable_in((64.0, 96.0, 128.0, 160.0), 1)] == [1, 1]
        opened.beside_chunks.add(slide.unreadable[0])
        assert set(opened.damage((64.0, 96.0, 128.0, 160.0))) == {*result, slide.unreadable[0]}


@pytest.mark.parametrize("size", [1.0, 32.0, 100.0])
@given(st.integers(-40, 560), st.integers(-40, 560))
def test_damage_in_a_box_is_what_touches_it(size: float, y: int, x: int) -> None:
    with slide_of(planted(256, 256, []), factor=2, tile=32, damaged={(0, 2, 3), (0, 15, 15), (1, 0, 0)}) as slide:
        for level in (0, 1):
            slide.read_region(level, 0, 0, *slide.info.level_sizes_hw[level])
        box = (float(y), float(x), y + size, x + size)
        touching = {
            t for t in slide.unreadable
            if t.bounds_yxyx[0] < box[2] and box[0] < t.bounds_yxyx[2]
            and t.bounds_yxyx[1] < box[3] and box[1] < t.bounds_yxyx[3]
        }  # fmt: skip
        assert set(slide.unreadable_in(box)) == touching
