"""Scores of whole slides in the Predict dock: the score with its interval, and what the model looked at."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.inference.slide_scores.job import SlideScoreOptions, score_slides
from napari_cyto.jobs.events import Cancelled, Done, Failed
from napari_cyto.models.library import models_of_kind
from napari_cyto.models.torch_installed import has_torch, torch_is_missing
from napari_cyto.session import Session
from napari_cyto.vectors import SCORE_HIDDEN, SCORE_NOTICE, SlideScore, attention_of, scores_of
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.job_bar import JobBar

NO_MODEL = "No model of whole slides in the library; train one in the Train dock."
HINT = 'In the Review dock, the order "Most attended" shows the cells that this score rests on, reviewed or not.'


class SlideScoreBox(QWidget):
    """Scores the slide on screen or all slides, and shows what the model looked at."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.model = Choice()
        self.model.setToolTip("Model of whole slides, trained on interpretations.")
        self.model.setAccessibleName("model of whole slides")
        self.here = parts.button(
            "Score this slide", "Scores the slide on screen from the vectors of its cells.", self.score_here
        )
        self.all = parts.button("Score all slides", "Scores every slide of the project.", self.score_all)
        self.job = JobBar()
        self.job.ended.connect(self._ended)
        self.score = parts.text(bold=True, selectable=True)
        self.map = parts.toggle(
            "Attention map",
            "Shows over the slide where the model looked: the darker, the more of its attention.",
            self._toggle_map,
            name="attention map",
        )
        self.words = parts.text(colour=style.QUIET)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (
            self.model,
            parts.row(self.here, self.all),
            self.job,
            self.score,
            self.map,
            self.words,
        ):
            layout.addWidget(widget)
        self.refresh()

    def refresh(self) -> None:
        """Offer the models at hand, and show what is kept of the slide on screen."""
        before = self.model.currentData()
        self.model.clear()
        for entry in models_of_kind("slide"):
            self.model.addItem(entry.name, entry.name)
        self.model.setCurrentIndex(max(0, self.model.findData(before)))
        self.show_slide()

    def show_slide(self) -> None:
        """Show the newest score of the slide on screen."""
        has_model, has_slide = self.model.count() > 0, self._session.slide is not None
        self.model.setVisible(has_model)
        for button in (self.here, self.all):
            button.setVisible(has_model)
            button.setEnabled(has_slide and not self.job.running and has_torch())
        kept, blind = self.newest(), self._session.shown_filter.blind
        self.score.setVisible(kept is not None and not blind)
        self.score.setText("" if kept is None else f"{kept.words} ({kept.model})")
        self.map.setVisible(kept is not None and not blind)
        if kept is None or blind:
            self._session.view.show_attention(None)
        self.map.setChecked(self._session.view.attention is not None)
        words = NO_MODEL if not has_model else "" if has_torch() else torch_is_missing("Scoring slides")
        if kept is not None:
            words = SCORE_HIDDEN if blind else f"{SCORE_NOTICE} {HINT if kept.bag == 'cells' else ''}".strip()
        self.words.setText(words)
        self.words.setVisible(bool(words))

    def newest(self) -> SlideScore | None:
        """Return what a model said of the slide on screen last; None before any did."""
        project, slide = self._session.project, self._session.slide
        if project is None or slide is None:
            return None
        try:
            kept = scores_of(project, slide.id)
        except CytoError as error:
            self._session.message.emit(str(error))
            return None
        return kept[-1] if kept else None

    def score_here(self) -> None:
        """Score the slide on screen."""
        if self._session.slide is not None:
            self._run((self._session.slide.id,))

    def score_all(self) -> None:
        """Score every slide of the project."""
        self._run(())

    def _run(self, slide_ids: tuple[str, ...]) -> None:
        project = self._session.project
        if project is None or self.model.currentData() is None:
            return
        options = SlideScoreOptions(model=self.model.currentData())
        arguments = {"place": project.folder, "options": options, "slide_ids": slide_ids}
        self.job.run(score_slides, arguments, "Scoring…")
        self.show_slide()

    def _ended(self, event: Done | Failed | Cancelled) -> None:
        if isinstance(event, Done):
            scored = sum(each.score is not None for each in event.result.slides)
            self.job.say("\n".join((f"{counted(scored, 'slide')} scored.", *self.job.notes)), style.GOOD)
        self.show_slide()

    def _toggle_map(self) -> None:
        project, slide, kept = self._session.project, self._session.slide, self.newest()
        with self._session.telling():
            shown = None
            if self._session.view.attention is None and project is not None and slide is not None and kept is not None:
                shown = attention_of(project, slide.id, kept.sha256)
                if shown is None:
                    raise CytoError("What the model looked at is not kept any more; score the slide again.")
            self._session.view.show_attention(shown)
        self.map.setChecked(self._session.view.attention is not None)
