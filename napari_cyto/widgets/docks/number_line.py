"""A short field for a number, or for nothing."""

from __future__ import annotations

import math

from qtpy.QtWidgets import QLineEdit

from napari_cyto.widgets import style

_LETTERS = 9


class NumberLine(QLineEdit):
    """A bound: empty for none; what is no number is shown in red and bounds nothing.

    Parameters
    ----------
    words : str
        Shown while it is empty, such as ``from``.
    """

    def __init__(self, words: str) -> None:
        super().__init__()
        self.setPlaceholderText(words)
        self.setAccessibleName(f"{words}, inclusive")
        self.setToolTip("A number; empty for no bound.")
        self.setFixedWidth(self.fontMetrics().averageCharWidth() * _LETTERS)
        self.textChanged.connect(self._show_whether_it_is_one)

    @property
    def value(self) -> float | None:
        """The number; None for none."""
        words = self.text().strip().replace(",", ".")
        try:
            found = float(words) if words else None
        except ValueError:
            return None
        return found if found is None or math.isfinite(found) else None

    def show_value(self, value: float | None) -> None:
        """Show a number, or nothing."""
        self.setText("" if value is None or not math.isfinite(value) else f"{value:.4g}")

    def _show_whether_it_is_one(self) -> None:
        bad = bool(self.text().strip()) and self.value is None
        style.tint(self, style.BAD if bad else "")
