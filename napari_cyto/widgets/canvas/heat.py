"""The map that takes the place of proposals too many to draw: one picture of the slide, whatever their number."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from vispy.scene import Node
from vispy.scene.visuals import Image
from vispy.visuals.transforms import MatrixTransform, STTransform

from napari_cyto.widgets.canvas.frames import PIXEL_CENTRE

# From few to many: lightness falls steadily, so that it reads without telling red from green.
_COLOURS = np.array([[255, 226, 122], [247, 160, 62], [214, 73, 44], [138, 17, 68], [61, 8, 74]], np.float64)
_ALPHA = (0.35, 0.78)


class HeatMap:
    """Hangs under our layer's node, below the marks."""

    def __init__(self) -> None:
        self.node: Any = Node(name="heat")
        # napari sets the matrix of whatever hangs under a layer's node; the picture's own place is one deeper.
        self.node.transform = MatrixTransform()
        self._picture = Image(np.zeros((1, 1, 4), np.uint8), interpolation="nearest", parent=self.node)
        self._picture.transform = STTransform()
        self._picture.set_gl_state("translucent", depth_test=False)
        self.node.visible = False

    def show(self, values: npt.NDArray[np.float32], size_hw: tuple[float, float]) -> None:
        """Draw ``values`` (h, w), 0 where nothing is, over a slide of ``size_hw`` level-0 px."""
        self._picture.set_data(coloured(values))
        step = max(size_hw) / max(values.shape)
        self._picture.transform.scale = (step, step)
        self._picture.transform.translate = (-PIXEL_CENTRE, -PIXEL_CENTRE)
        self.node.visible = True

    def hide(self) -> None:
        """Draw nothing."""
        if self.node.visible:
            self.node.visible = False


def coloured(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return a map as a picture.

    Parameters
    ----------
    values : numpy.ndarray (h, w), float32
        Not negative; clear glass where 0.

    Returns
    -------
    numpy.ndarray (h, w, 4), uint8
        Red, green, blue and opacity. The scale is logarithmic up to the greatest value: cells crowd.
    """
    top = float(values.max(initial=0.0))
    share = np.log1p(values / max(top, 1e-9) * 50) / np.log1p(50.0)
    anchors = np.linspace(0, 1, len(_COLOURS))
    picture = np.zeros((*values.shape, 4), np.uint8)
    for channel in range(3):
        picture[..., channel] = np.interp(share, anchors, _COLOURS[:, channel])
    opacity = _ALPHA[0] + (_ALPHA[1] - _ALPHA[0]) * share
    picture[..., 3] = np.where(values > 0, 255 * opacity, 0)
    return picture
