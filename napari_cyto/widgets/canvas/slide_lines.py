"""Lines over a slide that are no annotations: crosshair, rulers, the circle of the field of view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from vispy.scene.visuals import Line

from napari_cyto.widgets.canvas import napari_window

if TYPE_CHECKING:
    from napari import Viewer

_ABOVE_LAYERS = 1_000_000


def slide_line(viewer: Viewer, rgba: Sequence[float], width: int, connect: str = "segments", order: int = 0) -> Any:
    """Return a vispy line in world coordinates above all layers of a viewer, hidden until it is set.

    Parameters
    ----------
    viewer : napari.Viewer
        In whose scene it lies.
    rgba : sequence of float
        0 to 1.
    width : int
        Screen px.
    connect : str
        ``segments`` of two ends each, or one ``strip``.
    order : int
        Of two lines the one with the larger number is above.
    """
    line = Line(pos=np.zeros((2, 2), np.float32), connect=connect, method="gl", width=width, color=rgba)
    line.set_gl_state("translucent", depth_test=False)
    line.order = _ABOVE_LAYERS + order
    line.visible = False
    line.parent = napari_window.scene_of(viewer)
    return line


def slide_lines(viewer: Viewer) -> list[Any]:
    """Return all that `slide_line` made for a viewer and that was not taken off again."""
    return [each for each in napari_window.scene_of(viewer).children if each.order >= _ABOVE_LAYERS]
