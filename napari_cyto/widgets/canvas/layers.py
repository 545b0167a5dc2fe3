"""The one adapter that touches napari's layers and vispy's visuals.

Cells are one Points layer, of what is in view only. Outlines, the drawing under the mouse and the handles are vispy
lines and markers that hang under that layer's node, and so move, hide and go with it: measured with 1,000 boxes,
giving a Vectors layer new data blocks the window for 35 ms and a Shapes layer for 70 ms, a line visual for 0.3 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Points
from vispy.scene.visuals import Line, Markers
from vispy.visuals.transforms import MatrixTransform

from napari_cyto.widgets.canvas.heat import HeatMap
from napari_cyto.widgets.canvas.marks import NO_SEGMENTS, RIM_RGBA, SELECTED_RGBA, CellMarks, Segments
from napari_cyto.widgets.canvas.window import node_of

if TYPE_CHECKING:
    from napari import Viewer

LAYER_NAME = "Cells"
# A mark is as wide as a cell on the glass, but on the screen never so large that it hides the nucleus under it,
# nor too small to be seen. vispy makes rims half as wide as the smallest mark, at least.
MARK_UM = 40.0
MARK_SCREEN_PX = (2, 10)
OUTLINE_SCREEN_PX = 2
_HANDLE_SCREEN_PX = 8
_RING_SCREEN_PX = 18
_PX_WITHOUT_MPP = 160.0


class MarkLayers:
    """Our layer on a viewer, and what hangs under it."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.heat = HeatMap()
        self._outlines = _line()
        self._draft = _line()
        self._handles = _markers()
        self._rings = _markers()
        self._visuals = (self.heat.node, self._outlines, self._draft, self._rings, self._handles)
        self.cells: Points | None = None

    def put(self, mpp: float | None) -> Points:
        """Put our layer on top of the viewer, with the slide's scale; it is made when it is not there."""
        scale = mpp or 1.0
        units = "um" if mpp else "pixel"
        if self.cells is None or self.cells not in self._viewer.layers:
            self.cells = _points(scale, units)
            self._viewer.add_layer(self.cells)
            # The mode buttons of napari would move points of which the store knows nothing.
            self.cells.editable = False
            node = node_of(self._viewer, self.cells)
            for visual in self._visuals:
                visual.parent = node
        self.cells.scale = (scale, scale)
        self.cells.units = (units, units)
        self.cells.current_size = MARK_UM / scale if mpp else _PX_WITHOUT_MPP
        return self.cells

    def show_cursor(self, *, draws: bool) -> None:
        """Show a cross where a click would draw, an arrow where it would select."""
        if self.cells is not None:
            self.cells.cursor = "crosshair" if draws else "standard"

    def remove(self) -> None:
        """Take our layer off the viewer."""
        for visual in self._visuals:
            visual.parent = None
        if self.cells is not None and self.cells in self._viewer.layers:
            self._viewer.layers.remove(self.cells)
        self.cells = None

    def show_cells(self, marks: CellMarks) -> None:
        """Draw these cells and no others."""
        layer = self.cells
        if layer is None:
            return
        n = len(marks.centres)
        is_moved = n != len(layer.data) or not np.array_equal(layer.data, marks.centres)
        is_recoloured = is_moved or not np.array_equal(layer.face_color, marks.face_rgba)
        if not is_recoloured and [s.value for s in layer.symbol] == list(marks.symbols):
            return
        # Each property that is set has napari build all points anew; together they need that once.
        with layer.events.blocker_all():
            if is_moved:
                layer.data = marks.centres
            if n:
                layer.face_color = marks.face_rgba
                if [s.value for s in layer.symbol] != list(marks.symbols):
                    layer.symbol = list(marks.symbols)
                if not (layer.size == layer.current_size).all():
                    layer.size = layer.current_size
        layer.refresh(thumbnail=False)

    def show_outlines(self, segments: Segments) -> None:
        """Draw these outlines of boxes and regions and no others."""
        _show(self._outlines, segments)

    def show_draft(self, segments: Segments = NO_SEGMENTS) -> None:
        """Draw what the mouse is drawing."""
        _show(self._draft, segments)

    def show_rings(self, places: npt.NDArray[np.float64]) -> None:
        """Draw a ring around each of ``places`` (n, 2), napari data coordinates: the cells that are selected."""
        _show_markers(self._rings, places, symbol="o", size=_RING_SCREEN_PX, face=(0.0, 0.0, 0.0, 0.0))

    def show_handles(self, places: npt.NDArray[np.float64]) -> None:
        """Draw handles at ``places`` (n, 2), napari data coordinates."""
        _show_markers(self._handles, places, symbol="square", size=_HANDLE_SCREEN_PX, face=RIM_RGBA)


def _points(scale: float, units: str) -> Points:
    return Points(
        np.zeros((0, 2)),
        name=LAYER_NAME,
        ndim=2,
        scale=(scale, scale),
        units=(units, units),
        border_color=list(RIM_RGBA),
        border_width=0.12,
        border_width_is_relative=True,
        canvas_size_limits=MARK_SCREEN_PX,
        antialiasing=1,
    )


def _line() -> Any:
    line = Line(pos=np.zeros((2, 2), np.float32), connect="segments", method="gl", width=OUTLINE_SCREEN_PX)
    # napari sets the matrix of whatever hangs under a layer's node.
    line.transform = MatrixTransform()
    line.set_gl_state("translucent", depth_test=False)
    line.visible = False
    return line


def _show(line: Any, segments: Segments) -> None:
    line.visible = len(segments.ends_xy) > 0
    if line.visible:
        line.set_data(pos=segments.ends_xy, color=segments.rgba)


def _markers() -> Any:
    markers = Markers()
    markers.transform = MatrixTransform()
    markers.set_gl_state("translucent", depth_test=False)
    markers.visible = False
    return markers


def _show_markers(
    markers: Any, places: npt.NDArray[np.float64], symbol: str, size: int, face: tuple[float, float, float, float]
) -> None:
    markers.visible = len(places) > 0
    if markers.visible:
        markers.set_data(
            places[:, ::-1].astype(np.float32),
            size=size,
            symbol=symbol,
            face_color=face,
            edge_color=SELECTED_RGBA,
            edge_width=2,
        )
