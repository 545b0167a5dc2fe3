"""Intervals of shares: of independent units, and of cells that come in groups which resemble each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from scipy.stats import norm, t

FEW_GROUPS = 20
"""Below this many groups a figure is flagged: what one of them is like moves it."""

USUAL_CORRELATION = 0.1
"""What is taken for the correlation of two cells of one group before the groups themselves tell: cells of one field."""

PRIOR_GROUPS, PRIOR_GROUPS_ABOVE = 4.0, 1.0
"""How many informative groups the usual correlation weighs, against a lower one and against a higher one."""

ROUNDING = 1e-9
Counts = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ShareInterval:
    """An interval of a share, with what it rests on.

    Parameters
    ----------
    low, high : float or None
        0 to 1; None with fewer than two groups.
    groups : int
        Groups that hold at least one unit: the informative ones.
    effective_n : float
        Independent units that would tell as much.
    """

    low: float | None
    high: float | None
    groups: int
    effective_n: float


def share_interval(count: float, of: float, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the interval of the share ``count / of`` of independent units, 0 to 1; None when ``of`` is 0.

    Source: Wilson 1927, JASA 22(158), score interval; for small counts Brown, Cai and DasGupta 2001, Statistical
    Science 16(2).
    """
    return _wilson(count / of, of, float(norm.ppf((1 + confidence) / 2))) if of else None


def clustered_share(counts: npt.ArrayLike, sizes: npt.ArrayLike, confidence: float = 0.95) -> ShareInterval:
    """Return the interval of a share whose units come in groups of unequal size that resemble each other.

    Wilson's interval with the effective number of units, that is their number over the design effect, and Student's
    quantile. With few informative groups (those that hold both kinds, or the rarer kind) the design effect cannot be
    measured; then it leans on a usual correlation, the less the more of them there are.

    Parameters
    ----------
    counts, sizes : array (groups,)
        Units that count, and all units, of each group; groups without units are left out.
    confidence : float
        Between 0 and 1.

    Notes
    -----
    Source: Korn and Graubard 1998, Survey Methodology 24(2) (effective sample size with Student's quantile); Kish 1965,
    Survey Sampling, section 8.2 (design effect ``1 + (m - 1) rho``); Fleiss, Levin and Paik 2003, Statistical Methods
    for Rates and Proportions, section 15.2 (analysis-of-variance estimate of ``rho``); Satterthwaite 1946 (degrees of
    freedom of a variance of which only a part is estimated). The weights of the usual correlation are this program's;
    what they give is simulated in ``tests/domain/test_statistics.py``.
    """
    hits, of = np.asarray(counts, np.float64), np.asarray(sizes, np.float64)
    hits, of = hits[of > 0], of[of > 0]
    groups, total = len(of), float(of.sum())
    if groups < 2:
        return ShareInterval(None, None, groups, total)
    share = float(hits.sum()) / total
    effect, weight = _design_effect(hits, of, share)
    effective = total / effect
    freedom = (groups - 1) / max(weight, 1e-3) ** 2
    low, high = _wilson(share, effective, float(t.ppf((1 + confidence) / 2, freedom)))
    return ShareInterval(low, high, groups, effective)


def transformed_interval(
    value: float,
    error: float,
    groups: int,
    bounds: tuple[float, float] = (0.0, 1.0),
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the interval of a bounded figure that is no share, such as an AUROC or a kappa.

    Student's interval on the logit of the figure's place between its bounds; where the figure is at a bound or does
    not vary, a bound instead: what as many independent groups without one exception allow for.

    Parameters
    ----------
    value, error : float
        The figure and its standard error.
    groups : int
        Informative groups that it rests on.
    bounds : tuple of float
        Least and largest possible value.
    confidence : float
        Between 0 and 1.

    Notes
    -----
    Source: Pepe 2003, The Statistical Evaluation of Medical Tests, section 5.2 (logit of an AUROC); Hanley and
    Lippman-Hand 1983, JAMA 249(13) (nothing seen in n), as Wilson's interval; ``atanh`` of a kappa is half this logit.
    """
    low, high = bounds
    width = high - low
    place = min(1.0, max(0.0, (value - low) / width))
    spread = error / width
    if spread <= ROUNDING or not ROUNDING < place < 1 - ROUNDING:
        ends = _wilson(place, max(1, groups), float(norm.ppf((1 + confidence) / 2)))
    else:
        logit = math.log(place / (1 - place))
        half = float(t.ppf((1 + confidence) / 2, max(1, groups - 1))) * spread / (place * (1 - place))
        ends = (float(expit(logit - half)), float(expit(logit + half)))
    return low + width * min(place, ends[0]), low + width * max(place, ends[1])


def _design_effect(hits: Counts, of: Counts, share: float) -> tuple[float, float]:
    """Return by how much grouping multiplies the variance, and how much of that the groups themselves tell, 0 to 1."""
    total, groups = float(of.sum()), len(of)
    per_unit = float((of**2).sum()) / total
    informative = min(int((hits > 0).sum()), int((hits < of).sum()))
    measured = _correlation(hits, of, share)
    correlation = USUAL_CORRELATION if measured is None else min(1.0, max(0.0, measured))
    prior = PRIOR_GROUPS if correlation < USUAL_CORRELATION else PRIOR_GROUPS_ABOVE
    weight = informative / (informative + prior)
    effect = 1 + (per_unit - 1) * (weight * correlation + (1 - weight) * USUAL_CORRELATION)
    if 0 < share < 1:
        # The variance of the ratio itself sees what a correlation cannot: large groups that differ from small ones.
        variance = groups / (groups - 1) * float(((hits - share * of) ** 2).sum()) / total**2
        direct = variance / (share * (1 - share) / total)
        effect = max(effect, weight * direct + (1 - weight) * effect)
    return max(1.0, effect), weight


def _correlation(hits: Counts, of: Counts, share: float) -> float | None:
    """Return the correlation of two units of one group; None where nothing varies or each group is one unit."""
    total, groups = float(of.sum()), len(of)
    if not 0 < share < 1 or total <= groups:
        return None
    own = hits / of
    between = float((of * (own - share) ** 2).sum()) / (groups - 1)
    within = float((of * own * (1 - own)).sum()) / (total - groups)
    size = (total - float((of**2).sum()) / total) / (groups - 1)
    spread = between + (size - 1) * within
    return (between - within) / spread if spread > 0 else 0.0


def _wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    z2 = quantile**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * math.sqrt(max(0.0, share * (1 - share)) / n + z2 / (4 * n * n))
    # Rounding must not put the share itself outside.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def seed_interval(logits: npt.ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the score that the mean logit gives, 0 to 1, and its interval over seeds; NaN ends for one seed.

    The seeds are taken for a sample of all seeds: Student's t on the logits, brought to 0 to 1. It says how far the
    training itself wavers, not how right the model is.

    Source: Student, The probable error of a mean, Biometrika 6 (1908) 1.
    """
    values = np.asarray(logits, np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return float(expit(mean)), float("nan"), float("nan")
    reach = float(t.ppf(0.5 + confidence / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(expit(mean)), float(expit(mean - reach)), float(expit(mean + reach))
