"""The numbers that people enter, each with its range: one home for command line, docks, recipes and files of models.

A number out of its range is no wish but a slip (a comma, a unit, a field left at zero), and what is computed from it
looks like a result. NaN and infinity are in no range.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,30}", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that people enter; in ``Annotated[float, ...]`` pydantic refuses what is out of its range.

    Parameters
    ----------
    low, high : float
        The smallest and the largest that makes sense.
    unit : str
        What is counted, as people read it.
    whole : bool
        Whether it is a whole number.
    above, below : bool
        Whether ``low``, or ``high``, itself is out of the range.
    """

    low: float
    high: float
    unit: str = ""
    whole: bool = False
    above: bool = False
    below: bool = False

    @property
    def words(self) -> str:
        """The range, as in ``0.05 to 20 µm per px``."""
        low, high = (f"{v:,.0f}" if self.whole else f"{v:g}" for v in (self.low, self.high))
        start = f"above {low}" if self.above else low
        end = f"below {high}" if self.below else high
        kind = "a whole number, " if self.whole else ""
        return f"{kind}{start} to {end}{' ' + self.unit if self.unit else ''}"

    def holds(self, value: float) -> bool:
        """Whether a number is in the range."""
        inside = self.low <= value <= self.high and math.isfinite(value)
        return inside and not (self.above and value == self.low) and not (self.below and value == self.high)

    def parsed(self, text: str) -> float | int:
        """Return the number that somebody typed.

        Raises
        ------
        ValueError
            Saying the range, and what came.
        """
        words, hint = text.strip(), ""
        if (_WHOLE if self.whole else _NUMBER).fullmatch(words):
            value: float | int = int(words) if self.whole else float(words)
            if self.holds(value):
                return value
            hint = "; it must be above 0" if value <= 0 < self.low else ""
        elif _COMMA.fullmatch(words) and not self.whole:
            hint = "; decimals follow a point"
        raise ValueError(f"expected {self.words}, got {text[:_SHOWN]!r}{hint}")

    # What a form reads of the rules of a field.
    @property
    def ge(self) -> float | None:
        """The lowest value, where it is in the range."""
        return None if self.above else self.low

    @property
    def gt(self) -> float | None:
        """The lowest value, where it is out of the range."""
        return self.low if self.above else None

    @property
    def le(self) -> float | None:
        """The highest value, where it is in the range."""
        return None if self.below else self.high

    @property
    def lt(self) -> float | None:
        """The highest value, where it is out of the range."""
        return self.high if self.below else None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """Return pydantic's plain description of a number, with this range."""
        limits = {"ge": self.ge, "gt": self.gt, "le": self.le, "lt": self.lt}
        kept = {name: int(limit) if self.whole else limit for name, limit in limits.items() if limit is not None}
        finite = {} if self.whole else {"allow_inf_nan": False}
        return handler(source) | kept | finite


MPP = Quantity(0.05, 20.0, "µm per px")
"""Of level 0: what microscopes and their scanners give; at 40x it is about 0.25."""
SCORE = Quantity(0.0, 1.0, above=True)
"""How sure a model has to be at least."""
MISS_RATE = Quantity(0.0, 0.5, above=True)
"""Share of the cells of a class that prediction sets may miss."""
RADIUS_UM = Quantity(0.01, 200.0, "µm")
"""How far a detection may lie from the cell that it is."""
BOX_UM = Quantity(0.1, 10_000.0, "µm")
"""Side of the box that stands for a cell."""
AREA_UM2 = Quantity(0.0, 1e7, "µm²")
"""Of a nucleus, a cell or a clump of them."""
REACH_UM = Quantity(0.0, 200.0, "µm")
"""How far something is grown, worn away or padded."""
SEED = Quantity(0, 2**31 - 1, whole=True)
"""What all libraries and every field of a form take."""
WORKERS = Quantity(1, 1_024, "processes", whole=True)
CELLS = Quantity(0, 100_000, "cells", whole=True)
GIVEN_CELLS = Quantity(1, 100_000, "cells", whole=True)
"""Cells that a reading gives."""
KNOWN_SHARE = Quantity(0.0, 0.5, "of the cells")
"""Those of the given cells whose class is settled."""
FOLDS = Quantity(2, 20, "parts", whole=True)
DRAWS = Quantity(100, 100_000, "resamples", whole=True)
"""Behind an interval: fewer say nothing of its ends."""
EPOCHS = Quantity(0, 10_000, "epochs", whole=True)
WEIGHT = Quantity(0.0, 1e6)
"""Of a part of a sum, 0 for none."""
REGION_PX = Quantity(-1e9, 1e9, "px")
"""A coordinate or a length on a slide: the largest slides have some 400,000 px a side."""
IMAGE_PX = Quantity(1, 1_000_000, "px", whole=True)
"""A side of a picture."""

MissRate: TypeAlias = Annotated[float, MISS_RATE]
UmPerPx: TypeAlias = Annotated[float, MPP]
Score: TypeAlias = Annotated[float, SCORE]
RadiusUm: TypeAlias = Annotated[float, RADIUS_UM]
BoxUm: TypeAlias = Annotated[float, BOX_UM]
AreaUm2: TypeAlias = Annotated[float, AREA_UM2]
ReachUm: TypeAlias = Annotated[float, REACH_UM]
Seed: TypeAlias = Annotated[int, SEED]
Workers: TypeAlias = Annotated[int, WORKERS]
Folds: TypeAlias = Annotated[int, FOLDS]
Draws: TypeAlias = Annotated[int, DRAWS]
Epochs: TypeAlias = Annotated[float, EPOCHS]
WholeEpochs: TypeAlias = Annotated[int, EPOCHS]
Weight: TypeAlias = Annotated[float, WEIGHT]
ImagePx: TypeAlias = Annotated[int, IMAGE_PX]
