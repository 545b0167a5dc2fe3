"""Guards that a slide without small levels gets them: true means, little by little, what is on screen first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ImageCms

from napari_cyto.slides import Slide, TileCache, open_slide, thumbnail
from napari_cyto.slides._hatch_pattern import BETWEEN_RGB, STRIPE_RGB
from napari_cyto.slides.slide import decoding_pool
from napari_cyto.slides.synthetic_levels import NOT_MADE_RGB, Sizes, ZoomableSlide, zoomable

SIZE = (1003, 1501)
# Levels of a quarter (not kept) and a sixteenth (kept).
SIZES = Sizes(too_large_px=400, small_px=100, kept_max_bytes=30_000, block_px=128)


def flat_path(folder: Path, pixels: np.ndarray, tile: tuple[int, int] = (64, 64)) -> Path:
    path = folder / "flat.tif"
    tifffile.imwrite(path, pixels, tile=tile, compression="deflate", photometric="rgb", metadata=None)
    return path


def area_mean(pixels: np.ndarray, factor: int) -> np.ndarray:
    """The mean over factor x factor px; at the far edges over what there is."""
    counts = np.ones(pixels.shape[:2])
    for axis in (0, 1):
        starts = np.arange(0, pixels.shape[axis], factor)
        pixels = np.add.reduceat(pixels.astype(float), starts, axis=axis)
        counts = np.add.reduceat(counts, starts, axis=axis)
    return pixels / counts[..., None]


def made(slide: Slide, sizes: Sizes = SIZES) -> ZoomableSlide:
    """The slide with all its levels made."""
    shown = zoomable(slide, sizes)
    assert isinstance(shown, ZoomableSlide)
    done = threading.Event()
    shown.on_news(lambda: done.set() if shown.complete else None)
    shown.live(shown.info.levels - 1)
    assert shown.complete or done.wait(20)
    return shown


@pytest.fixture
def flat(tmp_path: Path, paint: Callable[..., np.ndarray]) -> Iterator[Slide]:
    with open_slide(flat_path(tmp_path, paint(*SIZE))) as opened:
        yield opened


class Gate:
    """Lets tiles be decoded one at a time, and knows which were."""

    def __init__(self, slide: Slide) -> None:
        self.tickets = threading.Semaphore(0)
        self.seen: list[tuple[int, int]] = []
        self._decode = slide._backend.decode_tile
        slide._backend.decode_tile = self.decode  # type: ignore[method-assign]

    def decode(self, level: int, row: int, column: int) -> np.ndarray:
        assert self.tickets.acquire(timeout=20)
        self.seen.append((row, column))
        return self._decode(level, row, column)


def test_a_slide_with_a_small_level_stays_itself(pyramid_path: Path) -> None:
    with open_slide(pyramid_path) as slide:
        assert zoomable(slide) is slide
        assert zoomable(slide, Sizes(too_large_px=100)) is zoomable(slide) is not slide


def test_what_the_file_says_of_its_levels_stays_true(flat: Slide) -> None:
    shown = zoomable(flat, SIZES)
    assert flat.info.levels == 1
    assert shown.info.level_sizes_hw == (SIZE, (251, 376), (63, 94))
    assert shown.info.factors_yx == ((1, 1), (4, 4), (16, 16))
    assert shown.info.size_hw == SIZE


@pytest.mark.parametrize("tile", [(64, 64), (80, 48), (32, 1504)])
def test_every_level_is_the_area_mean(tmp_path: Path, paint, tile: tuple[int, int]) -> None:
    pixels = paint(*SIZE)
    with open_slide(flat_path(tmp_path, pixels, tile)) as slide:
        shown = made(slide)
        for level, factor in ((1, 4), (2, 16)):
            whole = shown.read_region(level, 0, 0, *shown.info.level_sizes_hw[level])
            assert np.abs(whole - area_mean(pixels, factor)).max() < 1
        np.testing.assert_array_equal(shown.read_region(0, 300, 500, 90, 80), pixels[300:390, 500:580])


def test_it_fills_in_what_is_on_screen_first(flat: Slide, paint) -> None:
    gate = Gate(flat)
    shown = zoomable(flat, SIZES)
    assert isinstance(shown, ZoomableSlide)
    shown.look_at((600, 1100, 700, 1200))
    some = threading.Event()
    shown.on_news(some.set)
    live = shown.live(2)
    # At once, whatever the tiles take: neither glass nor black.
    assert (live == NOT_MADE_RGB).all()
    gate.tickets.release(64)
    assert some.wait(20)
    assert {(row // 2, column // 2) for row, column in gate.seen[:4]} <= {(4, 8), (4, 9), (5, 8), (5, 9)}
    gate.tickets.release(10_000)
    np.testing.assert_array_equal(made(flat).live(2), live)
    assert np.abs(live - area_mean(paint(*SIZE), 16)).max() < 1


def test_a_level_that_is_not_kept_stays_in_the_bounded_cache(flat: Slide) -> None:
    with open_slide(flat.info.path) as opened:
        cache = TileCache(20_000)
        shown = made(Slide(opened._backend, cache))
        shown.read_region(1, 0, 0, 251, 376)
        assert 0 < cache.nbytes <= 20_000
        assert shown.live(2).nbytes <= SIZES.kept_max_bytes


def test_making_levels_does_not_push_the_view_out_of_the_cache(flat: Slide) -> None:
    with open_slide(flat.info.path) as opened:
        slide = Slide(opened._backend, TileCache(5 * 64 * 64 * 3))
        slide.read_region(0, 0, 0, 128, 128)
        made(slide)
        assert all(slide.is_at_hand(0, row, column) for row in (0, 1) for column in (0, 1))


def test_damage_is_hatched_and_reported_once(tmp_path: Path, paint) -> None:
    path = flat_path(tmp_path, paint(*SIZE))
    with tifffile.TiffFile(path) as tiff:
        index = 3 * 24 + 5
        start, count = tiff.pages.first.dataoffsets[index], tiff.pages.first.databytecounts[index]
    with path.open("r+b") as handle:
        handle.seek(start)
        handle.write(bytes(count))
    for _ in range(2):
        reports: list[object] = []
        with open_slide(path) as slide:
            slide.on_unreadable(reports.append)
            shown = made(slide)
            for level, factor in ((1, 4), (2, 16)):
                region = shown.read_region(level, 192 // factor, 320 // factor, 64 // factor, 64 // factor)
                assert {tuple(c) for c in region.reshape(-1, 3).tolist()} <= {STRIPE_RGB, BETWEEN_RGB}
            shown.read_region(0, 0, 0, *SIZE)
            assert [r.bounds_yxyx for r in reports] == [(192, 320, 256, 384)]


def test_closing_stops_the_work(flat: Slide) -> None:
    gate = Gate(flat)
    shown = zoomable(flat, SIZES)
    assert isinstance(shown, ZoomableSlide)
    shown.on_news(lambda: pytest.fail("the slide is closed"))
    shown.live(2)
    flat.close()
    assert shown.complete
    gate.tickets.release(10_000)
    # All that was under way is over when as many others as there are threads have had their turn.
    for turn in [decoding_pool().submit(lambda: None) for _ in range(40)]:
        turn.result(20)
    assert len(gate.seen) <= 8
    assert flat.unreadable == ()
    assert shown.glimpse(50) is None


def test_colours_come_to_srgb_in_their_own_levels(flat: Slide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slide, "_srgb", lambda self: lambda tile: 255 - tile)
    flat._backend.info = replace(flat.info, icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    shown = made(Slide(flat._backend, TileCache()))
    before = shown.live(2).copy()
    done = threading.Event()
    shown.on_news(lambda: done.set() if shown.complete else None)
    inverted = shown.live(2, icc=True)
    assert shown.complete or done.wait(20)
    assert np.abs(inverted.astype(int) - (255 - before.astype(int))).max() <= 1
    np.testing.assert_array_equal(shown.live(2), before)


def test_the_small_image_is_of_the_whole_slide(flat: Slide) -> None:
    shown = made(flat)
    glimpse = shown.glimpse(50)
    assert glimpse is not None
    assert max(glimpse.shape) <= 50
    assert np.abs(thumbnail(shown, 60).astype(int) - thumbnail(flat, 60)).mean() < 3
