"""The pixels of the second view, read in a thread from a file that it opens for itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_cyto.domain.geometry import YX, YXYX
from napari_cyto.errors import CytoError
from napari_cyto.slides import Slide, open_slide
from napari_cyto.slides.backend import RGB
from napari_cyto.slides.scaled_read import read_scaled
from napari_cyto.slides.synthetic_levels import ZoomableSlide, zoomable

# As much is read round a view, of its size, so that a small move shows no gap until the next read.
_MARGIN = 0.15
# The same scale, though it was rounded on its way.
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class ViewRequest:
    """What is to be read.

    Parameters
    ----------
    path : Path
        The slide's file.
    centre_yx : tuple of float or None
        The middle of the view, level-0 px; None for the middle of what was scanned.
    level0_per_px : float
        How many level-0 px a px of the screen covers.
    size_px : tuple of float
        Height and width round which pixels are needed, px of the screen.
    """

    path: Path
    centre_yx: YX | None
    level0_per_px: float
    size_px: YX


@dataclass(frozen=True, slots=True)
class Read:
    """What was read.

    Parameters
    ----------
    path : Path
        The slide's file.
    size_hw : tuple of int
        Height and width of its level 0, px.
    centre_yx : tuple of float
        The middle of the view that was requested, level-0 px.
    bounds_yxyx : tuple of float
        What the pixels cover, level-0 px.
    pixels : ndarray
        uint8 RGB, ``(height, width, 3)``.
    damaged : int
        How many tiles in it cannot be read and are hatched.
    """

    path: Path
    size_hw: tuple[int, int]
    centre_yx: YX
    bounds_yxyx: YXYX
    pixels: RGB
    damaged: int


@dataclass(frozen=True, slots=True)
class NotRead:
    """Why there are no pixels of a file, as a sentence."""

    path: Path
    why: str


class SecondPixels:
    """Reads one slide at a time; all of it but `close` is called by one thread.

    Parameters
    ----------
    news : callable
        Called in a thread when coarse levels that the file lacks were made, so that reading again shows more.
    """

    def __init__(self, news: Callable[[], None]) -> None:
        self._news = news
        self._slide: Slide | None = None
        self._path: Path | None = None
        self._stop_news: Callable[[], object] = lambda: None

    def close(self) -> None:
        """Let go of the file."""
        self._stop_news()
        self._stop_news = lambda: None
        slide, self._slide, self._path = self._slide, None, None
        if slide is not None:
            slide.close()

    def read(self, request: ViewRequest) -> Read | NotRead:
        """Return the pixels of a view, in px of the screen or, nearer than the slide was scanned, of the slide."""
        try:
            return _read(self._opened(request.path), request)
        except (CytoError, OSError) as error:
            return NotRead(request.path, str(error))

    def _opened(self, path: Path) -> Slide:
        if self._slide is None or path != self._path:
            self.close()
            slide = open_slide(path)
            shown = zoomable(slide)
            if isinstance(shown, ZoomableSlide):
                self._stop_news = shown.on_news(self._news)
            self._slide, self._path = slide, path
        return zoomable(self._slide)


def _read(slide: Slide, request: ViewRequest) -> Read:
    info = slide.info
    centre = request.centre_yx
    if centre is None:
        y0, x0, y1, x1 = info.bounds_yxyx or (0, 0, info.height, info.width)
        centre = ((y0 + y1) / 2, (x0 + x1) / 2)
    # Nearer than scanned, the slide's own px are read, and grow as they are drawn.
    step = max(request.level0_per_px, 1.0)
    half = [length * request.level0_per_px * (1 + 2 * _MARGIN) / 2 for length in request.size_px]
    low = [max(math.floor((c - h) / step), 0) for c, h in zip(centre, half, strict=True)]
    ends = (math.ceil(info.height / step), math.ceil(info.width / step))
    high = [min(math.ceil((c + h) / step), end) for c, h, end in zip(centre, half, ends, strict=True)]
    # Beyond the slide there is nothing to read; one px keeps the shape of what is handed over.
    height, width = (max(b - a, 1) for a, b in zip(low, high, strict=True))
    factors = info.factors_yx
    level = max(k for k in range(info.levels) if k == 0 or max(factors[k]) <= step * (1 + _SAME))
    fy, fx = factors[level]
    pixels = read_scaled(
        lambda y, x, h, w: slide.read_region(level, y, x, h, w), (step / fy, step / fx), low[0], low[1], height, width
    )
    bounds = (low[0] * step, low[1] * step, (low[0] + height) * step, (low[1] + width) * step)
    damaged = len(slide.unreadable_in(bounds, level))
    return Read(request.path, (info.height, info.width), centre, bounds, pixels, damaged)
