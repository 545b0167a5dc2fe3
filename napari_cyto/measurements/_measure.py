"""The measurements of a project's cells: each slide's outlines, read at full resolution; a job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YXYX
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, JobCancelled, ScaleUnknownError
from napari_cyto.jobs.events import Advanced, Done, Events, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.measurements._cell import MARGIN_PX, measured_cell
from napari_cyto.measurements._columns import COLUMNS
from napari_cyto.measurements._kept import Kept, keep_measurements, kept_measurements
from napari_cyto.measurements._measured import NO_MPP, Measured, SlideNotMeasured
from napari_cyto.measurements._neighbours import with_neighbourhood
from napari_cyto.measurements._outlined_cells import MeasureOptions, OutlinedCells, outlined_cells
from napari_cyto.measurements._stored import measured_slide
from napari_cyto.slides import Slide, fingerprint_as_annotated, open_slide
from napari_cyto.slides.nuclear_scale import with_offer
from napari_cyto.slides.sharpness import glass_of, tile_at, tile_focus
from napari_cyto.slides.tissue import thumbnail
from napari_cyto.store import Project

MOST_PX = 4096
"""Longest side of a nucleus's bounds that is read, level-0 px: no nucleus is larger, an outline by mistake may be."""

_PULSE = 50
_KEPT_EVERY_S = 20.0
_STOPPED = "What was measured so far is kept."


def measure(place: Path, options: MeasureOptions, token: Token | None = None) -> Events:
    """Measure the cells of a project that have an outline; a job.

    What is kept beside the project is not measured again; what is new is kept there.

    Parameters
    ----------
    place : Path
        The project; its database is only read.
    options : MeasureOptions
        What is measured.
    token : Token, optional
        Asks to stop; what was measured until then is kept.

    Yields
    ------
    Event
        The last is a `Done` with a `Measured`.
    """
    return ending_once(_steps(place, options, token))


def _steps(place: Path, options: MeasureOptions, token: Token | None) -> Steps:
    slides, left_out, without, plain, unreadable = [], list[SlideNotMeasured](), 0, 0, 0
    with Project.open(place) as project:
        for record in project.slides():
            stop_if_cancelled(token, _STOPPED)
            cells = outlined_cells(project, record.id, options)
            without, plain = without + cells.without, plain + cells.plain
            if not cells.ids:
                continue
            run = _SlideRun(project, record, cells, token)
            try:
                yield from run.steps()
            except JobCancelled:
                raise
            except CytoError as error:
                why = with_offer(error) if isinstance(error, ScaleUnknownError) else str(error)
                left_out.append(SlideNotMeasured(record.name, len(cells.ids), why))
                yield Noted(f"{record.name} is left out: {why}")
                continue
            slides.append(measured_slide(project, record, cells, run.kept))
            unreadable += int((~run.kept.is_read[run.kept.rows_of(cells.shapes)]).sum())
    yield Done(Measured(tuple(slides), without, plain, unreadable, tuple(left_out)))


class _SlideRun:
    """Measures what is not kept of one slide, and keeps it."""

    def __init__(self, project: Project, record: SlideRecord, cells: OutlinedCells, token: Token | None) -> None:
        self._project, self._record, self._cells, self._token = project, record, cells, token
        self.kept = kept_measurements(project, record)
        self._shapes: list[bytes] = []
        self._values: list[list[float]] = []
        self._could_not_keep = ""

    def steps(self) -> Iterator[Advanced | Noted]:
        rows = self.kept.rows_of(self._cells.shapes)
        # Of what could not be read the file may be whole again.
        lacking = [n for n, row in enumerate(rows.tolist()) if row < 0 or not self.kept.is_read[row]]
        if lacking:
            path = self._project.slide_path(self._record)
            if self._record.fingerprint:
                fingerprint_as_annotated(path, self._record.fingerprint)
            with open_slide(path) as slide:
                yield from self._measure(slide, lacking)
        if self.kept.neighbourhood != self._cells.neighbourhood(self.kept.mpp):
            self.kept = with_neighbourhood(self.kept, self._cells)
            yield from self._keep()

    def _measure(self, slide: Slide, lacking: list[int]) -> Iterator[Advanced | Noted]:
        mpp = self._record.mpp if self._record.mpp is not None else slide.info.mpp
        if mpp is None:
            raise ScaleUnknownError(NO_MPP.format(self._record.name), [slide.info.path])
        if (self.kept.mpp, self.kept.size_hw) != (mpp, slide.info.size_hw):
            self.kept = Kept.nothing(mpp, slide.info.size_hw)
        glass, total, kept_at = glass_of(thumbnail(slide)), len(lacking), time.monotonic()
        # In the order in which they lie, since neighbours share tiles.
        places = self._cells.bounds_yxyx
        for done, n in enumerate(sorted(lacking, key=lambda n: _tile_of(tuple(places[n].tolist())))):
            if done % _PULSE == 0:
                if self._token is not None and self._token.cancelled():
                    yield from self._keep()
                stop_if_cancelled(self._token, self._could_not_keep or _STOPPED)
                yield Advanced(done, total, f"{self._record.name}: {done:,} of {counted(total, 'cell')} measured.")
                if time.monotonic() - kept_at > _KEPT_EVERY_S:
                    yield from self._keep()
                    kept_at = time.monotonic()
            self._shapes.append(self._cells.shapes[n])
            self._values.append(self._numbers(slide, n, mpp, glass))
        yield from self._keep()

    def _keep(self) -> Iterator[Noted]:
        """Take in what was measured, and write it down; a place that cannot be written costs only the time."""
        values = np.array(self._values, dtype=np.float64).reshape(-1, len(COLUMNS))
        self.kept = self.kept.with_rows(self._shapes, values, np.isfinite(values[:, 0]), self._cells.shapes)
        self._shapes, self._values = [], []
        try:
            keep_measurements(self._project, self._record, self.kept)
        except CytoError as error:
            if not self._could_not_keep:
                self._could_not_keep = str(error)
                yield Noted(self._could_not_keep)

    def _numbers(self, slide: Slide, n: int, mpp: float, glass: npt.NDArray[np.float32]) -> list[float]:
        """Return the row of a cell, its area NaN where it cannot be read."""
        outline = self._cells.outline(n)
        nothing = [float(np.nan)] * len(COLUMNS)
        y0, x0, y1, x1 = outline.bounds_yxyx
        top, left = int(np.floor(y0)) - MARGIN_PX, int(np.floor(x0)) - MARGIN_PX
        height, width = int(np.ceil(y1)) + MARGIN_PX - top, int(np.ceil(x1)) + MARGIN_PX - left
        if max(height, width) > MOST_PX:
            return nothing
        pixels = slide.read_region(0, top, left, height, width)
        if slide.unreadable_in((top, left, top + height, left + width)):
            return nothing
        found = measured_cell(pixels, (top, left), outline, mpp, glass)
        if not found:
            return nothing
        focus = tile_focus(tile_at(slide, outline.centre_yx, mpp), glass)
        found["focus"] = np.nan if focus is None else focus
        return [found.get(column.name, np.nan) for column in COLUMNS]


def _tile_of(bounds_yxyx: YXYX) -> tuple[int, float]:
    return (int(bounds_yxyx[0] // 1024), bounds_yxyx[1])
