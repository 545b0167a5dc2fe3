"""Which class a cell is called, given a model's probabilities and what it costs to miss each class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

Costs = Mapping[str, float]

NO_COSTS: Costs = MappingProxyType({})
"""Every miss costs the same, so the likeliest class is called."""
NO_MODELS: Mapping[str, Costs] = MappingProxyType({})
"""No model has costs."""


def called_class(scores: Iterable[tuple[str, float]], costs: Costs = NO_COSTS) -> str:
    """Return the class that a cell is called; the earlier one of two that come to the same.

    Parameters
    ----------
    scores : iterable of (class id, score)
        A model's probability, or score, of each class; at least one.
    costs : mapping of class id to float
        What it costs to miss a cell of a class, relative to the others; 1 for a class that is not named.

    Notes
    -----
    Source: Duda, Hart and Stork 2001, Pattern Classification, section 2.2: the call of least expected cost, where a
    wrong call costs what the true class says, is the class of the largest probability times cost.
    """
    return max(scores, key=lambda pair: pair[1] * costs.get(pair[0], 1.0))[0]
