"""Whether a slide holds enough cells to be judged, and how much of them may be hidden: the Bethesda System's rules.

Source: R. Nayar, D. C. Wilbur (eds.), The Bethesda System for Reporting Cervical Cytology, 3rd edition, Springer 2015,
chapter 1 (specimen adequacy); G. Birdsong, Judging specimen adequacy by Bethesda '01 criteria, CAP Today, January 2003.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LIQUID_BASED_CELLS = 5_000
CONVENTIONAL_CELLS = (8_000, 12_000)
PARTLY_OBSCURED, OBSCURED = 0.50, 0.75

SOURCE = "The Bethesda System for Reporting Cervical Cytology, 3rd edition (2015), chapter 1"


class Preparation(StrEnum):
    """How the cells came onto the glass."""

    LIQUID_BASED = "liquid-based"
    CONVENTIONAL = "conventional"


class Reached(StrEnum):
    """Where a count of cells stands."""

    YES = "reached"
    WITHIN = "within the range"
    NO = "not reached"
    UNKNOWN = "preparation not specified"


@dataclass(frozen=True, slots=True)
class Cellularity:
    """A count of cells against the threshold of its preparation.

    Parameters
    ----------
    cells : int
        Cells that a person or a model found.
    preparation : Preparation or None
        None while nobody said.
    reached : Reached
        How they compare.
    has_abnormal : bool
        Whether a person accepted an abnormal cell: such a slide is satisfactory whatever the count.
    """

    cells: int
    preparation: Preparation | None
    reached: Reached
    has_abnormal: bool

    @property
    def sentence(self) -> str:
        """What a person reads."""
        words = f"{self.cells:,} cells annotated or predicted"
        low, high = CONVENTIONAL_CELLS
        if self.preparation is None:
            words += ". Specify the preparation to compare this with the Bethesda thresholds."
        elif self.preparation is Preparation.LIQUID_BASED:
            words += {
                Reached.YES: f", at least the {LIQUID_BASED_CELLS:,} that a liquid-based preparation needs.",
            }.get(self.reached, f", fewer than the {LIQUID_BASED_CELLS:,} that a liquid-based preparation needs.")
        else:
            words += {
                Reached.YES: f", more than the {low:,} to {high:,} that a conventional smear needs.",
                Reached.WITHIN: f", within the minimum of {low:,} to {high:,} for a conventional smear.",
            }.get(self.reached, f", fewer than the {low:,} to {high:,} that a conventional smear needs.")
        if self.has_abnormal:
            words += " Abnormal cells were accepted: the slide is satisfactory whatever their number."
        return words


def cellularity(cells: int, preparation: Preparation | None, has_abnormal: bool = False) -> Cellularity:
    """Compare a count of cells with the threshold of a preparation.

    Source
    ------
    The Bethesda System, 3rd edition, chapter 1: at least 5,000 well-visualised squamous cells in a liquid-based
    preparation, 8,000 to 12,000 in a conventional smear; any specimen with abnormal cells is satisfactory.
    """
    if preparation is None:
        reached = Reached.UNKNOWN
    elif preparation is Preparation.LIQUID_BASED:
        reached = Reached.YES if cells >= LIQUID_BASED_CELLS else Reached.NO
    elif cells > CONVENTIONAL_CELLS[1]:
        reached = Reached.YES
    else:
        reached = Reached.WITHIN if cells >= CONVENTIONAL_CELLS[0] else Reached.NO
    return Cellularity(cells, preparation, reached, has_abnormal)


def obscured_words(share: float) -> str:
    """Return what the Bethesda System makes of a share of obscured cells, 0 to 1.

    Source
    ------
    The Bethesda System, 3rd edition, chapter 1: more than 75 % obscured is unsatisfactory unless abnormal cells are
    found; 50 to 75 % is told as partially obscuring.
    """
    if share > OBSCURED:
        return "over 75 %: unsatisfactory, unless abnormal cells are found"
    return (
        "50 to 75 %: to be reported as partially obscured" if share >= PARTLY_OBSCURED else "under 50 %: not limiting"
    )
