"""The measurements of one cell, from its pixels and its rings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.measure import regionprops

from napari_cyto.domain.geometry import YX, CellOutline, pixels_in_outline
from napari_cyto.measurements._texture import chromatin
from napari_cyto.slides.backend import RGB

MARGIN_PX = 2
"""What is read round a nucleus, level-0 px."""

_regions: Callable[..., Any] = regionprops
_CONTOUR_STEPS = 128


def measured_cell(
    pixels: RGB, top_left_yx: tuple[int, int], outline: CellOutline, mpp: float, glass_rgb: npt.NDArray[np.float32]
) -> dict[str, float]:
    """Return what can be measured on one cell by itself, by the names of `COLUMNS`.

    Parameters
    ----------
    pixels : ndarray, uint8 RGB (h, w, 3)
        At full resolution, the whole nucleus inside; `MARGIN_PX` more are enough.
    top_left_yx : (y, x)
        Where they begin, level-0 px.
    outline : CellOutline
        Level-0 px.
    mpp : float
        µm per level-0 px.
    glass_rgb : ndarray, float32 (3,)
        The colour of bare glass, 1 to 255.

    Returns
    -------
    dict
        Of float; empty where the nucleus covers no pixel.
    """
    nucleus = pixels_in_outline(outline.vertices_yx, top_left_yx, (pixels.shape[0], pixels.shape[1]))
    if not nucleus.any():
        return {}
    found = _shape(nucleus, outline.vertices_yx, top_left_yx, mpp)
    density = -np.log10(np.maximum(pixels, 1) / glass_rgb).mean(-1).astype(np.float64)
    inside = density[nucleus]
    found |= {
        "nucleus_od_mean": float(inside.mean()),
        "nucleus_od_sd": float(inside.std()),
        "nucleus_integrated_od_um2": float(inside.sum()) * mpp**2,
    }
    texture = chromatin(density, nucleus, mpp)
    found |= dict(zip(("chromatin_contrast", "chromatin_homogeneity", "chromatin_entropy"), texture, strict=True))
    if outline.cytoplasm_yx:
        cell_um2 = _area_px(outline.cytoplasm_yx) * mpp**2
        found["cell_area_um2"] = cell_um2
        # Of a nucleus that reaches out of its cytoplasm's ring there is no such ratio.
        ratio = found["nucleus_area_um2"] / cell_um2
        found["nc_ratio"] = ratio if ratio <= 1 else np.nan
    return found


def _area_px(ring_yx: Sequence[YX]) -> float:
    ring = np.asarray(ring_yx)
    low, high = np.floor(ring.min(0)).astype(int) - 1, np.ceil(ring.max(0)).astype(int) + 1
    return float(pixels_in_outline(ring_yx, (int(low[0]), int(low[1])), tuple((high - low).tolist())).sum())


def _shape(
    nucleus: npt.NDArray[np.bool_], ring_yx: Sequence[YX], top_left_yx: tuple[int, int], mpp: float
) -> dict[str, float]:
    region = _regions(nucleus.astype(np.uint8))[0]
    perimeter = float(region.perimeter_crofton) * mpp
    area = float(region.area) * mpp**2
    return {
        "nucleus_area_um2": area,
        "nucleus_perimeter_um": perimeter,
        "nucleus_equivalent_diameter_um": float(region.equivalent_diameter_area) * mpp,
        "nucleus_major_axis_um": float(region.axis_major_length) * mpp,
        "nucleus_minor_axis_um": float(region.axis_minor_length) * mpp,
        "nucleus_circularity": 4 * np.pi * area / perimeter**2 if perimeter > 0 else np.nan,
        "nucleus_solidity": float(region.solidity),
        "nucleus_eccentricity": float(region.eccentricity),
        "contour_irregularity": _irregularity(region, np.asarray(ring_yx) - np.asarray(top_left_yx) - 0.5),
    }


def _irregularity(region: Any, ring_yx: npt.NDArray[np.float64]) -> float:
    """Return how far a contour strays from the ellipse with the same second moments; NaN where that has no width."""
    half_major, half_minor = region.axis_major_length / 2, region.axis_minor_length / 2
    if half_minor <= 0:
        return float(np.nan)
    closed = np.vstack([ring_yx, ring_yx[:1]])
    along = np.concatenate([[0.0], np.hypot(*np.diff(closed, axis=0).T).cumsum()])
    at = np.linspace(0, along[-1], _CONTOUR_STEPS, endpoint=False)
    dy, dx = (np.interp(at, along, closed[:, axis]) - region.centroid[axis] for axis in (0, 1))
    # skimage's orientation is the angle between the rows' axis and the major axis.
    sine, cosine = np.sin(region.orientation), np.cos(region.orientation)
    reach = np.hypot((dy * cosine + dx * sine) / half_major, (dx * cosine - dy * sine) / half_minor)
    return float(reach.std() / reach.mean())
