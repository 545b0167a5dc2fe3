"""The map that takes the place of proposals too many to draw: one picture of the slide, whatever their number."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from vispy.scene import Node
from vispy.scene.visuals import Image
from vispy.visuals.transforms import MatrixTransform, STTransform

from napari_cyto.widgets.canvas.frames import PIXEL_CENTRE

# From none to many: lightness falls steadily, so that it reads without telling red from green.
_COLOURS = np.array(
    [[255, 255, 255], [255, 214, 92], [240, 128, 40], [196, 44, 52], [118, 14, 76], [48, 6, 62]], np.float64
)
# Where nothing is, the slide is paled: stains are as colourful as any scale laid over them.
VEIL = 0.45
_MOST_OPAQUE = 0.8
# How strongly the scale favours few over many; 0 would be linear.
_BEND = 12.0


class HeatMap:
    """Hangs under our layer's node, below the marks."""

    def __init__(self, name: str = "heat") -> None:
        self._name = name
        self.renew()

    def renew(self) -> None:
        """Begin anew with nothing drawn: what hung under a layer that is gone cannot be drawn any more."""
        self.node: Any = Node(name=self._name)
        # napari sets the matrix of whatever hangs under a layer's node; the picture's own place is one deeper.
        self.node.transform = MatrixTransform()
        self._image = Image(np.zeros((1, 1, 4), np.uint8), interpolation="nearest", parent=self.node)
        self._image.transform = STTransform()
        self._image.set_gl_state("translucent", depth_test=False)
        self.node.visible = False

    def show(self, values: npt.NDArray[np.float32], size_hw: tuple[float, float]) -> None:
        """Draw ``values`` (h, w), 0 where nothing is, over a slide of ``size_hw`` level-0 px."""
        self._image.set_data(coloured(smoothed(values)))
        self._image.transform.scale = (size_hw[1] / values.shape[1], size_hw[0] / values.shape[0])
        self._image.transform.translate = (-PIXEL_CENTRE, -PIXEL_CENTRE)
        self.node.visible = True

    def hide(self) -> None:
        """Draw nothing."""
        if self.node.visible:
            self.node.visible = False


def smoothed(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a map (h, w) with each value spread over its neighbours, by [1 2 1] / 4 along both axes, twice."""
    for axis in (0, 1, 0, 1):
        before, after = np.roll(values, 1, axis), np.roll(values, -1, axis)
        # What lies on an edge stays there rather than come in at the other side.
        np.moveaxis(before, axis, 0)[0] = np.moveaxis(values, axis, 0)[0]
        np.moveaxis(after, axis, 0)[-1] = np.moveaxis(values, axis, 0)[-1]
        values = (before + 2 * values + after) / np.float32(4)
    return values


def coloured(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return a map as a picture.

    Parameters
    ----------
    values : numpy.ndarray (h, w), float32
        Not negative; a pale veil where 0.

    Returns
    -------
    numpy.ndarray (h, w, 4), uint8
        Red, green, blue and opacity. The scale is logarithmic up to the greatest value: cells crowd.
    """
    top = float(values.max(initial=0.0))
    share = np.log1p(values / max(top, 1e-9) * _BEND) / np.log1p(_BEND)
    anchors = np.linspace(0, 1, len(_COLOURS))
    image = np.empty((*values.shape, 4), np.uint8)
    for channel in range(3):
        image[..., channel] = np.interp(share, anchors, _COLOURS[:, channel])
    image[..., 3] = 255 * (VEIL + (_MOST_OPAQUE - VEIL) * share)
    return image
