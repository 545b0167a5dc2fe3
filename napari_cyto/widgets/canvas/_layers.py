"""The one adapter that touches napari's layers and vispy's visuals.

The layer is an empty Points layer: it stands in napari's list, hides, fades and goes as a user expects of a layer. What
is drawn are vispy markers and lines that hang under its node and follow it, of what is in view only. Measured with
1,000 boxes, giving a Vectors layer new data blocks the window for 35 ms and a Shapes layer for 70 ms, a line visual
for 0.3 ms; 100 cells take a Points layer 16 ms, markers 1 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Points
from vispy.scene.visuals import Line, Markers
from vispy.visuals.transforms import MatrixTransform

from napari_cyto.widgets.canvas._annotation_style import (
    NO_POINTS,
    NO_SEGMENTS,
    RIM_RGBA,
    SELECTED_RGBA,
    CellPoints,
    Segments,
    halo_of,
)
from napari_cyto.widgets.canvas._heat import HeatMap
from napari_cyto.widgets.canvas.napari_window import node_of
from napari_cyto.widgets.canvas.view_options import ViewOptions

if TYPE_CHECKING:
    from napari import Viewer

LAYER_NAME = "Cells"
# A mark is as wide as a cell on the glass, but on the screen never so large that it hides the nucleus under it,
# nor too small to be seen. vispy makes rims half as wide as the smallest mark, at least.
ANNOTATION_UM = 40.0
ANNOTATION_SCREEN_PX = (2.0, 10.0)
# Shapes are told apart from here on.
SHAPED_SCREEN_PX = (7.0, 15.0)
_HOLLOW_RIM_SHARE = 0.2
_RIM_SHARE = 0.12
# Sizes nearer than this look the same; while the wheel turns, marks are not given anew for less.
_SIZE_STEP_PX = 0.25
_HALO_PX = 2
_HANDLE_SCREEN_PX = 8
_RING_SCREEN_PX = 18
_PX_WITHOUT_MPP = 160.0


class AnnotationLayers:
    """Our layer on a viewer, and what hangs under it."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.options = ViewOptions()
        self.heat = HeatMap()
        self.attention = HeatMap("attention")
        self.cells: Points | None = None
        self.scale = 1.0
        self.points = NO_POINTS
        self._annotation_world, self._annotation_screen_px = _PX_WITHOUT_MPP, ANNOTATION_SCREEN_PX[1]
        self._node: Any = None
        # vispy leaves OpenGL pointing at the buffers that it drew last. Were they freed with the layer that a user
        # removes, the next painting would read them and end the program.
        self._gone: list[tuple[Any, ...]] = []
        self._make_visuals()

    def _make_visuals(self) -> None:
        self._cell_markers = _markers()
        self._halo, self._outlines = _line(), _line()
        self._draft_halo, self._draft = _line(), _line()
        self._handles = _markers()
        self._rings = _markers()
        self._visuals = (
            *(
                self.heat.node,
                self.attention.node,
                self._cell_markers,
                self._halo,
                self._outlines,
                self._draft_halo,
                self._draft,
            ),
            *(self._rings, self._handles),
        )
        self.show_as(self.options)

    def put(self, mpp: float | None) -> Points:
        """Put our layer on top of the viewer, with the slide's scale; it is made when it is not there."""
        scale = self.scale = mpp or 1.0
        units = "um" if mpp else "pixel"
        if self.cells is None or self.cells not in self._viewer.layers:
            if self.cells is not None:
                self._gone.append((self._node, *self._visuals))
                self.heat.renew()
                self.attention.renew()
                self._make_visuals()
            self.cells = _points(scale, units)
            self._viewer.add_layer(self.cells)
            # The mode buttons of napari would move points of which the store knows nothing.
            self.cells.editable = False
            self._node = node_of(self._viewer, self.cells)
            _draw_nothing(self.cells, self._node)
            for visual in self._visuals:
                visual.parent = self._node
            self._set_points()
        self.cells.scale = (scale, scale)
        self.cells.units = (units, units)
        self._annotation_world = ANNOTATION_UM if mpp else _PX_WITHOUT_MPP
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
        self.cells, self.points = None, NO_POINTS

    def show_cells(self, points: CellPoints) -> None:
        """Draw these cells and no others."""
        if not points.same_as(self.points):
            self.points = points
            self._set_points()

    def show_as(self, options: ViewOptions) -> None:
        """Draw as wide and as opaque as the user likes it; shapes and boxes come with what is drawn next."""
        self.options = options
        for line in (self._outlines, self._draft):
            line.set_data(width=options.line_px)
        for line in (self._halo, self._draft_halo):
            line.set_data(width=options.line_px + _HALO_PX)
        for visual in (self._cell_markers, self._halo, self._outlines):
            visual.opacity = options.opacity

    @property
    def _annotation_bounds_px(self) -> tuple[float, float]:
        return SHAPED_SCREEN_PX if self.options.shapes else ANNOTATION_SCREEN_PX

    def fit(self, zoom: float) -> None:
        """Make the marks as large as cells are at a zoom, canvas px per world unit, within bounds."""
        size = float(np.clip(self._annotation_world * zoom, *self._annotation_bounds_px))
        at_end = size in self._annotation_bounds_px and size != self._annotation_screen_px
        if at_end or abs(size - self._annotation_screen_px) >= _SIZE_STEP_PX:
            self._annotation_screen_px = size
            self._set_points()

    def _set_points(self) -> None:
        points = self.points
        self._cell_markers.visible = len(points.centres) > 0
        if self._cell_markers.visible:
            self._cell_markers.set_data(
                points.centres[:, ::-1].astype(np.float32),
                size=self._annotation_screen_px,
                symbol=points.symbols.tolist(),
                face_color=points.face_rgba,
                edge_color=RIM_RGBA if points.rim_rgba is None else points.rim_rgba,
                edge_width=None,
                edge_width_rel=_RIM_SHARE if points.rim_rgba is None else _HOLLOW_RIM_SHARE,
            )

    def show_outlines(self, segments: Segments) -> None:
        """Draw these outlines of boxes and regions and no others."""
        _show(self._outlines, segments)
        _show(self._halo, halo_of(segments))

    def show_draft(self, segments: Segments = NO_SEGMENTS) -> None:
        """Draw what the mouse is drawing."""
        _show(self._draft, segments)
        _show(self._draft_halo, halo_of(segments))

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
    )


def _draw_nothing(layer: Points, node: Any) -> None:
    """Spare napari the painting of points that are not there, and of its list of layers at each turn of the wheel."""
    layer.events.scale_factor.block()
    layer.events.highlight.block()
    for visual in (node.points_markers, node.selection_markers, node.highlight_lines, node.text):
        visual.visible = False


def _line() -> Any:
    line = Line(pos=np.zeros((2, 2), np.float32), connect="segments", method="gl", width=ViewOptions().line_px)
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
