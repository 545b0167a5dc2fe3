"""Turning the view: of each slide by its own angle, for as long as the window is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtCore import QEvent, QObject

from napari_cyto.session import Session
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.deferred import later

if TYPE_CHECKING:
    from napari import Viewer

_QUARTER, _STEP, _ROUND = 90.0, 5.0, 360.0


class Turntable(QObject):
    """Turns the view round its middle; what is on the slide stays where it is on it.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose view.
    session : Session
        Whose slides it shows.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, session: Session) -> None:
        self._native = napari_window.native_canvas(viewer)
        super().__init__(self._native)
        self._viewer, self._session = viewer, session
        self._by_slide: dict[str, float] = {}
        self.commands: Mapping[str, Callable[[], object]] = {
            "turn.right": partial(self.turn, _QUARTER),
            "turn.left": partial(self.turn, -_QUARTER),
            "turn.step.right": partial(self.turn, _STEP),
            "turn.step.left": partial(self.turn, -_STEP),
            "turn.upright": self.set_upright,
        }
        # The middle of the canvas is another one when the canvas has its new size.
        self._soon = later(self._native, self._show)
        self._native.installEventFilter(self)
        session.leaving.connect(self._on_leaving)
        session.slide_changed.connect(self._show)
        viewer.layers.events.inserted.connect(self._on_layer, position="last")

    def let_go(self) -> None:
        """Stop listening."""
        self._soon.stop()
        self._native.removeEventFilter(self)
        self._session.leaving.disconnect(self._on_leaving, missing_ok=True)
        self._session.slide_changed.disconnect(self._show, missing_ok=True)
        self._viewer.layers.events.inserted.disconnect(self._on_layer)

    @property
    def degrees(self) -> float:
        """How far the slide on screen is turned clockwise, 0 to 360."""
        slide = self._session.slide
        return 0.0 if slide is None else self._by_slide.get(slide.id, self._usual)

    @property
    def _usual(self) -> float:
        """How far a slide is turned that nobody turned: a repeated reading shows it upside down."""
        return _ROUND / 2 if self._session.readings.is_turned else 0.0

    @property
    def words(self) -> str:
        """Return how far it is turned, as people read it; empty for upright."""
        turned = self.degrees
        if not turned:
            return ""
        way, by = ("clockwise", turned) if turned <= _ROUND / 2 else ("anticlockwise", _ROUND - turned)
        return f"turned {by:g}° {way}" if by != _ROUND / 2 else "turned 180°"

    def turn(self, degrees: float) -> None:
        """Turn the slide on screen on, clockwise."""
        slide = self._session.slide
        if slide is not None:
            self._by_slide[slide.id] = (self.degrees + degrees) % _ROUND
            self._show()

    def set_upright(self) -> None:
        """Show the slide on screen as its file has it."""
        self.turn(-self.degrees)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802  Qt's name
        """Turn round the new middle when the canvas changes its size."""
        if event is not None and event.type() == QEvent.Type.Resize and self.degrees:
            self._soon.start()
        return False

    def _on_leaving(self) -> None:
        # The next slide is looked for, and shown, upright.
        if napari_window.turn_of(self._viewer):
            napari_window.turn(self._viewer, 0.0)

    def _on_layer(self, _event: Any = None) -> None:
        if napari_window.turn_of(self._viewer):
            self._soon.start()

    def _show(self) -> None:
        if napari_window.is_open(self._viewer) and (self.degrees or napari_window.turn_of(self._viewer)):
            napari_window.turn(self._viewer, self.degrees)
        self.changed.emit()
