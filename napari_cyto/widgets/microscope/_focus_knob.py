"""The fine focus: Alt and the wheel, or two keys, go through the focal planes of the slide on screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QWheelEvent

from napari_cyto.session import Session
from napari_cyto.widgets.canvas import napari_window

if TYPE_CHECKING:
    from napari import Viewer

    from napari_cyto.widgets.slide_layer import SlideImage

_NOTCH = 120
"""What Qt gives for one notch of a wheel: 15 degrees in eighths."""
ONE_PLANE_WORDS = "This slide has one focal plane."


class FocusKnob:
    """Which focal plane is shown; zoom, place, turn and light stay.

    Parameters
    ----------
    viewer : napari.Viewer
        The window's viewer.
    session : Session
        Whose slide it shows.
    slide_layer : callable
        Returns the layer of the slide on screen, or None.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, session: Session, slide_layer: Callable[[], SlideImage | None]) -> None:
        self._session, self._slide_layer = session, slide_layer
        self.commands: Mapping[str, Callable[[], object]] = {
            "focus.up": partial(self.turn, 1),
            "focus.down": partial(self.turn, -1),
        }
        self._canvas = napari_window.native_canvas(viewer)
        self._wheel = _AltWheel(self._canvas, self.turn)

    def let_go(self) -> None:
        """Stop listening."""
        self._canvas.removeEventFilter(self._wheel)

    @property
    def words(self) -> str:
        """Which plane is shown, of how many and how far from the first one shown; empty on a slide of one plane."""
        layer = self._slide_layer()
        if layer is None or not layer.slide.info.planes.several:
            return ""
        return layer.slide.info.planes.place_of(layer.focal_plane).capitalize()

    def turn(self, steps: int) -> None:
        """Go some planes up, or down with a number below 0; the ends are ends."""
        layer = self._slide_layer()
        if layer is None or layer.slide.closed:
            return
        planes = layer.slide.info.planes
        if not planes.several:
            self._session.message.emit(ONE_PLANE_WORDS)
            return
        layer.show_plane(min(max(layer.focal_plane + steps, 0), planes.count - 1))
        self.changed.emit()

    def reset(self) -> None:
        """Show the plane that is shown first."""
        layer = self._slide_layer()
        if layer is not None and not layer.slide.closed:
            layer.show_plane(layer.slide.info.planes.default)
            self.changed.emit()


class _AltWheel(QObject):
    """Takes the wheel with Alt from the canvas, which would zoom by it, or pan: Qt turns such a wheel sideways."""

    def __init__(self, canvas: QObject, turn: Callable[[int], None]) -> None:
        super().__init__(canvas)
        self._turn = turn
        self._rest = 0
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: ARG002, N802  Qt's hook
        """Count the notches of the wheel, also those that a touchpad gives in parts."""
        if not isinstance(event, QWheelEvent) or not event.modifiers() & Qt.KeyboardModifier.AltModifier:
            return False
        turned = event.angleDelta()
        self._rest += turned.y() or turned.x()
        notches = int(self._rest / _NOTCH)
        if notches:
            self._rest -= notches * _NOTCH
            self._turn(notches)
        event.accept()
        return True
