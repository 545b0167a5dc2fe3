"""Guards that of cells too near to each other the surest stays, and that pixels know no tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.errors import CytoError
from napari_cyto.inference.engine._merge import surest_apart
from napari_cyto.inference.engine.tile_grid import Tile, plan_tiles, stained_tiles
from napari_cyto.inference.model_view import ImagePixels, ModelView, model_view
from napari_cyto.slides.stain import Stain


@given(seed=st.integers(0, 1000), apart=st.floats(0.5, 12))
def test_those_stay_that_a_walk_from_the_surest_on_leaves(seed: int, apart: float) -> None:
    rng = np.random.default_rng(seed)
    points, scores = rng.uniform(0, 40, (30, 2)), rng.random(30).round(1)
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    walked: list[int] = []
    for cell in np.lexsort((points[:, 1], points[:, 0], -scores)).tolist():
        if (distances[cell, walked] >= apart).all():
            walked.append(cell)
    assert surest_apart(points, scores, apart).tolist() == walked


def test_the_order_of_the_cells_makes_no_difference() -> None:
    rng = np.random.default_rng(5)
    points, scores = rng.uniform(0, 30, (40, 2)), rng.random(40).round(1)
    order = rng.permutation(40)
    one, other = surest_apart(points, scores, 4.0), surest_apart(points[order], scores[order], 4.0)
    assert np.array_equal(points[one], points[order][other])


def test_no_cells_stay_no_cells() -> None:
    assert surest_apart(np.empty((0, 2)), np.empty(0), 4.0).shape == (0,)


@given(seed=st.integers(0, 100), scale=st.floats(0.4, 5))
def test_a_pixel_does_not_depend_on_the_rectangle_it_is_read_in(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    view = ModelView(ImagePixels(rng.integers(0, 256, (90, 70, 3), dtype=np.uint8)), scale)
    whole = view.read(-8, -8, 64, 64).astype(int)
    y, x = (int(v) for v in rng.integers(-8, 20, 2))
    part = view.read(y, x, 24, 30).astype(int)
    # PIL rounds twice, once along each axis.
    assert np.abs(part - whole[y + 8 : y + 32, x + 8 : x + 38]).max() <= 2


def test_a_dark_spot_lies_where_the_frame_says() -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    image[60:64, 20:24] = 0
    read = 255.0 - ModelView(ImagePixels(image), 4.0).read(0, 0, 25, 25)[..., 0]
    y, x = (np.average(np.arange(25) + 0.5, weights=read.sum(1 - axis)) for axis in (0, 1))
    assert (y * 4, x * 4) == pytest.approx((62.0, 22.0), abs=0.2)


def test_beyond_an_image_it_is_white() -> None:
    view = ModelView(ImagePixels(np.zeros((10, 10, 3), np.uint8)), 1.0)
    assert (view.read(-5, -5, 5, 20) == 255).all()
    assert (view.read(30, 2, 4, 4) == 255).all()


def test_a_model_in_um_needs_the_scale_of_the_image() -> None:
    pixels = ImagePixels(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(CytoError, match="µm per px is unknown"):
        model_view(pixels, None, 0.5, "smear.svs")
    with pytest.raises(CytoError, match="too coarse"):
        model_view(pixels, 4.0, 0.5, "smear.svs")
    with pytest.raises(CytoError, match="uint8 RGB"):
        ImagePixels(np.zeros((4, 4), np.uint8))


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
        assert (tile.height, tile.width) == (y1 - y0 + 64, x1 - x0 + 64)
        assert tile.y0 % 32 == tile.x0 % 32 == 0
        assert max(tile.height, tile.width) <= side
    assert (seen[: size_hw[0], : size_hw[1]] == 1).all()
    assert seen.max() == 1


@given(st.integers(0, 1000))
def test_the_cores_of_a_region_end_where_it_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-50, 300, 2)
    y0, x0, y1, x1 = region = (*corner, *(corner + rng.uniform(1, 200, 2)))
    tiles = plan_tiles((320.0, 280.0), 160, 32, 32, region)
    inside = (max(y0, 0), max(x0, 0), min(y1, 320), min(x1, 280))
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        assert tiles == []
        return
    cores = np.array([tile.core_yxyx for tile in tiles])
    assert (cores[:, :2].min(0) <= inside[:2]).all()
    assert (cores[:, :2].min(0) > np.array(inside[:2]) - 32).all()
    assert (cores[:, 2:].max(0) >= inside[2:]).all()
    assert (cores[:, 2:].max(0) < np.array(inside[2:]) + 32).all()
    covered = ((cores[:, 2] - cores[:, 0]) * (cores[:, 3] - cores[:, 1])).sum()
    assert covered == np.prod(cores[:, 2:].max(0) - cores[:, :2].min(0))


def test_tiles_are_as_few_and_as_even_as_possible() -> None:
    """Of 300 px, cores of 256 at most: twice 160 rather than 256 and 44, of which the halo would be the most."""
    assert [t.core_yxyx[0] for t in plan_tiles((300, 64), 320, 32, 32)] == [0, 160]
    assert [t.core_yxyx[2] for t in plan_tiles((300, 64), 320, 32, 32)] == [160, 320]
    assert len(plan_tiles((256, 64), 320, 32, 32)) == 1
    assert len(plan_tiles((257, 64), 320, 32, 32)) == 2


def test_tiles_without_room_between_their_halos_are_refused() -> None:
    assert plan_tiles((100, 100), 160, 64, 32)[0].core_yxyx == (0, 0, 32, 32)
    with pytest.raises(CytoError, match="at least 160 px"):
        plan_tiles((100, 100), 159, 64, 32)


def test_a_tile_is_looked_at_when_stain_is_on_or_right_beside_its_core() -> None:
    """A detection may lie a few px from its cell; what lies further away is for the other tile."""
    blocks = np.zeros((8, 8), np.bool_)
    blocks[3, 3] = True  # level-0 px 96 to 128
    stain = Stain(blocks, (32.0, 32.0))

    def looked_at(x0: float, x1: float, scale: float = 1.0) -> bool:
        tile = Tile(0, 0, 0, 0, (100.0 / scale, x0 / scale, 110.0 / scale, x1 / scale))
        return bool(stained_tiles([tile], stain, scale))

    assert looked_at(128, 160)  # 4 px beside
    assert looked_at(131, 160)
    assert not looked_at(133, 160)
    assert looked_at(64, 95)
    assert not looked_at(64, 91)
    assert looked_at(134, 166, scale=2.0)  # 8 px of the slide
    assert not looked_at(138, 170, scale=2.0)
