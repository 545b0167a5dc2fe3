"""The slides of an export, open for as long as something of them is still to be written."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path

from napari_cyto.slides import Slide, TileCache, UnreadableTile, open_slide

_KEPT_BYTES = 128 * 2**20
"""Of tiles, for pieces that share them: a row of slices across a large slide is about 80 MB."""


class OpenSlides:
    """Each slide is opened for its first piece and closed after its last; safe for use from several threads.

    Parameters
    ----------
    unreadable : list of UnreadableTile
        Gets each damaged tile that is met.
    """

    def __init__(self, unreadable: list[UnreadableTile]) -> None:
        self._unreadable = unreadable
        self._open: dict[str, Slide] = {}
        self._done: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        # Not the one of the window: a folder of small fields would push out all that is there, and fill it.
        self._tiles = TileCache(_KEPT_BYTES)

    def get(self, slide_id: str, path: Path) -> Slide:
        """Return a slide, opened where it is not."""
        with self._lock_of(slide_id):
            if slide_id not in self._open:
                slide = open_slide(path, self._tiles)
                slide.on_unreadable(self._unreadable.append)
                self._open[slide_id] = slide
            return self._open[slide_id]

    def one_done(self, slide_id: str, pieces: int) -> None:
        """Note that one of the ``pieces`` of a slide is written; the last one closes it."""
        with self._lock_of(slide_id):
            self._done[slide_id] += 1
            if self._done[slide_id] == pieces and slide_id in self._open:
                self._open.pop(slide_id).close()

    def close(self) -> None:
        """Close what is open."""
        for slide in self._open.values():
            slide.close()

    def _lock_of(self, slide_id: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(slide_id, threading.Lock())
