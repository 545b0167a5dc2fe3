"""The steps from a mask of cell areas to single cells, named as the paper names them.

Source
------
Kupas et al. 2024 (APACC), doi 10.1038/s41597-024-03596-3, "Cell Image Extraction" and its figure 2. The paper gives the
steps and no numbers, and its mask comes from an ensemble of segmentation networks; masks and numbers here are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import regionprops_table
from skimage.segmentation import watershed

from napari_cyto.inference.extract.options import Limits

# Functions without types of their own.
_properties: Callable[..., dict[str, Any]] = regionprops_table
_grown_from: Callable[..., Any] = watershed

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]


class Fate(IntEnum):
    """What becomes of a part."""

    KEPT = 0
    TOO_SMALL = 1
    TOO_LARGE = 2
    NOT_ROUND = 3


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Each step of the extraction from one mask, in px of it.

    Parameters
    ----------
    mask : ndarray, bool (h, w)
        Cell areas.
    large : ndarray, int32 (h, w)
        Connected components of it that are too large, numbered; 0 elsewhere.
    large_centres_yx : ndarray, float64 (m, 2)
        Middle of each of them.
    parts : ndarray, int32 (h, w)
        The rest, parted by erosions and numbered; 0 elsewhere.
    boxes_yxyx : ndarray, int64 (n, 4)
        Half-open boxes of the parts.
    areas_um2, roundness : ndarray, float64 (n,)
        Region properties of the parts; roundness is 4 pi area / perimeter², 1 for a circle (Cox 1927).
    fates : ndarray, uint8 (n,)
        A `Fate` for each part.
    """

    mask: Mask
    large: Labels
    large_centres_yx: npt.NDArray[np.float64]
    parts: Labels
    boxes_yxyx: npt.NDArray[np.int64]
    areas_um2: npt.NDArray[np.float64]
    roundness: npt.NDArray[np.float64]
    fates: npt.NDArray[np.uint8]


def steps_from(mask: Mask, limits: Limits, cut_yxyx: tuple[bool, bool, bool, bool] = (False,) * 4) -> Steps:
    """Return the steps of the extraction.

    Parameters
    ----------
    mask : ndarray, bool (h, w)
        Cell areas.
    limits : Limits
        In µm.
    cut_yxyx : tuple of bool
        Whether the mask goes on beyond its upper, left, lower and right edge. A component that does so, too, counts as
        too large: with a halo wider than a cell it is.
    """
    area_px = limits.um_per_px**2
    large, centres = _large(mask, limits.largest_component_um2 / area_px, cut_yxyx)
    parts = _parted(mask & (large == 0), limits)
    table = _properties(parts, properties=("area", "perimeter", "bbox"))
    boxes = np.stack([table[f"bbox-{n}"] for n in range(4)], axis=-1).astype(np.int64).reshape(-1, 4)
    areas_um2 = np.asarray(table["area"], np.float64) * area_px
    perimeters_um = np.maximum(np.asarray(table["perimeter"], np.float64), 1.0) * limits.um_per_px
    roundness = np.minimum(4 * np.pi * areas_um2 / perimeters_um**2, 1.0)
    fates = np.select(
        [
            areas_um2 < limits.least_area_um2,
            areas_um2 > limits.most_area_um2,
            roundness < limits.least_roundness,
        ],
        [Fate.TOO_SMALL, Fate.TOO_LARGE, Fate.NOT_ROUND],
        Fate.KEPT,
    ).astype(np.uint8)
    return Steps(mask, large, centres, parts, boxes, areas_um2, roundness, fates)


def _large(
    mask: Mask, most_px: float, cut_yxyx: tuple[bool, bool, bool, bool]
) -> tuple[Labels, npt.NDArray[np.float64]]:
    """Return the components of a mask that are too large, and the middle of each."""
    labels, count = ndimage.label(mask)
    too_large = np.bincount(labels.ravel(), minlength=count + 1) > most_px
    for edge, is_cut in zip((labels[0], labels[:, 0], labels[-1], labels[:, -1]), cut_yxyx, strict=True):
        if is_cut:
            too_large[edge] = True
    too_large[0] = False
    found = np.flatnonzero(too_large)
    centres = np.array(ndimage.center_of_mass(mask, labels, found), np.float64).reshape(-1, 2) + 0.5
    return np.where(too_large[labels], labels, 0).astype(np.int32), centres


def _parted(mask: Mask, limits: Limits) -> Labels:
    """Return the components of a mask, each eroded as far as it falls into most cells, and grown again."""
    components, _ = ndimage.label(mask)
    parts = np.zeros(mask.shape, np.int32)
    following = 0
    for label, place in enumerate(ndimage.find_objects(components), start=1):
        here = components[place] == label
        pieces, count = _pieces_of(here, limits)
        parts[place][here] = pieces[here] + following
        following += count
    return parts


def _pieces_of(component: Mask, limits: Limits) -> tuple[Labels, int]:
    """Return one component as numbered pieces, and how many.

    An erosion by a disc keeps what lies farther than its radius from the background, so that one distance transform
    holds them all. A piece counts where its core is as deep as a cell's core has to be. Of several erosions with as
    many pieces the first is taken; the pieces grow back along the distance to the background.
    """
    whole = component.astype(np.int32)
    if np.count_nonzero(component) * limits.um_per_px**2 < 2 * limits.least_area_um2:
        return whole, 1
    inward_um = np.asarray(ndimage.distance_transform_edt(np.pad(component, 1)))[1:-1, 1:-1] * limits.um_per_px
    deepest_um = min(float(inward_um.max()) - limits.least_core_um, limits.deepest_erosion_um)
    markers, most = whole, 1
    for depth_um in np.arange(limits.erosion_um, deepest_um + 1e-9, limits.erosion_um):
        pieces, count = ndimage.label(inward_um > depth_um)
        reach = np.asarray(ndimage.maximum(inward_um, pieces, np.arange(1, count + 1))) - depth_um
        kept = reach >= limits.least_core_um
        if kept.sum() > most:
            most = int(kept.sum())
            renumbered = np.zeros(count + 1, np.int32)
            renumbered[1:][kept] = np.arange(1, most + 1)
            markers = renumbered[pieces]
    return (whole, 1) if most == 1 else (np.asarray(_grown_from(-inward_um, markers, mask=component), np.int32), most)
