"""A crosshair around the cell under review: four arms that leave the cell itself free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import YX
from napari_cyto.session import Session
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.canvas.frames import frame_to_world
from napari_cyto.widgets.canvas.slide_lines import slide_line

if TYPE_CHECKING:
    from napari import Viewer
    from psygnal import SignalInstance

# The arms begin beside a usual cell, and on the screen never so near to each other that they hide what they point at.
FREE_UM, FREE_SCREEN_PX = 24.0, 14.0
ARM_SCREEN_PX = 26.0
_RGBA = (1.0, 0.92, 0.23, 1.0)


class Crosshair:
    """Shows where ``pointed`` says, until another slide comes or it says None.

    Parameters
    ----------
    viewer : napari.Viewer
        On whose slide it lies.
    session : Session
        Whose slide that is.
    pointed : SignalInstance
        Carries ``(y, x)``, level-0 px, or None.
    """

    def __init__(self, viewer: Viewer, session: Session, pointed: SignalInstance) -> None:
        self.viewer = viewer
        self.session = session
        self.at_yx: YX | None = None
        self._pointed = pointed
        self._line = slide_line(viewer, _RGBA, 2)
        pointed.connect(self.point_at)
        session.slide_changed.connect(self._forget)
        napari_window.camera_of(viewer).events.zoom.connect(self._draw)

    @property
    def is_shown(self) -> bool:
        """Whether there is a crosshair."""
        return bool(self._line.visible)

    def point_at(self, yx: YX | None) -> None:
        """Show the crosshair around a place, level-0 px, or nowhere."""
        self.at_yx = yx
        self._draw()

    def let_go(self) -> None:
        """Stop listening, and take the crosshair off."""
        self._pointed.disconnect(self.point_at, missing_ok=True)
        self.session.slide_changed.disconnect(self._forget, missing_ok=True)
        if napari_window.is_open(self.viewer):
            napari_window.camera_of(self.viewer).events.zoom.disconnect(self._draw)
            self._line.parent = None

    def _forget(self) -> None:
        self.point_at(None)

    def _draw(self, _event: Any = None) -> None:
        slide = self.session.slide
        self._line.visible = self.at_yx is not None and slide is not None
        if self.at_yx is not None and slide is not None:
            um_per_px = slide.mpp or 1.0
            zoom = float(napari_window.camera_of(self.viewer).zoom)
            self._line.set_data(pos=arms_xy(frame_to_world(self.at_yx, um_per_px), zoom))


def arms_xy(centre_world_yx: YX, zoom: float) -> npt.NDArray[np.float32]:
    """Return the ends of the four arms, float32 ``(8, 2)``, napari world coordinates ``x, y``.

    Parameters
    ----------
    centre_world_yx : (y, x)
        The middle, napari world coordinates: µm where the pixel size is known.
    zoom : float
        Screen px per world unit.
    """
    free = max(FREE_UM, FREE_SCREEN_PX / zoom)
    y, x = centre_world_yx
    ways = np.array([(1, 0), (-1, 0), (0, 1), (0, -1)], np.float64)
    ends = np.stack([ways * free, ways * (free + ARM_SCREEN_PX / zoom)], axis=1).reshape(8, 2)
    placed: npt.NDArray[np.float32] = (ends + np.array((x, y))).astype(np.float32)
    return placed
