"""One bounded cache of decoded tiles for every slide, level and consumer of the process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Tile: TypeAlias = npt.NDArray[np.uint8]

DEFAULT_CACHE_BYTES = 512 * 2**20
PASS_CACHE_BYTES = 64 * 2**20


class TileCache:
    """Least-recently-used tiles, bounded in bytes; safe to use from many threads.

    Two threads that ask for the same missing tile decode it once: the second waits for the first.

    Parameters
    ----------
    max_bytes : int
        Most bytes of pixels that are kept. A single tile larger than that is handed out, but not kept.
    """

    def __init__(self, max_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        if max_bytes < 0:
            raise ValueError(f"Expected a cache of 0 bytes or more, got {max_bytes}.")
        self._max_bytes = max_bytes
        self._bytes = 0
        self._tiles: OrderedDict[Hashable, Tile] = OrderedDict()
        self._under_way: dict[Hashable, threading.Event] = {}
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of pixels kept now."""
        return self._bytes

    @property
    def max_bytes(self) -> int:
        """The bound on ``nbytes``."""
        return self._max_bytes

    def __len__(self) -> int:
        return len(self._tiles)

    def resize(self, max_bytes: int) -> None:
        """Change the bound; tiles beyond it are dropped at once."""
        with self._lock:
            self._max_bytes = max_bytes
            self._shrink()

    def peek(self, key: Hashable) -> Tile | None:
        """Return a kept tile, now the most recently used, or None."""
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
            return tile

    def get(self, key: Hashable, decode: Callable[[], Tile], keep: bool = True) -> Tile:
        """Return the tile under ``key``, from ``decode`` when it is not kept; ``keep`` is whether it is from then on.

        The array is read-only: it is shared. What ``decode`` raises reaches the caller, and nothing is kept.
        """
        while True:
            with self._lock:
                tile = self._tiles.get(key)
                if tile is not None:
                    self._tiles.move_to_end(key)
                    return tile
                other = self._under_way.get(key)
                if other is None:
                    mine = self._under_way[key] = threading.Event()
                    break
            other.wait()
        try:
            tile = decode()
            tile.flags.writeable = False
            if keep:
                self._keep(key, tile)
            return tile
        finally:
            with self._lock:
                del self._under_way[key]
            mine.set()

    def forget(self, belongs: Callable[[Hashable], bool]) -> None:
        """Drop every tile whose key ``belongs``."""
        with self._lock:
            for key in [key for key in self._tiles if belongs(key)]:
                self._bytes -= self._tiles.pop(key).nbytes

    def clear(self) -> None:
        """Drop all tiles."""
        self.forget(lambda _: True)

    def _keep(self, key: Hashable, tile: Tile) -> None:
        with self._lock:
            if tile.nbytes > self._max_bytes:
                return
            self._tiles[key] = tile
            self._bytes += tile.nbytes
            self._shrink()

    def _shrink(self) -> None:
        while self._bytes > self._max_bytes:
            _, dropped = self._tiles.popitem(last=False)
            self._bytes -= dropped.nbytes


def pass_cache() -> TileCache:
    """Return a cache for work that goes once through one of many slides, 64 MiB.

    In the cache that all share, each slide would push out what the window shows, and what nobody asks for again would
    fill it.
    """
    return TileCache(PASS_CACHE_BYTES)


@lru_cache(maxsize=1)
def shared_cache() -> TileCache:
    """Return the cache that all slides of this process share, 512 MiB until resized."""
    return TileCache()
