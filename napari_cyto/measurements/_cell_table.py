"""The measured cells of all slides in columns, for tables, filters and orders."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_cyto.measurements._columns import TABLE_COLUMNS
from napari_cyto.measurements._measured import Flags, Floats, Measured

FACTS = ("id", "slide", "class", "status", "outline_accepted", "out_of_focus", "touching", "cut_by_border")
"""What a table says of a cell before its numbers."""

HEADINGS = (*FACTS, *(column.name for column in TABLE_COLUMNS))
"""The columns of a file, units at the end of the names."""

COLUMN_OF = {column.name: n for n, column in enumerate(TABLE_COLUMNS)}
"""Where each number stands in `CellTable.values`."""


class CellTable:
    """The measured cells, a row each.

    Parameters
    ----------
    measured : Measured
        What was measured.

    Attributes
    ----------
    ids, slide_ids, class_ids, statuses : ndarray of object (n,)
        The cells.
    accepted, out_of_focus, touches, cut : ndarray, bool (n,)
        Whether somebody accepted the outline, and what speaks against the nucleus.
    values : ndarray, float64 (n, len(TABLE_COLUMNS))
        NaN where there is none.
    centres_yx : ndarray, float64 (n, 2)
        Level-0 px.
    """

    def __init__(self, measured: Measured) -> None:
        self.measured = measured
        slides = measured.slides
        self.ids, self.class_ids, self.statuses = (
            np.array([each for slide in slides for each in getattr(slide, name)], dtype=object)
            for name in ("ids", "class_ids", "statuses")
        )
        self.slide_ids = np.array([slide.slide_id for slide in slides for _ in slide.ids], dtype=object)
        self.accepted, self.out_of_focus, self.touches, self.cut = (
            np.concatenate([*(getattr(slide, name) for slide in slides), np.zeros(0, bool)])
            for name in ("accepted", "out_of_focus", "touches", "cut")
        )
        self.values = measured.values
        self.centres_yx = np.concatenate([*(slide.centres_yx for slide in slides), np.zeros((0, 2))])

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each cell."""
        return {cell: row for row, cell in enumerate(self.ids.tolist())}

    @property
    def flagged(self) -> Flags:
        """Which nuclei are left out of medians."""
        found: Flags = self.out_of_focus | self.touches | self.cut
        return found

    @cached_property
    def slide_names(self) -> dict[str, str]:
        """The name of each slide, by its id."""
        return {slide.slide_id: slide.name for slide in self.measured.slides}

    def column(self, name: str) -> Floats:
        """Return one measurement of all cells ``(n,)``; NaN where there is none."""
        found: Floats = self.values[:, COLUMN_OF[name]]
        return found

    def between(self, name: str, low: float | None, high: float | None) -> Flags:
        """Return which cells have a measurement from ``low`` to ``high``, both in; None is no bound.

        With any bound, cells without that measurement are out.
        """
        values = self.column(name)
        found: Flags = np.ones(len(values), dtype=bool) if low is None and high is None else np.isfinite(values)
        with np.errstate(invalid="ignore"):
            if low is not None:
                found &= values >= low
            if high is not None:
                found &= values <= high
        return found

    def flags_of(self, row: int) -> tuple[str, ...]:
        """Return what speaks against a nucleus, in words."""
        said = (("out of focus", self.out_of_focus), ("touching", self.touches), ("cut by border", self.cut))
        return tuple(words for words, flags in said if flags[row])

    def rows(self, chosen: npt.NDArray[np.intp] | None = None) -> Iterator[list[object]]:
        """Yield the values of some rows, or all, in the order of `HEADINGS`: texts, bools and floats."""
        for row in range(len(self)) if chosen is None else chosen.tolist():
            flags = (self.accepted[row], self.out_of_focus[row], self.touches[row], self.cut[row])
            yield [
                self.ids[row],
                self.slide_names[self.slide_ids[row]],
                self.class_ids[row],
                self.statuses[row],
                *map(bool, flags),
                *self.values[row].tolist(),
            ]
