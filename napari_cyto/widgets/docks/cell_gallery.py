"""Cells as small pictures to go to: the worst of a run, or those of a field of the confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QImage, QPixmap, QWheelEvent
from qtpy.QtWidgets import QListView, QListWidget, QListWidgetItem

from napari_cyto.errors import CytoError
from napari_cyto.widgets.docks import parts
from napari_cyto.widgets.docks.thumbnails import image_of

IMAGE_PX = 72
WINDOW_UM = 50.0
# About the same where the slide's scale is not known: most are scanned at 40x.
WINDOW_PX = 200
ROW_PX = IMAGE_PX + 40
ROWS_AT_MOST = 4
SHOWN_AT_MOST = 60
_CELL = Qt.ItemDataRole.UserRole

Cell = Mapping[str, Any]
"""``slide`` (path), ``centre_yx`` (level-0 px), ``truth``, ``answer``, and maybe ``picture`` and ``probability``; or
``words`` and ``tip``, told as they are."""


class CellGallery(QListWidget):
    """Shows cells side by side; ``chosen`` carries the one that was clicked, or opened with Enter."""

    chosen = Signal(object)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setViewMode(QListView.ViewMode.IconMode)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMovement(QListView.Movement.Static)
        self.setWordWrap(True)
        self.setSpacing(2)
        self.setIconSize(QSize(IMAGE_PX, IMAGE_PX))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip("Click a cell, or press Enter, to see it on its slide.")
        self.setAccessibleName(name)
        self._loader = CellImageLoader(self)
        self._loader.ready.connect(self._show_image)
        self._generation = 0
        self._shown: Sequence[Cell] = ()
        self.itemClicked.connect(self._clicked)
        self.itemActivated.connect(lambda item: self.chosen.emit(item.data(_CELL)))

    def show_cells(self, cells: Sequence[Cell], folder: Path | None = None) -> None:
        """Show ``cells``, at most ``SHOWN_AT_MOST``; pictures come from ``folder`` or else from the slides."""
        cells = list(cells[:SHOWN_AT_MOST])
        if cells == self._shown and self._generation:
            return
        self._shown = cells
        self._generation += 1
        self.clear()
        for number, cell in enumerate(cells):
            item = QListWidgetItem(_blank(), cell_words(cell))
            item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter)
            item.setToolTip(cell_tip(cell))
            item.setData(_CELL, dict(cell))
            item.setSizeHint(QSize(IMAGE_PX + 12, ROW_PX - 4))
            self.addItem(item)
            image = folder / str(cell["picture"]) if folder is not None and cell.get("picture") else None
            self._loader.ask(self._generation, number, cell, image)
        self._fit()

    def _fit(self) -> None:
        columns = max(1, (self.viewport().width() - 4) // (IMAGE_PX + 14))
        rows = min(ROWS_AT_MOST, -(-self.count() // columns)) if self.count() else 0
        self.setFixedHeight(max(1, rows) * ROW_PX + 6)
        self.setVisible(self.count() > 0)

    def resizeEvent(self, event: Any) -> None:  # noqa: N802  Qt's name
        """Take as many rows as the cells need in the new width."""
        super().resizeEvent(event)
        if self.count():
            self._fit()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  Qt's name
        """Scroll the dock where there is nothing to scroll here."""
        if self.verticalScrollBar().maximum() > 0:
            super().wheelEvent(event)
        else:
            event.ignore()

    def close_threads(self) -> None:
        """Stop reading pictures."""
        self._loader.close()

    def _show_image(self, generation: int, number: int, image: QImage) -> None:
        if generation == self._generation and number < self.count():
            icon = QIcon(QPixmap.fromImage(image))
            # Qt would tint the picture of the selected cell.
            icon.addPixmap(QPixmap.fromImage(image), QIcon.Mode.Selected)
            self.item(number).setIcon(icon)

    def _clicked(self, item: QListWidgetItem) -> None:
        self.chosen.emit(item.data(_CELL))


class CellImageLoader(QObject):
    """Cuts cells out of their slides in a thread; ``ready`` carries generation, place in the list and picture."""

    ready = Signal(int, int, QImage)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._threads: ThreadPoolExecutor | None = None
        self._latest = 0
        self._closed = False

    def ask(self, generation: int, number: int, cell: Cell, image: Path | None) -> None:
        """Have one picture made; those asked for in an earlier generation are not made any more."""
        if self._closed:
            return
        self._latest = generation
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, "cells")
        self._threads.submit(self._make, generation, number, dict(cell), image)

    def close(self) -> None:
        """Stop; the picture in hand is waited for."""
        self._closed = True
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _make(self, generation: int, number: int, cell: Cell, image: Path | None) -> None:
        if self._closed or generation != self._latest:
            return
        try:
            pixels = _stored(image) if image is not None else cut(Path(cell["slide"]), cell["centre_yx"])
        except (CytoError, OSError, ValueError):
            # Shown without a picture; going there says what is wrong with the slide.
            return
        if not self._closed:
            self.ready.emit(generation, number, image_of(pixels, IMAGE_PX))


def cut(slide_path: Path, centre_yx: Sequence[float]) -> npt.NDArray[np.uint8]:
    """Return a cell with its surroundings, uint8 RGB ``(h, w, 3)``; ``centre_yx`` in level-0 px.

    Raises
    ------
    SlideError
        When the slide cannot be opened.
    """
    from napari_cyto.slides import open_slide

    with open_slide(slide_path) as slide:
        side = WINDOW_UM / slide.info.mpp if slide.info.mpp else WINDOW_PX
        y, x = centre_yx
        return slide.read_level0((y - side / 2, x - side / 2, y + side / 2, x + side / 2))


def cell_words(cell: Cell) -> str:
    """Return what stands under a picture: truth and answer."""
    if "words" in cell:
        return str(cell["words"])
    truth, answer = cell.get("truth") or "nothing", cell.get("answer") or "nothing"
    return truth if truth == answer else f"{truth}\n→ {answer}"


def cell_tip(cell: Cell) -> str:
    """Return what the tooltip says of a cell."""
    if "tip" in cell:
        return str(cell["tip"])
    truth, answer = cell.get("truth") or "no cell", cell.get("answer") or "no cell"
    sure = f" with probability {cell['probability']:.2f}" if "probability" in cell else ""
    y, x = cell["centre_yx"]
    slide = parts.breakable(Path(str(cell["slide"])).name)
    return f"Annotated as {truth}; predicted as {answer}{sure}.\n{slide}, x {x:,.0f}, y {y:,.0f} px."


def _stored(image: Path) -> npt.NDArray[np.uint8]:
    from PIL import Image

    with Image.open(image) as opened:
        return np.asarray(opened.convert("RGB"))


def _blank() -> QIcon:
    pixmap = QPixmap(IMAGE_PX, IMAGE_PX)
    pixmap.fill(QColor(128, 134, 144, 60))
    return QIcon(pixmap)
