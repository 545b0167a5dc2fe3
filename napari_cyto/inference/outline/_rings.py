"""From masks to rings: what an outline is made of, and how it becomes pixels again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

from napari_cyto.domain.geometry import YX, CellOutline, covered_outline, pixels_in_outline, points_in_outline

Mask = npt.NDArray[np.bool_]
Levels = npt.NDArray[np.float32]

# Functions without types of their own.
_contours: Callable[..., list[npt.NDArray[np.float64]]] = find_contours
_simplified: Callable[..., Any] = approximate_polygon

STRAY_PX = 0.25
"""How far a ring may stray from the line that it simplifies, px of the crop."""


@dataclass(frozen=True, slots=True)
class OutlinedCell:
    """What lies under a click.

    Parameters
    ----------
    click_yx : tuple of float
        The click, level-0 px.
    nucleus_yx : tuple of (y, x)
        Ring of the nucleus, level-0 px, pixel centres at integers + 0.5; empty where none was found.
    cytoplasm_yx : tuple of (y, x)
        Ring of the whole cell, nucleus included; empty where its border cannot be seen.
    score : float
        0 to 1: how far the nucleus's ring is to be trusted.
    """

    click_yx: YX
    nucleus_yx: tuple[YX, ...]
    cytoplasm_yx: tuple[YX, ...]
    score: float

    def geometry(self, size_hw: tuple[int, int]) -> CellOutline | None:
        """Return it as the shape of an annotation that nobody has accepted yet; None where there is no nucleus.

        What reaches beyond the image is cut off, what of the nucleus lies beside its cell is joined to the cell, and a
        cell that is not round its nucleus is none.

        Parameters
        ----------
        size_hw : tuple of int
            Of the image, level-0 px.
        """
        image_yxyx = (0.0, 0.0, float(size_hw[0]), float(size_hw[1]))
        nucleus = covered_outline([self.nucleus_yx], image_yxyx) if len(self.nucleus_yx) >= 3 else ()
        if not nucleus:
            return None
        cell: tuple[YX, ...] = ()
        middle = np.array([CellOutline(nucleus).centre_yx])
        if len(self.cytoplasm_yx) >= 3 and points_in_outline(middle, self.cytoplasm_yx)[0]:
            cell = covered_outline([self.cytoplasm_yx, nucleus], image_yxyx)
        return CellOutline(nucleus, cell, accepted=False)


def ring_of(levels: Levels | Mask, inside_yx: YX, at: float = 0.5) -> tuple[YX, ...]:
    """Return the ring round the part of a map that holds a place, or is nearest to it; holes do not count.

    Parameters
    ----------
    levels : ndarray (h, w)
        A mask, or how likely each pixel belongs to it.
    inside_yx : tuple of float
        A place in the frame of the map, pixel centres at integers + 0.5.
    at : float
        Where the border runs.

    Returns
    -------
    tuple of (y, x)
        In the same frame; empty where nothing reaches ``at``.
    """
    values = np.asarray(levels, np.float32)
    part = part_at(values > at, inside_yx)
    if not part.any():
        return ()
    # Other parts are taken away, holes filled; between those the border stays where the map has it.
    soft = np.where(part, np.maximum(values, at + 1e-3), 0.0)
    beside = ndimage.binary_dilation(part) & ~part
    soft = np.where(beside, np.minimum(values, at - 1e-3), soft)
    lines = _contours(np.pad(soft, 1), at)
    line = _simplified(max(lines, key=len), STRAY_PX)[:-1] - 0.5
    return tuple((float(y), float(x)) for y, x in line) if len(line) >= 3 else ()


def part_at(mask: Mask, inside_yx: YX) -> Mask:
    """Return the connected part of a mask that holds a place, or is nearest to it, without holes."""
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    y, x = (int(np.clip(np.floor(v), 0, side - 1)) for v, side in zip(inside_yx, mask.shape, strict=True))
    if not labels[y, x]:
        _, (rows, columns) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
        y, x = rows[y, x], columns[y, x]
    return np.asarray(ndimage.binary_fill_holes(labels == labels[y, x]))


def mask_of(ring_yx: tuple[YX, ...], size_hw: tuple[int, int]) -> Mask:
    """Return the pixels whose centres lie in a ring, ``(h, w)`` bool."""
    if len(ring_yx) < 3:
        return np.zeros(size_hw, bool)
    return pixels_in_outline(ring_yx, (0, 0), size_hw)


def dice(one: Mask, other: Mask) -> float:
    """Return twice the common area over the sum of both; 1 of two empty masks (Dice 1945)."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0
