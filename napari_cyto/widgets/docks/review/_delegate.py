"""How one cell of the review is painted: its picture, its class, the model's score, and the verdict on it."""

from __future__ import annotations

from qtpy.QtCore import QModelIndex, QPointF, QRect, QSize, Qt
from qtpy.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from qtpy.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_cyto.domain.annotation import Status
from napari_cyto.review.ambiguity import CellSet
from napari_cyto.widgets import style
from napari_cyto.widgets.docks.cell_images import CellCrops
from napari_cyto.widgets.docks.review.list_model import ReviewModel

MARGIN_PX = 3
CAPTION_PX = 18
_EMPTY = QColor(128, 134, 144, 60)
_CAPTION = QColor(32, 36, 43)
_WORDS = QColor("#f2f3f5")
_QUIET = QColor("#b9bec6")
_CHOSEN, _CURRENT = QColor(0, 200, 220), QColor("#ffea3b")
_SPANS, _AMBIGUOUS = QColor(style.DARK.bad), QColor(style.DARK.warn)
_STATUS_COLOURS = {Status.ACCEPTED: QColor(style.DARK.good), Status.REJECTED: QColor(style.DARK.bad)}
_FONT_PX = 11
_ROOM_FOR_SCORE_PX = 90


class CellDelegate(QStyledItemDelegate):
    """Paints the cells of a `ReviewModel`; pictures that are not there yet are a grey square."""

    def __init__(self, crops: CellCrops, parent: QWidget) -> None:
        super().__init__(parent)
        self.crops = crops
        self.side_px = 96
        # Painted also while the slide has the keys, where Qt knows no focus here.
        self.current_row = -1
        self._colours: dict[str, QColor] = {}
        self._font = QFont(parent.font())
        self._font.setPixelSize(_FONT_PX)
        self._metrics = QFontMetrics(self._font)

    def set_colours(self, colours: dict[str, str]) -> None:
        """Use these colours, ``#rrggbb``, for the classes."""
        self._colours = {class_id: QColor(colour) for class_id, colour in colours.items()}

    @property
    def cell_size(self) -> QSize:
        """What one cell takes on the screen, px."""
        return QSize(self.side_px + 2 * MARGIN_PX, self.side_px + CAPTION_PX + 2 * MARGIN_PX)

    def sizeHint(self, _option: QStyleOptionViewItem, _index: QModelIndex) -> QSize:  # noqa: N802  Qt's name
        """All cells are of one size."""
        return self.cell_size

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint one cell."""
        model, row = index.model(), index.row()
        assert isinstance(model, ReviewModel)
        cell = model.review.cells[row]
        place = option.rect.adjusted(MARGIN_PX, MARGIN_PX, -MARGIN_PX, -MARGIN_PX)
        square = QRect(place.left(), place.top(), self.side_px, self.side_px)
        faded = cell.status is Status.REJECTED or model.review.is_gone(row)
        self._image(painter, square, model, row, faded)
        self._caption(painter, QRect(place.left(), square.bottom() + 1, self.side_px, CAPTION_PX), model, row)
        if (ambiguous := model.shown_set(row)) is not None:
            self._set(painter, square, ambiguous)
        if (colour := _STATUS_COLOURS.get(cell.status)) is not None:
            _draw_status(painter, square, colour, accepted=cell.status is Status.ACCEPTED)
        if name := model.begins_slide(row):
            self._slide_name(painter, square, name)
        _frame(painter, place, bool(option.state & QStyle.StateFlag.State_Selected), row == self.current_row)

    def _image(self, painter: QPainter, square: QRect, model: ReviewModel, row: int, faded: bool) -> None:
        wish = model.wish(row, self.side_px)
        image = None if wish is None else self.crops.get(wish)
        if image is None:
            painter.fillRect(square, _EMPTY)
            if wish is None or self.crops.has_failed(wish):
                painter.setPen(_QUIET)
                painter.setFont(self._font)
                painter.drawText(square, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, "no pixels")
            return
        painter.setOpacity(0.35 if faded else 1.0)
        painter.drawPixmap(square, image)
        painter.setOpacity(1.0)

    def _caption(self, painter: QPainter, line: QRect, model: ReviewModel, row: int) -> None:
        painter.fillRect(line, _CAPTION)
        class_id = model.shown_class(row)
        score = model.shown_score(row) if line.width() >= _ROOM_FOR_SCORE_PX else ""
        painter.fillRect(QRect(line.left(), line.top(), 5, line.height()), self._colours.get(class_id, _QUIET))
        painter.setFont(self._font)
        words = line.adjusted(9, 0, -4, 0)
        painter.setPen(_QUIET)
        painter.drawText(words, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, score)
        room = words.width() - (self._metrics.horizontalAdvance(score) + 4 if score else 0)
        painter.setPen(_WORDS)
        name = self._metrics.elidedText(class_id, Qt.TextElideMode.ElideRight, room)
        painter.drawText(words, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, name)

    def _set(self, painter: QPainter, square: QRect, ambiguous: CellSet) -> None:
        """Write the classes that cannot be excluded across the foot of the image, on red where they span all grades."""
        line = QRect(square.left(), square.bottom() + 1 - CAPTION_PX, square.width(), CAPTION_PX)
        painter.fillRect(line, _SPANS if ambiguous.spans else _CAPTION)
        painter.setFont(self._font)
        painter.setPen(_CAPTION if ambiguous.spans else _AMBIGUOUS)
        words, room = ambiguous.words, line.width() - 8
        if self._metrics.horizontalAdvance(words) > room and len(ambiguous.classes) > 2:
            # The ends say how far it spans.
            words = f"{ambiguous.classes[0]} … {ambiguous.classes[-1]}"
        shown = self._metrics.elidedText(words, Qt.TextElideMode.ElideMiddle, room)
        painter.drawText(line.adjusted(4, 0, -4, 0), Qt.AlignmentFlag.AlignCenter, shown)

    def _slide_name(self, painter: QPainter, square: QRect, name: str) -> None:
        line = QRect(square.left(), square.top(), square.width(), CAPTION_PX)
        painter.fillRect(line, QColor(24, 27, 33, 220))
        painter.setFont(self._font)
        painter.setPen(_WORDS)
        shown = self._metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, line.width() - 8)
        painter.drawText(line.adjusted(4, 0, -4, 0), Qt.AlignmentFlag.AlignVCenter, shown)


def _draw_status(painter: QPainter, square: QRect, colour: QColor, *, accepted: bool) -> None:
    """Draw a disc with a tick or a cross: colour alone would not tell everybody."""
    radius = 9.0
    middle = QPointF(square.right() - radius - 3, square.top() + radius + 3)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(_WORDS, 1.5))
    painter.setBrush(colour)
    painter.drawEllipse(middle, radius, radius)
    painter.setPen(QPen(_WORDS, 2.0))
    strokes = [((-4, 0), (-1, 4)), ((-1, 4), (5, -4))] if accepted else [((-4, -4), (4, 4)), ((-4, 4), (4, -4))]
    for (x0, y0), (x1, y1) in strokes:
        painter.drawLine(middle + QPointF(x0, y0), middle + QPointF(x1, y1))
    painter.restore()


def _frame(painter: QPainter, place: QRect, is_chosen: bool, is_current: bool) -> None:
    if is_chosen or is_current:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(_CURRENT if is_current else _CHOSEN, 3))
        painter.drawRect(place.adjusted(-1, -1, 0, 0))
