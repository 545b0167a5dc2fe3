"""Guards that tiles cover every place once, that a cell on a seam stays one, and that pixels know no tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.geometry import points_in_box
from napari_cyto.errors import CytoError
from napari_cyto.inference.engine._merge import surest_apart
from napari_cyto.inference.engine.tile_grid import detection_tiles
from napari_cyto.inference.model_view import ModelView, PicturePixels, model_view

SIZES = st.integers(1, 400)


@given(height=SIZES, width=SIZES, tile=st.integers(160, 400), seed=st.integers(0, 1000))
def test_every_place_is_in_exactly_one_core(height: int, width: int, tile: int, seed: int) -> None:
    tiles = detection_tiles((height, width), tile, 64, 32)
    points = np.random.default_rng(seed).uniform(0, (height, width), (50, 2))
    owners = sum(points_in_box(points, t.core_yxyx).astype(int) for t in tiles)
    assert (owners == 1).all()
    assert all(t.y0 % 32 == t.x0 % 32 == t.height % 32 == t.width % 32 == 0 for t in tiles)
    assert all(t.height <= tile and t.width <= tile for t in tiles)


@given(seed=st.integers(0, 1000))
def test_a_region_is_covered_by_tiles_of_the_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(-20, 300, 2), rng.uniform(1, 200, 2)
    region = (*corner, *(corner + size))
    whole = detection_tiles((320, 280), 224, 64, 32)
    part = detection_tiles((320, 280), 224, 64, 32, region)
    assert set(part) <= set(whole)
    points = rng.uniform(corner, corner + size, (50, 2))
    points = points[(points >= 0).all(1) & (points < (320, 280)).all(1)]
    owners = np.zeros(len(points), int)
    for tile in part:
        owners[points_in_box(points, tile.core_yxyx)] += 1
    assert (owners == 1).all()


def test_tiles_without_room_between_their_halos_are_refused() -> None:
    with pytest.raises(CytoError, match="at least 160 px"):
        detection_tiles((100, 100), 150, 64, 32)


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


def test_on_a_seam_only_cells_of_different_tiles_are_one() -> None:
    points, scores = np.array([[10.0, 10.0], [10.0, 11.0], [10.0, 12.0]]), np.array([0.9, 0.8, 0.7])
    assert surest_apart(points, scores, 0.0, np.array([0, 0, 1]), 1.5).tolist() == [0, 1]
    assert surest_apart(points, scores, 0.0, np.array([0, 0, 0]), 1.5).tolist() == [0, 1, 2]


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
    view = ModelView(PicturePixels(rng.integers(0, 256, (90, 70, 3), dtype=np.uint8)), scale)
    whole = view.read(-8, -8, 64, 64).astype(int)
    y, x = (int(v) for v in rng.integers(-8, 20, 2))
    part = view.read(y, x, 24, 30).astype(int)
    # PIL rounds twice, once along each axis.
    assert np.abs(part - whole[y + 8 : y + 32, x + 8 : x + 38]).max() <= 2


def test_a_dark_spot_lies_where_the_frame_says() -> None:
    picture = np.full((100, 100, 3), 255, np.uint8)
    picture[60:64, 20:24] = 0
    read = 255.0 - ModelView(PicturePixels(picture), 4.0).read(0, 0, 25, 25)[..., 0]
    y, x = (np.average(np.arange(25) + 0.5, weights=read.sum(1 - axis)) for axis in (0, 1))
    assert (y * 4, x * 4) == pytest.approx((62.0, 22.0), abs=0.2)


def test_beyond_a_picture_it_is_white() -> None:
    view = ModelView(PicturePixels(np.zeros((10, 10, 3), np.uint8)), 1.0)
    assert (view.read(-5, -5, 5, 20) == 255).all()
    assert (view.read(30, 2, 4, 4) == 255).all()


def test_a_model_in_um_needs_the_scale_of_the_picture() -> None:
    pixels = PicturePixels(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(CytoError, match="µm per px are unknown"):
        model_view(pixels, None, 0.5, "smear.svs")
    with pytest.raises(CytoError, match="so coarse"):
        model_view(pixels, 4.0, 0.5, "smear.svs")
    with pytest.raises(CytoError, match="uint8 RGB"):
        PicturePixels(np.zeros((4, 4), np.uint8))
