"""Adding a network of one's own: its file, and what only its owner knows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Done
from napari_cyto.models.foreign_models import ForeignNetwork
from napari_cyto.models.onnx_jobs import add_network
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.job_bar import JobBar
from napari_cyto.widgets.docks.options_form import NUMBER_PX, OptionsForm
from napari_cyto.widgets.docks.scale_offer import ScaleOffer

FILE_FILTER = "Networks (*.onnx)"
SIZE_PX = (560, 620)
OUTPUT_WORDS = {
    "yolo": "YOLO (v5, v8 or later)",
    "boxes": "boxes, labels, scores (torchvision)",
    "points": "points with scores",
    "scores": "score maps",
}
_BY_KIND = {
    "detector": ("output", "classes", "mpp", "halo_px", "score_from"),
    "classifier": ("classes", "window_um"),
    "encoder": ("window_um", "tokens"),
}
_BY_OUTPUT = {
    "yolo": ("overlap",),
    "boxes": ("overlap", "first_label"),
    "points": ("merge_um",),
    "scores": ("merge_um",),
}
PLACEHOLDERS = {
    "classes": "in the order of its outputs, such as NILM, HSIL",
    "mpp": "required",
    "window_um": "required",
    "normalisation": "unit for YOLO and boxes, else imagenet",
    "name": "the file's",
}
_ALWAYS = ("kind", "input_px", "normalisation", "name")
_FURTHER = ("summary", "licence", "stain", "output_name")
"""Offered by the command line alone: the form must fit a small screen."""


class NetworkDialog(QDialog):
    """Makes a model of an ONNX file; ``added`` carries its name and what was found out."""

    added = Signal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add a network of your own")
        self.resize(*SIZE_PX)
        self.file = QLineEdit()
        self.file.setAccessibleName("ONNX file")
        self.file.setToolTip("The network as one ONNX file; nothing in it is run but its layers.")
        self.choose = parts.button("Choose…", "Opens a file dialog.", self.ask_file, icon="open")
        self.form = OptionsForm()
        self.form.changed.connect(self._changed)
        self.hint = parts.text(
            "Wrong normalisation or scale gives plausible, wrong answers: ask who made the network.", colour=style.QUIET
        )
        self.bar = JobBar()
        self.bar.ended.connect(self._ended)
        self.add = parts.button(
            "Add network", "Tries the network on fixed images and adds it to your library.", self.start, icon="add"
        )
        self.add.setDefault(True)
        self.leave = parts.button("Close", "Closes this window.", self.reject)
        self.offer = ScaleOffer()
        self.offer.found.connect(lambda mpp: self.form.set_values({"mpp": round(mpp, 4)}))
        self._shown: tuple[str, str] = ("", "")
        self._show_fields({"kind": "detector", "output": "yolo"})
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        holder = QWidget()
        inner = QVBoxLayout(holder)
        inner.addWidget(self.form)
        inner.addWidget(self.offer)
        inner.addStretch(1)
        scroll.setWidget(holder)
        low = QHBoxLayout()
        low.addStretch(1)
        low.addWidget(self.leave)
        low.addWidget(self.add)
        outer = QVBoxLayout(self)
        label = parts.text("File")
        label.setWordWrap(False)
        label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        outer.addWidget(parts.row(label, self.file, self.choose, stretch=1))
        outer.addWidget(scroll, 1)
        outer.addWidget(self.hint)
        outer.addWidget(self.bar)
        outer.addLayout(low)

    def ask_file(self) -> None:
        """Ask for the file."""
        chosen, _ = QFileDialog.getOpenFileName(self, "Choose a network", "", FILE_FILTER)
        if chosen:
            self.file.setText(chosen)

    def start(self) -> None:
        """Try the network and add it, or say what is missing."""
        if self.bar.running:
            return
        path = self.file.text().strip()
        if not path:
            self.bar.say("Choose the network's ONNX file first.", style.BAD)
            return
        try:
            declared = ForeignNetwork(**self._values(self.form.values()))
        except CytoError as error:
            self.bar.say(str(error), style.BAD)
            return
        self.add.setEnabled(False)
        kwargs = {"path": Path(path), "declared": declared}
        self.bar.run(add_network, kwargs, "Trying the network on fixed images…")

    def reject(self) -> None:
        """Close, and stop what is at work."""
        self.bar.close_job()
        super().reject()

    def done(self, result: int) -> None:
        """Hear no more of an estimate."""
        self.offer.let_go()
        super().done(result)

    def _values(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Return what was chosen; the field of another kind of network counts for nothing."""
        return {name: value for name, value in shown.items() if not (name == "output" and value is None)}

    def _changed(self) -> None:
        """Show the fields of another kind or output once one is chosen."""
        values = {name: control.read() for name, control in self.form.controls.items()}
        if self._key(values) != self._shown:
            self._show_fields(values)

    def _key(self, values: dict[str, Any]) -> tuple[str, str]:
        kind = str(values.get("kind", "detector"))
        return kind, str(values.get("output") or "yolo") if kind == "detector" else ""

    def _show_fields(self, values: dict[str, Any]) -> None:
        kind, output = self._shown = self._key(values)
        self.offer.setVisible("mpp" in _BY_KIND[kind])
        shown = {*_ALWAYS, *_BY_KIND[kind], *_BY_OUTPUT.get(output, ())}
        hidden = set(ForeignNetwork.model_fields) - shown
        # What is set here is no choice of the user's.
        self.form.blockSignals(True)
        self.form.show_model(ForeignNetwork, hidden, words=_words)
        for name, control in self.form.controls.items():
            if isinstance(control.widget, QLineEdit):
                control.widget.setMinimumWidth(NUMBER_PX)
                control.widget.setPlaceholderText(PLACEHOLDERS.get(name, "by default"))
        if kind == "detector":
            box = self.form.controls["output"].widget
            for row in reversed(range(box.count())):
                if box.itemData(row) not in OUTPUT_WORDS:
                    box.removeItem(row)
            values = {**values, "output": output}
        self.form.set_values({name: v for name, v in values.items() if name != "output"})
        if kind == "detector":
            box.setCurrentIndex(box.findData(output))
        self.form.blockSignals(False)

    def _ended(self, event: object) -> None:
        self.add.setEnabled(True)
        if isinstance(event, Done):
            found = event.to_json()
            self.added.emit(found["name"], " ".join(found["remarks"]))
            self.accept()


def _words(field: str, value: object) -> str:
    return OUTPUT_WORDS.get(str(value), "") if field == "output" else ""
