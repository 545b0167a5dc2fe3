"""Cells of a slide by a detector and, where wanted, a classifier: the job of the window, the command line and tests."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YXYX, clipped
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.files.lock import alone_in
from napari_cyto.inference._checkpoint import CellsDependOn, Checkpoint, RunRequest, unfinished_tiles
from napari_cyto.inference._detections import Detections
from napari_cyto.inference._stored_predictions import PredictionWriter
from napari_cyto.inference._target_project import believed_mpp, made, record_for, there
from napari_cyto.inference.cluster.chunks import ModelReference, SlideRequest
from napari_cyto.inference.cluster.pool import Farm
from napari_cyto.inference.embed.job import vectors_of_slide
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.engine.distributed import FarmedEngine
from napari_cyto.inference.engine.pipeline import AHEAD, Batch, Engine, Idle, TileDone, joined
from napari_cyto.inference.engine.plan import PLAN_VERSION, Plan, make_plan, threshold
from napari_cyto.inference.engine.tile_memory import tiles_at_a_time
from napari_cyto.inference.model_choice import Chosen, check_fit, chosen_bundles
from napari_cyto.inference.request import PredictRequest
from napari_cyto.inference.results import (
    CellsMeasured,
    FoundCells,
    ModelUsed,
    SlidePrediction,
    StoredCells,
    StoredSoFar,
    UnreadableArea,
)
from napari_cyto.inference.runtimes.model_cache import LoadedModels
from napari_cyto.jobs.events import Advanced, Done, Event, Events, Measured, Noted, Token
from napari_cyto.jobs.outcome import ending_once, stop_if_cancelled
from napari_cyto.models.finite_outputs import NotFiniteError
from napari_cyto.models.library import bundle_named
from napari_cyto.slides import Slide, fingerprint, open_slide
from napari_cyto.slides.bright_field import look_of
from napari_cyto.slides.pixel_source import SlidePixels
from napari_cyto.slides.slide import said_of_unreadable
from napari_cyto.slides.stain import Stain, look_over
from napari_cyto.store import Project

FIRST_WRITE_S, SLOWEST_WRITE_S = 0.5, 20.0
"""Cells are written soon at first, then in ever larger steps: each is a step that undo takes back."""

LARGEST_WRITE = 5_000
WARM_PX = 512

_NOTHING_YET = "Nothing was found yet."


def run(
    request: PredictRequest,
    token: Token | None = None,
    models: LoadedModels | None = None,
    farm: Farm | None = None,
) -> Events:
    """Find the cells of a slide; a job.

    Parameters
    ----------
    request : PredictRequest
        What is asked for.
    token : Token, optional
        Asks to stop; what was found till then is kept.
    models : LoadedModels, optional
        Networks that stay in memory from one run to the next.
    farm : Farm, optional
        Workers that compute, instead of this process.

    Yields
    ------
    Event
        ``Measured`` with the cells of each batch (`CellsMeasured`) or how many are stored (`StoredSoFar`), ``Advanced``
        for each tile;
        ``Done.result`` is a `SlidePrediction`'s JSON.
    """
    models = models or LoadedModels()
    events = _run(request, token, models, farm)
    return ending_once(events if request.encoder is None else _and_vectors(events, request, token, models))


def warm(request: PredictRequest, models: LoadedModels) -> None:
    """Load the models of a request and let the detector look at nothing once, so that the first answer comes fast.

    Raises
    ------
    CytoError
        When one cannot be had.
    """
    chosen = chosen_bundles(request)
    detector = models.detector(chosen.detector, request)
    # The network itself: a picture of nothing would be skipped.
    detector.runtime.cells(np.full((WARM_PX, WARM_PX, 3), 255, np.uint8), 0.5)
    if chosen.classifier is not None:
        models.classifier(chosen.classifier, request)


def _and_vectors(
    events: Iterator[Event], request: PredictRequest, token: Token | None, models: LoadedModels
) -> Iterator[Event]:
    """Yield what a run says, and make the vectors of the slide's cells before its last word."""
    assert request.encoder is not None
    encoder = models.encoder(bundle_named(request.encoder), request)
    yield from (Noted(remark) for remark in encoder.remarks)
    for event in events:
        if isinstance(event, Done) and request.out is not None:
            stored = SlidePrediction.from_json(event.result).stored
            assert stored is not None, "cells that go into a project are stored"
            with Project.open(request.out) as project, open_slide(request.slide) as slide:
                mpp = request.mpp or believed_mpp(project, slide)
                yield from vectors_of_slide(project, stored.slide_id, slide, mpp, encoder, token)
        yield event


def _run(request: PredictRequest, token: Token | None, models: LoadedModels, farm: Farm | None) -> Iterator[Event]:
    with ExitStack() as stack:
        yield Advanced(0, 0, f"Opening {request.slide.name}.")
        chosen = chosen_bundles(request)
        slide = stack.enter_context(open_slide(request.slide))
        is_held = request.run_folder is not None and request.run_folder.is_dir()
        if is_held:
            # Whose tiles these are is settled before they are read, and before anybody waits for a model.
            stack.enter_context(_alone(request))
        project = None if request.out is None else there(request.out)
        if project is not None:
            stack.enter_context(project)
        mpp = request.mpp or believed_mpp(project, slide)
        region, clipped = on_slide(request.region_yxyx, slide)
        request = request.model_copy(update={"region_yxyx": region})
        # All that can be refused is, before anything is written.
        scheme = None if project is None else project.scheme
        remarks = [*check_fit(chosen, scheme, mpp, request.stain, slide.info.name, [slide.info.path]), *clipped]
        yield from (Noted(remark) for remark in remarks)
        yield Advanced(0, 0, f"Loading {chosen.detector.id}.")
        detector = models.detector(chosen.detector, request) if farm is None else farm.knows(chosen.detector)
        classifier = None if farm or chosen.classifier is None else models.classifier(chosen.classifier, request)
        yield from (Noted(remark) for model in (detector, classifier) if model is not None for remark in model.remarks)
        tile_px = request.tile_px or (None if farm is None else farm.tile_px)
        stain = yield from _stain(slide, mpp, request, token)
        seen = _looks(slide, mpp, request, stain)
        yield from (Noted(remark) for remark in seen)
        dependencies = _depends_on(request, chosen, mpp)
        kept = None if request.run_folder is None else unfinished_tiles(request.run_folder, dependencies.to_json())
        plan = make_plan(slide, mpp, detector, request.region_yxyx, tile_px, request.score_from, stain, kept)
        ahead = AHEAD if kept is None else _tiles_at_a_time(plan, detector, farm)
        stop_if_cancelled(token, _NOTHING_YET)
        is_new = request.out is not None and project is None
        if request.out is not None:
            # Before what is kept of the run, which lies in the project's folder and would be all there is of it.
            project = project or stack.enter_context(made(request.out, chosen.scheme))
            # Else another program made it since, and did perhaps the very same.
            is_new = is_new and not project.slides()
        if not is_held:
            stack.enter_context(_alone(request))
        checkpoint = _checkpoint(request, dependencies, plan, detector)
        if checkpoint is not None and checkpoint.result is not None and not is_new:
            yield Noted(f"{slide.info.name}: already done, so it is skipped.")
            yield Done(replace(checkpoint.result, slide=str(request.slide), done_before=True).to_json())
            return
        begun = _begun(slide, checkpoint, ahead)
        yield from (Noted(remark) for remark in begun)
        writer = None
        if project is not None:
            record = record_for(project, slide, request.mpp)
            writer = PredictionWriter(
                project, record.id, mpp, chosen.speaker, request.author, chosen.detector.manifest.tells_sizes, slide
            )
        engine = partial(Engine) if farm is None else partial(FarmedEngine, farm, _slide_request(request, chosen, plan))
        running = engine(slide, plan, detector, classifier, checkpoint, token, request.outline_yx, ahead)
        yield from _OneSlide(request, chosen, slide, plan, running, writer, [*remarks, *seen, *begun]).events()


def on_slide(region_yxyx: YXYX | None, slide: Slide) -> tuple[YXYX | None, list[str]]:
    """Return the part of a region that is on a slide, level-0 px, and a sentence where that is not all of it.

    Raises
    ------
    CytoError
        When there is none: one sentence with both extents.
    """
    if region_yxyx is None:
        return None, []
    (y0, x0, y1, x1), (height, width) = region_yxyx, slide.info.size_hw
    inside = clipped(region_yxyx, (height, width))
    if inside is None:
        raise CytoError(
            f"{slide.info.name} is {width} x {height} px, and the region from x {x0:g} to {x1:g} and y {y0:g} to "
            f"{y1:g} lies outside it; give one that overlaps it, in px at full resolution."
        )
    if inside == region_yxyx:
        return region_yxyx, []
    return inside, [
        f"{slide.info.name} is {width} x {height} px, and the region extends beyond it; only the part inside is "
        f"used, from x {inside[1]:g} to {inside[3]:g} and y {inside[0]:g} to {inside[2]:g}."
    ]


def _stain(
    slide: Slide, mpp: float | None, request: PredictRequest, token: Token | None
) -> Generator[Event, None, Stain]:
    """Find where the slide may hold a cell, telling how far that is."""
    reported_s = time.monotonic()
    for said in look_over(SlidePixels(slide), mpp, request.region_yxyx):
        if isinstance(said, Stain):
            return said
        stop_if_cancelled(token, _NOTHING_YET)
        if time.monotonic() >= reported_s + FIRST_WRITE_S:
            reported_s = time.monotonic()
            yield Advanced(*said, f"{slide.info.name}: looking for tissue and cells.")
    raise AssertionError


def _looks(slide: Slide, mpp: float | None, request: PredictRequest, stain: Stain) -> list[str]:
    """Return what to know of the slide's pixels, a sentence each.

    Raises
    ------
    CytoError
        When it cannot be a stained smear in bright field, unless any picture is to be looked at.
    """
    name = slide.info.name
    if not stain.blocks.any():
        where = "" if request.region_yxyx is None else " in this region"
        return [
            f"{name}: no stained cells were found{where}. At 2 µm per px it looks like empty glass or an area that "
            "was not scanned, so the network was not run."
        ]
    look = look_of(SlidePixels(slide), mpp, stain, name)
    if look.refusal and not request.any_picture:
        raise CytoError(
            f"{look.refusal}, and the model would find cells where there are none; choose another image, or run "
            "`napari-cyto predict --any-picture` to look for cells anyway."
        )
    found = f"{look.refusal}; expect wrong predictions." if look.refusal else look.remark
    return [found] if found else []


def _slide_request(request: PredictRequest, chosen: Chosen, plan: Plan) -> SlideRequest:
    detector = ModelReference.of(chosen.detector, request.detector)
    named = chosen.classifier
    classifier = None if named is None else ModelReference.of(named, str(request.classifier))
    slide = request.model_copy(update={"slide": request.slide.absolute()})
    return SlideRequest(slide, fingerprint(request.slide), plan.mpp, plan.score_from, detector, classifier)


def _depends_on(request: PredictRequest, chosen: Chosen, mpp: float | None) -> CellsDependOn:
    return CellsDependOn(
        slide=fingerprint(request.slide),
        detector=chosen.detector.sha256,
        classifier=None if chosen.classifier is None else chosen.classifier.sha256,
        mpp=mpp,
        region=request.region_yxyx,
        outline=request.outline_yx,
        score_from=threshold(chosen.detector.manifest, request.score_from),
        plan=PLAN_VERSION,
    )


def _alone(request: PredictRequest) -> AbstractContextManager[None]:
    """Hold the folder of what is done: two runs at once would write their tiles into one another's."""
    if request.run_folder is None:
        return nullcontext()
    target = "" if request.out is None else f" into {request.out}"
    return alone_in(
        request.run_folder,
        f"{request.slide.name}: another run is predicting on it{target}; wait until it ends, or stop it and try again.",
    )


def _checkpoint(
    request: PredictRequest, dependencies: CellsDependOn, plan: Plan, detector: CellDetector
) -> Checkpoint | None:
    if request.run_folder is None:
        return None
    tiles = tuple((t.y0, t.x0, t.height, t.width) for t in plan.tiles)
    divided = RunRequest(dependencies.to_json(), tiles, plan.side_px, (detector.runtime.title,))
    return Checkpoint(request.run_folder, divided, request.again)


def _tiles_at_a_time(plan: Plan, detector: CellDetector, farm: Farm | None) -> int:
    """Return how many tiles of an unfinished run may be in work: their size stays, whatever memory is free.

    Raises
    ------
    CytoError
        When there is not memory for a single one.
    """
    if farm is not None or detector.device != "cpu":
        return AHEAD
    pixels = max((tile.height * tile.width for tile in plan.tiles), default=0)
    return tiles_at_a_time(pixels, detector.runtime.bytes_per_px, AHEAD)


def _begun(slide: Slide, checkpoint: Checkpoint | None, ahead: int) -> list[str]:
    """Return how a run stands to one before it, a sentence each; nothing where there was none."""
    notes = []
    if checkpoint is not None and checkpoint.news is not None:
        notes.append(f"{slide.info.name}: {checkpoint.news}.")
    if ahead < AHEAD:
        notes.append(
            f"{slide.info.name}: less memory is free than when this run began; its tiles stay as they are and are "
            "processed one at a time."
        )
    return notes


@dataclass
class _OneSlide:
    """One slide's run, from the models on."""

    request: PredictRequest
    chosen: Chosen
    slide: Slide
    plan: Plan
    engine: Engine
    writer: PredictionWriter | None
    remarks: list[str]
    found: int = 0
    resumed: int = 0
    done: int = 0
    waiting: list[Detections] = field(default_factory=list)

    def events(self) -> Iterator[Event]:
        """Yield what happens till the end; what was found is written, however it ends."""
        started_s = time.monotonic()
        self._next_write_s, self._pause_s = started_s + FIRST_WRITE_S, FIRST_WRITE_S
        before = () if self.engine.checkpoint is None else self.engine.checkpoint.computed_by
        self._runtimes = list(dict.fromkeys((*self.engine.runtimes, *before)))
        yield Advanced(0, len(self.plan.tiles), self.slide.info.name)
        try:
            yield from self._steps()
        except JobCancelled:
            if self.engine.dropped:
                raise JobCancelled("Stopped, since the view has changed.") from None
            yield from self._write()
            yield from self._write_left_over()
            yield self._advanced(midway=True)
            raise JobCancelled(f"Cancelled. {self._kept()}") from None
        except (GeneratorExit, NotFiniteError):
            # Cells that a model found before its answers turned into NaN are nothing to build on.
            raise
        except Exception:
            yield from self._write()
            raise
        yield from self._write()
        self._withdraw()
        yield self._advanced()
        yield from (Noted(said) for said in said_of_unreadable(self.engine.unreadable))
        if self.engine.left_out:
            self.remarks.append(_left_out(self.engine.left_out, self.slide.info.name))
            yield Noted(self.remarks[-1])
        result = self._result(time.monotonic() - started_s)
        if self.engine.checkpoint is not None:
            self.engine.checkpoint.end(result)
        yield Done(result.to_json())

    def _write_left_over(self) -> Iterator[Measured]:
        """Store what is found and not settled; when the run goes on, what is no cell after all is removed again."""
        before = frozenset() if self.writer is None else self.writer.written
        for batch in self.engine.left_over():
            yield self._took(batch)
        yield from self._write()
        if self.writer is not None and self.engine.checkpoint is not None:
            self.engine.checkpoint.note_early(self.writer.written - before)

    def _withdraw(self) -> None:
        checkpoint = self.engine.checkpoint
        if self.writer is None or checkpoint is None or not checkpoint.early:
            return
        if gone := self.writer.withdraw(checkpoint.early):
            what = "1 cell was" if gone == 1 else f"{gone:,} cells were"
            self.remarks.append(
                f"{self.slide.info.name}: {what} removed that the unfinished run had stored at the edge of its last "
                "tiles; the neighbouring tiles show the same cells better."
            )

    def _steps(self) -> Iterator[Event]:
        for step in self.engine.steps():
            if isinstance(step, TileDone):
                self.done += 1
                self.resumed += step.resumed
                yield self._advanced(midway=True)
            elif isinstance(step, Idle):
                yield self._advanced(midway=True)
                continue
            else:
                yield self._took(step)
            many = sum(len(part) for part in self.waiting) >= LARGEST_WRITE
            if not self.request.at_once and (many or time.monotonic() >= self._next_write_s):
                yield from self._write()
                self._pause_s = min(2 * self._pause_s, SLOWEST_WRITE_S)
                self._next_write_s = time.monotonic() + self._pause_s

    def _advanced(self, midway: bool = False) -> Advanced:
        """Return how far it is, with the cells that stand in the project, or were told of where there is none."""
        total = len(self.plan.tiles)
        # All tiles are behind when their cells are stored: the count beside them is the one that stays.
        done = min(self.done, total - 1) if midway else self.done
        return Advanced(done, total, f"{self.slide.info.name}: {counted(self._stored, 'cell')}")

    @property
    def _stored(self) -> int:
        return self.found if self.writer is None else self.writer.kept

    def _took(self, batch: Batch) -> Measured:
        cells = batch.cells
        self.found += len(cells)
        if self.writer is not None:
            self.waiting.append(cells)
        found = FoundCells(
            centres_yx=cells.centres_yx.tolist(),
            boxes_yxyx=cells.boxes_yxyx.tolist(),
            class_scores=cells.class_scores.tolist(),
            score=cells.scores.tolist(),
        )
        return Measured(CellsMeasured(found, batch.tile_yxyx, self.request.generation).to_json())

    def _write(self) -> Iterator[Measured]:
        waiting, self.waiting = self.waiting, []
        if self.writer is not None and waiting:
            stored = self.writer.put(joined(waiting))
            yield Measured(StoredSoFar(stored, self.writer.kept, self.request.generation).to_json())

    def _kept(self) -> str:
        where = "" if self.writer is None else " and kept in the project"
        again = "; start the same run again to resume it" if self.request.run_folder is not None else ""
        return f"{counted(self._stored, 'cell was', 'cells were')} found{where}{again}."

    def _result(self, seconds: float) -> SlidePrediction:
        writer, classifier, plan = self.writer, self.chosen.classifier, self.plan
        stored = None
        if writer is not None:
            stored = StoredCells(
                project=str(writer.project.folder),
                slide_id=writer.slide_id,
                added=writer.added,
                there_before=writer.there,
                judged_before=self.found - writer.kept,
                replaced=writer.replaced,
                classes=dict(sorted(writer.classes.items())),
                ambiguous=writer.ambiguous,
                sets_void=writer.sets_void,
            )
        return SlidePrediction(
            slide=str(self.request.slide),
            cells=self.found,
            detector=ModelUsed(self.chosen.detector.id, self.chosen.detector.sha256),
            device=str(self.engine.device),
            runtime=tuple(self._runtimes),
            classifier=None if classifier is None else ModelUsed(classifier.id, classifier.sha256),
            mpp=plan.mpp,
            score_from=plan.score_from,
            tiles=len(plan.tiles),
            tiles_without_stain=plan.skipped,
            left_out_not_scanned=self.engine.left_out,
            remarks=tuple(self.remarks),
            tiles_done_before=self.resumed,
            megapixels=round(plan.megapixels, 3),
            seconds=round(seconds, 3),
            unreadable=tuple(UnreadableArea(t.bounds_yxyx, t.reason) for t in self.engine.unreadable),
            generation=self.request.generation,
            stored=stored,
        )


def _left_out(count: int, name: str) -> str:
    what = "1 detection was" if count == 1 else f"{count} detections were"
    return f"{name}: {what} left out, on an area of one uniform colour wider than a cell, where nothing was scanned."
