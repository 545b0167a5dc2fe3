"""Outlines for all cells that are annotated: in view, on the slide, or in the project, by a process of its own."""

from __future__ import annotations

from functools import partial
from typing import Literal

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YXYX, clipped
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Cancelled, Done, Failed
from napari_cyto.session import Session
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.job_bar import JobBar

Scope = Literal["field", "slide", "project"]
SCOPES: tuple[tuple[Scope, str, str], ...] = (
    ("field", "View", "Outlines the cells with points or boxes in the current view."),
    ("slide", "Slide", "Outlines the cells with points or boxes on this slide."),
    ("project", "Project", "Outlines the cells with points or boxes on all slides of the project."),
)


class OutlineAll(QWidget):
    """Starts and stops the job, and says what came of it; the outlines are not accepted until somebody does so."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        # A model of outlines, or watershed; by default what the job has.
        self.model: str | None = None
        self.buttons = {
            scope: parts.button(words, tip, partial(self.start, scope), name=f"outline all in {words.lower()}")
            for scope, words, tip in SCOPES
        }
        self.job = JobBar()
        self.job.measured.connect(lambda _event: session.annotations_changed.emit(None))
        self.job.ended.connect(self._ended)
        self.words = parts.text(
            "Gives points and boxes an outline (nucleus and cytoplasm), dashed until accepted: select, then Enter."
        )
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        self._row = parts.row(*self.buttons.values())
        for widget in (self.words, self._row, self.job):
            layout.addWidget(widget)
        self.refresh()

    def refresh(self) -> None:
        """Offer what can be outlined now."""
        session = self._session
        self._row.setVisible(not self.job.running)
        for scope, button in self.buttons.items():
            button.setEnabled(session.project is not None and (scope == "project" or session.slide is not None))

    def start(self, scope: Scope) -> None:
        """Outline the cells of the view, the slide or the project that have no outline yet."""
        from napari_cyto.inference.outline.job import OutlineRequest, run

        session = self._session
        with session.telling():
            project = session.need_project()
            slides = () if scope == "project" else (session.need_slide().id,)
            request = OutlineRequest(
                project=project.folder,
                slide_ids=slides,
                region_yxyx=self._view() if scope == "field" else None,
                author=session.author,
                model=self.model,
            )
            self.job.run(run, {"request": request}, "Loading the model…")
        self.refresh()

    def _view(self) -> YXYX:
        slide, view = self._session.need_slide(), self._session.view_yxyx
        inside = None if view is None else clipped(view, slide.size_hw or (float("inf"), float("inf")))
        if inside is None:
            raise CytoError("The view is outside the slide; go back to the slide first.")
        return inside

    def _ended(self, event: Done | Failed | Cancelled) -> None:
        self.refresh()
        self._session.annotations_changed.emit(None)
        if not isinstance(event, Done):
            return
        came = event.result
        had = sum(slide.had_outline + slide.had_plain_outline for slide in came.slides)
        rejected = sum(slide.rejected for slide in came.slides)
        words = [f"{counted(came.outlined, 'cell')} outlined by {came.method}, not accepted yet."]
        words += [f"{counted(had, 'cell')} had an outline."] if had else []
        words += [f"{counted(rejected, 'rejected cell')} left as they are."] if rejected else []
        words += [f"{counted(count, 'cell')} without: {why.value}." for why, count in came.failed.items()]
        words += [f"{slide.slide} left out: {slide.reason}" for slide in came.left_out]
        self.job.say("\n".join([" ".join(words), *came.remarks]))
