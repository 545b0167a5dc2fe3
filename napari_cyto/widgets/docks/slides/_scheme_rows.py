"""One editable row a class: colour, id, name, key, box size, count, remove."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QDoubleSpinBox, QLineEdit, QWidget

from napari_cyto.domain.classes import CellClass
from napari_cyto.domain.quantities import BOX_UM
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import Choice

HEADINGS = ("Colour", "Id", "Full name", "Key", "One-click box", "Cells", "")


class SchemeRow:
    """The controls of one class, and the class that they describe.

    Parameters
    ----------
    cell_class : CellClass
        What to begin with.
    count : int or None
        How many marks of the project have it; None for a class that is not yet part of the scheme.
    removed : callable
        Called with this row when the user takes it out.
    """

    def __init__(self, cell_class: CellClass, count: int | None, removed: Callable[[SchemeRow], None]) -> None:
        self._start = cell_class
        self.count = count
        self.colour = cell_class.colour
        self.swatch = parts.button("", "Opens a dialog to choose a colour.", self._choose_colour, name="colour")
        self.short = _line(
            cell_class.id, ("Id of the class in label files, such as HSIL; fixed once the class exists."), 80
        )
        self.short.setReadOnly(count is not None)
        self.short.setEnabled(count is None)
        self.long = _line(cell_class.name, "Name shown to people", 200)
        self.key = Choice()
        self.key.addItems(["", *"123456789"])
        self.key.setCurrentText(cell_class.key)
        self.key.setToolTip("Key that selects the class; one key per class")
        self.key.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.box = QDoubleSpinBox()
        self.box.setRange(BOX_UM.low, BOX_UM.high)
        self.box.setDecimals(1)
        self.box.setSuffix(" µm")
        self.box.setValue(cell_class.box_um)
        self.box.setToolTip("Width of a box added by one click of the box tool")
        self.box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.count_label = parts.text(parts.number(count or 0))
        self.count_label.setMinimumWidth(50)
        self.remove = parts.button("", _remove_tip(count), lambda: removed(self), icon="delete", name="remove class")
        self.remove.setEnabled(not count)
        self._paint()

    @property
    def widgets(self) -> tuple[QWidget, ...]:
        """The controls, in the order of ``HEADINGS``."""
        return (self.swatch, self.short, self.long, self.key, self.box, self.count_label, self.remove)

    def value(self) -> CellClass:
        """Return the class as the controls say.

        Raises
        ------
        SchemeError
            When it cannot be one.
        """
        short = self.short.text().strip()
        return replace(
            self._start,
            id=short,
            name=self.long.text().strip() or short,
            colour=self.colour,
            key=self.key.currentText(),
            box_um=float(self.box.value()),
        )

    def _choose_colour(self) -> None:
        chosen = QColorDialog.getColor(QColor(self.colour), self.swatch, "Colour of the class")
        if chosen.isValid():
            self.colour = chosen.name()
            self._paint()

    def _paint(self) -> None:
        self.swatch.setIcon(style.swatch_icon(self.colour))


def _line(words: str, tip: str, width_px: int) -> QLineEdit:
    made = QLineEdit(words)
    made.setToolTip(tip)
    made.setMinimumWidth(width_px)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return made


def _remove_tip(count: int | None) -> str:
    if count:
        return "Cannot be removed while annotations have this class; relabel those first."
    return "Removes this class from the list."
