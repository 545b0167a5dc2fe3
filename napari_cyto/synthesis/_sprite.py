"""What is stamped onto the glass: layers of dye density, integer so that the order of stamping cannot matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_cyto.synthesis._noise import Field

Planes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# A structure counts as present where its dye reaches this share of full density.
_PRESENT = 0.06


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A drawn object.

    Parameters
    ----------
    planes : ndarray
        ``(dyes, height, width)`` uint8; 255 is full density of that dye.
    extent_yxyx : tuple of int
        Half-open box of the object within the sprite, px.
    area_px : float
        Area of the object, px².
    anchor_yx : tuple of float
        Where it is held: a body where its nucleus lies, anything else at its middle, px.
    mask : ndarray
        ``(height, width)`` bool: where the object is, before the optics blur it.
    """

    planes: Planes
    extent_yxyx: tuple[int, int, int, int]
    area_px: float
    anchor_yx: tuple[float, float]
    mask: Mask

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Height and width, px."""
        return (int(self.planes.shape[1]), int(self.planes.shape[2]))


def make_sprite(
    densities: Sequence[NDArray[np.floating]],
    cover: Field,
    *,
    blur_px: float,
    anchor_yx: tuple[float, float] | None = None,
) -> Sprite:
    """Return a sprite of ``densities`` (each ``(height, width)``, 0 to 1), blurred as the optics would.

    Parameters
    ----------
    densities : list of ndarray
        One ``(height, width)`` float32 layer a dye.
    cover : ndarray
        ``(height, width)`` float32, 1 where the object is: its box and area come from here.
    blur_px : float
        Standard deviation of the point spread, px.
    anchor_yx : tuple of float, optional
        Where it is held; the middle of the sprite when not given.
    """
    sharp = np.stack(densities).astype(np.float32)
    soft = ndimage.gaussian_filter(sharp, (0, blur_px, blur_px), mode="constant") if blur_px > 0 else sharp
    planes = np.rint(np.clip(soft, 0, 1) * 255).astype(np.uint8)
    present = cover > max(_PRESENT, 0.5)
    rows, columns = np.flatnonzero(present.any(1)), np.flatnonzero(present.any(0))
    extent = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    middle = (planes.shape[1] / 2, planes.shape[2] / 2)
    return Sprite(planes, extent, float(present.sum()), anchor_yx or middle, present)


def turned(sprite: Sprite, orientation: int) -> Sprite:
    """Return the sprite in one of eight orientations: quarter turns ``orientation % 4``, mirrored from 4 on.

    Planes and mask are views; nothing is copied.
    """
    planes, mask = sprite.planes, sprite.mask
    box, (ay, ax) = sprite.extent_yxyx, sprite.anchor_yx
    height, width = sprite.shape_hw
    if orientation >= 4:
        planes, mask = planes[:, :, ::-1], mask[:, ::-1]
        box = (box[0], width - box[3], box[2], width - box[1])
        ax = width - ax
    for _ in range(orientation % 4):
        # np.rot90 sends the column x to the row width - x.
        planes, mask = np.rot90(planes, axes=(1, 2)), np.rot90(mask)
        box = (width - box[3], box[0], width - box[1], box[2])
        ay, ax = width - ax, ay
        height, width = width, height
    return Sprite(planes, box, sprite.area_px, (ay, ax), mask)
