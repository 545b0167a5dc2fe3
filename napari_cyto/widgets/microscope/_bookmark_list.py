"""The bookmarks of a project in a small window: go to one, change its note, delete it."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_cyto.domain.bookmark import Bookmark, words_of_place
from napari_cyto.session import Session
from napari_cyto.widgets.deferred import later

_SIZE_PX = (520, 280)


class BookmarkList(QDialog):
    """Follows the project, whoever changes its bookmarks.

    Parameters
    ----------
    parent : QWidget
        The main window.
    session : Session
        Whose project it is.
    go : callable
        Shows the place of a bookmark.
    add : callable
        Bookmarks the place in the middle of the view.
    """

    def __init__(
        self, parent: QWidget, session: Session, go: Callable[[Bookmark], object], add: Callable[[], object]
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Bookmarks")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._session, self._go = session, go
        self.list = QTreeWidget()
        self.list.setHeaderLabels(["Note", "Slide", "x, y", "By"])
        self.list.setRootIsDecorated(False)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.list.setAccessibleName("bookmarks")
        self.list.setToolTip("Double click or Enter goes there; F2 changes the note.")
        self.none = QLabel("No bookmarks. K keeps the place in the middle of the view.")
        self.add = _button("Bookmark here", "Keeps the place in the middle of the view (K).", add)
        self.show_there = _button("Go", "Shows the place as near as it was looked at.", self._show_chosen)
        self.rename = _button("Change note", "Changes the note (F2).", self._edit)
        self.delete = _button("Delete", "Deletes the bookmark.", self._delete)
        row = QHBoxLayout()
        for button in (self.add, self.show_there, self.rename, self.delete):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.none)
        layout.addWidget(self.list)
        layout.addLayout(row)
        self.resize(*_SIZE_PX)
        self.list.itemActivated.connect(self._show_item)
        self.list.itemChanged.connect(self._renamed)
        self.list.itemSelectionChanged.connect(self._show_use)
        self._signals = (session.bookmarks_changed, session.project_changed)
        # The list may not be cleared while one of its rows is being edited.
        self._soon = later(self, self.refresh)
        for signal in self._signals:
            signal.connect(self._refresh_soon)
        self.finished.connect(self._let_go)
        self.refresh()

    def refresh(self) -> None:
        """Show what is kept now."""
        chosen = self._chosen
        project = self._session.project
        names = {} if project is None else {record.id: record.name for record in project.slides()}
        self.list.blockSignals(True)
        self.list.clear()
        for bookmark in self._session.bookmarks.all:
            # A slide that was taken out of the project comes back with its bookmarks.
            slide = names.get(bookmark.slide_id, "removed from the project")
            item = QTreeWidgetItem([bookmark.note, slide, words_of_place(bookmark.yx), bookmark.author])
            item.setData(0, Qt.ItemDataRole.UserRole, bookmark.id)
            item.setToolTip(3, f"{bookmark.at_utc.astimezone():%d %b %Y %H:%M}")
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsEditable)
            self.list.addTopLevelItem(item)
            if chosen is not None and bookmark.id == chosen.id:
                self.list.setCurrentItem(item)
        self.list.blockSignals(False)
        for column in range(4):
            self.list.resizeColumnToContents(column)
        self.none.setVisible(not self.list.topLevelItemCount())
        self._show_use()

    @property
    def _chosen(self) -> Bookmark | None:
        items = self.list.selectedItems()
        return self._of(items[0]) if items else None

    def _of(self, item: QTreeWidgetItem) -> Bookmark | None:
        kept_id = item.data(0, Qt.ItemDataRole.UserRole)
        return next((b for b in self._session.bookmarks.all if b.id == kept_id), None)

    def _show_use(self) -> None:
        for button in (self.show_there, self.rename, self.delete):
            button.setEnabled(bool(self.list.selectedItems()))

    def _show_item(self, item: QTreeWidgetItem, _column: int = 0) -> None:
        bookmark = self._of(item)
        if bookmark is not None:
            with self._session.telling():
                self._go(bookmark)

    def _show_chosen(self) -> None:
        for item in self.list.selectedItems():
            self._show_item(item)

    def _edit(self) -> None:
        for item in self.list.selectedItems():
            self.list.editItem(item, 0)

    def _renamed(self, item: QTreeWidgetItem, _column: int) -> None:
        bookmark = self._of(item)
        if bookmark is not None and item.text(0) != bookmark.note:
            with self._session.telling():
                self._session.bookmarks.rename(bookmark.id, item.text(0))
        self._soon.start()

    def _delete(self) -> None:
        chosen = self._chosen
        if chosen is not None:
            with self._session.telling():
                self._session.bookmarks.remove(chosen.id)

    def _refresh_soon(self) -> None:
        self._soon.start()

    def _let_go(self, _result: int = 0) -> None:
        for signal in self._signals:
            signal.disconnect(self._refresh_soon, missing_ok=True)
        self._soon.stop()


def _button(words: str, tip: str, clicked: Callable[[], object]) -> QPushButton:
    button = QPushButton(words)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    button.clicked.connect(lambda _checked=False: clicked())
    return button
