"""Asks whose slides are: patient and smear of one or several, which no split may put on two sides."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts

SEVERAL = "multiple values; leave empty to keep"
WHY = "Cells of one patient or smear are never split between the training and test set."


class SlideFactsDialog(QDialog):
    """``facts`` is what the user changed, by field name, once the dialog was accepted."""

    def __init__(self, records: Sequence[SlideRecord], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        count = len(records)
        self.setWindowTitle("Patient and smear")
        self.fields = {name: _field(name, [getattr(r, name) for r in records]) for name in ("patient", "smear")}
        self._before = {name: field.text() for name, field in self.fields.items()}
        which = records[0].name if count == 1 else counted(count, "slide")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setText("Save" if count == 1 else f"Save for {counted(count, 'slide')}")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(parts.text(parts.breakable(which), bold=True))
        for name, field in self.fields.items():
            layout.addWidget(parts.text(name.capitalize()))
            layout.addWidget(field)
        layout.addWidget(parts.text(WHY, colour=style.QUIET))
        layout.addWidget(buttons)
        self.resize(360, self.sizeHint().height())

    @property
    def facts(self) -> dict[str, str]:
        """What the user changed; a field that several slides differ in stays as it is while it is empty."""
        return {name: field.text() for name, field in self.fields.items() if field.text() != self._before[name]}


def _field(name: str, values: Sequence[str]) -> QLineEdit:
    made = QLineEdit(values[0] if len(set(values)) == 1 else "")
    made.setPlaceholderText("not specified" if len(set(values)) == 1 else SEVERAL)
    made.setAccessibleName(name)
    made.setToolTip(f"A code that identifies this {name}, not the person's name.")
    return made
