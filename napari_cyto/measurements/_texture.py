"""The texture of chromatin: Haralick's features of a nucleus alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.feature import graycomatrix

STEP_UM = 0.25
"""How far apart the pixels of a pair are: the scale at which chromatin is looked at."""

LEVELS, MOST_OD = 16, 1.6

_pairs: Callable[..., Any] = graycomatrix


def chromatin(
    density: npt.NDArray[np.float64], nucleus: npt.NDArray[np.bool_], mpp: float
) -> tuple[float, float, float]:
    """Return contrast, homogeneity and entropy (bits) of the chromatin of a nucleus.

    Parameters
    ----------
    density : ndarray, float64 (h, w)
        Optical density.
    nucleus : ndarray, bool (h, w)
        Which pixels count.
    mpp : float
        µm per px; what is not at 0.25 µm is resampled to it.

    Source
    ------
    Haralick et al., "Textural features for image classification", IEEE Trans. SMC 3 (1973); skimage.feature.
    """
    zoom = mpp / STEP_UM
    if abs(zoom - 1) > 0.02:
        density = ndimage.zoom(density, zoom, order=1)
        nucleus = ndimage.zoom(nucleus.astype(np.uint8), zoom, order=0) > 0
    # Level 0 is what lies outside, so that pairs across the border can be left out.
    grey = np.where(nucleus, (density.clip(0, MOST_OD - 1e-9) / MOST_OD * LEVELS).astype(np.uint8) + 1, 0)
    counts = _pairs(
        grey.astype(np.uint8), [1], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], levels=LEVELS + 1, symmetric=True
    )[1:, 1:, 0, :].astype(np.float64)
    totals = counts.sum((0, 1))
    if not totals.all():
        return (np.nan, np.nan, np.nan)
    shares = counts / totals
    apart = np.subtract.outer(np.arange(LEVELS), np.arange(LEVELS))[:, :, None] ** 2
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return (
        float((shares * apart).sum((0, 1)).mean()),
        float((shares / (1 + apart)).sum((0, 1)).mean()),
        float(-(shares * logs).sum((0, 1)).mean()),
    )
