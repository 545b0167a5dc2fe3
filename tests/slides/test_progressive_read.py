"""Guards that a slow tile does not hold up the window, and that what is shown becomes the true pixels."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_cyto.slides import TileCache, open_slide
from napari_cyto.slides import progressive_read as patience
from napari_cyto.slides.progressive_read import PatientReader
from napari_cyto.slides.slide import Slide

VIEW = (0, 300, 500, 400, 600)


class Gate:
    """Holds back level 0 until it is opened."""

    def __init__(self, slide: Slide) -> None:
        self.open = threading.Event()
        self._decode = slide._backend.decode_tile
        slide._backend.decode_tile = self.decode  # type: ignore[method-assign]

    def decode(self, level: int, row: int, column: int) -> np.ndarray:
        if level == 0:
            assert self.open.wait(20)
        return self._decode(level, row, column)


@pytest.fixture
def slide(pyramid_path: Path) -> Iterator[Slide]:
    with open_slide(pyramid_path) as opened:
        yield Slide(opened._backend, TileCache())


def true_pixels(path: Path, view: tuple[int, int, int, int, int] = VIEW) -> np.ndarray:
    with open_slide(path) as opened:
        return Slide(opened._backend, TileCache()).read_region(*view)


def test_what_is_quick_is_sharp_at_once(slide: Slide, pyramid_path: Path) -> None:
    reader = PatientReader(slide, lambda: pytest.fail("there is no news"), patience_s=20)
    np.testing.assert_array_equal(reader.read(*VIEW), true_pixels(pyramid_path))
    assert reader.sharp


def test_what_is_slow_is_coarse_first_then_sharp(slide: Slide, pyramid_path: Path) -> None:
    expected = true_pixels(pyramid_path)
    gate, news = Gate(slide), threading.Event()
    reader = PatientReader(slide, news.set, patience_s=0.001)
    coarse = reader.read(*VIEW)
    assert not reader.sharp
    assert coarse.shape == expected.shape
    assert (coarse != expected).any()
    # The same picture in the same place, only coarser.
    assert np.abs(coarse.astype(int) - expected).mean() < 12
    gate.open.set()
    assert news.wait(20)
    np.testing.assert_array_equal(reader.read(*VIEW), expected)
    assert reader.sharp


def test_tiles_at_hand_are_sharp_among_coarse_ones(slide: Slide, pyramid_path: Path) -> None:
    expected = true_pixels(pyramid_path)
    slide.read_region(0, 384, 640, 128, 128)
    gate = Gate(slide)
    seen = PatientReader(slide, lambda: None, patience_s=0.001).read(*VIEW)
    np.testing.assert_array_equal(seen[84:212, 140:268], expected[84:212, 140:268])
    gate.open.set()


def test_only_the_latest_view_brings_news(slide: Slide, pyramid_path: Path) -> None:
    gate, news = Gate(slide), []
    reader = PatientReader(slide, lambda: news.append(1), patience_s=0.001)
    for x in (0, 300, 700):
        reader.read(0, 100, x, 300, 300)
    gate.open.set()
    deadline = threading.Event()
    for _ in range(2000):
        if news:
            break
        deadline.wait(0.01)
    deadline.wait(0.05)
    assert len(news) == 1
    np.testing.assert_array_equal(
        reader.read(0, 100, 700, 300, 300), true_pixels(pyramid_path, (0, 100, 700, 300, 300))
    )


def test_a_view_larger_than_the_cache_ends_sharp(pyramid_path: Path) -> None:
    with open_slide(pyramid_path) as opened:
        slide, news = Slide(opened._backend, TileCache(60_000)), threading.Event()
        reader = PatientReader(slide, news.set, patience_s=0)
        reader.read(*VIEW)
        assert reader.sharp or news.wait(20)
        np.testing.assert_array_equal(reader.read(*VIEW), true_pixels(pyramid_path))


def test_without_a_coarser_level_it_waits(plain_path: Path, paint) -> None:
    with open_slide(plain_path) as opened:
        reader = PatientReader(Slide(opened._backend, TileCache()), lambda: None, patience_s=0)
        np.testing.assert_array_equal(reader.read(0, 0, 0, 301, 407), paint(301, 407))


def test_closing_while_tiles_are_decoded_reports_no_damage(slide: Slide) -> None:
    gate = Gate(slide)
    reader = PatientReader(slide, lambda: pytest.fail("the slide is closed"), patience_s=0.001)
    reader.read(*VIEW)
    request = reader._request
    slide.close()
    gate.open.set()
    assert request is not None
    assert request.done.wait(20)
    assert slide.unreadable == ()


def test_what_was_expected_is_sharp_when_it_is_read(slide: Slide, pyramid_path: Path) -> None:
    """Decoded while its reader did something else, and not told of: nobody has seen anything coarser."""
    expected = true_pixels(pyramid_path)
    reader = PatientReader(slide, lambda: pytest.fail("there is no news"), patience_s=0)
    reader.expect(*VIEW)
    assert not reader.sharp
    request = reader._request
    assert request is not None
    assert request.done.wait(20)
    np.testing.assert_array_equal(reader.read(*VIEW), expected)
    assert reader.sharp


def test_what_was_expected_and_is_slow_is_coarse_first_then_sharp(slide: Slide, pyramid_path: Path) -> None:
    expected = true_pixels(pyramid_path)
    gate, news = Gate(slide), threading.Event()
    reader = PatientReader(slide, news.set, patience_s=0.001)
    reader.expect(*VIEW)
    request = reader._request
    assert (reader.read(*VIEW) != expected).any()
    assert reader._request is request, "tiles that are on their way were asked for twice"
    gate.open.set()
    assert news.wait(20)
    np.testing.assert_array_equal(reader.read(*VIEW), expected)


def test_another_view_than_expected_is_read_all_the_same(slide: Slide, pyramid_path: Path) -> None:
    other = (0, 100, 700, 300, 300)
    gate, news = Gate(slide), threading.Event()
    reader = PatientReader(slide, news.set, patience_s=0.001)
    reader.expect(*VIEW)
    reader.read(*other)
    gate.open.set()
    assert news.wait(20)
    np.testing.assert_array_equal(reader.read(*other), true_pixels(pyramid_path, other))


def test_what_was_expected_is_worth_a_wait(slide: Slide, pyramid_path: Path, monkeypatch) -> None:
    """Drawn coarse and then sharp it would be drawn twice, which takes longer than the last tiles."""
    monkeypatch.setattr(patience, "EXPECTED_S", 20)
    reader = PatientReader(slide, lambda: pytest.fail("it was drawn coarse"), patience_s=0)
    reader.expect(*VIEW)
    np.testing.assert_array_equal(reader.read(*VIEW), true_pixels(pyramid_path))


def test_what_was_foreseen_is_at_hand_later_and_nothing_is_reported_of_it(slide: Slide, pyramid_path: Path) -> None:
    ahead = (0, 100, 700, 300, 300)
    reader = PatientReader(slide, lambda: pytest.fail("nobody looks at it yet"), patience_s=20)
    reader.read(*VIEW)
    reader.foresee(*ahead)
    request = reader._ahead
    assert request is not None
    assert request.done.wait(20)
    assert reader.sharp, "what is on screen lacks nothing"
    assert all(slide.is_at_hand(0, *place) for place in slide.tiles_in(*ahead))
    np.testing.assert_array_equal(reader.read(*ahead), true_pixels(pyramid_path, ahead))


def test_what_was_foreseen_stands_back_when_another_view_is_requested(slide: Slide) -> None:
    gate = Gate(slide)
    reader = PatientReader(slide, lambda: None, patience_s=0)
    reader.foresee(0, 0, 0, 1000, 1000)
    request = reader._ahead
    assert request is not None
    reader.expect(*VIEW)
    gate.open.set()
    assert request.done.wait(20)
    assert request.stale
    assert request.places, "tiles that nobody wants now were decoded first"
