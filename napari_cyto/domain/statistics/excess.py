"""How many cells a model would call high-grade on a slide without any, and by how many a slide exceeds that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, softmax
from scipy.stats import beta

SLIDE_VARIATION = 1.0
"""Standard deviation of slides' own false-positive rates, relative to their mean.

Stain, inflammation and debris make a model err more on one slide than on another, and cards seldom tell by how much.
Taken is what makes a slide with three times the usual rate nothing special. This value is the program's own choice.
"""

MOST_COUNTED = 50_000
"""Up to this many cells the distribution is summed cell by cell; beyond, that of the rate is as good."""


@dataclass(frozen=True, slots=True)
class FalseRate:
    """How often a model called normal cells high-grade where it was judged.

    Parameters
    ----------
    called, cells : int
        Normal cells that it called high-grade, and all normal cells.
    effective_n : float
        Independent cells that would tell as much: those of one group resemble each other.
    groups : int
        Patients, smears or pictures that they lie in.
    """

    called: int
    cells: int
    effective_n: float
    groups: int

    @property
    def value(self) -> float:
        """The rate, 0 to 1."""
        return self.called / self.cells

    def expected(self, cells: int, confidence: float = 0.95) -> Expected:
        """Return how many of ``cells`` normal cells it would call high-grade on a slide, with the range of that.

        Notes
        -----
        Source: beta-binomial predictive distribution, Gelman et al. 2013, Bayesian Data Analysis, section 2.4, with
        Jeffreys' prior on the rate; its spread is that of the estimate and that between slides together.
        """
        n = min(self.effective_n, float(self.cells))
        mean = (self.value * n + 0.5) / (n + 1)
        variance = mean * (1 - mean) / (n + 2) + (SLIDE_VARIATION * mean) ** 2
        total = max(mean * (1 - mean) / variance - 1, 1e-3)
        low, high = _range(cells, mean * total, (1 - mean) * total, confidence)
        return Expected(cells, mean * cells, low, high)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a model calls high-grade on a slide without any such cell: expected, least and most, of how many cells."""

    cells: int
    value: float
    low: float
    high: float


def together(parts: Sequence[Expected]) -> Expected:
    """Return what several models would call high-grade on one slide; they may err on the same slides."""
    return Expected(
        sum(p.cells for p in parts),
        sum(p.value for p in parts),
        sum(p.low for p in parts),
        sum(p.high for p in parts),
    )


def _range(cells: int, a: float, b: float, confidence: float) -> tuple[float, float]:
    tails = ((1 - confidence) / 2, (1 + confidence) / 2)
    if cells > MOST_COUNTED:
        low, high = (math.floor(cells * float(beta.ppf(tail, a, b))) for tail in tails)
        return float(low), float(high)
    k = np.arange(cells + 1, dtype=np.float64)
    # Up to a factor that is the same for all k; scipy's betabinom takes four times as long.
    log_p = gammaln(k + a) + gammaln(cells - k + b) - gammaln(k + 1) - gammaln(cells - k + 1)
    below = np.cumsum(softmax(log_p))
    least, most = (min(cells, int(np.searchsorted(below, tail))) for tail in tails)
    return float(least), float(most)
