"""Calibration and costs from the folds of a cross-validation: each fold is judged by what the others say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cyto.models.manifest import Decision
from napari_cyto.training._calibration_fit import Logits, fitted_decision


def cross_fitted(
    logits: Logits, truth: npt.NDArray[np.intp], fold: npt.NDArray[np.intp], extra_costs: tuple[float, ...]
) -> tuple[list[Decision], Decision]:
    """Return the decision by which each fold is judged, fitted on the other folds, and the one fitted on all.

    The figures of cells that are judged so owe nothing to their own labels but what the other folds' networks, which
    trained on them, carry into the fit. The one fitted on all goes with a network that is trained on all.

    Parameters
    ----------
    logits : float64 array (n, v, C)
        Raw outputs of each cell, by the network that did not see it.
    truth : intp array (n,)
        True classes.
    fold : intp array (n,)
        In which fold each cell was held out, 0 to the number of folds - 1.
    extra_costs : tuple of float (C,)
        What a miss of each class costs beyond undoing the offsets, which calls follow as training showed the classes.

    Notes
    -----
    Source: Stone 1974, Cross-Validatory Choice and Assessment of Statistical Predictions; vector scaling as in Guo et
    al. 2017, section 4.2.
    """

    def fitted(part: npt.NDArray[np.bool_]) -> Decision:
        decision = fitted_decision(logits[part], truth[part], Decision(views=logits.shape[1]), offsets=True)
        costs = np.exp(-np.asarray(decision.logit_offsets)) * np.asarray(extra_costs)
        return decision.model_copy(update={"miss_costs": tuple((costs / costs.min()).tolist())})

    folds = range(int(fold.max(initial=-1)) + 1)
    return [fitted(fold != k) for k in folds], fitted(np.ones(len(truth), dtype=np.bool_))
