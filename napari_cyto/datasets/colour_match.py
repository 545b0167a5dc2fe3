"""Colours of a slide brought to those of a picture that the user picked; off unless a model was trained with it.

Source: Reinhard et al. 2001, "Color Transfer between Images", section 2: mean and standard deviation of each channel
are brought to the target's; here in CIE LAB, as stain normalisation does it. The statistics are those of the whole
slide's stained parts rather than of one crop: a crop's own would make each cell as dark as every other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter
from skimage.color import lab2rgb, rgb2lab

from napari_cyto.errors import CytoError
from napari_cyto.slides import Slide, open_slide
from napari_cyto.slides.colour import SrgbTransform
from napari_cyto.slides.tissue import mask_of, thumbnail, tissue_mask

RGB = npt.NDArray[np.uint8]
Lab = npt.NDArray[np.float32]

_REDUCTION = 4
"""Level-0 px per px that is looked at, on a field as on a whole slide: how far colours spread depends on it."""

_WHOLE_PX = 1024
_PLACES = 32
_PLACE_PX = 128
_MIN_SHARE = 0.01
_NODES = 33
"""Of the table through which colours go, along each axis; the mean error between them is below half a grey level."""

_to_lab: Callable[[npt.NDArray[np.float32]], Lab] = rgb2lab
_to_rgb: Callable[[Lab], npt.NDArray[np.float32]] = lab2rgb


class LabStatistics(Protocol):
    """Mean and standard deviation of L, a and b of a picture, as a bundle keeps them too."""

    @property
    def mean_lab(self) -> tuple[float, float, float]:
        """Of L (0 to 100), a and b."""
        ...

    @property
    def std_lab(self) -> tuple[float, float, float]:
        """Of L, a and b."""
        ...


@dataclass(frozen=True, slots=True)
class ColourStatistics:
    """Mean and standard deviation of L, a, b.

    Parameters
    ----------
    mean_lab, std_lab : tuple of float
        L 0 to 100, a and b about -128 to 127.
    picture : str
        The file they are of; its name only.
    """

    mean_lab: tuple[float, float, float]
    std_lab: tuple[float, float, float]
    picture: str = ""


def colour_statistics(rgb: RGB, mask: npt.NDArray[np.bool_] | None = None, picture: str = "") -> ColourStatistics:
    """Return the statistics of a picture.

    Parameters
    ----------
    rgb : ndarray, (h, w, 3), uint8, RGB
        The picture.
    mask : ndarray, (h, w), bool, optional
        Which px count; all where none or next to none would.
    picture : str
        Its name.

    Raises
    ------
    CytoError
        When the picture has no px.
    """
    if not rgb.size:
        raise CytoError(f"The image {picture or 'for the colours'} has no pixels; choose another one.")
    pixels = rgb.reshape(-1, 3) if mask is None or mask.mean() < _MIN_SHARE else rgb[mask]
    lab = _to_lab((pixels[None] / np.float32(255)).astype(np.float32))[0].astype(np.float64)
    mean, std = lab.mean(axis=0), lab.std(axis=0)
    return ColourStatistics(_triple(mean), _triple(std), picture)


def slide_statistics(slide: Slide, icc: bool = False) -> ColourStatistics:
    """Return the statistics of the stained parts of a slide, at a quarter of its resolution.

    Parameters
    ----------
    slide : Slide
        The slide or picture.
    icc : bool
        Whether its colours are brought to sRGB first.

    Raises
    ------
    SlideError
        When it cannot be read.
    """
    longer = max(slide.info.size_hw) // _REDUCTION
    small = thumbnail(slide, max(1, longer)) if longer <= _WHOLE_PX else _places(slide)
    mask = mask_of(small)
    if icc and slide.info.icc is not None:
        small = SrgbTransform(slide.info.icc)(small)
    return colour_statistics(small, mask, slide.info.name)


def _places(slide: Slide) -> RGB:
    """Return places spread evenly over the stained parts of a slide, one below the other."""
    mask = tissue_mask(slide)
    found = np.argwhere(mask if mask.any() else ~mask)
    chosen = found[np.linspace(0, len(found) - 1, min(_PLACES, len(found))).astype(np.intp)]
    level = max(n for n, down in enumerate(slide.info.downsamples) if down <= _REDUCTION * 1.001)
    factor_y, factor_x = slide.info.factors_yx[level]
    rows, columns = (round(_PLACE_PX * _REDUCTION / factor) for factor in (factor_y, factor_x))
    places = []
    for y, x in (chosen + 0.5) / mask.shape * slide.info.size_hw:
        top, left = round(y / factor_y) - rows // 2, round(x / factor_x) - columns // 2
        region = Image.fromarray(slide.read_region(level, top, left, rows, columns))
        places.append(np.asarray(region.resize((_PLACE_PX, _PLACE_PX), Image.Resampling.BOX)))
    return np.concatenate(places)


def picked_statistics(path: Path | str, icc: bool = False) -> ColourStatistics:
    """Return the statistics of the picture or slide that the user picked as target.

    Raises
    ------
    SlideError
        When it cannot be opened or read.
    """
    with open_slide(path) as slide:
        found = slide_statistics(slide, icc)
        if slide.unreadable:
            raise CytoError(f"{slide.unreadable[0]}; choose another image as colour target.")
    return found


@dataclass(frozen=True)
class ColourMatch:
    """Takes colours with the statistics ``own`` to those with ``target``, through one table for every px.

    Parameters
    ----------
    own : LabStatistics
        Of the slide whose px are changed.
    target : LabStatistics
        What they are brought to.
    """

    own: LabStatistics
    target: LabStatistics
    _nodes: int = field(default=_NODES, repr=False)

    def exactly(self, rgb: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return ``rgb`` ((h, w, 3), float32, 0 to 1) with each px computed by itself; the table is made of these."""
        mean, std = (np.array(v, dtype=np.float32) for v in (self.own.mean_lab, self.own.std_lab))
        target_mean, target_std = (np.array(v, dtype=np.float32) for v in (self.target.mean_lab, self.target.std_lab))
        # A picture of one colour has nothing to stretch.
        gain = np.where(std > 1e-3, target_std / np.maximum(std, 1e-3), 1).astype(np.float32)
        lab = (_to_lab(rgb.astype(np.float32)) - mean) * gain + target_mean
        lab[..., 0] = np.clip(lab[..., 0], 0, 100)
        # Beyond that b, Z would be negative: no such colour exists, and skimage would warn of it and clip Z as well.
        lab[..., 2] = np.minimum(lab[..., 2], 199.9 * (lab[..., 0] + 16) / 116)
        return np.asarray(np.clip(_to_rgb(lab.astype(np.float32)), 0, 1), dtype=np.float32)

    @cached_property
    def _table(self) -> ImageFilter.Color3DLUT:
        steps = np.linspace(0, 1, self._nodes, dtype=np.float32)
        blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
        nodes = self.exactly(np.stack([red, green, blue], axis=-1).reshape(1, -1, 3))
        return ImageFilter.Color3DLUT(self._nodes, nodes.reshape(-1).tolist(), _copy_table=False)

    def __call__(self, rgb: RGB) -> RGB:
        """Return ``rgb`` ((h, w, 3), uint8, RGB) with its colours matched, a new array of the same shape."""
        if not rgb.size:
            return rgb.copy()
        return np.array(Image.fromarray(np.ascontiguousarray(rgb)).filter(self._table))


def match_for(slide: Slide, target: LabStatistics | None, icc: bool = False) -> ColourMatch | None:
    """Return what brings the colours of ``slide`` to ``target``; None where there is no target.

    Raises
    ------
    SlideError
        When the slide cannot be read.
    """
    return None if target is None else ColourMatch(slide_statistics(slide, icc), target)


def match_colour(rgb: RGB, target: LabStatistics, own: LabStatistics | None = None) -> RGB:
    """Return a picture with its colours brought to ``target``.

    Parameters
    ----------
    rgb : ndarray, (h, w, 3), uint8, RGB
        The picture.
    target : LabStatistics
        What it is brought to.
    own : LabStatistics, optional
        Of the slide it is a part of; without it, the picture's own.
    """
    return ColourMatch(colour_statistics(rgb) if own is None else own, target)(rgb)


@dataclass(frozen=True, eq=False)
class ColourPreview:
    """A slide beside itself with matched colours, and the target, all at low power, uint8 RGB (h, w, 3)."""

    before: RGB
    after: RGB
    target: RGB


def preview_match(slide_path: Path | str, target_path: Path | str, max_px: int = 512) -> ColourPreview:
    """Return what matching would do, for a dock to show side by side.

    Parameters
    ----------
    slide_path : Path or str
        The slide whose colours would change.
    target_path : Path or str
        The picture that the user picked.
    max_px : int
        Longer side of the pictures, px.

    Raises
    ------
    SlideError
        When one of them cannot be opened or read.
    """
    target = picked_statistics(target_path)
    with open_slide(target_path) as picked:
        shown = thumbnail(picked, max_px)
    with open_slide(slide_path) as slide:
        before = thumbnail(slide, max_px)
        match = ColourMatch(slide_statistics(slide), target)
    return ColourPreview(before, match(before), shown)


def _triple(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    first, second, third = (round(float(v), 4) for v in values)
    return (first, second, third)
