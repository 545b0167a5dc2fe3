"""Asks the process beside the window what lies under a click; only what was asked last is answered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from psygnal import Signal

from napari_cyto.domain.geometry import YX
from napari_cyto.domain.json_values import from_plain
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.inference.client import InferenceLink
from napari_cyto.inference.orders import Order
from napari_cyto.inference.outline.clicks import ClickedCell, ClickRequest, ClicksAnswered
from napari_cyto.jobs.events import Cancelled, Done, Event, Failed, Measured
from napari_cyto.session import Session

_FROM_CHILD = "An answer of the outline process"
_ENDED_OUTSIDE = (
    "The outline process was stopped from outside (the system does so when memory runs out); nothing was changed. "
    "Click again to start it anew."
)


class OutlineAsker:
    """Keeps one child process with the model and the slide at hand; `poll` is to be called while it is asked.

    Parameters
    ----------
    session : Session
        Whose slide is asked about.
    """

    found = Signal(object)  # a ClickedCell
    answered = Signal(object)  # the ClicksAnswered that ends it
    failed = Signal(str)

    def __init__(self, session: Session) -> None:
        self._session = session
        # Somebody waits for each answer, and the window has nothing else to do meanwhile.
        self.link = InferenceLink(gives_way=False)
        self._generation = 0
        self._since_s: float | None = None
        # A model of outlines, or watershed; by default what the process has.
        self.model: str | None = None
        # Whether this process has answered before; the first answer waits for the model.
        self.is_warm = False

    @property
    def waits(self) -> bool:
        """Whether an answer is still to come."""
        return self._since_s is not None

    @property
    def waited_s(self) -> float:
        """How long the answer has been waited for, s."""
        return 0.0 if self._since_s is None else time.monotonic() - self._since_s

    def warm(self) -> None:
        """Have the model loaded and the slide opened ahead of the first click; says nothing where that fails."""
        slide = self._session.slide
        if slide is not None and slide.path and not self.waits:
            # What is missing is said by the first click.
            with suppress(CytoError):
                self._send(slide, ())

    def ask(self, clicks_yx: Sequence[YX]) -> None:
        """Ask for the outlines under some clicks, level-0 px; what was asked before is not wanted any more.

        Raises
        ------
        CytoError
            When no slide is open, or its file is missing.
        """
        slide = self._session.need_slide()
        if not slide.path:
            raise CytoError(f"{slide.name}: its image file is missing; attach it in the Slides dock first.")
        was_taken = self._send(slide, clicks_yx)
        self._since_s = time.monotonic()
        if not was_taken:
            self._fail(_ENDED_OUTSIDE)

    def drop(self) -> None:
        """Want no answer any more."""
        self._generation += 1
        if self.waits:
            self.link.send(Order("cancel", drop=True), start=False)
        self._since_s = None

    def poll(self) -> None:
        """Pass on what the process said."""
        dead = self.waits and not self.link.alive
        for answer in self.link.answers():
            self.is_warm = self.is_warm or isinstance(answer.event, Done)
            if answer.generation == self._generation and self.waits:
                self._hear(answer.event)
        if dead and self.waits:
            self._fail(_ENDED_OUTSIDE)

    def close(self) -> None:
        """Stop, and leave no process behind."""
        self._since_s = None
        self.link.close()

    def _send(self, slide: SlideRecord, clicks_yx: Sequence[YX]) -> bool:
        self._generation += 1
        self.is_warm = self.is_warm and self.link.alive
        path: Path = self._session.need_project().slide_path(slide)
        request = ClickRequest(
            slide=path,
            fingerprint=slide.fingerprint,
            clicks_yx=tuple(clicks_yx),
            mpp=slide.mpp,
            model=self.model,
            generation=self._generation,
        )
        return self.link.send(Order("outline", clicks=request))

    def _hear(self, event: Event) -> None:
        match event:
            case Measured(values):
                self.found.emit(from_plain(ClickedCell, values, _FROM_CHILD))
            case Done(result):
                self._since_s = None
                self.answered.emit(from_plain(ClicksAnswered, result, _FROM_CHILD))
            case Failed(message):
                self._fail(message)
            case Cancelled():
                self._since_s = None

    def _fail(self, sentence: str) -> None:
        self._since_s = None
        self.failed.emit(sentence)
