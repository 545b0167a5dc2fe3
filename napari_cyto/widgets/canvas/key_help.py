"""F1: the keys of what has the focus, made from the tables that the keyboard obeys."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QTextBrowser, QVBoxLayout, QWidget

from napari_cyto.widgets.keys import elsewhere_table, keys_table, review_keys_table

TABLES = {
    "slide": ("Keys on the slide", keys_table),
    "gallery": ("Keys in the review gallery", review_keys_table),
    "dock": ("Keys in the docks", elsewhere_table),
}
SIZE_PX = (620, 600)


class KeyHelp(QDialog):
    """A window beside the slide with one table of keys; Escape closes it."""

    def __init__(self, parent: QWidget, place: str) -> None:
        super().__init__(parent)
        title, table = TABLES[place]
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.place = place
        self.rows = table()
        heading = QLabel(f"<b>{escape(title)}</b>")
        browser = QTextBrowser()
        browser.setHtml(_html(self.rows))
        browser.setAccessibleName(title)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        for widget in (heading, browser, buttons):
            layout.addWidget(widget)
        self.resize(*SIZE_PX)


def _html(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><td style='padding:3px 14px 3px 2px; white-space:nowrap'><b>{escape(keys)}</b></td>"
        f"<td style='padding:3px'>{escape(sentence)}</td></tr>"
        for keys, sentence in rows
    )
    return f"<table cellspacing='0'>{cells}</table>"
