"""What the Predict dock asks for: cells of the visible field, of a region, of the slide; nothing here imports torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

from psygnal import Signal

from napari_cyto.domain.geometry import YXYX, Polygon, clipped
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.inference.client import InferenceLink
from napari_cyto.inference.many_slides import run_folder_of
from napari_cyto.inference.model_choice import Chosen, check_fit, chosen_bundles
from napari_cyto.inference.orders import Order
from napari_cyto.inference.request import PredictRequest
from napari_cyto.inference.results import SlidePrediction, StoredSoFar
from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Failed, Measured, Noted
from napari_cyto.models.torch_installed import has_torch, need_torch
from napari_cyto.session import Session

Scope = Literal["field", "region", "slide"]

CANCEL_S = 0.7
"""A process that has not stopped by then is ended: cancelling takes less than a second."""

_ENDED_OUTSIDE = (
    "The detection process was stopped from outside (the system does so when memory runs out). What was stored is "
    "kept; run detection again to continue."
)


class Predictor:
    """Asks models for cells on the slide on screen, and tells what comes of it.

    Cells go into the project as proposals by the child process; ``arrived`` says how many are new there. `poll` is
    to be called some thirty times a second on the window's own thread; nothing here waits.

    Parameters
    ----------
    session : Session
        What is open.
    """

    advanced = Signal(int, int, str)
    noted = Signal(str)
    arrived = Signal(int)
    finished = Signal(object)  # a SlidePrediction, or a Cancelled with its sentence
    failed = Signal(str)

    def __init__(self, session: Session) -> None:
        self.session = session
        self.link = InferenceLink()
        self.generation = 0
        self._scope: Scope = "field"
        self._running = False
        self._cancelled_at_s: float | None = None

    @property
    def running(self) -> bool:
        """Whether an answer is still to come."""
        return self._running

    def warm(self, detector: str, classifier: str | None = None) -> None:
        """Have the models loaded ahead of the first question; says nothing when that is not possible."""
        slide, project = self.session.slide, self.session.project
        if slide is None or project is None or not slide.path or self._running or not has_torch():
            return
        request = PredictRequest(slide=Path(slide.path), detector=detector, classifier=classifier)
        self.link.send(Order("warm", request))

    def ask(self, scope: Scope, detector: str, classifier: str | None = None, score_from: float | None = None) -> int:
        """Look for cells; return the number of the question. An earlier one is given up.

        Parameters
        ----------
        scope : str
            ``field`` (what is on screen), ``region`` (the selected region) or ``slide``.
        detector, classifier : str
            Names in the library, or folders.
        score_from : float, optional
            Lower scores are not told; the model's threshold when not given.

        Raises
        ------
        CytoError
            When it cannot work: no slide, no region selected, no scale, another stain or other classes, no torch.
        """
        need_torch("Detecting cells")
        request = self._request(scope, detector, classifier, score_from)
        if self._running:
            # A field that was left is not wanted in part; of a region or slide, what was found is.
            self.link.send(Order("cancel", drop=self._scope == "field"), start=False)
        self.generation += 1
        request = request.model_copy(update={"generation": self.generation})
        self._scope, self._running, self._cancelled_at_s = scope, True, None
        if not self.link.send(Order("run", request)):
            self._fail(_ENDED_OUTSIDE)
        return self.generation

    def cancel(self) -> None:
        """Stop, and keep what was found; ``finished`` comes within a second."""
        if self._running and self._cancelled_at_s is None:
            self._cancelled_at_s = time.monotonic()
            self.link.send(Order("cancel"), start=False)

    def poll(self) -> None:
        """Pass on what the child said."""
        dead = self._running and not self.link.alive
        for answer in self.link.answers():
            if answer.generation == self.generation and self._running:
                self._hear(answer.event)
        if not self._running:
            return
        if self._cancelled_at_s is not None and (dead or time.monotonic() - self._cancelled_at_s > CANCEL_S):
            self.link.kill()
            self._end(Cancelled("Cancelled. What was stored so far is kept."))
        elif dead:
            self._fail(_ENDED_OUTSIDE)

    def close(self) -> None:
        """Stop, and leave no process behind."""
        self._running = False
        self.link.close()

    def _hear(self, event: Event) -> None:
        match event:
            case Advanced(done, total, message):
                self.advanced.emit(done, total, message)
            case Noted(message):
                self.noted.emit(message)
            case Measured(values):
                self._arrived(StoredSoFar.from_json(values).stored)
            case Done(result):
                self._end(SlidePrediction.from_json(result))
            case Cancelled():
                self._end(event)
            case Failed(message):
                self._fail(message)

    def _arrived(self, count: int) -> None:
        self.session.annotations_changed.emit(None)
        self.arrived.emit(count)

    def _end(self, result: SlidePrediction | Cancelled) -> None:
        self._running, self._cancelled_at_s = False, None
        self.finished.emit(result)

    def _fail(self, sentence: str) -> None:
        self._running, self._cancelled_at_s = False, None
        self.failed.emit(sentence)

    def _request(self, scope: Scope, detector: str, classifier: str | None, score_from: float | None) -> PredictRequest:
        session = self.session
        project, slide = session.need_project(), session.need_slide()
        if not slide.path:
            raise CytoError(f"{slide.name}: its image file is missing; attach it in the Slides dock first.")
        path = project.slide_path(slide)
        place, outline = self._place(scope, slide)
        request = PredictRequest(
            slide=path,
            detector=detector,
            classifier=classifier,
            mpp=slide.mpp,
            region_yxyx=place,
            outline_yx=outline,
            out=project.folder,
            author=session.author,
            score_from=score_from,
            run_folder=run_folder_of(project.folder / "predict", slide) if scope == "slide" else None,
            again=True,
            at_once=scope == "field",
        )
        # The window shall not wait for hashes: the child checks the weights, and refuses those that are not whole.
        chosen: Chosen = chosen_bundles(request, checked=False)
        check_fit(chosen, project.scheme, slide.mpp, None, slide.name)
        return request

    def _place(self, scope: Scope, slide: SlideRecord) -> tuple[YXYX | None, tuple[tuple[float, float], ...] | None]:
        if scope == "slide":
            return None, None
        if scope == "field":
            view = self.session.view_yxyx
            if view is None:
                raise CytoError("No field of view is on screen; open the slide first.")
            return on_slide(view, slide), None
        regions = [a.geometry for a in self.session.selected() if a.is_region and isinstance(a.geometry, Polygon)]
        if len(regions) != 1:
            raise CytoError("Select one region first: draw it with R, or click its outline with V.")
        return on_slide(regions[0].bounds_yxyx, slide), regions[0].vertices_yx


def on_slide(box_yxyx: YXYX, slide: SlideRecord) -> YXYX:
    """Return the part of a box, level-0 px, that is on a slide.

    Raises
    ------
    CytoError
        When there is none.
    """
    inside = clipped(box_yxyx, slide.size_hw or (float("inf"), float("inf")))
    if inside is None:
        raise CytoError("The view is outside the slide; go back to the slide first.")
    return inside
