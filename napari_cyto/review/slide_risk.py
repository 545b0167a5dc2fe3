"""In which order slides are read: by what a person accepted, then by what models predict beyond their errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from napari_cyto.domain.statistics.excess import Expected, FalseRate, together

ORDER = (
    "Slides are ordered by the highest grade that a person accepted, then by the excess: unreviewed cells "
    "that models predict as high grade, minus those expected from their false-positive rate on a slide "
    "without such cells, for the same number of predictions. The 95 % range of the expected number includes "
    "the uncertainty of that rate and its variation between slides."
)
ORDER_SOURCE = (
    "The rate comes from the model card: normal cells that the model called high grade when it was "
    "evaluated. Debris that a detector takes for cells is not included. How much slides differ is on no "
    "card; a standard deviation as large as the rate is assumed (beta-binomial; docs/statistics.md). The "
    "order is not a probability of disease."
)
NO_MORE = "No more than expected on a negative slide"


@dataclass(frozen=True, slots=True)
class SlideRisk:
    """What models predict of a slide beyond their errors.

    Parameters
    ----------
    accepted_severity : float
        Of the highest grade that a person accepted, 0 (none, or normal) to 1.
    predicted : int
        Unreviewed cells that models predict as high grade.
    of : int
        Cells that models predicted, whatever became of them.
    expected : Expected or None
        How many they would call high-grade on a slide without any; None where a model's card does not tell.
    models_without_rate : tuple of str
        The models whose card does not.
    """

    accepted_severity: float
    predicted: int
    of: int
    expected: Expected | None = None
    models_without_rate: tuple[str, ...] = ()

    @property
    def excess(self) -> tuple[float, float, float] | None:
        """By how many cells more are predicted than expected: value, least, most; None where that is not known."""
        if self.expected is None:
            return None
        expected = self.expected
        return self.predicted - expected.value, self.predicted - expected.high, self.predicted - expected.low

    @property
    def is_excess(self) -> bool | None:
        """Whether more are predicted than a slide without high-grade cells explains; None where that is not known."""
        return None if self.expected is None else self.predicted > self.expected.high

    @property
    def key(self) -> tuple[float, float, float]:
        """What slides are sorted by, the most urgent first."""
        excess = self.excess
        if not self.of:
            return -self.accepted_severity, 0.0, math.inf
        if excess is None:
            # Where nothing is known of a model's errors, all that it predicts may be true.
            return -self.accepted_severity, -float(self.predicted), -float(self.predicted)
        return -self.accepted_severity, -max(0.0, excess[1]), -excess[0]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values, with its sentence."""
        expected, excess = self.expected, self.excess
        return {
            "predicted": self.predicted,
            "of": self.of,
            "expected": None if expected is None else round(expected.value, 2),
            "expected_range": None if expected is None else [expected.low, expected.high],
            "excess": None if excess is None else round(excess[0], 2),
            "excess_range": None if excess is None else [excess[1], excess[2]],
            "is_excess": self.is_excess,
            "untold_models": list(self.models_without_rate),
            "sentence": risk_words(self),
        }


def slide_risk(
    accepted_severity: float, predicted: Mapping[str, int], of: Mapping[str, int], rates: Mapping[str, FalseRate]
) -> SlideRisk:
    """Return what models predict of a slide beyond their errors.

    Parameters
    ----------
    accepted_severity : float
        Of the highest grade that a person accepted, 0 to 1.
    predicted, of : mapping of origin to int
        Unreviewed cells predicted as high grade, and all that were predicted, by model.
    rates : mapping of origin to FalseRate
        As `false_rates` returns them.
    """
    models_without_rate = tuple(sorted(_model(origin) for origin in of if origin not in rates))
    expected = None if models_without_rate else together([rates[origin].expected(n) for origin, n in of.items()])
    return SlideRisk(accepted_severity, sum(predicted.values()), sum(of.values()), expected, models_without_rate)


def risk_words(risk: SlideRisk) -> str:
    """Return what models predict beyond their errors, in sentences; empty where they predicted nothing."""
    if not risk.of:
        return ""
    words = f"{risk.predicted:,} unreviewed of {risk.of:,} cells predicted as high grade"
    if risk.expected is None:
        names = ", ".join(risk.models_without_rate)
        return f"{words}. The number expected on a negative slide is unknown: no false-positive rate for {names}."
    expected = risk.expected
    words += f"; expected on a negative slide: {expected.value:,.0f} ({expected.low:,.0f} to {expected.high:,.0f})."
    if not risk.is_excess:
        return f"{words} {NO_MORE}."
    low = risk.predicted - expected.high
    return f"{words} Excess: {risk.predicted - expected.value:,.0f} cells, at least {low:,.0f}."


def _model(origin: str) -> str:
    return origin.removeprefix("model:").split("@")[0] or "an unknown model"
