"""The classes with their keys as buttons, for those who would rather click."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QWidget

from napari_cyto.domain.classes import ClassScheme
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.controls import FlowLayout

_COLUMNS = 4


class ClassKeys(QWidget):
    """One button a class; ``chosen`` carries its key."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._grid = FlowLayout(self, columns=_COLUMNS, gap_px=parts.GAP)
        self.buttons: dict[str, QPushButton] = {}
        self._scheme: ClassScheme | None = None

    def show_scheme(self, scheme: ClassScheme | None) -> None:
        """Show the classes that have a key."""
        if scheme == self._scheme:
            return
        self._scheme = scheme
        for old in self.buttons.values():
            parts.discard(old)
        self.buttons.clear()
        for cell_class in (c for c in (scheme.classes if scheme is not None else ()) if c.key):
            made = parts.button(
                f"{cell_class.key} {cell_class.label}",
                f"{cell_class.name}: accepts the selected cells with this class.\nKey: {cell_class.key}",
                partial(self.chosen.emit, cell_class.key),
                name=f"review as {cell_class.id}",
            )
            # Narrower than an icon: four must fit side by side.
            made.setStyleSheet(
                f"QPushButton {{ border-left: 5px solid {cell_class.colour}; padding: 3px 2px; text-align: left; }}"
                f"QPushButton:focus {{ border-left: 5px solid {cell_class.colour}; padding: 2px 2px; }}"
            )
            self._grid.addWidget(made)
            self.buttons[cell_class.id] = made
