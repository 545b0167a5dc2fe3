"""How far the scores of slides can be taken at their word, evaluated on slides held out fold by fold."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from napari_cyto.domain.counts import counted
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.statistics import FEW_GROUPS
from napari_cyto.domain.statistics.bootstrap import (
    SHARE_LIKE,
    Estimate,
    groups_with,
    share_estimate,
    weighted_estimate,
)
from napari_cyto.evaluation.classification import auroc
from napari_cyto.inference.slide_scores.calibration import Calibration

Numbers = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

ENOUGH = FEW_GROUPS
"""Patients, else smears or slides, of either kind that two numbers of a calibration are fitted on at least: ten for
each number, as is usual for logistic regression. Source: Peduzzi et al. 1996, J Clin Epidemiol 49(12)."""

ELSEWHERE = "It holds where as large a share of the slides is positive as of these, and says nothing of other slides."


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """Slides with the score of networks that did not see them.

    Parameters
    ----------
    logits : ndarray, float64 (n,)
        Mean logit of the networks of the fold in which a slide was held out.
    truth : ndarray, bool (n,)
        Which slides are positive.
    fold : ndarray, intp (n,)
        In which fold each was held out.
    groups : tuple of str
        The patient, else the smear, else the slide itself.
    """

    logits: Numbers
    truth: Flags
    fold: npt.NDArray[np.intp]
    groups: tuple[str, ...]

    @property
    def least_groups(self) -> int:
        """How many groups have slides of the rarer kind."""
        return least_groups(self.truth, self.groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideReliability(JsonFields):
    """What scores of slides are worth on slides held out fold by fold, with 95 % intervals over patients or smears.

    Parameters
    ----------
    slides, positive, folds : int
        Slides, positive ones among them, and folds.
    auroc, sensitivity, specificity : Estimate
        A logit above 0 called positive.
    brier : Estimate
        Mean square of what the score, taken as a probability, differs from the truth; 0 is perfect.
    brier_of_share : float
        That of stating the share of positive slides each time, which a score worth its name has to be below.
    brier_calibrated : Estimate or None
        That of the calibrated score, each fold calibrated by the others; None where there are too few to tell.
    calibration : Calibration or None
        Fitted on all.
    too_few : str
        Why there is no calibration, as a sentence.
    """

    slides: int
    positive: int
    folds: int
    auroc: Estimate
    sensitivity: Estimate
    specificity: Estimate
    brier: Estimate
    brier_of_share: float
    brier_calibrated: Estimate | None = None
    calibration: Calibration | None = None
    too_few: str = ""

    @property
    def sentence(self) -> str:
        """What a person reads."""
        if self.brier_calibrated is None:
            return self.too_few
        found = self.brier_calibrated
        share = 100 * self.positive / self.slides
        return (
            f"Calibrated on {counted(self.slides, 'slide')} held out in {self.folds} folds, {self.positive:,} of them "
            f"positive: Brier score {_span(found)}, {_span(self.brier)} before calibration; stating their share of "
            f"positive slides ({share:.0f} %) each time gives {self.brier_of_share:.3f}. {self._comparison} {ELSEWHERE}"
        )

    @property
    def _comparison(self) -> str:
        high = None if self.brier_calibrated is None else self.brier_calibrated.high
        if high is not None and high < self.brier_of_share:
            return "The calibrated score tells more than this share."
        return "Whether the calibrated score tells more than this share is not certain."


def _span(found: Estimate) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "unknown"
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def fitted_calibration(logits: Numbers, truth: Flags) -> Calibration:
    """Return the calibration that makes the truth likeliest.

    Notes
    -----
    Source: Platt 1999, Probabilistic Outputs for Support Vector Machines, equations 1 and 2: logistic regression
    towards targets just inside 0 and 1, so that it is finite where the logits separate the truth.
    """
    from sklearn.linear_model import LogisticRegression

    positive, negative = int(truth.sum()), int((~truth).sum())
    target = np.where(truth, (positive + 1) / (positive + 2), 1 / (negative + 2))
    both = np.concatenate([logits, logits])[:, None]
    which = np.repeat([1, 0], len(logits))
    fit = LogisticRegression(C=1e6, max_iter=1_000).fit(both, which, np.concatenate([target, 1 - target]))
    return Calibration(float(fit.coef_[0, 0]), float(fit.intercept_[0]))


def slide_reliability(held: HeldOutScores) -> SlideReliability:
    """Return what the scores of held-out slides are worth.

    Each fold's calibrated scores come of a calibration that was fitted on the other folds, so that their Brier score
    owes nothing to the slides it is measured on. Source: Stone 1974, Cross-Validatory Choice and Assessment of
    Statistical Predictions; Brier 1950, Monthly Weather Review 78(1).
    """
    truth, share, called = held.truth, float(held.truth.mean()), held.logits > 0
    folds = np.unique(held.fold)
    calibration, calibrated, too_few = None, None, _too_few(held)
    if not too_few:
        whole = fitted_calibration(held.logits, truth)
        if whole.slope <= 0:
            too_few = "The scores of held-out slides do not put positive slides first, so they cannot be calibrated."
        else:
            shares = np.empty(len(truth))
            for fold in folds.tolist():
                out = held.fold == fold
                shares[out] = fitted_calibration(held.logits[~out], truth[~out])(held.logits[out])
            calibration, calibrated = whole, _brier(shares, held)
    return SlideReliability(
        slides=len(truth),
        positive=int(truth.sum()),
        folds=len(folds),
        auroc=auroc_estimate(truth, held.logits, held.groups),
        sensitivity=share_estimate(called & truth, truth, held.groups),
        specificity=share_estimate(~called & ~truth, ~truth, held.groups),
        brier=_brier(expit(held.logits), held),
        brier_of_share=share * (1 - share),
        brier_calibrated=calibrated,
        calibration=calibration,
        too_few=too_few,
    )


def auroc_estimate(truth: Flags, scores: Numbers, groups: Sequence[Hashable]) -> Estimate:
    """Return the AUROC of scores (n,), with an interval that is no point where all slides are in order.

    Parameters
    ----------
    truth : ndarray, bool (n,)
        Which slides are positive.
    scores : ndarray, float64 (n,)
        The higher, the more positive.
    groups : sequence (n,)
        The patient, else the smear, of each slide.
    """
    return weighted_estimate(
        lambda times: auroc(np.repeat(truth, times), np.repeat(scores, times)),
        groups,
        bounds=SHARE_LIKE,
        informative=least_groups(truth, groups),
    )


def least_groups(truth: Flags, groups: Sequence[Hashable]) -> int:
    """Return how many groups have slides of the rarer kind."""
    return min(groups_with(truth, groups), groups_with(~truth, groups))


def _brier(shares: Numbers, held: HeldOutScores) -> Estimate:
    squares = (shares - held.truth) ** 2
    return weighted_estimate(lambda times: float(np.average(squares, weights=times)), held.groups, bounds=SHARE_LIKE)


def _too_few(held: HeldOutScores) -> str:
    counts = [groups_with(kind, held.groups) for kind in (held.truth, ~held.truth)]
    if min(counts) >= ENOUGH:
        return ""
    return (
        f"Not enough slides to tell how far the score can be taken at its word: expected {ENOUGH} patients, else "
        f"smears or slides, of either kind, got {counts[0]} positive and {counts[1]} negative."
    )
