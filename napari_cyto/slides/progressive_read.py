"""Read a view without making its thread wait: what is not decoded in time is shown coarser, then sharp."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from napari_cyto.slides.backend import RGB
from napari_cyto.slides.slide import DECODING_THREADS, Slide, decoding_pool

PATIENCE_S = 0.003
# For a view whose tiles are under way already: less than it takes to draw it coarser and then once more.
EXPECTED_S = 0.02
# What a 256 px JPEG tile takes at best (measured): a view that lacks too many need not wait to learn it.
_TILE_S = 0.00075
# Enlarging more than this shows nothing that helps.
_WORTH_PX = 8

View: TypeAlias = tuple[int, int, int, int, int]
"""Level, y0, x0, height, width, px of that level."""


@dataclass(slots=True)
class _TileRequest:
    """The tiles that one view still lacks; a newer view makes it stale."""

    view: View
    icc: bool
    places: deque[tuple[int, int]]
    open: int
    done: threading.Event = field(default_factory=threading.Event)
    late: bool = False
    stale: bool = False


class PatientReader:
    """Reads views of one slide for a thread that must not be held up for long.

    Parameters
    ----------
    slide : Slide
        Where the pixels come from.
    on_sharp : callable
        Called in a decoding thread when all tiles of the latest view are at hand after it was given coarser:
        reading it again then gives its true pixels.
    patience_s : float
        How long a read may wait for tiles to be decoded, s; of an expected view at least `EXPECTED_S`.
    """

    def __init__(self, slide: Slide, on_sharp: Callable[[], None], patience_s: float = PATIENCE_S) -> None:
        self.slide = slide
        self.patience_s = patience_s
        self._on_sharp = on_sharp
        self._request: _TileRequest | None = None
        self._ahead: _TileRequest | None = None
        self._finished: View | None = None
        self._lock = threading.Lock()

    @property
    def sharp(self) -> bool:
        """Whether the latest view was given with its true pixels."""
        return self._request is None

    def expect(self, level: int, y0: int, x0: int, height: int, width: int, icc: bool = False) -> None:
        """Have the tiles of a view decoded that will be read next, as it is then asked for."""
        view = (level, y0, x0, height, width)
        self._drop_request()
        missing = self._missing(view, icc)
        if missing:
            self._send(view, missing, icc)

    def foresee(self, level: int, y0: int, x0: int, height: int, width: int, icc: bool = False) -> None:
        """Have the tiles of a view decoded that may be asked for later, after those of the latest view."""
        view = (level, y0, x0, height, width)
        self._drop_ahead()
        missing = self._missing(view, icc)
        if missing:
            self._ahead = self._start(view, missing, icc)

    def read(self, level: int, y0: int, x0: int, height: int, width: int, icc: bool = False) -> RGB:
        """Return a box of a level as `Slide.read_region` does, or coarser where that would take too long."""
        view = (level, y0, x0, height, width)
        expected = self._request
        if expected is not None and (expected.view, expected.icc) != (view, icc):
            self._drop_request()
            expected = None
        missing = self._missing(view, icc)
        coarser = self._coarser(view, icc) if missing else None
        # A view that was waited for once and is lacking again has more tiles than the cache can hold.
        if not missing or coarser is None or view == self._finished:
            self._drop_request()
            return self.slide.read_region(*view, icc)
        patience_s = self.patience_s if expected is None else max(self.patience_s, EXPECTED_S)
        hopeful = len(missing) * _TILE_S <= patience_s * DECODING_THREADS
        request = expected or self._send(view, missing, icc)
        if request.done.wait(patience_s if hopeful else 0.0) or not self._is_late():
            self._drop_request()
            return self.slide.read_region(*view, icc)
        out = self._enlarged(view, coarser, icc)
        for place in self.slide.tiles_in(*view):
            if self.slide.is_at_hand(level, *place, icc):
                self.slide.paste_tile(out, (y0, x0), level, place, icc)
        return out

    def _missing(self, view: View, icc: bool) -> list[tuple[int, int]]:
        return [p for p in self.slide.tiles_in(*view) if not self.slide.is_at_hand(view[0], *p, icc)]

    def _send(self, view: View, missing: list[tuple[int, int]], icc: bool) -> _TileRequest:
        # What is wanted now is not to stand behind what may be wanted later.
        self._drop_ahead()
        request = self._request = self._start(view, missing, icc)
        return request

    def _start(self, view: View, missing: list[tuple[int, int]], icc: bool) -> _TileRequest:
        workers = min(DECODING_THREADS, len(missing))
        request = _TileRequest(view, icc, deque(missing), workers)
        for _ in range(workers):
            decoding_pool().submit(self._run, request, icc)
        return request

    def _run(self, request: _TileRequest, icc: bool) -> None:
        try:
            while not request.stale and not self.slide.closed:
                try:
                    place = request.places.popleft()
                except IndexError:
                    break
                self.slide.read_tile(request.view[0], *place, icc)
        finally:
            self._finish(request)

    def _finish(self, request: _TileRequest) -> None:
        with self._lock:
            request.open -= 1
            if request.open:
                return
            request.done.set()
            report = request.late and not request.stale
            if report:
                self._finished = request.view
        if report:
            self._on_sharp()

    def _is_late(self) -> bool:
        """Ask to be told when the errand is done; False when it just was."""
        with self._lock:
            if self._request is None or self._request.done.is_set():
                return False
            self._request.late = True
            return True

    def _drop_request(self) -> None:
        with self._lock:
            if self._request is not None:
                self._request.stale = True
            self._request = None

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.stale = True
        self._ahead = None

    def _coarser(self, view: View, icc: bool) -> int | None:
        """Return the finest coarser level that is at hand for a view, else the coarsest that shows something."""
        levels = range(view[0] + 1, self.slide.info.levels)
        boxes = {k: self._box(view, k) for k in levels}
        for k, box in boxes.items():
            if all(self.slide.is_at_hand(k, *place, icc) for place in self.slide.tiles_in(k, *box)):
                return k
        useful = [k for k, box in boxes.items() if min(box[2:]) >= _WORTH_PX]
        # One or two tiles are soon decoded; a view of more of them would be no quicker than the true one.
        return next((k for k in reversed(useful) if len(self.slide.tiles_in(k, *boxes[k])) <= 2), None)

    def _box(self, view: View, coarser: int) -> tuple[int, int, int, int]:
        level, y0, x0, height, width = view
        (fy, fx), (cy, cx) = self.slide.info.factors_yx[level], self.slide.info.factors_yx[coarser]
        top, left = int(np.floor(y0 * fy / cy)), int(np.floor(x0 * fx / cx))
        bottom, right = int(np.ceil((y0 + height) * fy / cy)), int(np.ceil((x0 + width) * fx / cx))
        return (top, left, bottom - top, right - left)

    def _enlarged(self, view: View, coarser: int, icc: bool) -> RGB:
        level, y0, x0, height, width = view
        (fy, fx), (cy, cx) = self.slide.info.factors_yx[level], self.slide.info.factors_yx[coarser]
        box = self._box(view, coarser)
        small = self.slide.read_region(coarser, *box, icc)
        rows = ((np.arange(height) + y0 + 0.5) * fy / cy).astype(np.intp) - box[0]
        columns = ((np.arange(width) + x0 + 0.5) * fx / cx).astype(np.intp) - box[1]
        # Across first, while there are few rows: then each row is one copy.
        return small.take(columns, axis=1).take(rows, axis=0)
