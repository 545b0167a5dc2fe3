"""What came of a training run: its figures, its confusion matrix with the cells behind it, and what to do with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.session import Session
from napari_cyto.training.run_state import RunState
from napari_cyto.training.run_watch import RunWatch
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.cell_browser import CellBrowser
from napari_cyto.widgets.docks.fact_table import FactTable
from napari_cyto.widgets.docks.metric_rows import METRIC_HEADINGS, metric_rows
from napari_cyto.widgets.docks.train._confusion_grid import ConfusionGrid
from napari_cyto.widgets.docks.train.words import plain

SIDE_WORDS = {
    "test": "Evaluated on the test set: cells that were not used in training.",
    "validation": (
        "Evaluated on the validation set, which was used to choose this model, so these metrics are optimistic."
    ),
}
_COLOURS = {"done": style.GOOD, "failed": style.BAD, "killed": style.WARN, "cancelled": style.WARN}


class TrainOutcome(QWidget):
    """Shows a run that has ended; its buttons speak through signals."""

    used = Signal()
    continued = Signal()
    resumed = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.sentence = parts.text(selectable=True)
        self.resume = parts.button(
            "Resume", "Resumes this run from its last checkpoint.", self.resumed.emit, name="resume the run"
        )
        self.use = parts.button(
            "Use this model",
            "Adds the model to the library and uses it for detection in this project.",
            self.used.emit,
            icon="check",
        )
        self.go_on = parts.button(
            "Fine-tune this model\nwith my corrections",
            (
                "Sets up a run that starts from this model and trains on the project's current annotations. The "
                "new model records its parent and what was new."
            ),
            self.continued.emit,
            name="fine-tune this model with my corrections",
        )
        self.side = parts.text(colour=style.QUIET)
        self.metrics = FactTable(
            "Metrics of the finished model, with 95 % confidence intervals over patients or slides"
        )
        self.held_out = parts.text(selectable=True)
        self.matrix_head = parts.text("Confusion matrix: truth in rows, prediction in columns", bold=True)
        self.matrix = ConfusionGrid()
        self.matrix.chosen.connect(self._open)
        self.field = CellBrowser(session, "Cells of a matrix entry")
        self._cells: Sequence[Mapping[str, Any]] = ()
        self._shown: object = None
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for widget in (
            *(self.sentence, self.resume, self.use, self.go_on, self.side, self.metrics, self.held_out),
            *(self.matrix_head, self.matrix, self.field),
        ):
            layout.addWidget(widget)
        self.hide()

    def show_run(self, watch: RunWatch) -> None:
        """Show how the run of ``watch`` ended; nothing while it works."""
        state = watch.state
        self.setVisible(state.ended)
        if not state.ended or state is self._shown:
            return
        self._shown = state
        has_model = (watch.out / "model.json").is_file()
        self.sentence.setText(sentence_of(state, has_model))
        style.tint(self.sentence, _COLOURS[state.status])
        self.resume.setVisible(watch.can_resume)
        self.use.setVisible(has_model)
        # An encoder has learned from no labels, so there is nothing that corrections of them would add; a model of
        # slides is trained anew.
        is_of_cells = "encoder" not in (state.result.get("metrics") or {}) and not is_of_slides(state)
        self.go_on.setVisible(has_model and is_of_cells)
        self.held_out.setText(str((state.result.get("metrics") or {}).get("held_out", {}).get("sentence", "")))
        self.held_out.setVisible(bool(self.held_out.text()))
        self._show_result(state.result)

    def _show_result(self, result: Mapping[str, Any]) -> None:
        rows = metric_rows(result.get("metrics") or {})
        self.metrics.show_rows(rows, METRIC_HEADINGS)
        self.metrics.setVisible(bool(rows))
        words = SIDE_WORDS.get(str(result.get("side", "")), "")
        self.side.setText(words.replace("cells", "slides") if result.get("kind") == "slide" else words)
        self.side.setVisible(bool(self.side.text()) and bool(rows))
        confusion = result.get("confusion") or {}
        classes = confusion.get("classes") or []
        self._cells = result.get("cells") or ()
        self.field.clear()
        if classes:
            self.matrix.show_counts(classes, confusion["counts"])
        for widget in (self.matrix_head, self.matrix):
            widget.setVisible(bool(classes))

    def clear(self) -> None:
        """Forget the run that was shown."""
        self._shown = None
        self.field.clear()
        self.hide()

    def let_go(self) -> None:
        """Stop reading pictures."""
        self.field.let_go()

    def _open(self, truth: str, answer: str) -> None:
        cells = [c for c in self._cells if c.get("truth") == truth and c.get("answer") == answer]
        what = (
            f"{truth or 'Nothing'} recognised" if truth == answer else f"{truth or 'nothing'} → {answer or 'nothing'}"
        )
        self.field.show_cells(cells, title=f"{what}: {counted(len(cells), 'cell')}")


def is_of_slides(state: RunState) -> bool:
    """Whether a run that is done trained a model of whole slides."""
    return state.result.get("kind") == "slide"


def sentence_of(state: RunState, has_model: bool) -> str:
    """Return how a run ended, in a sentence or two."""
    if state.status == "done" and is_of_slides(state):
        return "The model is ready: the mean of its networks, each at its best epoch."
    if state.status == "done":
        best = state.best
        epoch = (state.result.get("best") or {}).get("epoch")
        if best is not None and epoch is not None and epoch != best.number:
            kept = f" The last epoch, {epoch:g}, is kept."
        else:
            kept = f" The best epoch, {best.number:g}, is kept." if best is not None else ""
        return f"The model is ready.{kept}"
    kept = " The best model so far is kept." if has_model and "kept" not in state.sentence else ""
    return f"{plain(state.sentence)}{kept}"
