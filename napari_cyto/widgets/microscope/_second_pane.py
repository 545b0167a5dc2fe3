"""What is painted of the second view: pixels where they belong, turned like the slide, and a scale bar."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QPoint, QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPixmap, QResizeEvent, QWheelEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_cyto.domain.geometry import YX, YXYX
from napari_cyto.widgets.canvas.frames import turned
from napari_cyto.widgets.microscope._snapshot import bar_um
from napari_cyto.widgets.pixels import pixmap_of

_GROUND = "#20242b"
_BAR_PX, _MARGIN_PX, _ARROW_PX = 4, 8, 60
_UM_PER_MM = 1000.0
_WHEEL_STEP = 120.0
_PER_WHEEL_STEP = 1.25
_KEY_MOVES = {
    Qt.Key.Key_Up: (-_ARROW_PX, 0),
    Qt.Key.Key_Down: (_ARROW_PX, 0),
    Qt.Key.Key_Left: (0, -_ARROW_PX),
    Qt.Key.Key_Right: (0, _ARROW_PX),
}
_KEY_ZOOMS = {Qt.Key.Key_Plus: 1, Qt.Key.Key_Equal: 1, Qt.Key.Key_Minus: -1}


class SecondPane(QWidget):
    """Paints; ``moved(down, right)`` is called for a drag and the arrow keys, level-0 px, ``zoomed(factor)`` to zoom.

    Parameters
    ----------
    moved, zoomed : callable
        What a hand asks for.
    resized : callable
        Called when there is more or less to show.
    """

    def __init__(
        self,
        moved: Callable[[float, float], object],
        zoomed: Callable[[float], object],
        resized: Callable[[], object],
    ) -> None:
        super().__init__()
        self._moved, self._zoomed, self._resized = moved, zoomed, resized
        self.centre_yx: YX | None = None
        self.level0_per_px = 1.0
        self.mpp: float | None = None
        self.degrees = 0.0
        self._pixmap: QPixmap | None = None
        self._bounds: YXYX = (0.0, 0.0, 1.0, 1.0)
        self._held: QPointF | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.OpenHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 90)
        self.setAccessibleName("second view")

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the size of a first opening."""
        return QSize(420, 320)

    def show_pixels(self, pixels: object, bounds_yxyx: YXYX) -> None:
        """Paint uint8 RGB pixels ``(h, w, 3)`` over what they cover, level-0 px; None for none."""
        self._pixmap = None if pixels is None else pixmap_of(pixels)  # type: ignore[arg-type]
        self._bounds = bounds_yxyx
        self.update()

    @property
    def has_pixels(self) -> bool:
        """Whether there is something to paint."""
        return self._pixmap is not None

    def place_yx(self, at: QPoint | QPointF) -> YX:
        """Return the place of the slide, level-0 px, that is painted at a place of the widget."""
        centre = self.centre_yx or (0.0, 0.0)
        down, right = turned((at.y() - self.height() / 2, at.x() - self.width() / 2), -self.degrees)
        return (centre[0] + down * self.level0_per_px, centre[1] + right * self.level0_per_px)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802, ARG002 - Qt's name
        """Paint what was read where it belongs now, though it was read for another view."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(_GROUND))
        if self._pixmap is None or self.centre_yx is None:
            painter.end()
            return
        scale = 1 / self.level0_per_px
        y0, x0, y1, x1 = self._bounds
        painter.save()
        painter.translate(self.width() / 2, self.height() / 2)
        painter.rotate(self.degrees)
        painter.scale(scale, scale)
        painter.translate(-self.centre_yx[1], -self.centre_yx[0])
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, scale < 1 or self.degrees % 90 != 0)
        painter.drawPixmap(QRectF(x0, y0, x1 - x0, y1 - y0), self._pixmap, QRectF(self._pixmap.rect()))
        painter.restore()
        if self.mpp:
            self._paint_bar(painter, self.level0_per_px * self.mpp)
        painter.end()

    def _paint_bar(self, painter: QPainter, um_per_px: float) -> None:
        um = bar_um(self.width() * um_per_px)
        length = um / um_per_px
        words = f"{um / _UM_PER_MM:g} mm" if um >= _UM_PER_MM else f"{um:g} µm"
        metrics = painter.fontMetrics()
        width = max(length, metrics.horizontalAdvance(words)) + 2 * _MARGIN_PX
        height = metrics.height() + _BAR_PX + _MARGIN_PX
        ground = QRectF(self.width() - width - _MARGIN_PX, self.height() - height - _MARGIN_PX, width, height)
        painter.fillRect(ground, QColor("white"))
        painter.setPen(QColor("black"))
        painter.drawText(ground, Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignHCenter, words)
        left = ground.center().x() - length / 2
        painter.fillRect(QRectF(left, ground.bottom() - _BAR_PX - 3, length, _BAR_PX), QColor("black"))

    def resizeEvent(self, event: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Have more read."""
        super().resizeEvent(event)
        self._resized()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Take hold."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._held = _place(event)
            self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Follow the hand."""
        if event is not None and self._held is not None and event.buttons() & Qt.MouseButton.LeftButton:
            here = _place(event)
            moved, self._held = self._held - here, here
            self._move(moved.y(), moved.x())

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802, ARG002 - Qt's name
        """Let go."""
        self._held = None
        self.setCursor(Qt.CursorShape.OpenHandCursor)

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802 - Qt's name
        """Zoom."""
        if event is not None:
            self._zoomed(_PER_WHEEL_STEP ** (event.angleDelta().y() / _WHEEL_STEP))
            event.accept()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 - Qt's name
        """Pan by the arrow keys, zoom by + and -."""
        key = None if event is None else Qt.Key(event.key())
        if key in _KEY_MOVES:
            self._move(*_KEY_MOVES[key])
        elif key in _KEY_ZOOMS:
            self._zoomed(_PER_WHEEL_STEP ** _KEY_ZOOMS[key])
        else:
            super().keyPressEvent(event)

    def _move(self, down_px: float, right_px: float) -> None:
        down, right = turned((down_px, right_px), -self.degrees)
        self._moved(down * self.level0_per_px, right * self.level0_per_px)


def _place(event: QMouseEvent) -> QPointF:
    return event.position() if hasattr(event, "position") else event.localPos()
