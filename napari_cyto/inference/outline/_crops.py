"""Square crops round a click at any scale, and the way back from a crop to the slide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_cyto.domain.geometry import YX
from napari_cyto.slides.pixel_source import Pixels

CROP_PX = 128
"""Side of a crop."""

CELL_UM = 82.0
"""Side of the largest crop for a cell where the µm per px are known."""

CELL_IN_NUCLEI = 8.0
"""The same in diameters of the nucleus, where they are not."""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """What is seen round a click.

    Parameters
    ----------
    rgb : ndarray, uint8 (n, n, 3)
        Beyond the slide its outermost pixels are repeated.
    origin_yx : tuple of float
        The crop's top-left corner, level-0 px.
    scale : float
        Level-0 px per px of the crop.
    click_yx : tuple of float
        The click, px of the crop.
    """

    rgb: npt.NDArray[np.uint8]
    origin_yx: YX
    scale: float
    click_yx: YX

    def to_level0(self, ring_yx: tuple[YX, ...]) -> tuple[YX, ...]:
        """Return a ring of the crop in level-0 px."""
        oy, ox = self.origin_yx
        return tuple((oy + y * self.scale, ox + x * self.scale) for y, x in ring_yx)


def cell_side(nucleus_px: float, mpp: float | None) -> float:
    """Return the side of a crop in which a whole cell has room, level-0 px, by the diameter of its nucleus."""
    return CELL_UM / mpp if mpp is not None else CELL_IN_NUCLEI * nucleus_px


def cut(pixels: Pixels, click_yx: YX, scale: float, side_px: int = CROP_PX, centre_yx: YX | None = None) -> Crop:
    """Return the crop of ``side_px`` px of ``scale`` level-0 px each, round a click or another centre.

    It is resampled once, from the coarsest level that is no coarser, by a filter that does not alias.
    """
    level = max((n for n, f in enumerate(pixels.factors_yx) if max(f) <= scale * 1.001), default=0)
    fy, fx = pixels.factors_yx[level]
    cy, cx = centre_yx or click_yx
    oy, ox = cy - side_px * scale / 2, cx - side_px * scale / 2
    margin = int(np.ceil(max(scale / min(fy, fx), 1.0))) + 1
    top, left = int(np.floor(oy / fy)) - margin, int(np.floor(ox / fx)) - margin
    bottom = int(np.ceil((oy + side_px * scale) / fy)) + margin
    right = int(np.ceil((ox + side_px * scale) / fx)) + margin
    read = _read_repeated(pixels, level, (top, left, bottom, right))
    box = (ox / fx - left, oy / fy - top, (ox + side_px * scale) / fx - left, (oy + side_px * scale) / fy - top)
    resized = Image.fromarray(read).resize((side_px, side_px), Image.Resampling.BILINEAR, box=box)
    return Crop(np.array(resized), (oy, ox), scale, ((click_yx[0] - oy) / scale, (click_yx[1] - ox) / scale))


def _read_repeated(pixels: Pixels, level: int, box: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    """Return a box of a level, the outermost pixels repeated beyond it."""
    height, width = pixels.level_sizes_hw[level]
    top, left, bottom, right = box
    y0, y1 = np.clip((top, bottom), 0, height)
    x0, x1 = np.clip((left, right), 0, width)
    y0, x0 = min(y0, height - 1), min(x0, width - 1)
    y1, x1 = max(y1, y0 + 1), max(x1, x0 + 1)
    read = pixels.read(level, int(y0), int(x0), int(y1 - y0), int(x1 - x0))
    around = ((max(y0 - top, 0), max(bottom - y1, 0)), (max(x0 - left, 0), max(right - x1, 0)), (0, 0))
    return np.pad(read, around, mode="edge")
