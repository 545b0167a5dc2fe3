"""A training run while it works: how far, how well, and what it gets wrong."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtWidgets import QProgressBar, QVBoxLayout, QWidget

from napari_cyto.session import Session
from napari_cyto.training.run_state import RunState
from napari_cyto.training.run_watch import RunWatch
from napari_cyto.widgets import style
from napari_cyto.widgets.deferred import later
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.cell_browser import CellBrowser
from napari_cyto.widgets.docks.section import Section
from napari_cyto.widgets.docks.train._class_recall import ClassRecall
from napari_cyto.widgets.docks.train._curves import TrainingCurves
from napari_cyto.widgets.docks.train.words import plain, time_words, working_words

CELLS_AFTER_MS = 80
# A run that has trained is still judged: seconds counted down to one and staying there are not believed.
LEAST_LEFT_S = 3.0

STATUS_WORDS = {
    "waiting": "Starting…",
    "running": "Training",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "killed": "Stopped from outside",
}


class TrainProgress(QWidget):
    """Shows what a run has said so far; ``head`` is placed by the dock, over all that is said of a run."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.head = parts.text(bold=True)
        self.bar = QProgressBar()
        self.bar.setToolTip("Progress of this step")
        self.bar.setTextVisible(True)
        self.pace = parts.text(colour=style.QUIET)
        self.message = parts.text(colour=style.QUIET, selectable=True)
        self.notes = parts.text(selectable=True, colour=style.QUIET)
        self.curves = TrainingCurves()
        self.recall_head = parts.text("Recall by class", bold=True)
        self.recall = ClassRecall()
        self.worst = CellBrowser(session, "Worst errors (validation)")
        charts = parts.column(self.curves, self.recall_head, self.recall, self.worst)
        self.charts = Section("Curves", charts, tip="Loss, score, recall and worst errors", opened=True)
        self._shown: tuple[RunWatch, Mapping[str, str]] | None = None
        self._rest = later(self, self._show_cells, CELLS_AFTER_MS)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (self.bar, self.pace, self.message, self.notes, self.charts):
            layout.addWidget(widget)

    def show_run(self, watch: RunWatch, colours: Mapping[str, str]) -> None:
        """Show the state of ``watch``; what has not changed is not drawn again."""
        state = watch.state
        self.head.setText(head_words(watch))
        self.head.setToolTip(str(watch.out))
        at_work = not state.ended
        self.bar.setVisible(at_work)
        if at_work:
            self.bar.setRange(0, state.total)
            self.bar.setValue(state.done)
        self.show_time(watch)
        self._say(self.notes, "\n".join(map(plain, state.notes)))
        self.curves.show_state(state)
        self._shown = watch, colours
        # Curves and cells in one painting would hold up the window for longer than a hand takes for at once.
        if at_work and state.recall:
            if not self._rest.isActive():
                self._rest.start()
        else:
            self._show_cells()

    def show_time(self, watch: RunWatch) -> None:
        """Show how long it still takes, and what it does: also while it says nothing new."""
        state = watch.state
        self._say(self.pace, pace_words(state, watch.left_s))
        doing = plain(state.message) or STATUS_WORDS["waiting" if state.status == "waiting" else "running"]
        quiet_s = 0.0 if watch.paused else watch.quiet_s
        self._say(self.message, "" if state.ended else working_words(doing, quiet_s))

    def _show_cells(self) -> None:
        self._rest.stop()
        if self._shown is None:
            return
        watch, colours = self._shown
        state = watch.state
        self.recall.show_recall(state.recall, colours)
        for widget in (self.recall_head, self.recall):
            widget.setVisible(bool(state.recall))
        if state.worst:
            self.worst.show_cells(state.worst, watch.folder.path)

    def clear(self) -> None:
        """Forget the run that was shown."""
        self._rest.stop()
        self._shown = None
        self.curves.show_state(RunState())
        self.recall.show_recall({}, {})
        self.worst.clear()

    def let_go(self) -> None:
        """Stop reading pictures."""
        self._rest.stop()
        self.worst.let_go()

    def _say(self, label: QWidget, words: str) -> None:
        label.setText(words)
        label.setVisible(bool(words))


def head_words(watch: RunWatch) -> str:
    """Return name and state of a run in a line: ``classifier-light: training, epoch 3 of 12``."""
    state = watch.state
    words = "paused" if watch.paused and state.status == "running" else STATUS_WORDS[state.status].lower()
    if watch.wish == "cancel" and not state.ended:
        words = "ending…"
    epoch = f", epoch {state.epochs[-1].number:g}" if state.epochs else ""
    of = f" of {state.of_epochs}" if epoch and state.of_epochs else ""
    return f"{parts.breakable(watch.out.name)}: {words}{epoch}{of}"


def pace_words(state: RunState, left_s: float | None) -> str:
    """Return time left and speed: ``8 min left, 143 images/s``; no time once it is up and the run is not.

    Parameters
    ----------
    state : RunState
        What the run has said.
    left_s : float, optional
        How long it still takes by now, s.
    """
    if state.ended:
        return ""
    words = [] if left_s is None or left_s < LEAST_LEFT_S else [f"About {time_words(left_s)} left"]
    if left_s is not None and left_s < LEAST_LEFT_S:
        words.append("The last steps")
    if state.images_per_s:
        words.append(f"{state.images_per_s:,.0f} images/s")
    return ", ".join(words)
