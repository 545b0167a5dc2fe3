"""Guards that a level behaves as the numpy array it stands for, and never fills the memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_cyto.errors import SlideError
from napari_cyto.slides import LevelArray, as_dask, open_slide, pyramid
from napari_cyto.slides import _levels as levels

INDICES = [
    np.s_[:], np.s_[5], np.s_[-1], np.s_[3:50], np.s_[3:50:7], np.s_[::-1], np.s_[50:3:-4, 1:9], np.s_[..., 1],
    np.s_[4, 5], np.s_[4, 5, 2], np.s_[:0], np.s_[10:5], np.s_[1:5, ::50, ::2], np.s_[..., 3:9, :], np.s_[290:999],
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_is_that_of_numpy(plain_path: Path, index: object, paint) -> None:
    with open_slide(plain_path) as slide:
        (level,) = pyramid(slide)
        expected = paint(301, 407)
        assert (level.shape, level.ndim, level.dtype, len(level)) == (expected.shape, 3, np.uint8, 301)
        np.testing.assert_array_equal(level[index], expected[index])


@pytest.mark.parametrize("index", [np.s_[301], np.s_[0, 0, 0, 0], np.s_[..., ..., 0], np.s_[0, -408]], ids=str)
def test_wrong_indices_are_refused(plain_path: Path, index: object) -> None:
    with open_slide(plain_path) as slide, pytest.raises(IndexError):
        pyramid(slide)[0][index]


def test_a_level_too_large_for_memory_is_refused(plain_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "WHOLE_LEVEL_MAX_BYTES", 1000)
    with open_slide(plain_path) as slide, pytest.raises(SlideError, match=r"read a region of it, or a smaller level"):
        np.asarray(LevelArray(slide, 0))


def test_reading_a_little_decodes_a_little(pyramid_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_slide(pyramid_path) as slide:
        seen: list[tuple[int, int, int]] = []
        decode = slide._backend.decode_tile
        monkeypatch.setattr(slide, "_identity", "fresh")
        monkeypatch.setattr(slide._backend, "decode_tile", lambda *at: (seen.append(at), decode(*at))[1])
        assert pyramid(slide)[0][10:300:3, 140:150].shape == (97, 10, 3)
        assert sorted(seen) == [(0, 0, 1), (0, 1, 1), (0, 2, 1)]


def test_dask_computes_on_whole_tiles(pyramid_path: Path) -> None:
    with open_slide(pyramid_path) as slide:
        array = as_dask(slide, 1)
        assert array.chunksize == (512, 512, 3)
        np.testing.assert_array_equal(array[100:700, 5:6].compute(), pyramid(slide)[1][100:700, 5:6])


def test_a_whole_level_keeps_its_type(plain_path: Path, paint) -> None:
    with open_slide(plain_path) as slide:
        (level,) = pyramid(slide)
        assert np.asarray(level).dtype == np.uint8
        np.testing.assert_array_equal(level, paint(301, 407))
        assert np.asarray(level, np.float32).dtype == np.float32
