"""A stroke of the brush along the outline of a cell: shown while it is drawn, stored when it ends."""

from __future__ import annotations

from contextlib import suppress

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import CellOutline, CellRing, painted
from napari_cyto.errors import CytoError
from napari_cyto.session import Session
from napari_cyto.widgets.canvas._annotation_style import (
    SELECTED_RGBA,
    Segments,
    circle_segments,
    joined,
    line_segments,
)
from napari_cyto.widgets.canvas._drag_actions import Draft
from napari_cyto.widgets.canvas.drags import Place

BRUSH_SCREEN_PX = 7.0
"""Radius of the brush."""

_STEP_SCREEN_PX = 2.0


class StrokeDrag:
    """Add to an outline, or take away from it, with a brush as wide on the screen at any zoom.

    Parameters
    ----------
    start : Place
        Where the button went down.
    cell : Annotation
        Whose outline is corrected.
    session : Session
        Whose ring in hand it is.
    draft : callable
        Draws the outline as it would be.
    adds : bool
        Whether the stroke adds; else it takes away.
    """

    def __init__(self, start: Place, cell: Annotation, session: Session, draft: Draft, *, adds: bool) -> None:
        self._places = [start]
        self._radius_px = start.reach(BRUSH_SCREEN_PX)
        self._cell, self._session, self._draft, self._adds = cell, session, draft, adds

    def to(self, place: Place) -> None:
        """Paint on."""
        if place.screen_distance(self._places[-1]) >= _STEP_SCREEN_PX:
            self._places.append(place)
        brush = circle_segments(place.yx, self._radius_px, SELECTED_RGBA)
        self._draft(joined([brush, self._outline()]))

    def end(self) -> None:
        """Store the outline, in one undo step."""
        stroke = [p.yx for p in self._places]
        self._session.outlines.paint(self._cell, stroke, self._radius_px, adds=self._adds)

    def _outline(self) -> Segments:
        """Return the ring as the stroke would leave it, or the stroke where it would change nothing."""
        shape, ring = self._cell.geometry, self._session.outlines.ring
        stroke = [p.yx for p in self._places]
        assert isinstance(shape, CellOutline)
        with suppress(CytoError):
            after = painted(shape, ring, stroke, self._radius_px, adds=self._adds).outline
            line = after.vertices_yx if ring is CellRing.NUCLEUS else after.cytoplasm_yx
            return line_segments(line, SELECTED_RGBA, closed=True)
        return line_segments(stroke, SELECTED_RGBA, closed=False)
