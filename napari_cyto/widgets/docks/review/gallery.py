"""The review's cells side by side: only those on screen are painted, and the keyboard alone suffices."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QEvent, QItemSelection, QItemSelectionModel, QModelIndex, Qt, Signal
from qtpy.QtGui import QKeyEvent, QWheelEvent
from qtpy.QtWidgets import QAbstractItemView, QListView

from napari_cyto.widgets.docks.cell_images import CellCrops
from napari_cyto.widgets.docks.review._delegate import CellDelegate
from napari_cyto.widgets.docks.review.list_model import ReviewModel
from napari_cyto.widgets.key_commands import claims, commands_of, pressed_command
from napari_cyto.widgets.keys import REVIEW_CLASS_KEYS, REVIEW_KEYS

SIDES_PX = (64, 96, 136, 192)
_COMMANDS = commands_of((*REVIEW_CLASS_KEYS, *REVIEW_KEYS))
_MOVES = (
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
)


class ReviewGallery(QListView):
    """Shows a `ReviewModel`; ``command_requested`` carries a command of its keys, ``moved`` the new current row."""

    command_requested = Signal(str)
    moved = Signal(int)
    chosen_changed = Signal()

    def __init__(self, model: ReviewModel, crops: CellCrops) -> None:
        super().__init__()
        self.crops = crops
        self.delegate = CellDelegate(crops, self)
        self._quiet = False
        self.setModel(model)
        self.setItemDelegate(self.delegate)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setUniformItemSizes(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumHeight(150)
        self.setAccessibleName("cells to review")
        self.setToolTip("Arrow keys go from cell to cell; A accepts, X rejects, 1 to 9 assigns another class.")
        crops.ready.connect(self._repaint)
        self._fit()

    # What is chosen

    @property
    def rows(self) -> list[int]:
        """The chosen cells, else the current one."""
        chosen = sorted(index.row() for index in self.selectionModel().selectedIndexes())
        return chosen or [row for row in [self.current] if row is not None]

    @property
    def current(self) -> int | None:
        """The row that has the frame."""
        row = self.currentIndex().row()
        return row if row >= 0 else None

    def go(self, row: int) -> None:
        """Choose one cell, and scroll only as far as it takes to see it."""
        index = self.model().index(row)
        self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self.scrollTo(index, QAbstractItemView.ScrollHint.EnsureVisible)

    def follow(self, rows: Sequence[int]) -> None:
        """Choose what was selected on the slide, without saying so."""
        self._quiet = True
        try:
            if len(rows) == 1:
                self.go(rows[0])
            else:
                chosen = QItemSelection()
                for row in rows:
                    chosen.select(self.model().index(row), self.model().index(row))
                self.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        finally:
            self._quiet = False

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:  # noqa: N802  Qt's name
        """Tell where the frame went."""
        super().currentChanged(current, previous)
        self.delegate.current_row = current.row()
        for index in (current, previous):
            self.update(index)
        if current.isValid() and not self._quiet:
            self.moved.emit(current.row())

    def selectionChanged(self, chosen: QItemSelection, left: QItemSelection) -> None:  # noqa: N802  Qt's name
        """Tell that other cells are chosen."""
        super().selectionChanged(chosen, left)
        if not self._quiet:
            self.chosen_changed.emit()

    def dataChanged(  # noqa: N802  Qt's name
        self, first: QModelIndex, last: QModelIndex, roles: Sequence[int] = ()
    ) -> None:
        """Paint what changed; a list of Qt's would lay out all its cells anew, but ours keep their size."""
        QAbstractItemView.dataChanged(self, first, last, list(roles))

    # Size of the pictures

    @property
    def side_px(self) -> int:
        """Side of the pictures, px."""
        return self.delegate.side_px

    def set_side(self, side_px: int) -> None:
        """Draw the pictures larger or smaller; the cell in the frame stays in view."""
        if side_px != self.delegate.side_px:
            self.delegate.side_px = side_px
            self._fit()
            self.scrollTo(self.currentIndex())

    def zoom(self, step: int) -> None:
        """Draw the pictures a size larger (1) or smaller (-1)."""
        place = SIDES_PX.index(self.side_px) + step
        self.set_side(SIDES_PX[min(max(place, 0), len(SIDES_PX) - 1)])

    def _fit(self) -> None:
        size = self.delegate.cell_size
        self.setGridSize(size)
        self.verticalScrollBar().setSingleStep(size.height() // 2)

    # Keys and wheel

    def event(self, event: QEvent) -> bool:
        """Claim our keys before napari's menus do."""
        return claims(_COMMANDS, event) or bool(super().event(event))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's name
        """Do what a key of the review asks for; other letters go on to the window rather than into a search."""
        command = pressed_command(_COMMANDS, event)
        if command is not None:
            self.command_requested.emit(command)
            event.accept()
        elif event.key() in _MOVES:
            super().keyPressEvent(event)
        else:
            event.ignore()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  Qt's name
        """Scroll; with Ctrl, draw the pictures larger or smaller."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(1 if event.angleDelta().y() > 0 else -1)
            event.accept()
        else:
            super().wheelEvent(event)

    # Pictures

    def _repaint(self, cell_id: str) -> None:
        model = self.model()
        assert isinstance(model, ReviewModel)
        row = model.review.row_of(cell_id)
        if row is not None:
            self.update(model.index(row))
