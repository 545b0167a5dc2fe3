"""Correcting the outline of a cell with a brush: what a stroke adds to one of its rings, or takes away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import shapely

from napari_cyto.domain.geometry._outlines import closed_outline
from napari_cyto.domain.geometry._shapes import YX, CellOutline
from napari_cyto.errors import CytoError

_QUARTER_SEGMENTS = 8
_STRAY = 0.03
"""How far a ring may stray from the painted one, in radii of the brush: a fraction of a px of the screen."""

_SAME = 1e-6
BESIDE = "The stroke did not touch the {ring}, so nothing was changed; begin on its line."
NO_HOLE = "The stroke lies inside the {ring}, which has no holes; take away from its line inwards."
NOTHING_LEFT = "The stroke would leave nothing of the {ring}, so nothing was changed."
GO_ROUND = "This outline has no cytoplasm yet: hold Shift and drag once round the whole cell, nucleus included."


class CellRing(StrEnum):
    """The rings of a cell's outline."""

    NUCLEUS = "nucleus"
    CYTOPLASM = "cytoplasm"


@dataclass(frozen=True, slots=True)
class Painted:
    """An outline after a stroke.

    Parameters
    ----------
    outline : CellOutline
        Whoever accepted it before still has.
    remark : str
        What else the stroke changed, as a sentence; empty where nothing.
    """

    outline: CellOutline
    remark: str = ""


def painted(outline: CellOutline, ring: CellRing, stroke_yx: Sequence[YX], radius_px: float, *, adds: bool) -> Painted:
    """Return an outline after a stroke of a round brush along one of its rings.

    The nucleus stays in the cell: where it grows beyond the cytoplasm the cytoplasm grows too, and no stroke takes the
    cytoplasm away from over it. What a stroke encloses is added, and of parts that one cuts apart the largest stays.

    Parameters
    ----------
    outline : CellOutline
        As it is.
    ring : CellRing
        What is corrected. Cytoplasm that is not there yet becomes what a stroke goes round.
    stroke_yx : sequence of (y, x)
        Where the middle of the brush was, at least once, in the frame of the outline.
    radius_px : float
        Of the brush.
    adds : bool
        Whether the stroke adds; else it takes away.

    Raises
    ------
    CytoError
        When nothing would change, or nothing be left.
    """
    nucleus, cell = _area(outline.vertices_yx), _area(outline.cytoplasm_yx)
    if ring is CellRing.CYTOPLASM and cell is None:
        return Painted(_encircled(outline, nucleus, stroke_yx, radius_px, adds=adds))
    stroke = _stroke(stroke_yx, radius_px)
    before = nucleus if ring is CellRing.NUCLEUS else cell
    if not before.intersects(stroke):
        raise CytoError(BESIDE.format(ring=ring.value))
    if ring is CellRing.CYTOPLASM and not adds:
        stroke = stroke.difference(nucleus)
    after, lost = _largest(before.union(stroke) if adds else before.difference(stroke))
    if after is None:
        raise CytoError(NOTHING_LEFT.format(ring=ring.value))
    if abs(after.area - before.area) <= _SAME * before.area:
        raise CytoError((BESIDE if adds else NO_HOLE).format(ring=ring.value))
    remark = "A part that the stroke cut off was left out." if lost else ""
    after = after.simplify(_STRAY * radius_px)
    if ring is CellRing.CYTOPLASM:
        cell, _ = _largest(after.union(nucleus))
    else:
        nucleus = after
        if cell is not None and not cell.covers(nucleus):
            cell, _ = _largest(cell.union(nucleus))
            remark = remark or "The cytoplasm was widened, too, so that it holds the nucleus."
    return Painted(CellOutline(_ring(nucleus), _ring(cell), outline.accepted), remark)


def _encircled(
    outline: CellOutline, nucleus: Any, stroke_yx: Sequence[YX], radius_px: float, *, adds: bool
) -> CellOutline:
    if not adds or len(stroke_yx) < 3:
        raise CytoError(GO_ROUND)
    drawn = _area(closed_outline(stroke_yx, _STRAY * radius_px))
    if not drawn.contains(nucleus.representative_point()):
        raise CytoError(GO_ROUND)
    cell, _ = _largest(drawn.union(nucleus))
    return CellOutline(outline.vertices_yx, _ring(cell), outline.accepted)


def _stroke(stroke_yx: Sequence[YX], radius_px: float) -> Any:
    middle = shapely.LineString(stroke_yx) if len(set(stroke_yx)) > 1 else shapely.Point(stroke_yx[0])
    return middle.buffer(radius_px, quad_segs=_QUARTER_SEGMENTS)


def _area(ring_yx: Sequence[YX]) -> Any:
    """Return what a ring encloses; None of no ring."""
    return _largest(shapely.make_valid(shapely.Polygon(ring_yx)))[0] if ring_yx else None


def _largest(shape: Any) -> tuple[Any, int]:
    """Return the largest part without its holes, and how many others there are; None where there is none."""
    # Twice: what is left of a line that crosses itself can be a collection of collections.
    parts = shapely.get_parts(shapely.get_parts(shape))
    areas = sorted((part for part in parts if part.geom_type == "Polygon" and part.area > 0), key=lambda p: -p.area)
    return (shapely.Polygon(areas[0].exterior), len(areas) - 1) if areas else (None, 0)


def _ring(area: Any) -> tuple[YX, ...]:
    return () if area is None else tuple((float(y), float(x)) for y, x in area.exterior.coords[:-1])
