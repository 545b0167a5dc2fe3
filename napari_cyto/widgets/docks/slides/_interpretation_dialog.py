"""The dialog that asks what the report says of slides as wholes, or for a table of such interpretations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.domain.interpretation import LONGEST_NAME, Interpretation
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.interpretation_choice import InterpretationChoice

WHY = "Kept with its history and exported with everything; models of whole slides are trained on it."


class InterpretationDialog(QDialog):
    """``said`` is what the user gave, by slide id, once it was accepted; ``table_requested`` asks for a table."""

    table_requested = Signal()

    def __init__(
        self, records: Sequence[SlideRecord], reader: str, history: Sequence[str] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._records = records
        held = [record.interpretation for record in records]
        first = held[0] if len({*held}) == 1 else None
        self.setWindowTitle("Interpretation")
        self.choice = InterpretationChoice([each.category if each else "" for each in held])
        self.by = _line("by", "who gave it", first.by if first else reader)
        self.by.setMaxLength(LONGEST_NAME)
        self.date = _line("date", "YYYY-MM-DD", first.at if first else _today())
        self.fault = parts.text(colour=style.WARN)
        self.fault.hide()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.ok = buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setText("Save" if len(records) == 1 else f"Save for {counted(len(records), 'slide')}")
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.table = parts.button(
            "Import from CSV…",
            "Reads interpretations of many slides from a table with the columns slide, interpretation, by and date.",
            self._ask_table,
            icon="import",
        )
        layout = QVBoxLayout(self)
        name = records[0].name if len(records) == 1 else counted(len(records), "slide")
        layout.addWidget(parts.text(parts.breakable(name), bold=True))
        layout.addWidget(self.choice)
        for words, field in (("By", self.by), ("Date", self.date)):
            layout.addWidget(parts.text(words))
            layout.addWidget(field)
        if history:
            layout.addWidget(parts.text("History\n" + "\n".join(history), colour=style.QUIET, selectable=True))
        layout.addWidget(parts.text(WHY, colour=style.QUIET))
        layout.addWidget(self.table)
        layout.addWidget(self.fault)
        layout.addWidget(buttons)
        self.resize(420, self.sizeHint().height())

    @property
    def said(self) -> dict[str, Interpretation | None]:
        """What the user gave; slides that differ stay as they are while nothing is chosen for them.

        Raises
        ------
        CytoError
            When the date is none.
        """
        category = self.choice.category
        if category is None:
            return {}
        given = Interpretation(category, self.by.text().strip(), self.date.text().strip()) if category else None
        return {record.id: given for record in self._records}

    def accept(self) -> None:
        """Close, unless something cannot be kept; say what."""
        try:
            _ = self.said
        except CytoError as error:
            self.fault.setText(str(error))
            self.fault.show()
            return
        super().accept()

    def _ask_table(self) -> None:
        self.reject()
        self.table_requested.emit()


def _line(name: str, hint: str, value: str) -> QLineEdit:
    made = QLineEdit(value)
    made.setPlaceholderText(hint)
    made.setAccessibleName(name)
    return made


def _today() -> str:
    return datetime.now().astimezone().date().isoformat()
