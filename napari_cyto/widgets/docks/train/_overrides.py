"""What a person may allow all the same when cells cannot be divided as they should; the model records it."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Check

CHOICES = {
    "single-group": (
        "One patient or slide only: split by image",
        "Cells of one patient will be in more than one set, so the metrics will be optimistic.",
    ),
    "few-groups": (
        "Allow classes with too few slides",
        "Such a class may have no cell to be evaluated on.",
    ),
    "unknown-patient": (
        "Patient unknown: split by slide",
        "Slides of one patient may be in more than one set, so the metrics may be optimistic.",
    ),
}


class TrainOverrides(QWidget):
    """Offers what would lift a refusal, once there is one; ``changed`` speaks when the user ticks it."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[str, QCheckBox] = {}
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        for name, (words, tip) in CHOICES.items():
            box = Check(words)
            box.setToolTip(f"{tip} The model card records that this was allowed.")
            box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            box.toggled.connect(lambda _on: self.changed.emit())
            box.hide()
            self.boxes[name] = box
            layout.addWidget(box)
        self.hide()

    def show_refusal(self, sentence: str) -> None:
        """Offer the overrides that ``sentence`` names; what is ticked stays in sight."""
        for name, box in self.boxes.items():
            box.setVisible(name in sentence or box.isChecked())
        self.setVisible(any(not box.isHidden() for box in self.boxes.values()))

    def chosen(self) -> tuple[str, ...]:
        """Return the names of what is allowed."""
        return tuple(name for name, box in self.boxes.items() if box.isChecked())
