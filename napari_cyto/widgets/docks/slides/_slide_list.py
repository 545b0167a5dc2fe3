"""The slides of a project as a list: picture, name, how far it has come, how many marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QContextMenuEvent, QIcon, QImage, QKeyEvent, QPainter, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QMenu, QWidget

from napari_cyto.datasets.import_.known_slides import where_in
from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.formats.slide_names import distinct_names
from napari_cyto.store import Project
from napari_cyto.store.slide_details import FACTS
from napari_cyto.widgets import style
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.thumbnails import ThumbnailLoader

IMAGE_PX = 44
FACTS_WORDS = "Patient and smear…"
INTERPRETATION_WORDS = "Interpretation…"
REMOVE_WORDS = "Remove from project…"
_ID = Qt.ItemDataRole.UserRole
_NAME, _STATE, _PROGRESS, _SAID = _ID + 1, _ID + 2, _ID + 3, _ID + 4
PROGRESS_WORDS = {Progress.TODO: "to do", Progress.IN_PROGRESS: "in progress", Progress.DONE: "done"}
_PROGRESS_COLOURS = {Progress.TODO: style.QUIET, Progress.IN_PROGRESS: style.WARN, Progress.DONE: style.GOOD}


class SlideList(QListWidget):
    """Shows the slides of a project; ``chosen`` carries the id of the one that was clicked.

    ``removed`` carries the id of the one that shall leave the project: by its menu, or the key Delete.
    """

    chosen = Signal(str)
    removed = Signal(str)
    relink_requested = Signal(str)
    search_requested = Signal()
    facts_requested = Signal(object)  # list of str: ids of the slides whose patient and smear are asked for

    interpretation_requested = Signal(object)  # list of str: ids of the slides whose interpretation is asked for

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setIconSize(QSize(IMAGE_PX, IMAGE_PX))
        self.setWordWrap(True)
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip("Slides of this project. Click one to open it; right-click for more.")
        self.setAccessibleName("slides")
        # Patient and smear are given to several at once.
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setMinimumHeight(84)
        self._images: dict[str, QImage] = {}
        self._loader = ThumbnailLoader(self)
        self._loader.ready.connect(self._show_image)
        self.itemClicked.connect(self._clicked)
        self.itemActivated.connect(lambda item: self.chosen.emit(item.data(_ID)))

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """Small: the dock gives it whatever height is left over."""
        return QSize(200, self.minimumHeight())

    def show_project(self, project: Project | None, current_id: str) -> None:
        """Show the slides of ``project`` as they are stored now, the current one marked."""
        records = project.slides() if project is not None else ()
        counts = project.slide_counts() if project is not None else {}
        if [r.id for r in records] != [self.item(i).data(_ID) for i in range(self.count())]:
            self._fill(records)
        # Two patients' 001.png must not look like one in the list.
        names = distinct_names(records)
        where = where_in(project) if project is not None else lambda _: None
        for index, record in enumerate(records):
            place = where(record) if record.path else None
            shown = replace(record, name=names[record.id], path=record.path if place is None else str(place))
            self._show_record(self.item(index), shown, counts.get(record.id, 0))
        self.show_current(current_id)

    def show_current(self, slide_id: str) -> None:
        """Mark the slide that is on screen."""
        found = self._find(slide_id)
        if found is not None and found is self.currentItem() and found.isSelected():
            return
        if found is not None:
            self.setCurrentItem(found)
        else:
            self.clearSelection()

    @property
    def chosen_ids(self) -> list[str]:
        """The slides that are selected."""
        return [item.data(_ID) for item in self.selectedItems()]

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Show how many marks each slide has, by slide id."""
        for index in range(self.count()):
            item = self.item(index)
            words = item_words(item.data(_NAME), item.data(_STATE), counts.get(item.data(_ID), 0), item.data(_SAID))
            if words != item.text():
                item.setText(words)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802  Qt's name
        """Offer what can be done with the slide under the mouse, or by the menu key with the current one."""
        item = self.itemAt(event.pos()) or self.currentItem()
        if item is not None:
            menu = self.menu_of(item)
            menu.exec(event.globalPos())
            menu.deleteLater()

    def menu_of(self, item: QListWidgetItem) -> QMenu:
        """Return the menu of one slide."""
        menu = QMenu(self)
        slide_id = item.data(_ID)
        taken = menu.addAction(style.icon("delete"), REMOVE_WORDS)
        taken.triggered.connect(lambda _checked=False: self.removed.emit(slide_id))
        menu.addSeparator()
        linked = menu.addAction(style.icon("find"), "Attach its image file…")
        linked.triggered.connect(lambda _checked=False: self.relink_requested.emit(slide_id))
        searched = menu.addAction(style.icon("find"), "Find missing images in a folder…")
        searched.triggered.connect(lambda _checked=False: self.search_requested.emit())
        ids = self.chosen_ids if item.isSelected() else [slide_id]
        facts = menu.addAction(FACTS_WORDS)
        facts.triggered.connect(lambda _checked=False: self.facts_requested.emit(ids))
        said = menu.addAction(INTERPRETATION_WORDS)
        said.triggered.connect(lambda _checked=False: self.interpretation_requested.emit(ids))
        return menu

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's name
        """Delete takes the current slide out; all other keys as in any list."""
        item = self.currentItem()
        if event.key() == Qt.Key.Key_Delete and item is not None:
            self.removed.emit(item.data(_ID))
        else:
            super().keyPressEvent(event)

    def close_threads(self) -> None:
        """Stop reading pictures."""
        self._loader.close()

    def _fill(self, records: tuple[SlideRecord, ...]) -> None:
        self.clear()
        self._loader.forget()
        for record in records:
            item = QListWidgetItem(record.name)
            item.setData(_ID, record.id)
            self.addItem(item)

    def _show_record(self, item: QListWidgetItem, record: SlideRecord, count: int) -> None:
        path = Path(record.path) if record.path else None
        there = path is not None and path.exists()
        words = PROGRESS_WORDS[record.progress] if there or path is None else "file not found"
        said = record.interpretation
        item.setText(item_words(record.name, words, count, said.category if said else ""))
        item.setData(_SAID, said.category if said else "")
        item.setData(_NAME, record.name)
        item.setData(_STATE, words)
        item.setData(_PROGRESS, record.progress.value)
        whose = "".join(f"\n{name.capitalize()}: {getattr(record, name) or 'not specified'}" for name in FACTS)
        whose += f"\nInterpretation: {said.words if said else 'not specified'}"
        item.setToolTip((record.path or "Labels only; the image file is missing.") + whose)
        item.setIcon(self._icon(record.id, record.progress))
        if there and record.id not in self._images:
            assert path is not None
            self._loader.ask(record.id, path)

    def _show_image(self, slide_id: str, image: QImage) -> None:
        self._images[slide_id] = image
        found = self._find(slide_id)
        if found is not None:
            found.setIcon(self._icon(slide_id, Progress(found.data(_PROGRESS))))

    def _icon(self, slide_id: str, progress: Progress) -> QIcon:
        """The slide's picture with a dot that says how far it has come."""
        side = 2 * IMAGE_PX
        pixmap = QPixmap(side, side)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        image = self._images.get(slide_id)
        if image is None:
            style.icon("slides").paint(painter, side // 4, side // 4, side // 2, side // 2)
        else:
            fit = image.scaled(
                side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
            painter.drawImage((side - fit.width()) // 2, (side - fit.height()) // 2, fit)
        painter.setBrush(QColor(getattr(style.DARK, _PROGRESS_COLOURS[progress])))
        painter.setPen(QColor(30, 33, 40))
        painter.drawEllipse(side - 27, side - 27, 24, 24)
        painter.end()
        return _same_when_selected(pixmap)

    def _find(self, slide_id: str) -> QListWidgetItem | None:
        for index in range(self.count()):
            if self.item(index).data(_ID) == slide_id:
                return self.item(index)
        return None

    def _clicked(self, item: QListWidgetItem) -> None:
        if len(self.selectedItems()) > 1:
            # Who selects several wants none of them on the screen yet.
            return
        self.chosen.emit(item.data(_ID))
        parts.focus_canvas(self)


def item_words(name: str, state: str, count: int, said: str = "") -> str:
    """Return what the list says of a slide; ``said`` is its interpretation."""
    return f"{parts.breakable(name)}\n{state}, {counted(count, 'annotation')}" + (f", {said}" if said else "")


def _same_when_selected(pixmap: QPixmap) -> QIcon:
    # Qt would tint the picture of the selected row, and a smear's colours matter.
    made = QIcon(pixmap)
    made.addPixmap(pixmap, QIcon.Mode.Selected)
    return made
