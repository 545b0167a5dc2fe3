"""What was measured on the cells of a project: a row for each, sums, medians, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.json_values import JsonFields
from napari_cyto.measurements._columns import COLUMNS, TABLE_COLUMNS
from napari_cyto.measurements._reference import Reference

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

AT = {column.name: n for n, column in enumerate(COLUMNS)}
"""Where each measurement stands in a row."""

NO_MPP = (
    "The µm per px of {} are unknown, so nothing on it can be measured in µm; set them with: "
    "napari-cyto slides PROJECT --set NAME:mpp=0.25, or in the Slide dock."
)


@dataclass(frozen=True, slots=True)
class SlideMeasurements:
    """The measured cells of one slide, a row each.

    Parameters
    ----------
    slide_id, name : str
        The slide.
    ids, class_ids, statuses : tuple of str
        Of the cells.
    accepted : ndarray, bool (n,)
        Whether a person drew or accepted the outline.
    values : ndarray, float64 (n, len(COLUMNS))
        NaN where there is none.
    out_of_focus, touches, cut : ndarray, bool (n,)
        What speaks against a nucleus.
    reference : Reference
        The slide's intermediate nuclei.
    mpp : float
        µm per level-0 px by which it was measured.
    centres_yx : ndarray, float64 (n, 2)
        Where the nuclei lie, level-0 px.
    """

    slide_id: str
    name: str
    ids: tuple[str, ...]
    class_ids: tuple[str, ...]
    statuses: tuple[str, ...]
    accepted: Flags
    values: Floats
    out_of_focus: Flags
    touches: Flags
    cut: Flags
    reference: Reference
    mpp: float
    centres_yx: Floats

    @property
    def flagged(self) -> Flags:
        """Which nuclei are left out of medians."""
        return self.out_of_focus | self.touches | self.cut

    @property
    def multiples(self) -> Floats:
        """Area of each nucleus in multiples of the slide's intermediate nucleus; NaN where that cannot be said."""
        areas = self.values[:, AT["nucleus_area_um2"]]
        return areas / (self.reference.area_um2 or np.nan)


@dataclass(frozen=True, slots=True)
class SlideNotMeasured(JsonFields):
    """A slide whose cells were not measured, and why."""

    slide: str
    cells: int
    reason: str


@dataclass(frozen=True, slots=True)
class ClassSummary(JsonFields):
    """The measured cells of one class; medians are of those that nothing speaks against, None where there are none.

    Parameters
    ----------
    class_id : str
        The class.
    cells, left_out_of_medians, outline_not_accepted : int
        How many cells, how many of them are flagged, and how many have an outline that nobody accepted.
    median_nucleus_area_um2, median_multiple_of_intermediate, median_nc_ratio : float or None
        Area of the nucleus, the same in multiples of the slide's intermediate nucleus, and N:C ratio.
    """

    class_id: str
    cells: int
    left_out_of_medians: int
    outline_not_accepted: int
    median_nucleus_area_um2: float | None
    median_multiple_of_intermediate: float | None
    median_nc_ratio: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Parameters
    ----------
    slides : tuple of SlideMeasurements
        Those with measured cells.
    without_outline : int
        Cells without an outline.
    plain_outlines : int
        Cells left out because their outline does not say of what it is.
    unreadable : int
        Cells left out because the file is damaged where they lie, or their nucleus covers no pixel.
    left_out : tuple of SlideNotMeasured
        Whole slides.
    lacking : int
        Cells whose outline is new or was changed since the slide was measured.
    """

    slides: tuple[SlideMeasurements, ...] = ()
    without_outline: int = 0
    plain_outlines: int = 0
    unreadable: int = 0
    left_out: tuple[SlideNotMeasured, ...] = ()
    lacking: int = 0

    @property
    def cells(self) -> int:
        """How many cells were measured."""
        return sum(len(slide.ids) for slide in self.slides)

    def by_class(self) -> tuple[ClassSummary, ...]:
        """Return for each class how many cells, and medians of those that nothing speaks against."""
        names = sorted({name for slide in self.slides for name in slide.class_ids})
        return tuple(self._summary(name) for name in names)

    @property
    def values(self) -> Floats:
        """All numbers ``(cells, len(TABLE_COLUMNS))``, slide after slide; NaN where there is none."""
        parts = [np.column_stack([slide.values, slide.multiples]) for slide in self.slides]
        return np.concatenate([*parts, np.zeros((0, len(TABLE_COLUMNS)))])

    def _summary(self, class_id: str) -> ClassSummary:
        of = [np.array(slide.class_ids) == class_id for slide in self.slides]
        usable = [mine & ~slide.flagged for mine, slide in zip(of, self.slides, strict=True)]
        values = np.concatenate([slide.values[use] for use, slide in zip(usable, self.slides, strict=True)])
        multiples = np.concatenate([slide.multiples[use] for use, slide in zip(usable, self.slides, strict=True)])
        return ClassSummary(
            class_id,
            int(sum(mine.sum() for mine in of)),
            int(sum((mine & ~use).sum() for mine, use in zip(of, usable, strict=True))),
            int(sum((mine & ~slide.accepted).sum() for mine, slide in zip(of, self.slides, strict=True))),
            _median(values[:, AT["nucleus_area_um2"]]),
            _median(multiples),
            _median(values[:, AT["nc_ratio"]]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the sums as JSON-able values; the cells go into a table."""
        return {
            "cells": self.cells,
            "without_outline": self.without_outline,
            "outlines_of_unknown_kind": self.plain_outlines,
            "unreadable": self.unreadable,
            "classes": [each.to_json() for each in self.by_class()],
            "slides": [
                {
                    "slide": slide.name,
                    "cells": len(slide.ids),
                    "outline_not_accepted": int((~slide.accepted).sum()),
                    "out_of_focus": int(slide.out_of_focus.sum()),
                    "touching": int(slide.touches.sum()),
                    "cut_by_border": int(slide.cut.sum()),
                    "intermediate_nucleus": slide.reference.to_json(),
                }
                for slide in self.slides
            ],
            "left_out": [each.to_json() for each in self.left_out],
        }


def _median(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None
