"""Properties: any region through the cache is what the file holds, and a landmark lies where it lies on each level."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.slides import TileCache, open_slide
from napari_cyto.slides._levels import LevelArray
from napari_cyto.slides.slide import Slide
from napari_cyto.slides.slide_info import true_factors_yx

SIZE = (203, 331)
PIXELS = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.fixture(scope="module", params=[(16, 16), (48, 32), (256, 512)], ids=str)
def slide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slide]:
    path = tmp_path_factory.mktemp("odd") / "odd.tif"
    tifffile.imwrite(path, PIXELS, tile=request.param, compression="deflate", photometric="rgb", metadata=None)
    with open_slide(path) as opened:
        yield Slide(opened._backend, TileCache(40_000))


@given(st.integers(-60, 260), st.integers(-60, 400), st.integers(0, 300), st.integers(0, 400))
def test_a_region_is_what_was_written(slide: Slide, y0: int, x0: int, height: int, width: int) -> None:
    padded = np.full((SIZE[0] + 720, SIZE[1] + 920, 3), 255, np.uint8)
    padded[60 : 60 + SIZE[0], 60 : 60 + SIZE[1]] = PIXELS
    expected = padded[y0 + 60 : y0 + 60 + height, x0 + 60 : x0 + 60 + width]
    np.testing.assert_array_equal(slide.read_region(0, y0, x0, height, width), expected)
    assert slide._cache.nbytes <= slide._cache.max_bytes


def slices(length: int) -> st.SearchStrategy[slice]:
    place = st.none() | st.integers(-2 * length, 2 * length)
    return st.builds(slice, place, place, st.none() | st.integers(-9, 9).filter(bool))


@given(slices(SIZE[0]) | st.integers(-SIZE[0], SIZE[0] - 1), slices(SIZE[1]), slices(3) | st.integers(-3, 2))
def test_an_index_is_that_of_numpy(slide: Slide, rows: object, columns: object, channels: object) -> None:
    index = (rows, columns, channels)
    np.testing.assert_array_equal(LevelArray(slide, 0)[index], PIXELS[index])


@given(
    st.tuples(st.integers(300, 200_000), st.integers(300, 200_000)),
    st.sampled_from([2, 3, 4, 8, 16, 32]),
    st.booleans(),
    st.floats(0, 1),
)
def test_truncated_levels_keep_landmarks_within_a_pixel(
    size0: tuple[int, int], side: int, up: bool, share: float
) -> None:
    size = tuple(-(-s // side) if up else s // side for s in size0)
    ((fy, fx),) = true_factors_yx(size0, (size,))  # type: ignore[arg-type]
    for length, factor in zip(size0, (fy, fx), strict=True):
        landmark = share * length
        assert abs(landmark / factor - landmark / side) < 1e-6


@pytest.mark.shared
@pytest.mark.parametrize("name", ["tcga_two_levels_no_mpp.svs", "generic_six_levels_odd_mpp.tiff", "cric_fields.mrxs"])
def test_a_landmark_of_a_real_slide_lies_right_on_every_level(shared: Path, name: str) -> None:
    """Each level agrees with level 0, averaged by the factor, better than when shifted by a px of the level."""
    with open_slide(shared / "slides" / name) as opened:
        info = opened.info
        whole = opened.read_region(0, 0, 0, *info.size_hw).mean(-1)
        for level, (h, w) in enumerate(info.level_sizes_hw):
            factor = int(info.factors_yx[level][0])
            assert info.factors_yx[level] == (factor, factor)
            expected = whole[: h * factor, : w * factor].reshape(h, factor, w, factor).mean((1, 3))
            pixels = opened.read_region(level, 0, 0, h, w).mean(-1)
            # The far corner, where a wrong factor has drifted furthest.
            m = max(16, min(h, w) // 4)
            here = np.abs(pixels[-m - 1 : -1, -m - 1 : -1] - expected[-m - 1 : -1, -m - 1 : -1]).mean()
            for dy, dx in ((1, 0), (0, 1), (-1, 0), (0, -1)):
                moved = expected[-m - 1 + dy : h - 1 + dy, -m - 1 + dx : w - 1 + dx]
                assert here < np.abs(pixels[-m - 1 : -1, -m - 1 : -1] - moved).mean()
