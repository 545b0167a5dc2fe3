"""What a drag of the mouse does: one small class each, told of every place and of the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import (
    YXYX,
    Box,
    Geometry,
    Polygon,
    box_contains_box,
    box_contains_point,
    closed_outline,
    points_in_outline,
)
from napari_cyto.session import Session
from napari_cyto.session.tools import Tool
from napari_cyto.widgets.canvas._annotation_style import (
    SELECTED_RGBA,
    Segments,
    box_segments,
    joined,
    line_segments,
    outlines_of,
)
from napari_cyto.widgets.canvas._shape_handles import box_between, dragged
from napari_cyto.widgets.canvas.drags import Place

MOST_IN_ONE_BAND = 20_000
_GHOSTS = 300
_STEP_SCREEN_PX = 2.0


Draft = Callable[[Segments], None]


class PanDrag:
    """Move the view with the mouse."""

    def __init__(self, start: Place, shift_view: Callable[[float, float], None]) -> None:
        self._last = start
        self._shift_view = shift_view

    def to(self, place: Place) -> None:
        """Keep the glass under the mouse."""
        (x0, y0), (x1, y1) = self._last.screen_xy, place.screen_xy
        self._shift_view(y0 - y1, x0 - x1)
        self._last = place

    def end(self) -> None:
        """Stay."""


class BandDrag:
    """Draw a box with a rubber band: to keep it, or to select what is inside."""

    def __init__(self, start: Place, session: Session, draft: Draft, rgba: Sequence[float], *, adds: bool) -> None:
        self._start = start
        self._session = session
        self._draft = draft
        self._rgba = rgba
        self._adds = adds
        self._box: Box | None = None

    def to(self, place: Place) -> None:
        """Stretch the band."""
        self._box = box_between(self._start.yx, place.yx)
        if self._box is not None:
            self._draft(box_segments([self._box.bounds_yxyx], [self._rgba]))

    def end(self) -> None:
        """Store the box, or select what has its middle in it."""
        if self._box is None:
            return
        if self._session.tool is Tool.BOX:
            self._session.select(())
            self._session.edits.add_box(self._box)
            return
        box = self._box
        select_inside(self._session, box.bounds_yxyx, lambda found: [_holds(box, a) for a in found], adds=self._adds)


class OutlineDrag:
    """Select what has its middle inside an outline that the mouse draws."""

    def __init__(self, start: Place, session: Session, draft: Draft, *, adds: bool) -> None:
        self._session = session
        self._draft = draft
        self._adds = adds
        self._places = [start]

    def to(self, place: Place) -> None:
        """Draw on."""
        if place.screen_distance(self._places[-1]) >= _STEP_SCREEN_PX:
            self._places.append(place)
            self._draft(line_segments([p.yx for p in self._places], SELECTED_RGBA, closed=True))

    def end(self) -> None:
        """Select; one key then judges them all, as one undo step."""
        outline = Polygon(closed_outline([p.yx for p in self._places], self._places[-1].reach(1.0)))

        def holds(found: Sequence[Annotation]) -> Sequence[bool]:
            inside = points_in_outline(np.array([a.geometry.centre_yx for a in found]), outline.vertices_yx)
            return [not a.is_region and bool(is_in) for a, is_in in zip(found, inside, strict=True)]

        select_inside(self._session, outline.bounds_yxyx, holds, adds=self._adds)


def select_inside(
    session: Session, box_yxyx: YXYX, holds: Callable[[Sequence[Annotation]], Sequence[bool]], *, adds: bool
) -> None:
    """Select those of the annotations shown in a box (level-0 px) for which ``holds`` is true."""
    project, slide, shown = session.need_project(), session.need_slide(), session.shown_filter
    found = project.in_box(slide.id, box_yxyx, limit=MOST_IN_ONE_BAND + 1)
    if len(found) > MOST_IN_ONE_BAND:
        session.message.emit(
            f"Expected at most {MOST_IN_ONE_BAND:,} annotations in the area, got more; select them in smaller parts."
        )
        return
    inside = {a.id for a, is_held in zip(found, holds(found), strict=True) if is_held and shown.passes(a)}
    session.select(session.selection | inside if adds else inside)


class MoveDrag:
    """Move what is selected."""

    def __init__(self, start: Place, session: Session, draft: Draft) -> None:
        self._start = start
        self._session = session
        self._draft = draft
        self._chosen = session.selected()
        self._by = (0.0, 0.0)

    def to(self, place: Place) -> None:
        """Show ghosts where the selected would come to lie."""
        dy, dx = place.yx[0] - self._start.yx[0], place.yx[1] - self._start.yx[1]
        self._by = (dy, dx)
        half = place.reach(6)
        moved = [_moved(a, dy, dx) for a in self._chosen[:_GHOSTS]]
        dots = [(y - half, x - half, y + half, x + half) for y, x in (a.geometry.centre_yx for a in moved)]
        ids = frozenset(a.id for a in moved)
        ghosts = box_segments(dots, [SELECTED_RGBA] * len(dots))
        self._draft(joined([ghosts, outlines_of(moved, {}, ids)]))

    def end(self) -> None:
        """Store the new places, in one step."""
        self._session.edits.move_selected(*self._by)


class HandleDrag:
    """Reshape one box or region by a handle."""

    def __init__(self, annotation: Annotation, handle: int, session: Session, draft: Draft) -> None:
        self._annotation = annotation
        self._handle = handle
        self._session = session
        self._draft = draft
        self._shape: Geometry = annotation.geometry

    def to(self, place: Place) -> None:
        """Show the new outline."""
        self._shape = dragged(self._annotation.geometry, self._handle, place.yx)
        shaped = replace(self._annotation, geometry=self._shape)
        self._draft(outlines_of([shaped], {}, frozenset([shaped.id])))

    def end(self) -> None:
        """Store the new outline."""
        self._session.edits.reshape(self._annotation.id, self._shape)


def _moved(annotation: Annotation, dy: float, dx: float) -> Annotation:
    return replace(annotation, geometry=annotation.geometry.translated(dy, dx))


def _holds(box: Box, annotation: Annotation) -> bool:
    """Whether a cell's middle, or all of a region, is inside the box."""
    if annotation.is_region:
        return box_contains_box(box.bounds_yxyx, annotation.geometry.bounds_yxyx)
    return box_contains_point(box.bounds_yxyx, annotation.geometry.centre_yx, closed=True)
