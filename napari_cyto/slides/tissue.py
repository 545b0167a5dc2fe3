"""Where on the glass the cells are, judged at low power."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu

from napari_cyto.slides.backend import RGB
from napari_cyto.slides.slide import Slide
from napari_cyto.slides.stain import Stain

_BAND_PX = 2048
_MOST_AT_ONCE_PX = 4 * _BAND_PX**2
_BAND_ROWS, _BANDS_AT_ONCE = 128, 4
# Four standard deviations, as far as SciPy reaches by itself.
_SMOOTH_PX, _SMOOTH_REACH_PX = 1.5, 6
# Staining is at least this far from grey, 0 to 1; the noise of a camera on blank glass stays below.
_MIN_CHROMA = 0.05
_DARKEST_SPREAD = 0.12
# Felt pens are far more saturated, or blacker, than any stain seen through a microscope at low power.
_INK_SATURATION = 0.8
_INK_VALUE = 0.18
_SMALLEST_SHARE = 2e-5
# One px, grown by 2, is 13: too little to tell from noise.
_SMALLEST_PX = 16.0

_otsu: Callable[[npt.NDArray[np.float32]], float] = threshold_otsu


def thumbnail(slide: Slide, max_px: int = 1024) -> RGB:
    """Return the whole slide, uint8 RGB, its longer side at most ``max_px`` px, in bounded memory.

    Pixel ``(i, j)`` of ``(h, w)`` covers the level-0 box from ``i / h * height`` to ``(i + 1) / h * height``,
    and likewise across.
    """
    info = slide.info
    scale = min(1.0, max_px / max(info.size_hw))
    out_h, out_w = (max(1, round(length * scale)) for length in info.size_hw)
    level = max((k for k, (h, w) in enumerate(info.level_sizes_hw) if h >= out_h and w >= out_w), default=0)
    height, width = info.level_sizes_hw[level]
    fy, fx = info.factors_yx[level]
    # What a truncated level leaves out at its far edges is missing from the file; the picture ends there too.
    covered_h, covered_w = min(height * fy, info.height), min(width * fx, info.width)
    out = np.zeros((out_h, out_w, 3), np.uint8)
    rows = max(1, _BAND_PX * _BAND_PX // max(1, width) * out_h // height)
    # Of an image of a million px across, even the rows that one px of the picture covers are too many at once.
    columns = max(1, min(out_w, _MOST_AT_ONCE_PX * out_w * out_h // (width * height * rows)))
    for top in range(0, out_h, rows):
        down = _Stretch.of(top, min(out_h, top + rows), out_h, info.height / fy, covered_h / fy, height)
        for left in range(0, out_w, columns):
            across = _Stretch.of(left, min(out_w, left + columns), out_w, info.width / fx, covered_w / fx, width)
            region = Image.fromarray(slide.read_region(level, down.first, across.first, down.length, across.length))
            box = (across.begin, down.begin, across.end, down.end)
            size = (min(columns, out_w - left), min(rows, out_h - top))
            small = region.resize(size, Image.Resampling.BOX, box=box)
            out[top : top + rows, left : left + columns] = np.asarray(small)
    return out


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The px of a level along one axis that some px of a smaller picture cover, and where these begin and end there."""

    first: int
    length: int
    begin: float
    end: float

    @classmethod
    def of(cls, start: int, stop: int, of_px: int, whole: float, covered: float, level_px: int) -> _Stretch:
        begin, end = start / of_px * whole, stop / of_px * whole
        first = min(int(begin), level_px - 1)
        length = max(1, min(level_px, int(np.ceil(end))) - first)
        return cls(first, length, min(begin - first, length - 1e-6), min(end, covered, first + length) - first)


def tissue_mask(slide: Slide, max_px: int = 1024) -> npt.NDArray[np.bool_]:
    """Return where stained material lies, bool ``(h, w)`` over the whole slide, longer side ``max_px`` px.

    Glass is judged by the slide itself (Otsu's threshold on chroma and darkness) but never below a floor, so that
    blank glass has none; pen marks and padding do not count.

    Source: N. Otsu, IEEE Trans. SMC 9 (1979) 62, for the threshold; the floors are ours, from Pap smears.
    """
    return mask_of(thumbnail(slide, max_px))


def mask_of(rgb: RGB) -> npt.NDArray[np.bool_]:
    """Return where stained material lies in a low-power picture, uint8 RGB ``(h, w, 3)``."""
    padding, inky, mean, chroma, smooth_mean = _looked_at(rgb)
    usable = ~padding & ~_ink(inky)
    if not usable.any():
        return np.zeros(rgb.shape[:2], bool)
    glass = np.quantile(mean[usable], 0.95)
    darkness = (glass - smooth_mean) * _MIN_CHROMA / _DARKEST_SPREAD
    stain = np.where(usable, np.maximum(chroma, darkness), 0)
    values = stain[usable]
    threshold = _MIN_CHROMA
    if values.max() > _MIN_CHROMA and np.ptp(values) > 1e-3:
        # Otsu halves a slide that is all tissue as well: the floor's triple bounds it from above.
        threshold = float(np.clip(_otsu(values), _MIN_CHROMA, 3 * _MIN_CHROMA))
    found = (stain > threshold) & usable
    return np.asarray(found & _large(found, _SMALLEST_SHARE), bool)


def with_lone_cells(rgb: RGB, stain: Stain, size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return where stained material lies in a low-power picture of a slide, lone cells too.

    `mask_of` alone sees what is as large as a px of the picture, on a whole slide far more than a cell; what stands out
    at 2 µm per px is added, but for pen marks and what was not scanned.

    Parameters
    ----------
    rgb : ndarray, uint8 (h, w, 3)
        The whole slide.
    stain : Stain
        What `look_over` found on it.
    size_hw : tuple of int
        The slide's height and width, level-0 px.
    """
    padding, inky, *_ = _looked_at(rgb)
    lone = stain.over((rgb.shape[0], rgb.shape[1]), size_hw) & ~padding & ~_ink(inky)
    return np.asarray(mask_of(rgb) | lone, bool)


def _ink(inky: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    return grown(inky & _large(inky, 1e-3), 4) if inky.any() else inky


def _looked_at(rgb: RGB) -> list[npt.NDArray[Any]]:
    """Return where padding and where ink may be, the mean of the colours, and their spread and mean when smoothed.

    Band by band: what is looked at then stays in the processor's cache, and cores share the work.
    """
    height = len(rgb)

    def band(top: int) -> tuple[npt.NDArray[Any], ...]:
        first, bottom = max(top - _SMOOTH_REACH_PX, 0), min(top + _BAND_ROWS, height)
        part = rgb[first : min(bottom + _SMOOTH_REACH_PX, height)]
        # Planes of their own: numpy goes along a last axis of three many times more slowly.
        planes = np.moveaxis(part, -1, 0).astype(np.float32, order="C") / 255
        high, low = planes.max(0), planes.min(0)
        padding = (low >= 254.5 / 255) | (high <= 2 / 255)
        saturation = (high - low) / np.maximum(high, 1 / 255)
        inky = ~padding & ((saturation > _INK_SATURATION) | (high < _INK_VALUE))
        mean = planes.mean(0)
        # Smoothed first: the grain of a camera is coloured, its mean is not.
        smooth = ndimage.gaussian_filter(planes, (0, _SMOOTH_PX, _SMOOTH_PX), radius=(0, *[_SMOOTH_REACH_PX] * 2))
        rows = slice(top - first, bottom - first)
        return tuple(each[rows] for each in (padding, inky, mean, np.ptp(smooth, axis=0), smooth.mean(0)))

    with ThreadPoolExecutor(min(_BANDS_AT_ONCE, os.cpu_count() or 1)) as pool:
        bands = list(pool.map(band, range(0, height, _BAND_ROWS)))
    return [np.concatenate(each) for each in zip(*bands, strict=True)]


def grown(mask: npt.NDArray[np.bool_], steps: int) -> npt.NDArray[np.bool_]:
    """Return a mask grown by ``steps`` px up, down and sideways; SciPy's dilation takes eight times as long."""
    for _ in range(steps):
        mask = spread(mask, 0) | spread(mask, 1)
    return mask


def spread(mask: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.bool_]:
    """Return a mask grown by a px both ways along an axis."""
    larger = mask.copy()
    before, after = np.moveaxis(mask, axis, 0), np.moveaxis(larger, axis, 0)
    after[1:] |= before[:-1]
    after[:-1] |= before[1:]
    return larger


def tissue_bounds_yxyx(slide: Slide, max_px: int = 1024) -> tuple[int, int, int, int] | None:
    """Return the box around the stained material, level-0 px, or None when the glass is blank."""
    mask = tissue_mask(slide, max_px)
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not ys.size:
        return None
    sy, sx = slide.info.height / mask.shape[0], slide.info.width / mask.shape[1]
    return (int(ys[0] * sy), int(xs[0] * sx), int(np.ceil((ys[-1] + 1) * sy)), int(np.ceil((xs[-1] + 1) * sx)))


def _large(mask: npt.NDArray[np.bool_], share: float) -> npt.NDArray[np.bool_]:
    """Return the parts of a mask (grown by 2 px) that belong to pieces of at least ``share`` of the picture."""
    labels, count = ndimage.label(grown(mask, 2))
    if not count:
        return np.zeros_like(mask)
    areas = np.bincount(labels.ravel())
    keep = areas >= max(_SMALLEST_PX, share * mask.size)
    keep[0] = False
    return np.asarray(keep[labels], bool)
