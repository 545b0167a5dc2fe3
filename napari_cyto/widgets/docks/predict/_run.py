"""Ask models to propose cells: which models, on which part of the slide, and how it goes."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QComboBox, QProgressBar, QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.errors import CytoError
from napari_cyto.inference.results import SlidePrediction
from napari_cyto.jobs.events import Cancelled
from napari_cyto.models.library import Entry, list_models
from napari_cyto.models.manifest import Kind
from napari_cyto.models.project_models import fit_of, model_of
from napari_cyto.session import Session
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice
from napari_cyto.widgets.docks.job_bar import eta_words
from napari_cyto.widgets.docks.predict._predictor import Predictor, Scope
from napari_cyto.widgets.docks.train.words import QUIET_FROM_S, working_words

POLL_MS = 33
_SCOPES: tuple[tuple[Scope, str, str], ...] = (
    ("field", "Current view", "Searches the field of view on screen."),
    ("region", "Region", "Searches the selected region; draw one with R."),
    (
        "slide",
        "Whole slide",
        ("Searches all tissue of the slide. You can keep working; predictions appear as they are found."),
    ),
)
LOADING = "Loading the models; the first time takes longer"
NO_DETECTOR = "No detector yet. Train one in the Train dock, or add one in the Models dock."


class PredictionRun(QWidget):
    """Models, scope, Run and Cancel, and the progress of a run."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.predictor = Predictor(session)
        self.detector = _choice("detector", "Model that finds cells.")
        self.classifier = _choice(
            "classifier",
            ("Model that assigns a class to each detected cell. Without one, the detector's classes are kept."),
        )
        self.scopes = {
            scope: parts.toggle(words, tip, partial(self._choose, scope), name=f"detect in {words}")
            for scope, words, tip in _SCOPES
        }
        self.run = parts.button(
            "Run detection",
            "Finds cells with the chosen models and adds them as unreviewed predictions.",
            self.start,
            icon="find",
        )
        self.cancel = parts.button("Cancel", "Stops the run; predictions so far stay.", self.stop, icon="stop")
        self.bar = QProgressBar()
        self.bar.setToolTip("Progress of the run")
        self.words = parts.text(selectable=True)
        self._scope: Scope = "field"
        self._found = 0
        self._started_s = 0.0
        self._doing, self._doing_since_s = "", 0.0
        self._news = ""
        self._warmed: tuple[str, str, str | None] | None = None
        # With each choice, what the project used when it was made: a "use" elsewhere comes later and overrules it.
        self._choices: dict[tuple[Path | None, Kind], tuple[str | None, tuple[str, str] | None]] = {}
        self._offered_for = self._used_by_kind()
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        self._lay_out()
        self._connect()
        self._choose("field")
        self.refresh()

    def _connect(self) -> None:
        self.detector.activated.connect(lambda _row: self._remember("detector", self.detector))
        self.classifier.activated.connect(lambda _row: self._remember("classifier", self.classifier))
        self._heard = (
            (self.predictor.advanced, self._advanced),
            (self.predictor.noted, self._noted),
            (self.predictor.arrived, self._arrived),
            (self.predictor.finished, self._finished),
            (self.predictor.failed, self._failed),
        )
        for signal, slot in self._heard:
            signal.connect(slot)

    def _lay_out(self) -> None:
        self._running = parts.row(self.bar, self.cancel, stretch=0)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (
            parts.text("Detector"),
            self.detector,
            parts.text("Classifier"),
            self.classifier,
            parts.row(*self.scopes.values()),
            self.run,
            self._running,
            self.words,
        ):
            layout.addWidget(widget)
        self._running.hide()
        self._say("")

    def refresh(self) -> None:
        """Offer the models at hand; what a person chose for this project stays, else the project's own is chosen."""
        models = list_models()
        self._offered_for = self._used_by_kind()
        self._offer(self.detector, [m for m in models if _is(m, "detector")], "detector", "")
        self._offer(
            self.classifier, [m for m in models if _is(m, "classifier")], "classifier", ("None (detector's classes)")
        )
        self.show_state()
        if not self.detector.count():
            self._say(NO_DETECTOR, style.QUIET)

    def start(self) -> None:
        """Begin a run, or say in a sentence why not."""
        self._catch_up()
        detector, classifier = self.detector.currentData(), self.classifier.currentData()
        if detector is None:
            self._say(NO_DETECTOR, style.BAD)
            return
        self._found, self._started_s, self._news = 0, time.monotonic(), ""
        try:
            self.predictor.ask(self._scope, detector, classifier or None)
        except CytoError as error:
            self._say(str(error), style.BAD)
            return
        self.bar.setRange(0, 0)
        self.bar.setFormat("")
        self._say_what(LOADING)
        self._timer.start()
        self.show_state()

    def stop(self) -> None:
        """Ask the run to stop; what it has proposed stays."""
        self.predictor.cancel()
        self._doing = ""
        self._say("Stopping…")

    def enterEvent(self, event: Any) -> None:  # noqa: N802  Qt's name
        """Load the models while the mouse is on its way to the button."""
        super().enterEvent(event)
        self._catch_up()
        slide, detector, classifier = self._session.slide, self.detector.currentData(), self.classifier.currentData()
        if slide is not None and detector is not None and self._warmed != (slide.id, detector, classifier):
            self._warmed = (slide.id, detector, classifier)
            self.predictor.warm(detector, classifier)

    def let_go(self) -> None:
        """End what still runs, when the window closes."""
        self._timer.stop()
        for signal, slot in self._heard:
            signal.disconnect(slot, missing_ok=True)
        self.predictor.close()

    def forget_outcome(self) -> None:
        """Take away what was said of a run on another slide, part or model."""
        if not self.predictor.running:
            self._say("")

    def _choose(self, scope: Scope) -> None:
        if scope != self._scope:
            self.forget_outcome()
        self._scope = scope
        for name, button in self.scopes.items():
            button.setChecked(name == scope)

    def _offer(self, box: QComboBox, models: list[Entry], kind: Kind, none: str) -> None:
        project = self._session.project
        names: list[str | None] = []
        box.clear()
        if none:
            box.addItem(none, None)
            names.append(None)
        for model in models:
            assert model.manifest is not None
            refusals = fit_of(model.manifest, project).refusals if project is not None else ()
            box.addItem(parts.unbroken(model.name), model.name)
            names.append(model.name)
            if refusals:
                box.setItemData(box.count() - 1, " ".join(refusals), Qt.ItemDataRole.ToolTipRole)
        box.setCurrentIndex(next((names.index(name) for name in self._preferred(kind) if name in names), 0))

    def _preferred(self, kind: Kind) -> list[str | None]:
        """Return the names to choose from, the best first; each may have left the library."""
        used, key = self._used(kind), self._key(kind)
        if key in self._choices and self._choices[key][1] != used:
            del self._choices[key]
        chosen = [self._choices[key][0]] if key in self._choices else []
        return chosen + ([used[0]] if used is not None else [])

    def _remember(self, kind: Kind, box: QComboBox) -> None:
        self.forget_outcome()
        self._choices[self._key(kind)] = (box.currentData(), self._used(kind))

    def _catch_up(self) -> None:
        """Follow a "use" that the session told nobody of, before anything is asked of a model."""
        if self._used_by_kind() != self._offered_for:
            self.refresh()

    def _used(self, kind: Kind) -> tuple[str, str] | None:
        project = self._session.project
        return model_of(project, kind) if project is not None else None

    def _used_by_kind(self) -> tuple[tuple[str, str] | None, ...]:
        return self._used("detector"), self._used("classifier")

    def _key(self, kind: Kind) -> tuple[Path | None, Kind]:
        # By folder: a slide that is found again opens its project anew.
        project = self._session.project
        return (project.folder if project is not None else None), kind

    def show_state(self) -> None:
        """Show what can be done now."""
        running = self.predictor.running
        self._running.setVisible(running)
        self.run.setEnabled(not running and self._session.slide is not None and self.detector.count() > 0)

    def _say_what(self, doing: str) -> None:
        """Say what is being done; `_poll` adds for how long, until there is news."""
        self._doing, self._doing_since_s = doing, time.monotonic()
        self._say_with_news(doing)

    def _poll(self) -> None:
        self.predictor.poll()
        quiet_s = time.monotonic() - self._doing_since_s
        if self.predictor.running and self._doing and quiet_s > QUIET_FROM_S:
            self._say_with_news(working_words(self._doing, quiet_s))
        if not self.predictor.running:
            self._timer.stop()
            self.show_state()

    def _advanced(self, done: int, total: int, words: str) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        left = eta_words(done, total, time.monotonic() - self._started_s)
        self.bar.setFormat(f"%p %{left}" if total else "")
        if words:
            self._say_what(words)

    def _arrived(self, count: int) -> None:
        self._found += count
        self._doing = ""
        self._say_with_news(f"{counted(self._found, 'cell')} so far")

    def _noted(self, sentence: str) -> None:
        # Progress comes many times a second, and would take a sentence away before it is read.
        self._news = sentence
        self._say_with_news(self._doing)

    def _say_with_news(self, words: str) -> None:
        self._say("\n".join(part for part in (words, self._news) if part))

    def _finished(self, result: SlidePrediction | Cancelled) -> None:
        if isinstance(result, Cancelled):
            self._say(result.message, style.WARN)
        else:
            self._say(outcome_words(result), style.GOOD)
        self.show_state()

    def _failed(self, sentence: str) -> None:
        self._say(sentence, style.BAD)
        self.show_state()

    def _say(self, words: str, colour: str = "") -> None:
        self.words.setText(words)
        style.tint(self.words, colour)
        self.words.setVisible(bool(words))


def outcome_words(result: SlidePrediction) -> str:
    """Return what a run came to, in a sentence or two."""
    stored = result.stored
    words = f"{counted(0 if stored is None else stored.added, 'new prediction')}"
    if stored is not None and stored.replaced:
        words += f", {parts.number(stored.replaced)} replacing another model's"
    if stored is not None and stored.there_before:
        words += f"; {parts.number(stored.there_before)} already annotated"
    if stored is not None and stored.ambiguous is not None:
        words += f"; {parts.number(stored.ambiguous)} ambiguous"
    ways = ", ".join(dict.fromkeys(result.runtime))
    words += f" ({result.seconds:.1f} s on {result.device or 'cpu'}{', ' if ways else ''}{ways})."
    if unreadable := len(result.unreadable):
        words += f" {counted(unreadable, 'part')} of the slide could not be read."
    if stored is not None and stored.sets_void:
        words += f" Prediction sets are not used: {stored.sets_void}"
    return " ".join((words, *result.remarks))


def _is(model: Entry, kind: Kind) -> bool:
    return model.manifest is not None and model.manifest.kind == kind


def _choice(kind: str, tip: str) -> QComboBox:
    made = Choice()
    made.setToolTip(tip)
    made.setAccessibleName(kind)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return made
