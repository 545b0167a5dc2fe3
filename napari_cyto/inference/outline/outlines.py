"""The outline of the cell under each click: crops at the scales that the case needs, then the method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_cyto.domain.geometry import YX, is_on_image
from napari_cyto.errors import CytoError
from napari_cyto.inference.outline._crops import CROP_PX, cell_side, cut
from napari_cyto.inference.outline._network import NetworkOutlines, click_map
from napari_cyto.inference.outline._rings import OutlinedCell, dice, mask_of, ring_of
from napari_cyto.inference.outline._watershed import cell_of, nucleus_of
from napari_cyto.models.library import bundle_named
from napari_cyto.models.torch_installed import has_torch
from napari_cyto.slides.pixel_source import ImagePixels, Pixels

SHIPPED = "cell-outlines"
"""The model that ships."""

NUCLEI_UM = (5.0, 25.0)
"""Diameters of nuclei that are looked for where the µm per px are known."""

MOST_NUCLEUS_PX = 512
"""Diameter of the largest nucleus that is looked for where the µm per px are unknown: 25 µm at 0.05 µm per px."""

_LEAST_SCALE = 0.25
_NUCLEUS_PX = (14.0, 64.0)
"""Diameters in a crop at which a nucleus is seen well, px."""


__all__ = [
    "SHIPPED",
    "NetworkOutlines",
    "OutlineMethod",
    "OutlinedCell",
    "Watershed",
    "click_map",
    "cut",
    "dice",
    "mask_of",
    "outline_method",
    "outlines_at",
    "ring_of",
]


class OutlineMethod(Protocol):
    """What finds the outline under a click."""

    name: str

    def outline(self, pixels: Pixels, click_yx: YX, mpp: float | None) -> OutlinedCell:
        """Return what lies under a click, all in level-0 px."""
        ...


class Watershed:
    """The classical method; needs neither torch nor a model."""

    name = "watershed"

    def outline(self, pixels: Pixels, click_yx: YX, mpp: float | None) -> OutlinedCell:
        """Return what lies under a click, all in level-0 px."""
        crops = [cut(pixels, click_yx, scale) for scale in scales(pixels, mpp)]
        best, mask, score = nucleus_of(crops)
        nucleus = crops[best].to_level0(ring_of(mask, crops[best].click_yx))
        if len(nucleus) < 3:
            return OutlinedCell(click_yx, (), (), 0.0)
        across = float(np.sqrt(np.prod(np.ptp(np.asarray(nucleus), axis=0))))
        wide = cut(pixels, click_yx, cell_side(across, mpp) / CROP_PX)
        within = mask_of(tuple(_in_crop(nucleus, wide.origin_yx, wide.scale)), wide.rgb.shape[:2])
        cell = cell_of(wide, within)
        ring = wide.to_level0(ring_of(ndimage.gaussian_filter(cell.astype(np.float32), 1.0), wide.click_yx))
        return OutlinedCell(click_yx, nucleus, ring if cell.any() else (), score)


def outline_method(model: str | None = None, device: str = "cpu") -> tuple[OutlineMethod, str]:
    """Return the method that a model's name stands for, and a remark where another is used than might be expected.

    Parameters
    ----------
    model : str, optional
        A bundle of kind ``outline`` in the library or its folder, ``watershed``, or None for the model that ships, and
        the watershed where torch is not installed.
    device : str
        What a network runs on: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises
    ------
    CytoError
        When a model that was named cannot be had.
    """
    if model == Watershed.name:
        return Watershed(), ""
    if model is None and not has_torch():
        return Watershed(), f"Torch is not installed, so outlines are drawn by a watershed, not by {SHIPPED}."
    return NetworkOutlines(bundle_named(model or SHIPPED), device), ""


def outlines_at(
    pixels: Pixels | npt.NDArray[np.uint8],
    clicks_yx: Sequence[YX],
    mpp: float | None,
    method: OutlineMethod | None = None,
) -> Iterator[OutlinedCell]:
    """Yield the outline of the cell under each click, in their order.

    Parameters
    ----------
    pixels : Pixels or ndarray, uint8 RGB (h, w, 3)
        A slide (`SlidePixels`) or an image; of a slide no more is read than lies round each click.
    clicks_yx : sequence of (y, x)
        Places in nuclei, level-0 px.
    mpp : float or None
        µm per level-0 px; None where unknown: the size of the nucleus is then looked for, too.
    method : OutlineMethod, optional
        The watershed when not given.

    Raises
    ------
    CytoError
        When a click does not lie on the image.
    """
    source = ImagePixels(pixels) if isinstance(pixels, np.ndarray) else pixels
    chosen = method or Watershed()
    for click in clicks_yx:
        if not is_on_image(click, source.size_hw):
            height, width = source.size_hw
            raise CytoError(
                f"Expected points on the image of {width} x {height} px, got one at x {click[1]:g}, y {click[0]:g}."
            )
        yield chosen.outline(source, click, mpp)


def scales(pixels: Pixels, mpp: float | None) -> list[float]:
    """Return level-0 px per crop px at which a nucleus of any size is seen well, finest first."""
    if mpp is not None:
        low, high = NUCLEI_UM[0] / mpp, NUCLEI_UM[1] / mpp
    else:
        low, high = _NUCLEUS_PX[0] / 2, min(max(pixels.size_hw) * 0.9, MOST_NUCLEUS_PX)
    finest, coarsest = max(low / _NUCLEUS_PX[0] / 2, _LEAST_SCALE), high / _NUCLEUS_PX[1]
    count = max(1, int(np.ceil(np.log2(max(coarsest / finest, 1.0)))) + 1)
    return [finest * 2.0**n for n in range(count)]


def _in_crop(ring_yx: tuple[YX, ...], origin_yx: YX, scale: float) -> Iterator[YX]:
    for y, x in ring_yx:
        yield ((y - origin_yx[0]) / scale, (x - origin_yx[1]) / scale)
