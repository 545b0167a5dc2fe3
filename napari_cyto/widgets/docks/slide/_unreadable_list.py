"""The places on a slide that cannot be read; a click goes there."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_cyto.domain.counts import counted
from napari_cyto.session import Session
from napari_cyto.slides import UnreadableTile
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts

# A slide that is damaged all over has tens of thousands; the first hundreds say it.
SHOWN_AT_MOST = 200
_PLACE = Qt.ItemDataRole.UserRole


class UnreadableList(QWidget):
    """Lists damaged tiles in words, each once."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.count = 0
        self._seen: set[tuple[float, ...]] = set()
        self.words = parts.text(colour=style.WARN)
        self.list = QListWidget()
        self.list.setToolTip("Click a place to go there; it is drawn hatched.")
        self.list.setAccessibleName("unreadable places")
        self.list.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.list.setMaximumHeight(90)
        self.list.setWordWrap(True)
        self.list.itemClicked.connect(self._go)
        self.list.itemActivated.connect(self._go)
        layout = QVBoxLayout(self)
        parts.tighten(layout)
        layout.addWidget(self.words)
        layout.addWidget(self.list)
        self.clear()

    def clear(self) -> None:
        """Forget the places of the slide before."""
        self.count = 0
        self._seen.clear()
        self.list.clear()
        self.hide()

    def add(self, tile: UnreadableTile) -> None:
        """Add one place; levels that cover the same place count once."""
        centre = ((tile.bounds_yxyx[0] + tile.bounds_yxyx[2]) / 2, (tile.bounds_yxyx[1] + tile.bounds_yxyx[3]) / 2)
        if tile.bounds_yxyx in self._seen:
            return
        self._seen.add(tile.bounds_yxyx)
        self.count += 1
        self.words.setText(
            f"{counted(self.count, 'place')} on this slide cannot be read because the file is damaged "
            "there. They are drawn hatched; the rest is fine."
        )
        if self.count <= SHOWN_AT_MOST:
            item = QListWidgetItem(f"x {centre[1]:,.0f}, y {centre[0]:,.0f} px")
            item.setToolTip(tile.reason)
            item.setData(_PLACE, centre)
            self.list.addItem(item)
        self.show()

    def _go(self, item: QListWidgetItem) -> None:
        y, x = item.data(_PLACE)
        self.session.jump((y, x))
        parts.focus_canvas(self)
