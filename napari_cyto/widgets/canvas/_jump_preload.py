"""The slide's side of a jump: its pixels, and those of the next place, are made ready while other work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.deferred import Soon

if TYPE_CHECKING:
    from napari import Viewer
    from qtpy.QtWidgets import QWidget

    from napari_cyto.domain.geometry import YX


class Arrival:
    """Goes to a place in two steps, and knows where one will probably go on to.

    Whoever reviews cell after cell looks at each for longer than the next one's tiles take to decode.
    """

    def __init__(self, viewer: Viewer, parent: QWidget) -> None:
        self._viewer = viewer
        self._mpp = 1.0
        self._next_yx: YX | None = None
        self._soon = Soon(parent, self._arrive)

    def set_out(self, yx: YX, mpp: float, zoom: float | None) -> None:
        """Have the pixels round a place (level-0 px) decoded; ``zoom`` is in canvas px per world unit."""
        self._mpp, self._next_yx = mpp, None
        napari_window.set_out_for(self._viewer, yx, mpp, zoom)

    def foresee(self, y: float, x: float) -> None:
        """Take note of where one will probably go on to, level-0 px."""
        self._next_yx = (y, x)

    def arrive_soon(self) -> None:
        """Draw the place before the window is next painted, after what was asked for earlier."""
        self._soon.ask()

    def stop(self) -> None:
        """Stay where one is."""
        self._soon.stop()

    def _arrive(self) -> None:
        if napari_window.is_open(self._viewer):
            napari_window.arrive(self._viewer)
            if self._next_yx is not None:
                napari_window.foresee(self._viewer, self._next_yx, self._mpp)
