"""Cells as dots in a plane: up to a million of them, panned at the pace of the screen without a graphics card.

The map of cells and the scatter of measurements are drawn by it.

The dots are written into an image that is larger than what is seen; a pan only moves it, and it is made anew when its
edge comes near, or the zoom or a colour changes. Then only what is in view is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPen, QPolygonF, QWheelEvent
from qtpy.QtWidgets import QWidget
from scipy.spatial import cKDTree

from napari_cyto.domain.geometry import points_in_outline
from napari_cyto.widgets.key_commands import claims, commands_of, pressed_command
from napari_cyto.widgets.keys import MAP_KEYS

Floats = npt.NDArray[np.float32]
Colours = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.intp]

# Light enough that a class in black, as SCC is, stands out.
BACKGROUND = 0xFF3F4650
_DIM = 0xFF565E6A
_MARGIN_PX = 320
_REACH_PX = 9.0
_CLICK_PX = 4
_STEP = 1.2
_PAN_PX = 60
_MOST_ZOOM = 2_000.0
_CHOSEN, _LASSO = QColor("#ffea3b"), QColor(0, 200, 220)
# Dots this much larger where so many, or fewer, are in view.
_RADII = ((60_000, 1), (8_000, 2), (800, 3), (0, 5))
_MOST_RINGS = 3_000
_COMMANDS = commands_of(MAP_KEYS)


class DotPlot(QWidget):
    """Draws cells at their places; ``chosen`` carries the rows of a lasso or click and whether they are added.

    ``hovered`` carries the row under the mouse, -1 for none; ``command_requested`` a command of the map's keys.

    Parameters
    ----------
    name : str
        What it is, for those who cannot see it.
    """

    chosen = Signal(object, bool)
    hovered = Signal(int, object)
    command_requested = Signal(str)
    activated = Signal(int)

    def __init__(self, name: str = "map of cells") -> None:
        super().__init__()
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumHeight(220)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(name)
        self._xy = np.zeros((0, 2), np.float32)
        self._colours = np.zeros(0, np.uint32)
        self._is_shown = np.zeros(0, bool)
        self._is_bright: npt.NDArray[np.bool_] | None = None
        self._order = np.zeros(0, np.intp)
        self._tree: cKDTree | None = None
        self._chosen_rows = np.zeros(0, np.intp)
        self.centre_xy = np.zeros(2)
        self.scale = 1.0
        self._whole = (self.centre_xy, self.scale)
        self._image: QImage | None = None
        self._buffer = np.zeros((1, 1), np.uint32)
        self._drawn_centre = np.zeros(2)
        self._pan_from: QPoint | None = None
        self._lasso: list[QPointF] = []
        self._is_adding = False
        self.renders = 0
        """How often the image of the dots was made: a pan should hardly ever."""

    # What is shown

    def show_cells(self, xy: Floats, colours: Colours, is_shown: npt.NDArray[np.bool_]) -> None:
        """Show other cells, all of them in view.

        Parameters
        ----------
        xy : ndarray, float32 (n, 2)
            Their places.
        colours : ndarray, uint32 (n,)
            0xAARRGGBB.
        is_shown : ndarray, bool (n,)
            Those that are drawn and can be met.
        """
        self._xy, self._colours, self._is_shown = xy, colours, is_shown
        # By chance, else the last class would lie over all others.
        self._order = np.random.default_rng(0).permutation(len(xy))
        self._tree = cKDTree(xy) if len(xy) else None
        self._is_bright = None
        self._chosen_rows = np.zeros(0, np.intp)
        self.fit()

    def colour(self, colours: Colours, is_shown: npt.NDArray[np.bool_]) -> None:
        """Give the cells other colours."""
        self._colours, self._is_shown = colours, is_shown
        self._renew()

    def brighten(self, is_bright: npt.NDArray[np.bool_] | None) -> None:
        """Dim all cells but some, which are then the only ones that can be met; None dims none."""
        self._is_bright = is_bright
        self._renew()

    def ring(self, rows: Rows) -> None:
        """Put a ring round some cells."""
        self._chosen_rows = rows
        self.update()

    def fit(self) -> None:
        """Show all cells."""
        self.centre_xy, self.scale = self._whole = self._view_of_all()
        self._renew()

    def _view_of_all(self) -> tuple[npt.NDArray[np.float64], float]:
        """Return the centre and the scale with which all cells are in view: the rarest lie furthest out."""
        if not len(self._xy):
            return self.centre_xy, self.scale
        low, high = self._xy.min(axis=0).astype(np.float64), self._xy.max(axis=0).astype(np.float64)
        room = np.array([max(50, self.width() - 40), max(50, self.height() - 40)])
        return (low + high) / 2, float((room / np.maximum(high - low, 1e-6)).min()) * 0.94

    def _meets(self) -> npt.NDArray[np.bool_]:
        return self._is_shown if self._is_bright is None else self._is_shown & self._is_bright

    def screen_xy(self, rows: Rows | slice = slice(None)) -> npt.NDArray[np.float64]:
        """Return where cells lie in the widget, px ``(n, 2)``."""
        xy = self._xy[rows].astype(np.float64)
        x = (xy[:, 0] - self.centre_xy[0]) * self.scale + self.width() / 2
        y = (self.centre_xy[1] - xy[:, 1]) * self.scale + self.height() / 2
        return np.stack([x, y], axis=1)

    def _map_xy(self, at: QPointF) -> npt.NDArray[np.float64]:
        x = (at.x() - self.width() / 2) / self.scale + self.centre_xy[0]
        y = self.centre_xy[1] - (at.y() - self.height() / 2) / self.scale
        return np.array([x, y])

    def row_at(self, at: QPointF) -> int:
        """Return the cell at a place of the widget, -1 where there is none."""
        if self._tree is None:
            return -1
        meets = self._meets()
        reach = _REACH_PX / self.scale
        _, rows = self._tree.query(self._map_xy(at), k=min(16, len(self._xy)), distance_upper_bound=reach)
        near = [int(row) for row in np.atleast_1d(rows) if row < len(self._xy) and meets[row]]
        return near[0] if near else -1

    # Drawing

    def _renew(self) -> None:
        self._image = None
        self.update()

    def _render(self) -> None:
        """Write the dots into an image that reaches beyond the widget on all sides."""
        self.renders += 1
        width, height = self.width() + 2 * _MARGIN_PX, self.height() + 2 * _MARGIN_PX
        if self._buffer.shape != (height, width):
            self._buffer = np.empty((height, width), np.uint32)
        self._buffer[:] = BACKGROUND
        order = self._order[self._is_shown[self._order]] if len(self._order) else self._order
        if self._is_bright is not None:
            bright = self._is_bright[order]
            self._dots(order[~bright], dim=True)
            order = order[bright]
        self._dots(order)
        self._image = QImage(self._buffer.data, width, height, 4 * width, QImage.Format.Format_RGB32)
        self._drawn_centre = self.centre_xy.copy()

    def _dots(self, rows: Rows, dim: bool = False) -> None:
        height, width = self._buffer.shape
        scale = np.float32(self.scale)
        x = (self._xy[rows, 0] - np.float32(self.centre_xy[0])) * scale + np.float32(width / 2)
        y = (np.float32(self.centre_xy[1]) - self._xy[rows, 1]) * scale + np.float32(height / 2)
        edge = _RADII[-1][1] + 1
        inside = np.flatnonzero((x > edge) & (x < width - edge) & (y > edge) & (y < height - edge))
        radius = next(r for least, r in _RADII if len(inside) >= least)
        places = y[inside].astype(np.int32) * width + x[inside].astype(np.int32)
        colours = np.uint32(_DIM) if dim else self._colours[rows[inside]]
        flat = self._buffer.reshape(-1)
        reach = range(-radius, radius + 1)
        # Column by column of a dot: a later cell may lie over an earlier one by a part, which nobody sees.
        for dy, dx in ((dy, dx) for dy in reach for dx in reach if dy * dy + dx * dx <= radius * radius + 0.5):
            flat[places + (dy * width + dx)] = colours

    def paintEvent(self, _event: QEvent) -> None:  # noqa: N802  Qt's name
        """Draw the dots, rings and the lasso."""
        shift = (self._drawn_centre - self.centre_xy) * self.scale * (1, -1)
        if self._image is None or np.abs(shift).max() > _MARGIN_PX - 1:
            self._render()
            shift = np.zeros(2)
        painter = QPainter(self)
        assert self._image is not None
        painter.drawImage(QPointF(shift[0] - _MARGIN_PX, shift[1] - _MARGIN_PX).toPoint(), self._image)
        if len(self._chosen_rows):
            self._rings(painter)
        if self._lasso:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(_LASSO, 1.5, Qt.PenStyle.DashLine))
            painter.drawPolygon(QPolygonF(self._lasso))
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setPen(QPen(_LASSO, 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))
        painter.end()

    def _rings(self, painter: QPainter) -> None:
        xy = self.screen_xy(self._chosen_rows[:_MOST_RINGS])
        inside = ((xy > -8) & (xy < (self.width() + 8, self.height() + 8))).all(1)
        painter.setPen(QPen(_CHOSEN, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for x, y in xy[inside].tolist():
            painter.drawRect(QRectF(x - 3.5, y - 3.5, 7, 7))

    def resizeEvent(self, event: Any) -> None:  # noqa: N802  Qt's name
        """Keep what is in view when there is more or less room."""
        super().resizeEvent(event)
        old = event.oldSize()
        is_of_all = self.scale == self._whole[1] and bool(np.array_equal(self.centre_xy, self._whole[0]))
        if old.width() > 0 and old.height() > 0 and not is_of_all:
            self.scale *= min(self.width(), self.height()) / max(1, min(old.width(), old.height()))
            self._renew()
        else:
            self.fit()

    def sizeHint(self) -> QSize:  # noqa: N802  Qt's name
        """As much as a dock has."""
        return QSize(340, 340)

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's name
        """Begin a lasso, or a pan with the other buttons."""
        self.setFocus()
        if event.button() == Qt.MouseButton.LeftButton:
            self._lasso = [_at(event)]
            self._is_adding = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        else:
            self._pan_from = event.pos()
        self.hovered.emit(-1, None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's name
        """Pan, draw the lasso, or say what is under the mouse."""
        if self._pan_from is not None:
            moved = event.pos() - self._pan_from
            self._pan_from = event.pos()
            self.pan(moved.x(), moved.y())
        elif self._lasso:
            self._lasso.append(_at(event))
            self.update()
        else:
            self.hovered.emit(self.row_at(_at(event)), event.pos())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's name
        """End the lasso or the pan."""
        if event.button() != Qt.MouseButton.LeftButton:
            self._pan_from = None
            return
        lasso, self._lasso = self._lasso, []
        self.update()
        if not lasso:
            return
        spread = max((abs(p.x() - lasso[0].x()) + abs(p.y() - lasso[0].y()) for p in lasso), default=0.0)
        if len(lasso) < 3 or spread <= _CLICK_PX:
            row = self.row_at(lasso[0])
            self.chosen.emit(np.array([row] if row >= 0 else [], dtype=np.intp), self._is_adding)
        else:
            self.chosen.emit(self.rows_within([(p.y(), p.x()) for p in lasso]), self._is_adding)

    def rows_within(self, outline_yx: Sequence[tuple[float, float]]) -> Rows:
        """Return the cells inside an outline, px of the widget."""
        outline = np.array(outline_yx)
        xy = self.screen_xy()
        (y0, x0), (y1, x1) = outline.min(0), outline.max(0)
        near = self._meets() & (xy[:, 0] >= x0) & (xy[:, 0] <= x1) & (xy[:, 1] >= y0) & (xy[:, 1] <= y1)
        rows = np.flatnonzero(near)
        return rows[points_in_outline(xy[rows][:, ::-1], outline)] if len(rows) else rows

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802  Qt's name
        """Go to the cell on its slide."""
        row = self.row_at(_at(event))
        if row >= 0:
            self.activated.emit(row)

    def leaveEvent(self, _event: QEvent) -> None:  # noqa: N802  Qt's name
        """The mouse is elsewhere."""
        self.hovered.emit(-1, None)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802  Qt's name
        """Zoom; what is under the mouse stays there."""
        self.zoom(_STEP if event.angleDelta().y() > 0 else 1 / _STEP, _at(event))
        event.accept()

    def pan(self, right_px: float, down_px: float) -> None:
        """Move the cells, px."""
        self.centre_xy = self.centre_xy + np.array([-right_px, down_px]) / self.scale
        self.update()

    def zoom(self, factor: float, at: QPointF | None = None) -> None:
        """Draw the cells further apart or nearer."""
        at = QPointF(self.width() / 2, self.height() / 2) if at is None else at
        before = self._map_xy(at)
        spread = float(np.ptp(self._xy, axis=0).max()) if len(self._xy) else 1.0
        least = 0.3 * min(self.width(), self.height()) / max(spread, 1e-6)
        self.scale = float(np.clip(self.scale * factor, least, least * _MOST_ZOOM))
        self.centre_xy = self.centre_xy + before - self._map_xy(at)
        self._renew()

    # Keys

    def event(self, event: QEvent) -> bool:
        """Claim our keys before napari's menus do."""
        return claims(_COMMANDS, event) or bool(super().event(event))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802  Qt's name
        """Do what a key of the map asks for; others go on to the window."""
        command = pressed_command(_COMMANDS, event)
        if command is None:
            event.ignore()
            return
        event.accept()
        moves = {"pan.left": (1, 0), "pan.right": (-1, 0), "pan.up": (0, 1), "pan.down": (0, -1)}
        if command in moves:
            right, down = moves[command]
            self.pan(_PAN_PX * right, _PAN_PX * down)
        elif command in ("larger", "smaller"):
            self.zoom(_STEP if command == "larger" else 1 / _STEP)
        elif command == "fit":
            self.fit()
        else:
            self.command_requested.emit(command)

    def focusInEvent(self, event: Any) -> None:  # noqa: N802  Qt's name
        """Show that the keys are here."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: Any) -> None:  # noqa: N802  Qt's name
        """Show that the keys are elsewhere."""
        super().focusOutEvent(event)
        self.update()


def _at(event: QMouseEvent | QWheelEvent) -> QPointF:
    return QPointF(event.position()) if hasattr(event, "position") else QPointF(event.pos())
