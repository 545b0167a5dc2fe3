"""Which measured cells are shown, in which order, and what their medians are; no Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted
from napari_cyto.measurements import COLUMN_OF, TABLE_COLUMNS, CellTable

Rows = npt.NDArray[np.intp]

FIRST = ("nc_ratio", "nucleus_area_um2", "nucleus_area_in_intermediate_nuclei", "nucleus_circularity")
"""Numbers that are read most often stand first."""

NUMBERS = tuple(sorted(TABLE_COLUMNS, key=lambda c: FIRST.index(c.name) if c.name in FIRST else len(FIRST)))
"""All numbers in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Between:
    """A filter: cells with a measurement within bounds; None is no bound."""

    name: str = FIRST[0]
    low: float | None = None
    high: float | None = None

    @property
    def is_on(self) -> bool:
        """Whether it leaves any cell out."""
        return self.low is not None or self.high is not None


def order_of(table: CellTable, rows: Rows, key: str, *, falling: bool) -> Rows:
    """Return rows in the order of a number or a fact; those without the number come last either way.

    Parameters
    ----------
    table : CellTable
        The cells.
    rows : ndarray, intp
        Which of them.
    key : str
        A name of `TABLE_COLUMNS`, or ``class``, ``outline``, ``flags`` or ``slide``.
    falling : bool
        Whether the largest come first.
    """
    if key in COLUMN_OF:
        numbers = table.column(key)[rows]
        known = np.isfinite(numbers)
        inside = np.argsort(-numbers[known] if falling else numbers[known], kind="stable")
        return np.concatenate([rows[known][inside], rows[~known]])
    facts = {"class": table.class_ids, "slide": table.slide_ids}
    if key in facts:
        codes = np.unique(facts[key].astype(str), return_inverse=True)[1].astype(np.intp)
    else:
        codes = (~table.accepted if key == "outline" else table.flagged).astype(np.intp)
    values = codes[rows]
    return rows[np.argsort(-values if falling else values, kind="stable")]


def medians(table: CellTable, rows: Rows, *, with_flagged: bool) -> str:
    """Return the medians of some cells in a sentence, with what they rest on and what is left out of them."""
    used = rows if with_flagged else rows[~table.flagged[rows]]
    left_out = len(rows) - len(used)
    if not len(used):
        return f"No median: all {counted(len(rows), 'cell')} are flagged." if len(rows) else ""
    said = []
    for name, words, digits, unknown in (
        ("nc_ratio", "N:C {}", 2, "no N:C"),
        ("nucleus_area_um2", "nucleus {} µm²", 1, "no area"),
        ("nucleus_area_in_intermediate_nuclei", "{} x intermediate", 2, "x intermediate cannot be said"),
    ):
        found = table.column(name)[used]
        found = found[np.isfinite(found)]
        said.append(words.format(f"{np.median(found):.{digits}f}") if len(found) else unknown)
    uncertain = int((~table.accepted[used]).sum())
    notes = [f"{left_out:,} flagged left out"] if left_out else []
    notes += [f"{counted(uncertain, 'outline')} not accepted"] if uncertain else []
    note = f" ({', '.join(notes)})" if notes else ""
    return f"Median of {counted(len(used), 'cell')}{note}: {', '.join(said)}"


def number_words(value: float, *, certain: bool) -> str:
    """Return a number as the table shows it: three digits at least, ≈ before what nobody vouches for."""
    if not np.isfinite(value):
        return "–"
    size = abs(value)
    words = (
        f"{value:.0f}"
        if size >= 1000
        else f"{value:.1f}"
        if size >= 10
        else f"{value:.2f}"
        if size >= 1
        else f"{value:.3f}"
    )
    return words if certain else f"≈ {words}"
