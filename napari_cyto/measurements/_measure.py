"""The measurements of a project's cells: each slide's outlines, read at full resolution; a job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YXYX, CellOutline, Polygon
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.jobs.events import Advanced, Done, Events, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.measurements._cell import MARGIN_PX, measured_cell
from napari_cyto.measurements._columns import COLUMNS
from napari_cyto.measurements._neighbours import TOUCHING_UM, cut_by_border, nuclei_inside, touching
from napari_cyto.measurements._reference import CONFIDENT, INTERMEDIATE, Reference, reference_nucleus
from napari_cyto.slides import Slide, fingerprint_as_annotated, open_slide
from napari_cyto.slides.sharpness import OUT_OF_FOCUS_BELOW, glass_of, tile_at, tile_focus
from napari_cyto.slides.tissue import thumbnail
from napari_cyto.store import Project

MOST_PX = 4096
"""Longest side of a nucleus's bounds that is read, level-0 px: no nucleus is larger, an outline by mistake may be."""

_PULSE = 50
_AT = {column.name: n for n, column in enumerate(COLUMNS)}
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class MeasureOptions(BaseModel):
    """What is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plain_outlines: Literal["leave-out", "nucleus"] = Field(
        default="leave-out",
        title="Outlines of unknown kind",
        description="Outlines that do not say whether they are of a nucleus or of a cell: leave them out, or take them "
        "for nuclei.",
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

    @property
    def flagged(self) -> Flags:
        """Which nuclei are left out of medians."""
        return self.out_of_focus | self.touches | self.cut

    @property
    def multiples(self) -> Floats:
        """Area of each nucleus in multiples of the slide's intermediate nucleus; NaN where that cannot be said."""
        areas = self.values[:, _AT["nucleus_area_um2"]]
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
    """

    slides: tuple[SlideMeasurements, ...] = ()
    without_outline: int = 0
    plain_outlines: int = 0
    unreadable: int = 0
    left_out: tuple[SlideNotMeasured, ...] = ()

    @property
    def cells(self) -> int:
        """How many cells were measured."""
        return sum(len(slide.ids) for slide in self.slides)

    def by_class(self) -> tuple[ClassSummary, ...]:
        """Return for each class how many cells, and medians of those that nothing speaks against."""
        names = sorted({name for slide in self.slides for name in slide.class_ids})
        return tuple(self._summary(name) for name in names)

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
            _median(values[:, _AT["nucleus_area_um2"]]),
            _median(multiples),
            _median(values[:, _AT["nc_ratio"]]),
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


def measure(place: Path, options: MeasureOptions, token: Token | None = None) -> Events:
    """Measure the cells of a project that have an outline; a job.

    Parameters
    ----------
    place : Path
        The project; it is only read.
    options : MeasureOptions
        What is measured.
    token : Token, optional
        Asks to stop.

    Yields
    ------
    Event
        The last is a `Done` with a `Measured`.
    """
    return ending_once(_steps(place, options, token))


@dataclass
class _Cells:
    """The cells of one slide that are measured, and the places of all."""

    chosen: list[Annotation] = field(default_factory=list)
    outlines: list[CellOutline] = field(default_factory=list)
    centres_yx: list[tuple[float, float]] = field(default_factory=list)
    without: int = 0
    plain: int = 0


def _steps(place: Path, options: MeasureOptions, token: Token | None) -> Steps:
    slides, left_out, without, plain, unreadable = [], list[SlideNotMeasured](), 0, 0, 0
    with Project.open(place) as project:
        for record in project.slides():
            stop_if_cancelled(token)
            cells = _cells_of(project, record.id, options)
            without, plain = without + cells.without, plain + cells.plain
            if not cells.chosen:
                continue
            try:
                path = project.slide_path(record)
                if record.fingerprint:
                    fingerprint_as_annotated(path, record.fingerprint)
                with open_slide(path) as slide:
                    run = _SlideRun(slide, record, cells, _intermediate(project), token)
                    yield from run.steps()
                slides.append(run.result())
                unreadable += run.unreadable
            except JobCancelled:
                raise
            except CytoError as error:
                left_out.append(SlideNotMeasured(record.name, len(cells.chosen), str(error)))
                yield Noted(f"{record.name} is left out: {error}")
    yield Done(Measured(tuple(slides), without, plain, unreadable, tuple(left_out)))


def _cells_of(project: Project, slide_id: str, options: MeasureOptions) -> _Cells:
    cells = _Cells()
    for one in project.annotations(slide_id):
        if one.is_region or one.status is Status.REJECTED:
            continue
        cells.centres_yx.append(one.geometry.centre_yx)
        shape = one.geometry
        if isinstance(shape, CellOutline):
            cells.outlines.append(shape)
        elif not isinstance(shape, Polygon):
            cells.without += 1
            continue
        elif options.plain_outlines == "nucleus":
            cells.outlines.append(CellOutline(shape.vertices_yx))
        else:
            cells.plain += 1
            continue
        cells.chosen.append(one)
    return cells


def _intermediate(project: Project) -> str:
    return next((name for name in INTERMEDIATE if name in project.scheme.ids), "")


class _SlideRun:
    def __init__(
        self, slide: Slide, record: SlideRecord, cells: _Cells, intermediate: str, token: Token | None
    ) -> None:
        mpp = record.mpp if record.mpp is not None else slide.info.mpp
        if mpp is None:
            raise CytoError(
                f"The µm per px of {record.name} are unknown, so nothing on it can be measured in µm; set them with: "
                "napari-cyto slides PROJECT --set NAME:mpp=0.25, or in the Slide dock."
            )
        self._slide, self._record, self._cells, self._token = slide, record, cells, token
        self._mpp, self._intermediate = mpp, intermediate
        self._values = np.full((len(cells.chosen), len(COLUMNS)), np.nan)
        self._read = np.zeros(len(cells.chosen), dtype=bool)

    @property
    def unreadable(self) -> int:
        return int((~self._read).sum())

    def steps(self) -> Iterator[Advanced]:
        """Measure, cell by cell."""
        glass, total = glass_of(thumbnail(self._slide)), len(self._cells.chosen)
        # In the order in which they lie, since neighbours share tiles.
        order = sorted(range(total), key=lambda n: _tile_of(self._cells.outlines[n].bounds_yxyx))
        for done, n in enumerate(order):
            if done % _PULSE == 0:
                stop_if_cancelled(self._token)
                yield Advanced(done, total, f"{self._record.name}: {done:,} of {counted(total, 'cell')} measured.")
            self._measure(n, glass)
        inside = nuclei_inside(self._cells.outlines, np.array(self._cells.centres_yx).reshape(-1, 2))
        self._values[:, _AT["nuclei_in_cytoplasm"]] = inside

    def _measure(self, n: int, glass: npt.NDArray[np.float32]) -> None:
        outline = self._cells.outlines[n]
        y0, x0, y1, x1 = outline.bounds_yxyx
        top, left = int(np.floor(y0)) - MARGIN_PX, int(np.floor(x0)) - MARGIN_PX
        height, width = int(np.ceil(y1)) + MARGIN_PX - top, int(np.ceil(x1)) + MARGIN_PX - left
        if max(height, width) > MOST_PX:
            return
        pixels = self._slide.read_region(0, top, left, height, width)
        if self._slide.unreadable_in((top, left, top + height, left + width)):
            return
        found = measured_cell(pixels, (top, left), outline, self._mpp, glass)
        if not found:
            return
        focus = tile_focus(tile_at(self._slide, outline.centre_yx, self._mpp), glass)
        found["focus"] = np.nan if focus is None else focus
        self._values[n] = [found.get(column.name, np.nan) for column in COLUMNS]
        self._read[n] = True

    def result(self) -> SlideMeasurements:
        kept = np.flatnonzero(self._read).tolist()
        chosen, outlines = [self._cells.chosen[n] for n in kept], [self._cells.outlines[n] for n in kept]
        values = self._values[kept].reshape(-1, len(COLUMNS))
        # What touches a nucleus that could not be read touches all the same.
        touches = touching(self._cells.outlines, TOUCHING_UM / self._mpp)[kept]
        cut = cut_by_border(outlines, self._slide.info.size_hw)
        out_of_focus = values[:, _AT["focus"]] < OUT_OF_FOCUS_BELOW
        counts = np.array([_is_sure(a, self._intermediate) for a in chosen], dtype=bool)
        counts &= ~(touches | cut | out_of_focus)
        areas = values[:, _AT["nucleus_area_um2"]]
        return SlideMeasurements(
            self._record.id,
            self._record.name,
            tuple(a.id for a in chosen),
            tuple(a.class_id or "" for a in chosen),
            tuple(a.status.value for a in chosen),
            np.array([outline.accepted for outline in outlines], dtype=bool),
            values,
            out_of_focus,
            touches,
            cut,
            reference_nucleus(areas, counts, self._intermediate),
        )


def _is_sure(cell: Annotation, class_id: str) -> bool:
    if cell.class_id != class_id:
        return False
    return cell.status is Status.ACCEPTED or dict(cell.scores).get(class_id, 0.0) >= CONFIDENT


def _tile_of(bounds_yxyx: YXYX) -> tuple[int, float]:
    return (int(bounds_yxyx[0] // 1024), bounds_yxyx[1])


def _median(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None
