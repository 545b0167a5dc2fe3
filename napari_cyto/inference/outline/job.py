"""The outlines of a project's cells, of a field, slides or all: the job of the window, the command line and tests."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, JobCancelled, ScaleUnknownError
from napari_cyto.inference.cluster.chunks import ModelReference, OutlinesRequest, outlines_of
from napari_cyto.inference.cluster.pool import Farm, WorkersLost, in_order
from napari_cyto.inference.outline._cells import CellsToOutline, cells_to_outline, own_outline
from napari_cyto.inference.outline._outline_request import (
    CellWithout,
    Outlined,
    OutlineOptions,
    OutlineRequest,
    SlideNotOutlined,
    SlideOutlines,
    Why,
)
from napari_cyto.inference.outline._stored_outlines import OutlineWriter
from napari_cyto.inference.outline.computed import FoundOutline, by_neighbours, outlines_on
from napari_cyto.inference.outline.outlines import SHIPPED, NetworkOutlines, OutlineMethod, Watershed, outline_method
from napari_cyto.inference.results import StoredSoFar
from napari_cyto.inference.runtimes.model_cache import LoadedModels
from napari_cyto.jobs.events import Advanced, Done, Event, Events, Measured, Noted, Token
from napari_cyto.jobs.outcome import ending_once, stop_if_cancelled
from napari_cyto.models.library import bundle_named
from napari_cyto.models.torch_installed import has_torch
from napari_cyto.slides import Slide, fingerprint_as_annotated, open_slide
from napari_cyto.slides.nuclear_scale import with_offer
from napari_cyto.store import Project

__all__ = [
    "CellWithout",
    "OutlineOptions",
    "OutlineRequest",
    "Outlined",
    "SlideNotOutlined",
    "SlideOutlines",
    "Why",
    "run",
]

KEPT = "The outlines made so far are kept, and the next run continues from them."

STEP_S, STEP_CELLS = 120.0, 5_000
"""Outlines are stored in steps of this length: what a killed run loses at most, and what one undo takes back."""

BATCH = 16
"""Cells that a worker outlines at a time."""


def run(
    request: OutlineRequest,
    token: Token | None = None,
    models: LoadedModels | None = None,
) -> Events:
    """Outline the cells of a project that have a point or a box; a job.

    A cell keeps its id, class, status, author and scores; its place becomes that of its nucleus. Its outline is not
    accepted until a person does so. What has an outline already stays, so a run that was stopped is continued by
    another one.

    Parameters
    ----------
    request : OutlineRequest
        Which cells, and how.
    token : Token, optional
        Asks to stop; what was outlined till then is kept.
    models : LoadedModels, optional
        Networks that stay in memory from one run to the next.

    Yields
    ------
    Event
        ``Advanced`` with cells, ``Measured`` with how many are stored (`StoredSoFar`); ``Done.result`` is an
        `Outlined`.
    """
    return ending_once(_steps(request, token, models or LoadedModels()))


def _steps(request: OutlineRequest, token: Token | None, models: LoadedModels) -> Iterator[Event]:
    place = Project.folder_of(request.project)
    with Project.open(place) as project, ExitStack() as stack:
        ids = request.slide_ids or tuple(record.id for record in project.slides())
        records = [project.slide(each) for each in ids]
        running = _Run(project, request, token, models)
        yield Advanced(0, 0, "Loading the model.")
        yield from running.ready(stack)
        for record in records:
            yield from running.slide(record)
        yield Done(running.result(place))


@dataclass
class _Run:
    """One run, from its method on."""

    project: Project
    request: OutlineRequest
    token: Token | None
    models: LoadedModels
    done: list[SlideOutlines] = field(default_factory=list)
    left_out: list[SlideNotOutlined] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    stored: int = 0

    def ready(self, stack: ExitStack) -> Iterator[Event]:
        """Have what draws outlines, here or on workers."""
        request = self.request
        self._method, self._reference, remark = _method(request, self.models)
        self._farm: Farm | None = None
        if request.workers is not None or request.scheduler is not None:
            yield Advanced(0, 0, "Starting workers." if request.scheduler is None else "Checking the workers.")
            self._farm = stack.enter_context(self._workers())
        said = [remark] if remark else []
        self.remarks += [*said, *(self._farm.remarks if self._farm else ())]
        yield from (Noted(each) for each in self.remarks)

    def _workers(self) -> AbstractContextManager[Farm]:
        from napari_cyto.inference.cluster.workers import workers_for

        references = () if self._reference is None else (self._reference,)
        return workers_for(self.request, references, self.request.workers, self.request.scheduler, self.token)

    def slide(self, record: SlideRecord) -> Iterator[Event]:
        """Outline the cells of a slide, or say why it is left out."""
        stop_if_cancelled(self.token, KEPT)
        yield Advanced(0, 0, f"{record.name}: looking for cells without an outline.")
        cells = cells_to_outline(self.project, record.id, self.request)
        writer = OutlineWriter(self.project, self._method.name, self.request.author)
        try:
            mpp = record.mpp
            if cells.chosen:
                mpp = yield from self._outlined(record, cells, writer)
        except (JobCancelled, WorkersLost):
            raise
        except CytoError as error:
            left = len(cells.chosen) - cells.seen
            why = with_offer(error) if isinstance(error, ScaleUnknownError) else str(error)
            self.left_out.append(SlideNotOutlined(record.id, record.name, left, why))
            yield Noted(f"{record.name} is left out: {why}")
            if not cells.seen:
                return
            mpp = record.mpp
        self.done.append(_came_to(record, mpp, cells, writer))

    def _outlined(
        self, record: SlideRecord, cells: CellsToOutline, writer: OutlineWriter
    ) -> Generator[Event, None, float | None]:
        path = self.project.slide_path(record)
        known = fingerprint_as_annotated(path, record.fingerprint)
        with open_slide(path) as slide:
            mpp = record.mpp if record.mpp is not None else slide.info.mpp
            if mpp is None:
                yield from self._unknown_scale(record, path)
            cells.keep_those_on(slide.info.size_hw)
            order = by_neighbours(cells.places_yx)
            if self._farm is None:
                found = self._here(slide, cells.places_yx[order], mpp)
            else:
                chunks_of = OutlinesRequest(path, known, mpp, self._reference, self.request)
                found = self._by_workers(self._farm, chunks_of, cells.places_yx[order])
            yield from self._stored(record.name, slide.info.size_hw, cells, order, found, writer)
        return mpp

    def _unknown_scale(self, record: SlideRecord, path: Path) -> Iterator[Event]:
        if self.request.unknown_scale == "leave-out":
            raise ScaleUnknownError(
                f"The µm per px of {record.name} are unknown, so how large a nucleus may be is unknown too; set them "
                "with: napari-cyto slides PROJECT --set NAME:mpp=0.25, or in the Slide dock, or choose to look for the "
                "size of each nucleus.",
                [path],
            )
        remark = f"{record.name}: the µm per px are unknown, so the size of each nucleus was looked for; expect errors."
        self.remarks.append(remark)
        yield Noted(remark)

    def _here(self, slide: Slide, places_yx: npt.NDArray[np.float64], mpp: float | None) -> Iterator[FoundOutline]:
        for found in outlines_on(slide, places_yx, mpp, self._method):
            stop_if_cancelled(self.token, KEPT)
            yield found

    def _by_workers(
        self, farm: Farm, chunks_of: OutlinesRequest, places_yx: npt.NDArray[np.float64]
    ) -> Iterator[FoundOutline]:
        batches = ((start, places_yx[start : start + BATCH]) for start in range(0, len(places_yx), BATCH))
        for _, found in in_order(farm, outlines_of, chunks_of, batches, self.token, KEPT):
            yield from found

    def _stored(
        self,
        name: str,
        size_hw: tuple[int, int],
        cells: CellsToOutline,
        order: npt.NDArray[np.intp],
        found: Iterator[FoundOutline],
        writer: OutlineWriter,
    ) -> Iterator[Event]:
        """Store outlines as they come; however it ends, those that were found are stored."""
        total, last_s = len(order), time.monotonic()
        try:
            for n, one in enumerate(found):
                cell, cells.seen = cells.chosen[order[n]], n + 1
                judged = own_outline(self.project, cell, one, size_hw, self.request.score_from)
                if isinstance(judged, Why):
                    cells.without.append(CellWithout(cell.id, cell.geometry.centre_yx, judged))
                else:
                    writer.put(cell, judged)
                yield Advanced(n + 1, total, f"{name}: {n + 1:,} of {counted(total, 'cell')} outlined.")
                if writer.waiting >= STEP_CELLS or time.monotonic() - last_s >= STEP_S:
                    yield from self._written(writer)
                    last_s = time.monotonic()
            yield from (Noted(each) for each in (self._farm.new_incidents() if self._farm else ()))
        finally:
            stored = writer.write()
            self.stored += stored
        if stored:
            yield self._said(stored)

    def _written(self, writer: OutlineWriter) -> Iterator[Event]:
        if stored := writer.write():
            self.stored += stored
            yield self._said(stored)

    def _said(self, stored: int) -> Measured:
        return Measured(StoredSoFar(stored, self.stored, self.request.generation).to_json())

    def result(self, place: Path) -> Outlined:
        """Return what it came to."""
        return Outlined(
            project=str(place),
            method=self._method.name,
            sha256="" if self._reference is None else self._reference.sha256,
            slides=tuple(self.done),
            left_out=tuple(self.left_out),
            remarks=tuple(self.remarks),
            generation=self.request.generation,
        )


def _method(request: OutlineRequest, models: LoadedModels) -> tuple[OutlineMethod, ModelReference | None, str]:
    """Return what draws outlines, how workers know it, and a remark where it is not what might be expected."""
    if request.model == Watershed.name or (request.model is None and not has_torch()):
        method, remark = outline_method(request.model)
        return method, None, remark
    name = request.model or SHIPPED
    bundle = bundle_named(name)
    network: NetworkOutlines = models.outlines(bundle, request)
    return network, ModelReference.of(bundle, name), ""


def _came_to(record: SlideRecord, mpp: float | None, cells: CellsToOutline, writer: OutlineWriter) -> SlideOutlines:
    changed = [CellWithout(cell.id, cell.geometry.centre_yx, Why.CHANGED) for cell in writer.changed]
    return SlideOutlines(
        slide_id=record.id,
        slide=record.name,
        mpp=mpp,
        cells=cells.cells,
        outlined=writer.stored,
        with_cytoplasm=writer.with_cytoplasm,
        had_outline=cells.had_outline,
        had_plain_outline=cells.had_plain_outline,
        rejected=cells.rejected,
        without=(*cells.without, *changed),
    )
