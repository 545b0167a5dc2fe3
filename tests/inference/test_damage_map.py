"""Guards that cells on damage are found by place: as by looking at every damaged tile, without doing so."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.geometry import points_in_box
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
