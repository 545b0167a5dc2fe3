"""Calibration: whether cells called with 80 % confidence are right 80 % of the time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError

BINS = 15
"""Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4."""

Binning = Literal["equal width", "equal mass"]


@dataclass(frozen=True)
class Calibration:
    """A reliability diagram and its summary.

    Parameters
    ----------
    ece : float or None
        Expected calibration error; None without cells.
    binning : str
        ``equal width``: bins ``(i / bins, (i + 1) / bins]``; ``equal mass``: as many cells in each, as near as can be.
    counts : int64 array (b,)
        Cells in each bin; empty bins are left out.
    confidence, accuracy : float64 array (b,)
        Mean confidence, and share of right cells, of each bin.
    """

    ece: float | None
    binning: Binning
    counts: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]


def calibration(
    confidence: npt.ArrayLike, is_right: npt.ArrayLike, bins: int = BINS, binning: Binning = "equal width"
) -> Calibration:
    """Return the reliability of confidences.

    Parameters
    ----------
    confidence : float array (n,)
        The probability that each cell's predicted class was given, 0 to 1; or of being positive.
    is_right : bool array (n,)
        Whether the prediction was right; or whether the cell was positive.
    bins : int
        How many bins.
    binning : str
        ``equal width`` as published, or ``equal mass``, which does not depend on where the confidences crowd.

    Raises
    ------
    CytoError
        When a confidence is not 0 to 1, the lengths differ, or there is no bin.

    Notes
    -----
    Source: Guo et al. 2017, equation 3: ``sum(counts / n * abs(accuracy - confidence))``; equal mass: Nixon et al.
    2019, Measuring Calibration in Deep Learning.
    """
    values, right = np.asarray(confidence, dtype=np.float64), np.asarray(is_right, dtype=bool)
    if values.shape != right.shape or values.ndim != 1 or bins < 1:
        raise CytoError(
            "Expected a confidence and whether it was right for each cell, and at least 1 bin, got the shapes "
            f"{values.shape} and {right.shape}, and {bins} bins."
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise CytoError("Confidences must be probabilities, 0 to 1; pass them through softmax or sigmoid first.")
    place = _bin_of(values, bins, binning)
    counts = np.bincount(place, minlength=bins)
    filled = counts > 0
    sums = np.stack([np.bincount(place, weights=each, minlength=bins) for each in (values, right)])[:, filled]
    means = sums / counts[filled]
    ece = float(np.abs(sums[0] - sums[1]).sum() / len(values)) if len(values) else None
    return Calibration(ece, binning, counts[filled].astype(np.int64), means[0], means[1])


def _bin_of(values: npt.NDArray[np.float64], bins: int, binning: Binning) -> npt.NDArray[np.intp]:
    if binning == "equal width":
        return np.clip(np.ceil(values * bins).astype(np.intp) - 1, 0, bins - 1)
    place = np.empty(len(values), dtype=np.intp)
    place[np.argsort(values, kind="stable")] = np.arange(len(values)) * bins // max(len(values), 1)
    return place
