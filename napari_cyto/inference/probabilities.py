"""From a classifier's raw outputs to probabilities, and from these to a called class; numpy and scipy alone.

Probabilities and decisions are two things: temperature and offsets make the probabilities true, costs act only when a
class is called.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from napari_cyto.models.manifest import Decision

Scores = npt.NDArray[np.float64]


def probabilities(logits: npt.ArrayLike, decision: Decision) -> Scores:
    """Return the probability of each class.

    Parameters
    ----------
    logits : float array (n, v, C)
        Raw outputs for each view of each cell.
    decision : Decision
        Temperature and offsets; its costs change nothing here.

    Returns
    -------
    ndarray, float64 (n, C)
        Averaged over the views; rows sum to 1.

    Notes
    -----
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.
    """
    scaled = np.asarray(logits, dtype=np.float64) / decision.temperature
    if decision.logit_offsets:
        scaled = scaled + np.asarray(decision.logit_offsets)
    mean: Scores = softmax(scaled, axis=-1).mean(axis=1)
    return mean


def weighed(scores: npt.ArrayLike, decision: Decision) -> Scores:
    """Return probabilities or scores (n, C) times the cost of missing each class; the largest of a row is called."""
    shares = np.asarray(scores, dtype=np.float64)
    return shares * np.asarray(decision.miss_costs) if decision.miss_costs else shares
