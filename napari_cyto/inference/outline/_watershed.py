"""The classical outline: a watershed from the click on the optical density; needs no network.

Source
------
Marker-controlled watershed on the gradient: Meyer and Beucher, Morphological segmentation, J. Visual Communication and
Image Representation 1 (1990) 21-46. The outer marker is a ring of unknown size, so several are tried, and the result
with the steepest border stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import convex_hull_image
from skimage.segmentation import watershed

from napari_cyto.inference.outline._crops import Crop
from napari_cyto.inference.outline._rings import Mask, part_at

Field = npt.NDArray[np.float32]

# Functions without types of their own.
_otsu: Callable[..., float] = threshold_otsu
_watershed: Callable[..., Any] = watershed
_hull: Callable[..., Any] = convex_hull_image

SMOOTH_PX = 1.5
RING_RADII_PX = (14, 22, 32, 46)
"""Radii of the outer marker, px of the crop."""

_INNER_PX = 3.0
_LEAST_DENSITY = 0.03
_SURROUNDINGS_PX = 4


def density(rgb: npt.NDArray[np.uint8]) -> Field:
    """Return the optical density of red, ``(h, w)``: haematoxylin dims red most, eosin and orange hardly.

    Source: Beer-Lambert, with white at 255; grey pictures have one density in all channels.
    """
    return np.asarray(-np.log10((rgb[..., 0].astype(np.float32) + 1) / 256), np.float32)


def nucleus_of(crops: Sequence[Crop]) -> tuple[int, Mask, float]:
    """Return the nucleus under a click, tried in crops of several scales.

    Parameters
    ----------
    crops : sequence of Crop
        Of one click.

    Returns
    -------
    tuple
        Which crop shows it best, its mask there (h, w), and a score, 0 to 1.
    """
    best: tuple[int, Mask, float] = (0, np.zeros(crops[0].rgb.shape[:2], bool), 0.0)
    for number, crop in enumerate(crops):
        smooth = ndimage.gaussian_filter(density(crop.rgb), SMOOTH_PX)
        steep = ndimage.gaussian_gradient_magnitude(smooth, 1.0)
        away = _distance(smooth.shape, crop.click_yx)
        for radius in RING_RADII_PX:
            mask = _flooded(steep, away, radius, crop)
            if (worth := _worth(mask, smooth, steep, away, radius)) > best[2]:
                best = (number, mask, worth)
    return best


def cell_of(crop: Crop, nucleus: Mask) -> Mask:
    """Return the whole cell round a nucleus where it stands alone in the crop, else nothing.

    Parameters
    ----------
    crop : Crop
        Wide enough for a cell.
    nucleus : ndarray, bool (h, w)
        In the same crop.
    """
    grey = ndimage.gaussian_filter(-np.log10((crop.rgb.astype(np.float32).min(axis=2) + 1) / 256), 1.0)
    glass = grey < max(float(_otsu(grey[~nucleus])) if (~nucleus).any() else 0.0, _LEAST_DENSITY)
    cell = part_at(~glass | nucleus, crop.click_yx)
    border = np.concatenate([cell[0], cell[-1], cell[:, 0], cell[:, -1]])
    return np.zeros_like(cell) if border.any() or cell.sum() < 1.3 * nucleus.sum() else cell


def _flooded(steep: Field, away: Field, radius: float, crop: Crop) -> Mask:
    markers = np.zeros(steep.shape, np.int32)
    markers[away >= radius] = 2
    markers[away <= _INNER_PX] = 1
    return part_at(ndimage.binary_opening(_watershed(steep, markers) == 1, iterations=2), crop.click_yx)


def _worth(mask: Mask, smooth: Field, steep: Field, away: Field, radius: float) -> float:
    """Return how much like a nucleus a part looks: darker than what lies round it, its border steep all along."""
    if mask.sum() < np.pi * _INNER_PX**2:
        return 0.0
    edge = mask & ~ndimage.binary_erosion(mask)
    round_it = ndimage.binary_dilation(mask, iterations=_SURROUNDINGS_PX) & ~mask
    contrast = float(smooth[mask].mean() - smooth[round_it].mean()) if round_it.any() else 0.0
    if contrast < _LEAST_DENSITY:
        return 0.0
    # A border that lies on the ring itself was given by nobody but the ring.
    free = float((away[edge] < radius - 2).mean())
    steady = float(np.minimum(steep[edge] * 6 / contrast, 1.0).mean())
    filled = float(mask.sum() / max(_hull_area(mask), 1.0))
    return float(np.clip(free * steady * filled**2 * min(contrast / 0.15, 1.0), 0, 1))


def _hull_area(mask: Mask) -> float:
    return float(_hull(mask).sum())


def _distance(shape: tuple[int, ...], centre_yx: tuple[float, float]) -> Field:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32) + 0.5
    return np.asarray(np.hypot(y - centre_yx[0], x - centre_yx[1]), np.float32)
