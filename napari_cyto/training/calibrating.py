"""Temperature and class offsets that make a classifier's probabilities mean what they say, from validation cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar

from napari_cyto.inference.deciding import probabilities
from napari_cyto.models.manifest import Decision

_LOG_RANGE = (-2.5, 2.5)
_PULL = 0.02
"""How strongly offsets are held to 0: few cells of a rare class must not move its offset far."""

Logits = npt.NDArray[np.float64]


def fitted_decision(
    logits: Logits, truth: npt.NDArray[np.intp], views: int, temperature: bool = True, offsets: bool = False
) -> Decision:
    """Return the decision that makes the cells' true classes likeliest.

    Parameters
    ----------
    logits : float64 array (n, v, C)
        Raw outputs for each view of each validation cell.
    truth : intp array (n,)
        True classes.
    views : int
        Views that the model averages.
    temperature, offsets : bool
        What is fitted.

    Notes
    -----
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2: the temperature that minimises
    the negative log-likelihood; the offsets are the bias of their vector scaling, with a quadratic pull to 0.
    """
    chosen = Decision(views=views)
    if not len(truth) or not np.isfinite(logits).all():
        return chosen
    if offsets:
        return _with_offsets(logits, truth, chosen, temperature)
    if temperature:
        best = minimize_scalar(
            lambda log: _loss(logits, truth, chosen, log), bounds=_LOG_RANGE, method="bounded", options={"xatol": 1e-3}
        )
        chosen = chosen.model_copy(update={"temperature": float(np.exp(best.x))})
    return chosen


def _with_offsets(logits: Logits, truth: npt.NDArray[np.intp], start: Decision, temperature: bool) -> Decision:
    k = logits.shape[2]

    def cost(x: npt.NDArray[np.float64]) -> float:
        moved = start.model_copy(update={"logit_offsets": tuple(x[1:])})
        return _loss(logits, truth, moved, x[0]) + _PULL * float((x[1:] ** 2).mean())

    log = _LOG_RANGE if temperature else (0.0, 0.0)
    found = minimize(cost, np.zeros(k + 1), method="L-BFGS-B", bounds=[log, *[(-3.0, 3.0)] * k])
    offsets = found.x[1:] - found.x[1:].mean()
    values = {"temperature": float(np.exp(found.x[0])), "logit_offsets": tuple(offsets.tolist())}
    return start.model_copy(update=values)


def _loss(logits: Logits, truth: npt.NDArray[np.intp], decision: Decision, log_temperature: float) -> float:
    told = probabilities(logits, decision.model_copy(update={"temperature": float(np.exp(log_temperature))}))
    return float(-np.log(np.maximum(told[np.arange(len(truth)), truth], 1e-12)).mean())
