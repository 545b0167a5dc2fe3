"""Guards that the cache is bounded, shared safely between threads, and keeps no failures."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from napari_cyto.slides import TileCache, open_slide
from napari_cyto.slides.slide import Slide


def tile(value: int, nbytes: int = 100) -> np.ndarray:
    return np.full(nbytes, value, np.uint8)


def test_the_least_recently_used_goes_first() -> None:
    cache = TileCache(250)
    cache.get("a", lambda: tile(1))
    cache.get("b", lambda: tile(2))
    cache.get("a", lambda: pytest.fail("kept"))
    cache.get("c", lambda: tile(3))
    assert cache.peek("b") is None
    assert cache.peek("a") is not None
    assert cache.nbytes == 200


def test_tiles_are_shared_and_so_read_only() -> None:
    kept = TileCache().get("a", lambda: tile(1))
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 2


def test_a_failure_is_not_kept() -> None:
    cache = TileCache()

    def fail() -> np.ndarray:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        cache.get("a", fail)
    assert cache.get("a", lambda: tile(5))[0] == 5


def test_a_smaller_bound_drops_tiles_at_once() -> None:
    cache = TileCache(1000)
    for key in range(10):
        cache.get(key, lambda: tile(0))
    cache.resize(300)
    assert (len(cache), cache.nbytes) == (3, 300)
    cache.get("huge", lambda: tile(0, 301))
    assert cache.peek("huge") is None
    cache.clear()
    assert cache.nbytes == 0


def test_two_threads_decode_a_tile_once() -> None:
    cache, started, go, decoded = TileCache(), threading.Event(), threading.Event(), []

    def decode() -> np.ndarray:
        started.set()
        go.wait(10)
        decoded.append(1)
        return tile(7)

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.get, "a", decode)
        started.wait(10)
        others = [pool.submit(cache.get, "a", decode) for _ in range(3)]
        go.set()
        assert {int(f.result(10)[0]) for f in [first, *others]} == {7}
    assert len(decoded) == 1


def test_many_threads_read_right_pixels_from_a_tiny_cache(pyramid_path: Path) -> None:
    with open_slide(pyramid_path) as plain:
        whole = plain.read_region(0, 0, 0, 1503, 2101)
        slide = Slide(plain._backend, TileCache(20 * 128 * 128 * 3))
        rng = np.random.default_rng(0)
        boxes = rng.integers(0, 1200, (120, 2))

        def same(box: np.ndarray) -> bool:
            y, x = int(box[0]), int(box[1])
            return bool((slide.read_region(0, y, x, 300, 400) == whole[y : y + 300, x : x + 400]).all())

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(same, boxes))
        assert slide._cache.nbytes <= slide._cache.max_bytes
