"""Whether the slide can be judged: its cell count against the Bethesda thresholds, its focus, what is obscured."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.adequacy import Preparation, Reached, cellularity
from napari_cyto.domain.counts import counted
from napari_cyto.jobs.events import Cancelled, Done, Failed
from napari_cyto.reporting.job import survey_slide
from napari_cyto.reporting.slide_facts import FOCUS_METHOD, OBSCURED_METHOD, survey_words
from napari_cyto.reporting.slide_summary import SlideResult
from napari_cyto.reporting.stored_facts import keep_survey, preparation_of, say_preparation, survey_of
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.job_bar import JobBar

_COLOURS = {Reached.YES: style.GOOD, Reached.WITHIN: style.GOOD, Reached.NO: style.WARN}


class ResultQuality(QWidget):
    """Asks how the slide was prepared, compares, and measures focus and cover in a process of its own."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._result: SlideResult | None = None
        # Of which project and slide the running measurement is.
        self._measured: tuple[object, str] | None = None
        self.preparation = Choice()
        self.preparation.setToolTip("How the specimen was prepared; saved with the slide and your name.")
        self.preparation.setAccessibleName("preparation")
        self.preparation.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.preparation.addItem("Preparation not specified", "")
        for kind in Preparation:
            self.preparation.addItem(kind.value, kind.value)
        self.preparation.activated.connect(lambda _index: self._say(only_here=True))
        self.all_slides = parts.button(
            "Apply to all slides",
            "Applies this preparation to every slide of the project.",
            lambda: self._say(only_here=False),
        )
        self.count = parts.text()
        self.focus, self.obscured = parts.text(), parts.text()
        self.focus.setToolTip(FOCUS_METHOD)
        self.obscured.setToolTip(OBSCURED_METHOD)
        self.measure = parts.button(
            "Measure focus and obscured area",
            "Samples a few hundred places of the tissue; takes a few seconds.",
            self.start,
        )
        self.job = JobBar()
        self.job.ended.connect(self._ended)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for block in (
            parts.row(self.preparation, self.all_slides, stretch=0),
            self.count,
            self.focus,
            self.obscured,
            self.measure,
            self.job,
        ):
            layout.addWidget(block)

    @property
    def said(self) -> Preparation | None:
        """What is chosen."""
        chosen = str(self.preparation.currentData())
        return Preparation(chosen) if chosen else None

    def show_slide(self) -> None:
        """Show what is kept of the slide that is on screen now."""
        project, slide = self._session.project, self._session.slide
        has_slide = project is not None and slide is not None
        for control in (self.preparation, self.all_slides, self.measure):
            control.setEnabled(has_slide)
        said = preparation_of(project, slide.id)[0] if project is not None and slide is not None else None
        self.preparation.setCurrentIndex(max(0, self.preparation.findData(said.value if said is not None else "")))
        self._show_survey()
        self.show_result(self._result if has_slide else None)

    def show_result(self, result: SlideResult | None) -> None:
        """Compare the cells of a result with the thresholds."""
        self._result = result
        found = cellularity(0, self.said) if result is None else result.cellularity(self.said)
        colour = _COLOURS.get(found.reached, "") if result is not None else ""
        self.count.setText(found.sentence if result is not None else "")
        style.tint(self.count, colour)

    def start(self) -> None:
        """Measure the slide on screen."""
        project, slide = self._session.project, self._session.slide
        if project is None or slide is None:
            return
        with self._session.telling():
            path: Path = project.slide_path(slide)
            self._measured = (project, slide.id)
            self.measure.hide()
            self.job.run(survey_slide, {"path": path, "mpp": slide.mpp}, "Measuring focus and obscured area…")

    def _say(self, *, only_here: bool) -> None:
        project, slide = self._session.project, self._session.slide
        if project is None or slide is None:
            return
        ids = [slide.id] if only_here else [record.id for record in project.slides()]
        with self._session.telling():
            say_preparation(project, ids, self.said, self._session.author)
            if not only_here:
                self._session.message.emit(f"Saved for {counted(len(ids), 'slide')}.")
        self.show_result(self._result)

    def _ended(self, event: Done | Failed | Cancelled) -> None:
        project, slide_id = self._measured or (None, "")
        if isinstance(event, Done) and project is not None and project is self._session.project:
            with self._session.telling():
                keep_survey(self._session.need_project(), slide_id, event.result)
        self._show_survey()

    def _show_survey(self) -> None:
        project, slide = self._session.project, self._session.slide
        found = survey_of(project, slide.id) if project is not None and slide is not None else None
        focus, obscured = survey_words(None if found is None else found.facts)
        self.focus.setText(f"Focus: {focus}")
        self.obscured.setText(f"Obscured: {obscured}")
        self.measure.setVisible(not self.job.running)
        self.measure.setText("Measure focus and obscured area" if found is None else "Measure again")
