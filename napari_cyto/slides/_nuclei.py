"""Nuclei of mature cells found by classical means, at any scale: dark, round, sharp, with cytoplasm far around them.

Whoever asks does not know the µm per px, so nothing here does: a nucleus is looked for at every darkness, and of what
is inside each other the one with the sharpest edge is taken, whatever its size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_cyto.slides.backend import RGB

Floats = npt.NDArray[np.float64]

LEAST_PX, LARGEST_SHARE = 9.0, 0.6
"""Least diameter that shows a shape, px, and the largest, of the image, which leaves surroundings."""
STEP = 10
"""Grey levels, 0 to 255, between the darknesses that are tried."""
ROUND, LONGEST = 0.95, 1.7
"""Of an ellipse with the same moments, the least share that is filled, and its largest ratio of axes."""
EDGE = 6.0
"""Least steepness of the edge, grey levels a px, in an image smoothed by 1 px."""
STAINED, AROUND = 8.0, 0.8
"""Grey levels below glass that are cytoplasm, and the share of each ring around a nucleus that has to be."""
CROWDED = 0.1
"""Largest share of those rings that is about as dark as the nucleus: lobes and clumps have their like beside them."""

_RINGS = np.array([1.5, 1.9, 2.4])
"""In radii of the nucleus; a mature squamous cell is wider than the last."""
_DIRECTIONS = 24
_SMOOTH_PX = 1.0


@dataclass(frozen=True, slots=True)
class Nuclei:
    """What was found in one image.

    Parameters
    ----------
    centres_yx : ndarray, (n, 2), float64
        Px of the image.
    diameters_px : ndarray, (n,), float64
        Of the circle of the same area.
    """

    centres_yx: Floats
    diameters_px: Floats


def nuclei_in(image: RGB) -> Nuclei:
    """Return the nuclei of an image, uint8 RGB (h, w, 3), in bright field.

    Red light is looked at: haematoxylin takes it away, eosin and orange G let it through.

    Notes
    -----
    Source: Matas et al. 2002 (maximally stable extremal regions), for regions of all thresholds; the sharpest edge in
    place of the most stable area, since a nucleus in focus ends within a few px.
    """
    red = ndimage.gaussian_filter(image[..., 0].astype(np.float32), _SMOOTH_PX)
    steep = np.hypot(ndimage.sobel(red, 0), ndimage.sobel(red, 1)) / 8
    low, high = (float(v) for v in np.quantile(red, (0.001, 0.98)))
    found = [_regions(red, steep, level) for level in np.arange(low + STEP / 2, high, STEP)]
    rows = np.concatenate([np.empty((0, 4)), *found])
    if len(rows):
        rows = rows[_in_a_mature_cell(red, rows, high)]
    chosen = rows[_sharpest(rows)]
    return Nuclei(chosen[:, :2], 2 * chosen[:, 2])


def _regions(red: npt.NDArray[np.float32], steep: npt.NDArray[np.float32], level: float) -> Floats:
    """Return centre, radius and steepness of the edge, (n, 4), of the round regions that are darker than a level."""
    labels, n = ndimage.label(ndimage.binary_fill_holes(red < level))
    if not n:
        return np.empty((0, 4))
    y, x = np.nonzero(labels)
    of = labels[y, x]
    area = np.bincount(of, minlength=n + 1)
    safe = np.maximum(area, 1)
    cy, cx = (np.bincount(of, weights=v, minlength=n + 1) / safe for v in (y, x))
    dy, dx = y - cy[of], x - cx[of]
    syy, sxx, sxy = (np.bincount(of, weights=v, minlength=n + 1) / safe for v in (dy * dy, dx * dx, dy * dx))
    # A px has an extent of its own.
    syy, sxx = syy + 1 / 12, sxx + 1 / 12
    root = np.sqrt(np.maximum(syy * sxx - sxy**2, 1e-9))
    middle, apart = (syy + sxx) / 2, np.sqrt(((syy - sxx) / 2) ** 2 + sxy**2)
    filled = area / (4 * np.pi * root)
    ratio = np.sqrt((middle + apart) / np.maximum(middle - apart, 1e-9))
    radius = np.sqrt(area / np.pi)
    largest = LARGEST_SHARE * min(red.shape) / 2
    fits = (2 * radius >= LEAST_PX) & (radius <= largest) & (filled >= ROUND) & (ratio <= LONGEST)
    fits[0] = False
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        fits[edge] = False
    inner = ndimage.minimum_filter(labels, footprint=ndimage.generate_binary_structure(2, 1)) != labels
    edge_of, steepness = labels[inner], steep[inner]
    length = np.bincount(edge_of, minlength=n + 1)
    mean = np.bincount(edge_of, weights=steepness, minlength=n + 1) / np.maximum(length, 1)
    fits &= mean >= EDGE
    kept = np.flatnonzero(fits)
    return np.stack([cy[kept], cx[kept], radius[kept], mean[kept]], axis=1)


def _in_a_mature_cell(red: npt.NDArray[np.float32], rows: Floats, glass: float) -> npt.NDArray[np.bool_]:
    """Return which regions lie alone in a wide cytoplasm, as leucocytes, debris and nuclei of small cells do not."""
    turns = np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False)
    reach = rows[:, 2, None, None] * _RINGS[None, :, None]
    y = np.rint(rows[:, 0, None, None] + reach * np.sin(turns)).astype(np.intp)
    x = np.rint(rows[:, 1, None, None] + reach * np.cos(turns)).astype(np.intp)
    inside = (y >= 0) & (x >= 0) & (y < red.shape[0]) & (x < red.shape[1])
    around = np.where(inside, red[y.clip(0, red.shape[0] - 1), x.clip(0, red.shape[1] - 1)], glass)
    stained = (around < glass - STAINED).mean(axis=2).min(axis=1) >= AROUND
    middle = red[rows[:, 0].astype(np.intp), rows[:, 1].astype(np.intp)]
    halfway = (middle + np.median(around, axis=(1, 2))) / 2
    alone = (around < halfway[:, None, None]).mean(axis=(1, 2)) <= CROWDED
    both: npt.NDArray[np.bool_] = stained & alone
    return both


def _sharpest(rows: Floats) -> npt.NDArray[np.intp]:
    """Return, of regions that lie within each other, the one with the sharpest edge."""
    order = np.argsort(-rows[:, 3], kind="stable")
    kept: list[int] = []
    for place in order.tolist():
        y, x, radius = rows[place, :3]
        if kept:
            others = rows[kept]
            apart = np.hypot(others[:, 0] - y, others[:, 1] - x)
            if (apart < np.maximum(others[:, 2], radius)).any():
                continue
        kept.append(place)
    return np.array(sorted(kept), dtype=np.intp)
