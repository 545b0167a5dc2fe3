"""What becomes of a training run when its window closes: asked once, in plain words."""

from __future__ import annotations

from typing import Literal

from qtpy.QtWidgets import QMessageBox, QWidget

from napari_cyto.training.run_watch import RunWatch
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.train._progress import head_words, pace_words

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
