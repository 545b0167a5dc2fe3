"""Colours of cells on the slide by a number of each, in place of those of their classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class CellTint:
    """By which number cells are coloured.

    Parameters
    ----------
    title : str
        What the number is, with its unit.
    low, high : float
        Where the row of colours begins and ends; what lies beyond has the colour of the end.
    values : mapping of cell id to float
        The number of each; cells that are missing are drawn as having none.
    uncertain : frozenset of str
        Cells whose number nobody vouches for: their outline was not accepted. They are drawn paler.
    """

    title: str
    low: float
    high: float
    values: Mapping[str, float]
    uncertain: frozenset[str]

    def shares(self, ids: Iterable[str]) -> list[float]:
        """Return where each cell stands between low, 0, and high, 1; NaN for those without a number."""
        width = (self.high - self.low) or 1.0
        return [(self.values.get(each, math.nan) - self.low) / width for each in ids]
