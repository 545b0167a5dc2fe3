"""Guards that damage shows as hatching, is reported once with its place, and stops nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_cyto.slides import UnreadableTile, open_slide
from napari_cyto.slides._hatch_pattern import BETWEEN_RGB, STRIPE_RGB, hatched
from napari_cyto.slides.slide import said_of_unreadable


def damage(path: Path, offset: int, count: int, seed: int = 0) -> None:
    junk = np.random.default_rng(seed).integers(0, 256, count, np.uint8).tobytes()
    with path.open("r+b") as handle:
        handle.seek(offset)
        handle.write(junk)


def colours(pixels: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(int(v) for v in c) for c in np.unique(pixels.reshape(-1, 3), axis=0)}


def test_hatching_is_neither_glass_nor_black() -> None:
    assert colours(hatched(40, 30)) == {STRIPE_RGB, BETWEEN_RGB}


@pytest.mark.parametrize("seed", range(5))
def test_bytes_flipped_in_the_middle_of_a_slide(tmp_path: Path, pyramid_path: Path, seed: int) -> None:
    path = tmp_path / "hurt.tiff"
    shutil.copyfile(pyramid_path, path)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        index = 3 * 17 + 5
        damage(path, page.dataoffsets[index] + page.databytecounts[index] // 2, 60, seed)
    reports: list[UnreadableTile] = []
    with open_slide(path) as slide, open_slide(pyramid_path) as whole:
        slide.on_unreadable(reports.append)
        for _ in range(2):
            region = slide.read_region(0, 0, 0, 1503, 2101)
        assert [(r.level, r.bounds_yxyx) for r in reports] == [(0, (384, 640, 512, 768))]
        assert "hurt.tiff: the tile at y 384 to 512, x 640 to 768 (level 0) cannot be read" in str(reports[0])
        assert slide.unreadable == tuple(reports)
        assert colours(region[384:512, 640:768]) == {STRIPE_RGB, BETWEEN_RGB}
        expected = whole.read_region(0, 0, 0, 1503, 2101)
        region[384:512, 640:768] = expected[384:512, 640:768]
        np.testing.assert_array_equal(region, expected)


def test_place_of_a_tile_of_a_lower_level_is_in_level_0(tmp_path: Path, pyramid_path: Path) -> None:
    path = tmp_path / "hurt.tiff"
    shutil.copyfile(pyramid_path, path)
    with tifffile.TiffFile(path) as tiff:
        damage(path, tiff.pages[1].dataoffsets[-1] + 40, 200)
    with open_slide(path) as slide:
        slide.read_region(1, 0, 0, 751, 1050)
        assert [r.bounds_yxyx for r in slide.unreadable] == [(1280, 2048, 1502, 2100)]


def test_file_cut_off_while_open(tmp_path: Path, pyramid_path: Path) -> None:
    path = tmp_path / "cut.tiff"
    shutil.copyfile(pyramid_path, path)
    with open_slide(path) as slide:
        with path.open("r+b") as handle:
            handle.truncate(20_000)
        pixels = slide.read_region(0, 1400, 2000, 103, 101)
        assert colours(pixels) == {STRIPE_RGB, BETWEEN_RGB}
        assert "the file ends at byte" in slide.unreadable[0].reason


def test_damaged_field(tmp_path: Path, paint) -> None:
    path = tmp_path / "field.jpg"
    Image.fromarray(paint(500, 700)).save(path, quality=90)
    damage(path, path.stat().st_size // 2, 300)
    with open_slide(path) as slide:
        assert colours(slide.read_region(0, 0, 0, 500, 700)) == {STRIPE_RGB, BETWEEN_RGB}
        assert len(slide.unreadable) == 1


def test_stopping_to_listen(tmp_path: Path, pyramid_path: Path) -> None:
    path = tmp_path / "cut.tiff"
    shutil.copyfile(pyramid_path, path)
    with open_slide(path) as slide:
        stop = slide.on_unreadable(lambda _: pytest.fail("stopped"))
        stop()
        stop()
        with path.open("r+b") as handle:
            handle.truncate(20_000)
        slide.read_region(0, 1400, 2000, 103, 101)


@pytest.mark.shared
def test_unreadable_real_slide_opens_hatched(shared: Path) -> None:
    with open_slide(shared / "slides" / "bad" / "unreadable.svs") as slide:
        assert colours(slide.read_region(0, 0, 0, 16, 16)) == {STRIPE_RGB, BETWEEN_RGB}
        assert [r.bounds_yxyx for r in slide.unreadable] == [(0, 0, 16, 16)]


@pytest.mark.shared
def test_a_damaged_mirax_tile_does_not_spoil_the_others(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "cric_fields.mrxs").touch()
    shutil.copytree(shared / "slides" / "cric_fields", tmp_path / "cric_fields", copy_function=shutil.copyfile)
    (tmp_path / "cric_fields").chmod(0o755)
    data = tmp_path / "cric_fields" / "Data0000.dat"
    damage(data, data.stat().st_size // 3, 3000)
    with open_slide(tmp_path / "cric_fields.mrxs") as slide, open_slide(shared / "slides/cric_fields.mrxs") as whole:
        region, expected = (s.read_region(0, 0, 0, *s.info.size_hw) for s in (slide, whole))
        assert 0 < len(slide.unreadable) < 10
        hurt = np.zeros(slide.info.size_hw, bool)
        for tile in slide.unreadable:
            y0, x0, y1, x1 = (int(v) for v in tile.bounds_yxyx)
            hurt[y0:y1, x0:x1] = True
            assert colours(region[y0:y1, x0:x1]) == {STRIPE_RGB, BETWEEN_RGB}
        np.testing.assert_array_equal(region[~hurt], expected[~hurt])


def test_damage_all_over_is_reported_by_its_number() -> None:
    tiles = [UnreadableTile("a.tif", 0, (0.0, float(k), 1.0, k + 1.0), "it is damaged") for k in range(2000)]
    said = said_of_unreadable(tiles)
    assert said[:20] == [str(tile) for tile in tiles[:20]]
    assert said[20:] == ["1,980 further tiles cannot be read and are drawn hatched."]
    assert len(said_of_unreadable(tiles[:20])) == 20


def test_what_a_decoder_raises_is_a_damaged_tile(plain_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: memory that ran out, a mistake in a library."""
    with open_slide(plain_path) as slide:
        for kind in (MemoryError, ZeroDivisionError, AttributeError, OverflowError):
            monkeypatch.setattr(slide._backend, "decode_tile", Mock(side_effect=kind("so")))
            slide._unreadable.clear()
            slide._cache.clear()  # another test may have read it
            np.testing.assert_array_equal(slide.read_tile(0, 0, 0), hatched(64, 80))
            assert "so" in slide.unreadable[0].reason
