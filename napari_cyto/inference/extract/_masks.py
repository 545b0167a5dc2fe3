"""The mask of the first step, window by window: outlined nuclei, or all that is stained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu

from napari_cyto.domain.geometry import YX, pixels_in_outline
from napari_cyto.formats.apacc.names import SLICE_SIDE
from napari_cyto.inference.extract._steps import Mask
from napari_cyto.slides.pixel_source import Pixels
from napari_cyto.slides.scaled_read import read_scaled
from napari_cyto.slides.stain import Stain

# A function without types of its own.
_otsu: Callable[..., float] = threshold_otsu

Window = tuple[int, int, int, int]
"""Top, left, height and width, px of the mask, which begin at the slide's corner."""

Corner = tuple[int, int]

_SMOOTH_UM = 0.7
_OPENED_UM = 1.5
# Optical density, so that blank glass has no cells and a slide full of cells is not halved by Otsu's threshold.
_LEAST_DENSITY, _MOST_DENSITY = 0.05, 0.35
_GLASS_SHARE = 0.95


class MaskSource(Protocol):
    """Where the mask of a slide comes from."""

    def corners(self, size_hw: tuple[int, int]) -> Iterator[Corner]:
        """Yield the slices with something in the mask: their corners ``(y0, x0)``, level-0 px."""
        ...

    def mask(self, window: Window) -> Mask:
        """Return the mask in a window."""
        ...


class NucleiMask:
    """The union of the outlines of nuclei.

    Parameters
    ----------
    rings_yx : sequence
        Rings, level-0 px.
    step_px : float
        Level-0 px per px of the mask.
    """

    def __init__(self, rings_yx: Sequence[tuple[YX, ...]], step_px: float) -> None:
        self._rings = [np.asarray(ring, np.float64) / step_px for ring in rings_yx]
        self._step_px = step_px
        low = [ring.min(axis=0) for ring in self._rings]
        high = [ring.max(axis=0) for ring in self._rings]
        self._boxes = np.concatenate([np.array(low).reshape(-1, 2), np.array(high).reshape(-1, 2)], axis=1)

    def corners(self, size_hw: tuple[int, int]) -> Iterator[Corner]:
        """Yield the slices with a nucleus: their corners ``(y0, x0)``, level-0 px."""
        first = np.floor(self._boxes[:, :2] * self._step_px / SLICE_SIDE).astype(int)
        last = np.floor(self._boxes[:, 2:] * self._step_px / SLICE_SIDE).astype(int)
        met = {
            (row * SLICE_SIDE, column * SLICE_SIDE)
            for (top, left), (bottom, right) in zip(first.tolist(), last.tolist(), strict=True)
            for row in range(max(top, 0), bottom + 1)
            for column in range(max(left, 0), right + 1)
        }
        yield from sorted(c for c in met if c[0] < size_hw[0] and c[1] < size_hw[1])

    def mask(self, window: Window) -> Mask:
        """Return the mask in a window."""
        top, left, height, width = window
        out = np.zeros((height, width), np.bool_)
        b = self._boxes
        met = (b[:, 0] < top + height) & (b[:, 2] > top) & (b[:, 1] < left + width) & (b[:, 3] > left)
        for place in np.flatnonzero(met).tolist():
            low = np.maximum(np.floor(b[place, :2]).astype(int), (top, left))
            high = np.minimum(np.ceil(b[place, 2:]).astype(int), (top + height, left + width))
            if (high <= low).any():
                continue
            (y0, x0), (rows, columns) = low.tolist(), (high - low).tolist()
            ring = tuple((float(y), float(x)) for y, x in self._rings[place])
            within = pixels_in_outline(ring, (y0, x0), (rows, columns))
            out[y0 - top : y0 - top + rows, x0 - left : x0 - left + columns] |= within
        return out


class StainMask:
    """All that is stained, by Otsu's threshold on the optical density of each window.

    Parameters
    ----------
    pixels : Pixels
        Of the slide.
    stain : Stain
        Where the slide may hold anything.
    um_per_px, step_px : float
        µm, and level-0 px, per px of the mask.

    Source: N. Otsu, IEEE Trans. SMC 9 (1979) 62.
    """

    def __init__(self, pixels: Pixels, stain: Stain, um_per_px: float, step_px: float) -> None:
        self._stain, self._um = stain, um_per_px
        fits = [n for n, factors in enumerate(pixels.factors_yx) if max(factors) <= step_px * 1.001]
        level = max(fits, key=lambda n: max(pixels.factors_yx[n]), default=0)
        fy, fx = pixels.factors_yx[level]
        self._read = partial(read_scaled, partial(pixels.read, level), (step_px / fy, step_px / fx))
        self._pixels, self._level, self._step_px = pixels, level, step_px

    def corners(self, size_hw: tuple[int, int]) -> Iterator[Corner]:
        """Yield the slices with something stained: their corners ``(y0, x0)``, level-0 px."""
        for y0 in range(0, size_hw[0], SLICE_SIDE):
            for x0 in range(0, size_hw[1], SLICE_SIDE):
                if self._stain.within((y0, x0, y0 + SLICE_SIDE, x0 + SLICE_SIDE)):
                    yield (y0, x0)

    def mask(self, window: Window) -> Mask:
        """Return the mask in a window."""
        rgb = self._read(*window).astype(np.float32)
        smooth = ndimage.gaussian_filter(rgb, (_SMOOTH_UM / self._um, _SMOOTH_UM / self._um, 0))
        glass = np.quantile(smooth.reshape(-1, 3), _GLASS_SHARE, axis=0)
        density = np.abs(np.log10((glass + 1) / (smooth + 1))).max(axis=-1)
        if np.ptp(density) < _LEAST_DENSITY:
            return np.zeros(density.shape, np.bool_)
        least = float(np.clip(_otsu(density), _LEAST_DENSITY, _MOST_DENSITY))
        steps = max(1, round(_OPENED_UM / self._um))
        found: npt.NDArray[np.bool_] = ndimage.binary_opening(density > least, iterations=steps)
        filled = np.asarray(ndimage.binary_fill_holes(found), np.bool_)
        self._clear_damage(filled, window)
        return filled

    def _clear_damage(self, mask: Mask, window: Window) -> None:
        """Take away what the file no longer holds: what is drawn in its place is no cell."""
        top, left, height, width = window
        ends = (top, left, top + height, left + width)
        y0, x0, y1, x1 = (v * self._step_px for v in ends)
        for box in self._pixels.damage(self._level, (y0, x0, y1, x1)):
            low = [max(int(v // self._step_px) - o, 0) for v, o in zip(box[:2], (top, left), strict=True)]
            high = [max(int(-(-v // self._step_px)) - o, 0) for v, o in zip(box[2:], (top, left), strict=True)]
            mask[low[0] : high[0], low[1] : high[1]] = False
