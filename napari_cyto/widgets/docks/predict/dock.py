"""Dock Propose: what a model proposes on the slide, and which of it is shown."""

from __future__ import annotations

from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFrame, QWidget

from napari_cyto.domain.annotation import Status
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.predict._extraction import ExtractionBox
from napari_cyto.widgets.docks.predict._prediction_filters import PredictionFilters
from napari_cyto.widgets.docks.predict._run import PredictionRun
from napari_cyto.widgets.docks.predict._slide_score import SlideScoreBox
from napari_cyto.widgets.docks.section import Section

HINT = (
    "Over a cell: A accepts, X rejects, 1 to 9 corrects the class. Drag on the background, or Ctrl-drag an "
    "outline, to select many; the same keys then apply to all, as one undo step."
)


class PredictDock(Dock):
    """Lets models propose cells, and filters what is shown of it."""

    title = "Predict"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.run = PredictionRun(session)
        self.counts = parts.text()
        self.filters = PredictionFilters(session)
        self.slide_score = SlideScoreBox(session)
        self.whole_slide = Section(
            "Score of the slide", self.slide_score, tip="A score of the whole slide, and what the model looked at"
        )
        self.extraction = ExtractionBox(session)
        self.extract = Section(
            "Extract cells", self.extraction, tip="Boxes round all single cells, in the steps of APACC, for review"
        )
        for widget in (
            self.run,
            _line(),
            self.counts,
            parts.text(HINT, colour=style.QUIET),
            parts.text("Show", bold=True),
            self.filters,
            _line(),
            self.whole_slide,
            self.extract,
        ):
            self.body.addWidget(widget)
        self.body.addStretch(1)
        self._scheme: object = None
        self._place: object = None
        self.listen(session.project_changed, self._show_project)
        self.listen(session.class_changed, self._show_project)
        self.listen(session.slide_changed, self._show_slide)
        self.listen(session.annotations_changed, self.later(self._show_counts))
        self.listen(session.filter_changed, self.filters.show_filter)
        self.listen(session.filter_changed, self.slide_score.show_slide)
        self._show_project()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's name
        """Read the library anew: a model may have come since."""
        super().showEvent(event)
        self.run.refresh()
        self.slide_score.refresh()

    def cancel_jobs(self) -> None:
        """Stop a run; what it has proposed stays."""
        if self.run.predictor.running:
            self.run.stop()
        self.slide_score.job.stop()
        self.extraction.job.stop()

    def let_go(self) -> None:
        """Stop listening, and end the process that looks for cells."""
        super().let_go()
        self.run.let_go()
        self.slide_score.job.close_job()
        self.extraction.job.close_job()

    def _show_project(self) -> None:
        project = self.session.project
        scheme = project.scheme if project is not None else None
        if scheme != self._scheme:
            self._scheme = scheme
            self.filters.show_scheme(scheme)
        self.filters.setEnabled(project is not None)
        self.run.refresh()
        self.slide_score.refresh()
        self._show_counts()

    def _show_slide(self) -> None:
        slide = self.session.slide
        place = None if slide is None else (slide.id, slide.mpp)
        if place != self._place:
            self._place = place
            self.run.forget_outcome()
            self.slide_score.show_slide()
            self.extraction.forget_steps()
        self._show_counts()

    def _show_counts(self) -> None:
        self.run.show_state()
        self.extraction.show_state()
        project, slide = self.session.project, self.session.slide
        if project is None or slide is None:
            self.counts.setText("Open a slide to see its predictions.")
            return
        counts = project.status_counts(slide.id)
        unreviewed, rejected = (parts.number(counts.get(s, 0)) for s in (Status.UNREVIEWED, Status.REJECTED))
        self.counts.setText(f"This slide: {unreviewed} unreviewed, {rejected} rejected")


def _line() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    return line
