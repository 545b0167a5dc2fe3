"""Temperature, class offsets and costs: what makes a classifier's probabilities true, and what its calls weigh."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar

from napari_cyto.inference.probabilities import probabilities
from napari_cyto.models.manifest import Decision
from napari_cyto.training._sampler import SAMPLING_POWER, Sampling, Weighting, class_weights

_LOG_RANGE = (-2.5, 2.5)
_PULL = 0.02
"""How strongly offsets are held to where they start: few cells of a rare class must not move its offset far."""

Logits = npt.NDArray[np.float64]


def shown_ratios(counts: npt.ArrayLike, sampling: Sampling, weighting: Weighting) -> Logits:
    """Return how much more often than it occurs each class was shown, float64 (C,); 1 for one without cells.

    Parameters
    ----------
    counts : int array (C,)
        Training cells of each class.
    sampling, weighting : str
        As `epoch_order` and `class_weights` take them: weights in the loss act as if the cells were shown more often.
    """
    n = np.asarray(counts, dtype=np.float64)
    there = n > 0
    shown = np.where(there, SAMPLING_POWER[sampling] * np.log(np.maximum(n, 1)), 0.0)
    shown = np.where(there, np.exp(shown) * class_weights(n, weighting), 0.0)
    ratios: Logits = np.ones_like(n)
    np.divide(shown / max(shown.sum(), 1e-300), n / max(n.sum(), 1.0), out=ratios, where=there)
    return ratios


def prior_offsets(shown: Logits) -> tuple[float, ...]:
    """Return what is added to logits so that classes are as likely as they occur; () where nothing was shifted.

    Notes
    -----
    Source: Saerens et al. 2002, Adjusting the Outputs of a Classifier to New a Priori Probabilities, equation 2.4;
    Menon et al. 2021, Long-Tail Learning via Logit Adjustment, for networks.
    """
    if np.allclose(shown, 1.0):
        return ()
    offsets = -np.log(shown)
    return tuple((offsets - offsets.mean()).tolist())


def sampled_costs(shown: Logits) -> tuple[float, ...]:
    """Return the costs of a miss with which cells are called as training showed the classes; () for all the same."""
    return () if np.allclose(shown, 1.0) else tuple((shown / shown.min()).tolist())


def fitted_decision(
    logits: Logits,
    truth: npt.NDArray[np.intp],
    start: Decision,
    temperature: bool = True,
    offsets: bool = False,
) -> Decision:
    """Return the decision that makes the cells' true classes likeliest; its costs stay as they are.

    Parameters
    ----------
    logits : float64 array (n, v, C)
        Raw outputs for each view of each validation cell.
    truth : intp array (n,)
        True classes.
    start : Decision
        Views that the model averages, offsets that undo how classes were sampled, and costs.
    temperature, offsets : bool
        What is fitted.

    Notes
    -----
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2: the temperature that minimises
    the negative log-likelihood; the offsets are the bias of their vector scaling, with a quadratic pull to 0.
    """
    chosen = start
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
    base = np.asarray(start.logit_offsets or (0.0,) * k)

    def cost(x: npt.NDArray[np.float64]) -> float:
        moved = start.model_copy(update={"logit_offsets": tuple(base + x[1:])})
        return _loss(logits, truth, moved, x[0]) + _PULL * float((x[1:] ** 2).mean())

    log = _LOG_RANGE if temperature else (0.0, 0.0)
    found = minimize(cost, np.zeros(k + 1), method="L-BFGS-B", bounds=[log, *[(-3.0, 3.0)] * k])
    offsets = base + found.x[1:]
    offsets = offsets - offsets.mean()
    values = {"temperature": float(np.exp(found.x[0])), "logit_offsets": tuple(offsets.tolist())}
    return start.model_copy(update=values)


def _loss(logits: Logits, truth: npt.NDArray[np.intp], decision: Decision, log_temperature: float) -> float:
    shares = probabilities(logits, decision.model_copy(update={"temperature": float(np.exp(log_temperature))}))
    return float(-np.log(np.maximum(shares[np.arange(len(truth)), truth], 1e-12)).mean())
