"""The whole slide at a glance, with the view marked in it; a click or a drag goes there."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_cyto.domain.geometry import YXYX
from napari_cyto.session import Session
from napari_cyto.slides import Slide, thumbnail
from napari_cyto.slides.synthetic_levels import ZoomableSlide, zoomable
from napari_cyto.widgets.pixels import pixmap_of

_THUMBNAIL_PX = 512
_SMALLEST_FRAME_PX = 5.0


class OverviewMap(QWidget):
    """A small map of one slide.

    ``jumped`` carries ``(y, x)``, level-0 px: where the user clicked or dragged to.
    """

    jumped = Signal(float, float)
    _more = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pixmap: QPixmap | None = None
        self._size_hw = (1, 1)
        self._view_yxyx: YXYX | None = None
        self._on_close: list[Callable[[], object]] = []
        self._slide: Slide | None = None
        self._stop_news: Callable[[], object] = lambda: None
        self._more.connect(self._draw_slide, Qt.ConnectionType.QueuedConnection)
        self.setMinimumSize(120, 80)
        self.setMaximumHeight(220)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setToolTip(
            "The whole slide; the frame is the current view. Click or drag to go there, arrow keys to step."
        )
        self.setAccessibleName("Overview map")

    @classmethod
    def of_session(cls, session: Session, parent: QWidget | None = None) -> OverviewMap:
        """Return a map that follows a session's slide and view, and moves its view."""
        overview = cls(parent)

        def show_slide() -> None:
            overview.set_slide(session.open_slide_handle)

        session.slide_changed.connect(show_slide)
        session.view_changed.connect(overview._view_changed)
        overview.jumped.connect(lambda y, x: session.jump((y, x)))
        overview._on_close += [
            lambda: session.slide_changed.disconnect(show_slide, missing_ok=True),
            lambda: session.view_changed.disconnect(overview._view_changed, missing_ok=True),
        ]
        show_slide()
        return overview

    def let_go(self) -> None:
        """Stop following the session."""
        while self._on_close:
            self._on_close.pop()()
        self._stop_news()

    def set_slide(self, slide: Slide | None) -> None:
        """Show another slide, or nothing."""
        self._view_yxyx = None
        self._stop_news()
        self._stop_news = lambda: None
        self._slide, self._pixmap = None if slide is None else zoomable(slide), None
        if self._slide is not None:
            self._size_hw = self._slide.info.size_hw
            if isinstance(self._slide, ZoomableSlide):
                self._stop_news = self._slide.on_news(lambda: self._more.emit())
            self._draw_slide()
        self.updateGeometry()
        self.update()

    def _draw_slide(self) -> None:
        """Take the picture of the slide, or as much of it as is made so far."""
        slide = self._slide
        if slide is None or slide.closed:
            return
        so_far = slide.glimpse(_THUMBNAIL_PX) if isinstance(slide, ZoomableSlide) and not slide.complete else None
        self._pixmap = pixmap_of(thumbnail(slide, _THUMBNAIL_PX) if so_far is None else so_far)
        self.update()

    def set_view(self, view_yxyx: YXYX) -> None:
        """Mark what is on screen, level-0 px."""
        if view_yxyx != self._view_yxyx:
            self._view_yxyx = view_yxyx
            self.update()

    def _view_changed(self, y0: float, x0: float, y1: float, x1: float) -> None:
        self.set_view((y0, x0, y1, x1))

    def hasHeightForWidth(self) -> bool:  # noqa: N802 - Qt's name
        """Whether the height should follow the width: it does, to keep the slide's shape."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802 - Qt's name
        """Return the height that shows the slide without margins, screen px."""
        ideal_height = round(width * self._size_hw[0] / self._size_hw[1])
        return int(max(self.minimumHeight(), min(self.maximumHeight(), ideal_height)))

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return a size that fits a dock."""
        return QSize(240, self.heightForWidth(240))

    def map_rect(self) -> QRectF:
        """Return where the slide is drawn, widget px."""
        h, w = self._size_hw
        scale = min(self.width() / w, self.height() / h)
        return QRectF((self.width() - w * scale) / 2, (self.height() - h * scale) / 2, w * scale, h * scale)

    def frame_rect(self) -> QRectF | None:
        """Return where the frame of the view is drawn, widget px: never too small to see."""
        if self._view_yxyx is None or self._pixmap is None:
            return None
        area = self.map_rect()
        scale = area.width() / self._size_hw[1]
        y0, x0, y1, x1 = (value * scale for value in self._view_yxyx)
        frame = QRectF(QPointF(x0, y0), QPointF(x1, y1)).translated(area.topLeft())
        grow = (max(0.0, _SMALLEST_FRAME_PX - frame.width()) / 2, max(0.0, _SMALLEST_FRAME_PX - frame.height()) / 2)
        return frame.adjusted(-grow[0], -grow[1], *grow)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802, ARG002 - Qt's name
        """Draw the slide and the frame of the view."""
        if self._pixmap is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        area = self.map_rect()
        painter.drawPixmap(area, self._pixmap, QRectF(self._pixmap.rect()))
        frame = self.frame_rect()
        if frame is not None:
            frame = frame.intersected(area.adjusted(-2, -2, 2, 2))
            # Dark under light shows on glass as on tissue.
            for colour, width in ((QColor(0, 0, 0, 160), 3.5), (QColor("#ffd000"), 1.5)):
                painter.setPen(QPen(colour, width))
                painter.drawRect(frame)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Go to where the left button was pressed."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._jump(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Follow a drag."""
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._jump(event)

    def keyPressEvent(self, event: object) -> None:  # noqa: N802 - Qt's name
        """Step by half a view with the arrow keys."""
        steps = {
            Qt.Key.Key_Up: (-0.5, 0.0),
            Qt.Key.Key_Down: (0.5, 0.0),
            Qt.Key.Key_Left: (0.0, -0.5),
            Qt.Key.Key_Right: (0.0, 0.5),
        }
        step = steps.get(Qt.Key(event.key()))  # type: ignore[attr-defined]
        if step is None or self._view_yxyx is None:
            super().keyPressEvent(event)
            return
        y0, x0, y1, x1 = self._view_yxyx
        self._go((y0 + y1) / 2 + step[0] * (y1 - y0), (x0 + x1) / 2 + step[1] * (x1 - x0))

    def _jump(self, event: QMouseEvent) -> None:
        place = event.position() if hasattr(event, "position") else event.localPos()
        area = self.map_rect()
        scale = self._size_hw[1] / area.width()
        self._go((place.y() - area.top()) * scale, (place.x() - area.left()) * scale)

    def _go(self, y: float, x: float) -> None:
        if self._pixmap is not None:
            self.jumped.emit(min(max(y, 0.0), self._size_hw[0]), min(max(x, 0.0), self._size_hw[1]))
