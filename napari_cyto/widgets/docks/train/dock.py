"""Dock Train: set up the next model, watch it learn, judge it, use it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QLineEdit, QMessageBox, QWidget

from napari_cyto.errors import CytoError
from napari_cyto.models.project_models import use_model
from napari_cyto.models.torch_installed import has_torch, torch_is_missing
from napari_cyto.session import Session
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.recipes import all_recipes
from napari_cyto.training.request import (
    TRAINING,
    SlideTrainRequest,
    TrainRequest,
    class_colours,
    free_name,
    latest_unseen,
    note_as_seen,
    request_of,
    resume,
    runs_folder,
    start,
)
from napari_cyto.training.run_watch import RunWatch
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.base import Dock
from napari_cyto.widgets.docks.train._outcome import TrainOutcome
from napari_cyto.widgets.docks.train._progress import TrainProgress, head_words, pace_words
from napari_cyto.widgets.docks.train._setup import TrainSetup
from napari_cyto.widgets.docks.train._slide_training import SlideTraining
from napari_cyto.widgets.docks.train.words import plain

POLL_MS = 250
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class TrainDock(Dock):
    """Either the controls of a run to come, or a run: at work or ended."""

    title = "Train"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.watch: RunWatch | None = None
        self._place: Path | None = None
        recipes, self._fault = _recipes()
        self.setup = TrainSetup(session, recipes)
        self.slides = SlideTraining(session)
        self.progress = TrainProgress(session)
        self.outcome = TrainOutcome(session)
        self.name = QLineEdit()
        self.name.setToolTip("Name of the new model: letters, digits, dots, - and _.")
        self.name.setAccessibleName("name of the model")
        self.name.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.name.setPlaceholderText("name of the model")
        self.name_head = parts.text("Name of the model", bold=True)
        self.words = parts.text(colour=style.BAD, selectable=True)
        self.start = parts.button(
            "Start training",
            "Trains in a separate process; you can keep annotating, or close the window.",
            self.start_run,
            icon="next",
        )
        self.pause = parts.toggle("Pause", "Pauses the run; it can be resumed later.", self.pause_run)
        self.cancel = parts.button(
            "Cancel", "Cancels the run within a second; the best model so far is kept.", self.cancel_run, icon="stop"
        )
        self.new = parts.button("New run", "Sets up another run.", self.leave_run, icon="new")
        self._polling = QTimer(self)
        self._polling.setInterval(POLL_MS)
        self._polling.timeout.connect(self.poll)
        self._lay_out()
        self._connect()
        self._show_project()

    def _lay_out(self) -> None:
        for widget in (self.setup, self.slides, self.progress.head, self.outcome, self.progress):
            self.body.addWidget(widget)
        self.body.addStretch(1)
        for widget in (
            self.words,
            self.name_head,
            self.name,
            parts.row(self.start),
            parts.row(self.pause, self.cancel),
            parts.row(self.new),
        ):
            self.footer.addWidget(widget)
        self.footer.setContentsMargins(6, 4, 6, 6)

    def _connect(self) -> None:
        self.setup.changed.connect(self._changed)
        self.slides.requested.connect(self.start_slides)
        self.name.textChanged.connect(lambda _words: self._changed())
        self.outcome.used.connect(self.use)
        self.outcome.continued.connect(self.continue_run)
        self.outcome.resumed.connect(self.resume_run)
        self.listen(self.session.project_changed, self._show_project)
        self.listen(self.session.annotations_changed, self.later(self._on_annotations_changed))

    # What the user asks for

    def request(self) -> TrainRequest:
        """Return the run that the controls ask for.

        Raises
        ------
        CytoError
            When a setting is out of its range, or the name is none.
        """
        out = self._named_place()
        return TrainRequest(self.setup.config(), self.setup.sources.texts(), out, self.setup.parent_path)

    def _named_place(self) -> Path:
        name: str = self.name.text().strip()
        if not NAME.fullmatch(name):
            raise CytoError(
                "Expected a model name of letters, digits, dots, - and _ that starts with a letter or digit."
            )
        out = runs_folder(self.session.project) / name
        if out.exists():
            raise CytoError(f"A model called {name} already exists; choose another name.")
        return out

    def start_run(self) -> None:
        """Start what the controls ask for."""
        self._try(lambda: start(self.request()))

    def start_slides(self) -> None:
        """Start the run on whole slides that the controls ask for."""
        self._try(lambda: start(self.slide_request()))

    def slide_request(self) -> SlideTrainRequest:
        """Return the run on the slides of the open project.

        Raises
        ------
        CytoError
            When a setting is out of its range, the name is none, or no project is open.
        """
        project, config = self.session.need_project(), self.slides.config()
        # What stands in the field until somebody types there is a name for a model of cells.
        is_typed = self.name.isModified() and bool(self.name.text().strip())
        out = self._named_place() if is_typed else runs_folder(project) / free_name(runs_folder(project), config.name)
        return SlideTrainRequest(config, (str(project.folder),), out)

    def resume_run(self) -> None:
        """Go on with the run on screen, which had ended early."""
        if self.watch is not None:
            out = self.watch.out
            self._try(lambda: resume(out))

    def pause_run(self) -> None:
        """Let the run wait, or go on."""
        if self.watch is not None:
            self.do(self.watch.ask, "go" if self.watch.paused else "pause")
            self._show_run()

    def cancel_run(self) -> None:
        """End the run; it keeps its best model."""
        if self.watch is not None:
            self.do(self.watch.ask, "cancel")
            self._show_run()

    def use(self) -> None:
        """Add the finished model to the library and make it the project's."""
        if self.watch is not None:
            out = self.watch.out
            with self.session.telling():
                name = use_model(self.session.project, out)
                self.session.message.emit(f"{name} was added to the library and is now this project's model.")
                self.session.project_changed.emit()

    def continue_run(self) -> None:
        """Set up a run that starts from the finished model, on the project as it is marked now."""
        if self.watch is None:
            return
        out, request = self.watch.out, request_of(self.watch.out)
        self.leave_run()
        if request is not None:
            self.setup.sources.set_texts(request.sources)
            self.setup.choose(request.config)
        self.setup.continue_from(out)
        self._suggest_name()

    def leave_run(self) -> None:
        """Go back to the controls of a run to come."""
        if self.watch is not None:
            note_as_seen(self.session.project, self.watch.out)
        self.follow(None)
        self.setup.continue_from(None)

    # A run is followed

    def follow(self, watch: RunWatch | None) -> None:
        """Show a run, or with None the controls of one to come."""
        self.watch = watch
        self.words.setText("")
        self.progress.clear()
        self.outcome.clear()
        if watch is None:
            self._polling.stop()
            self._suggest_name()
        else:
            watch.poll()
            self._polling.start()
        self._show_run()

    def poll(self) -> None:
        """Read what the run has written since; at once when there is nothing."""
        if self.watch is None:
            return
        if not self.watch.poll():
            if self.isVisible():
                self.progress.show_time(self.watch)
            return
        self._show_run()
        if self.watch.state.ended and not self.isVisible():
            # Whoever marks cells meanwhile looks at another dock.
            self.session.message.emit(f"The run {self.watch.out.name} has ended; see the Train dock.")

    def at_work(self) -> bool:
        """Whether the run on screen has not ended."""
        return self.watch is not None and not self.watch.state.ended

    def may_close(self) -> bool:
        """Ask what becomes of a run at work; whether the window may go."""
        if not self.at_work():
            return True
        assert self.watch is not None
        answer = ask_about_run(self, self.watch)
        if answer == "stop":
            self.do(self.watch.ask, "cancel")
        return answer != "stay"

    def let_go(self) -> None:
        """Stop following; a run at work goes on."""
        super().let_go()
        self._polling.stop()
        for part in (self.setup, self.progress, self.outcome):
            part.let_go()

    def cancel_jobs(self) -> None:
        """Ask what looks ahead to stop; a run is asked about by ``may_close``."""
        self.setup.cancel_jobs()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  Qt's name
        """Count cells as soon as the dock is looked at."""
        super().showEvent(event)
        if self.watch is None and self.setup.looked is None:
            self.setup.stale()

    def _try(self, begin: object) -> None:
        assert callable(begin)
        self.words.setText("")
        try:
            self.follow(begin())
        except (CytoError, OSError) as error:
            self.words.setText(plain(str(error)))
        self._show_words()

    def _show_project(self) -> None:
        project = self.session.project
        self.setup.show_project()
        self.slides.show_project()
        place = runs_folder(project)
        if place != self._place and not self.at_work():
            # Another project; that of a run at work is not left for it.
            self._place = place
            found = latest_unseen(project)
            self.follow(RunWatch(found) if found is not None else None)

    def _on_annotations_changed(self) -> None:
        if self.watch is None:
            self.setup.stale()

    def _suggest_name(self) -> None:
        recipe = str(self.setup.recipe.currentData() or "")
        self.name.setText(free_name(runs_folder(self.session.project), recipe or self.setup.kind))

    def _show_run(self) -> None:
        watch = self.watch
        at_work = self.at_work()
        self.setup.setVisible(watch is None)
        self.slides.setVisible(watch is None)
        for part in (self.progress.head, self.progress):
            part.setVisible(watch is not None)
        for widget in (self.name_head, self.name, self.start):
            widget.setVisible(watch is None)
        for widget in (self.pause, self.cancel):
            widget.setVisible(at_work)
        self.new.setVisible(watch is not None and not at_work)
        if watch is not None:
            self.progress.show_run(watch, class_colours(self.session.project))
            self.outcome.show_run(watch)
            self.pause.setChecked(watch.paused)
            self.pause.setText("Resume" if watch.paused else "Pause")
            ending = watch.wish == "cancel"
            self.pause.setEnabled(not ending)
            self.cancel.setEnabled(not ending)
            if watch.state.ended:
                self._polling.stop()
        self._show_setup()

    def _changed(self) -> None:
        """What was said of the settings before is over."""
        if self.watch is None:
            self.words.setText("")
        self._show_setup()

    def _show_setup(self) -> None:
        if self.watch is not None or not hasattr(self, "start"):
            return
        installed = has_torch()
        looked = self.setup.looked
        refused = bool(looked and looked["refusal"])
        ready = bool(self.setup.sources.texts()) and self.setup.recipe.currentData() is not None
        self.start.setEnabled(installed and ready and not refused)
        if not installed or self._fault:
            said = torch_is_missing(TRAINING) if not installed else self._fault
            self.words.setText(said)
            # What is to be typed has no place to break it: in very large letters its end is cut off.
            self.words.setToolTip("" if installed else said)
        self._show_words()

    def _show_words(self) -> None:
        self.words.setVisible(bool(self.words.text()))


def _recipes() -> tuple[dict[str, TrainConfig], str]:
    """Return the recipes by name, or why there are none: a broken file must not keep the window from opening."""
    try:
        return {recipe.name: recipe for recipe in all_recipes()}, ""
    except CytoError as error:
        return {}, str(error)


Answer = Literal["go on", "stop", "stay"]


def ask_about_run(parent: QWidget, watch: RunWatch) -> Answer:
    """Ask whether the run of ``watch`` goes on without the window, is stopped, or the window stays."""
    box = QMessageBox(parent)
    box.setWindowTitle("A training run is in progress")
    left = pace_words(watch.state, watch.left_s)
    box.setText(f"{parts.unbroken(head_words(watch))}." + (f" {left}." if left else ""))
    box.setInformativeText(
        "The run can continue without this window and will be shown here when the project is opened again. "
        "If stopped, it keeps the best model so far."
    )
    go_on = box.addButton("Keep running", QMessageBox.ButtonRole.AcceptRole)
    stop = box.addButton("Cancel run", QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton("Keep window open", QMessageBox.ButtonRole.RejectRole)
    for button, tip in (
        (go_on, "Closes the window; the run continues."),
        (stop, "Cancels the run and closes the window."),
        (stay, "Leaves the window open."),
    ):
        button.setToolTip(tip)
    box.setDefaultButton(go_on)
    box.setEscapeButton(stay)
    box.exec()
    clicked = box.clickedButton()
    box.deleteLater()
    return "go on" if clicked is go_on else "stop" if clicked is stop else "stay"
