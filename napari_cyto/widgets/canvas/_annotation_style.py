"""How annotations look, as arrays for napari and vispy; no Qt and no layer is touched here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.geometry import YX, YXYX, Box, CellOutline, CellRing, Polygon
from napari_cyto.session.cell_tint import CellTint
from napari_cyto.widgets.canvas._cell_rings import CellRings
from napari_cyto.widgets.canvas.frames import frame_to_data
from napari_cyto.widgets.ramp import ramp_rgb

Floats = npt.NDArray[np.float32]

# Symbols differ in outline, so that status does not hang on colour alone.
SYMBOLS = {Status.ACCEPTED: "disc", Status.UNREVIEWED: "diamond", Status.REJECTED: "cross"}
ALPHA = {Status.ACCEPTED: 1.0, Status.UNREVIEWED: 0.85, Status.REJECTED: 0.5}
# Fainter than the nucleus, which is what is judged.
CYTOPLASM_ALPHA = 0.6
_CIRCLE_CORNERS = 32
SELECTED_RGBA = (0.0, 1.0, 1.0, 1.0)
RIM_RGBA = (1.0, 1.0, 1.0, 1.0)
# White on a dark halo: of no class's colour in any scheme, and to be seen on glass as on stain.
REGION_RGBA = (1.0, 1.0, 1.0, 1.0)
_DARK_HALO_RGBA, _PALE_HALO_RGBA = (0.08, 0.09, 0.12, 0.85), (1.0, 1.0, 1.0, 0.85)
# Below this luminance a line is lost on dark nuclei, above the other one on pale glass.
_DARK, _PALE = 0.12, 0.9
# A cell whose class is not told: of no class's colour, and to be seen on pale glass.
HIDDEN_RGB = (0.28, 0.33, 0.46)


@dataclass(frozen=True, slots=True)
class CellPoints:
    """The cells as points.

    Parameters
    ----------
    centres : numpy.ndarray (n, 2), float64
        napari data coordinates.
    face_rgba : numpy.ndarray (n, 4), float32
        0 to 1.
    symbols : numpy.ndarray (n,), str
        vispy's names.
    rim_rgba : numpy.ndarray (n, 4), float32, optional
        0 to 1; all rims are white without.
    """

    centres: npt.NDArray[np.float64]
    face_rgba: Floats
    symbols: npt.NDArray[np.str_]
    rim_rgba: Floats | None = None

    def same_as(self, other: CellPoints) -> bool:
        """Whether the other ones look alike."""
        return (
            np.array_equal(self.centres, other.centres)
            and np.array_equal(self.face_rgba, other.face_rgba)
            and np.array_equal(self.symbols, other.symbols)
            and (self.rim_rgba is None) == (other.rim_rgba is None)
        )


NO_POINTS = CellPoints(np.zeros((0, 2)), np.zeros((0, 4), np.float32), np.zeros(0, np.str_))


RGBA = tuple[float, float, float, float]
NO_TINTS: Mapping[str, RGBA] = {}
# What nobody vouches for is seen, but stands back.
UNCERTAIN_ALPHA = 0.45


def tints_of(cells: Sequence[Annotation], tint: CellTint | None) -> dict[str, RGBA]:
    """Return the colours of cells by the number of each, 0 to 1 with their opacity; none without a tint."""
    if tint is None or not cells:
        return {}
    rgb = ramp_rgb(tint.shares(cell.id for cell in cells)) / 255
    return {
        cell.id: (r, g, b, ALPHA[cell.status] * (UNCERTAIN_ALPHA if cell.id in tint.uncertain else 1.0))
        for cell, (r, g, b) in zip(cells, rgb.tolist(), strict=True)
    }


def palette(scheme: ClassScheme) -> dict[str, tuple[float, float, float]]:
    """Return the colours of the classes, 0 to 1."""
    return {c.id: (c.rgb[0] / 255, c.rgb[1] / 255, c.rgb[2] / 255) for c in scheme.classes}


def unnamed(annotation: Annotation) -> Annotation:
    """Return a proposal without its class, as it is drawn for who reads blindly; whatever else as it is."""
    if annotation.status is not Status.UNREVIEWED or annotation.is_region:
        return annotation
    return replace(annotation, class_id="")


def cell_points(
    cells: Sequence[Annotation],
    colours: dict[str, tuple[float, float, float]],
    tints: Mapping[str, RGBA] = NO_TINTS,
) -> CellPoints:
    """Return how ``cells`` look as points; those with a tint, by their id, in that and not in their class's colour."""
    n = len(cells)
    centres = np.array([a.geometry.centre_yx for a in cells], dtype=np.float64).reshape(n, 2)
    symbols = np.array([SYMBOLS[a.status] for a in cells], dtype=np.str_)
    return CellPoints(frame_to_data(centres), _face(cells, colours, tints), symbols)


def shaped_points(
    cells: Sequence[Annotation],
    colours: dict[str, tuple[float, float, float]],
    shapes: dict[str, tuple[str, str]],
    tints: Mapping[str, RGBA] = NO_TINTS,
) -> CellPoints:
    """Return how ``cells`` look where each class has a shape of its own: hollow while unreviewed, a cross if rejected.

    Parameters
    ----------
    cells : sequence of Annotation
        No regions.
    colours : dict
        As `palette` returns it.
    shapes : dict
        As ``napari_cyto.widgets.canvas.view_options.shapes_of`` returns it.
    tints : mapping
        As `tints_of` returns it.
    """
    plain = cell_points(cells, colours, tints)
    hollow = np.array([a.status is Status.UNREVIEWED for a in cells], dtype=bool)
    symbols = [
        SYMBOLS[a.status] if a.status is Status.REJECTED else shapes.get(a.class_id or "", ("disc", ""))[0]
        for a in cells
    ]
    rim = np.where(hollow[:, None], plain.face_rgba, np.array(RIM_RGBA, np.float32)).astype(np.float32)
    face = plain.face_rgba.copy()
    # White rather than nothing: a dark class must not vanish on a dark ground.
    face[hollow] = _PALE_HALO_RGBA
    return CellPoints(plain.centres, face, np.array(symbols, dtype=np.str_), rim.reshape(len(cells), 4))


def is_dark(rgb: Sequence[float]) -> bool:
    """Whether a colour, 0 to 1, is lost on a dark ground."""
    return bool(luminance(rgb) < _DARK)


def luminance(rgb: npt.ArrayLike) -> Any:
    """Return the relative luminance of colours (..., 3), 0 to 1.

    Source
    ------
    WCAG 2.1, definition of relative luminance.
    """
    values = np.asarray(rgb, dtype=np.float64)
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def halo_of(segments: Segments) -> Segments:
    """Return what is drawn beneath lines that would be lost: pale beneath dark ones, dark beneath pale ones."""
    # A line's ends are all of one colour, and reckoning with a hundred thousand of them would be felt.
    starts = np.flatnonzero(np.diff(segments.rgba, axis=0, prepend=np.nan).any(axis=1))
    lengths = np.diff(starts, append=len(segments.rgba))
    light = luminance(segments.rgba[starts, :3])
    dark, pale = light < _DARK, light > _PALE
    rgba = np.where(dark[:, None], np.array(_PALE_HALO_RGBA, np.float32), np.array(_DARK_HALO_RGBA, np.float32))
    needs = dark | pale
    return Segments(segments.ends_xy[needs.repeat(lengths)], rgba[needs].repeat(lengths[needs], axis=0))


def _face(
    cells: Sequence[Annotation],
    colours: dict[str, tuple[float, float, float]],
    tints: Mapping[str, RGBA] = NO_TINTS,
) -> Floats:
    rows = [tints.get(a.id) or (*colours.get(a.class_id or "", HIDDEN_RGB), ALPHA[a.status]) for a in cells]
    return np.array(rows, dtype=np.float32).reshape(len(cells), 4)


@dataclass(frozen=True, slots=True)
class Segments:
    """Lines from each even vertex to the next.

    Parameters
    ----------
    ends_xy : numpy.ndarray (2 n, 2), float32
        napari data coordinates in vispy's order, ``(x, y)``.
    rgba : numpy.ndarray (2 n, 4), float32
        0 to 1, for each end.
    """

    ends_xy: Floats
    rgba: Floats


NO_SEGMENTS = Segments(np.zeros((0, 2), np.float32), np.zeros((0, 4), np.float32))


def box_segments(boxes_yxyx: npt.ArrayLike, rgba: npt.ArrayLike) -> Segments:
    """Return the four sides of each box.

    Parameters
    ----------
    boxes_yxyx : array-like (n, 4)
        Level-0 px.
    rgba : array-like (n, 4)
        0 to 1.
    """
    boxes = frame_to_data(np.asarray(boxes_yxyx, dtype=np.float64).reshape(-1, 2)).reshape(-1, 4)
    # Around the box and back: (y0, x0) (y0, x1) (y1, x1) (y1, x0), each side as its two ends.
    xs = boxes[:, [1, 3, 3, 3, 3, 1, 1, 1]]
    ys = boxes[:, [0, 0, 0, 2, 2, 2, 2, 0]]
    ends = np.stack([xs, ys], axis=-1).reshape(-1, 2).astype(np.float32)
    return Segments(ends, np.repeat(np.asarray(rgba, dtype=np.float32).reshape(-1, 4), 8, axis=0))


def line_segments(vertices_yx: npt.ArrayLike, rgba: Sequence[float], *, closed: bool) -> Segments:
    """Return the pieces of a line through ``vertices_yx`` (n, 2), level-0 px; ``closed`` joins its ends."""
    line = frame_to_data(vertices_yx).reshape(-1, 2)[:, ::-1]
    if closed:
        line = np.concatenate([line, line[:1]])
    ends = np.stack([line[:-1], line[1:]], axis=1).reshape(-1, 2).astype(np.float32)
    return Segments(ends, np.tile(np.asarray(rgba, dtype=np.float32), (len(ends), 1)))


def circle_segments(centre_yx: YX, radius_px: float, rgba: Sequence[float]) -> Segments:
    """Return a circle, level-0 px."""
    angle = np.linspace(0, 2 * np.pi, _CIRCLE_CORNERS, endpoint=False)
    circle = np.stack([np.sin(angle), np.cos(angle)], axis=1) * radius_px + np.array(centre_yx)
    return line_segments(circle, rgba, closed=True)


def joined(parts: Sequence[Segments]) -> Segments:
    """Return all parts as one."""
    if not parts:
        return NO_SEGMENTS
    return Segments(np.concatenate([p.ends_xy for p in parts]), np.concatenate([p.rgba for p in parts]))


def outlines_of(
    annotations: Sequence[Annotation],
    colours: dict[str, tuple[float, float, float]],
    selection: frozenset[str],
    tints: Mapping[str, RGBA] = NO_TINTS,
    in_hand: CellRing = CellRing.NUCLEUS,
    kept: CellRings | None = None,
) -> Segments:
    """Return the outlines of the boxes, polygons, nuclei and cytoplasms among ``annotations``.

    Outlines of cells that nobody has accepted are dashed. Of a selected cell the ring ``in_hand`` is the bright one, of
    others the nucleus. With ``kept`` the lines of cells that were drawn before are taken from there.
    """
    boxes = [a for a in annotations if isinstance(a.geometry, Box)]
    rgba = _face(boxes, colours, tints)
    for row, box in enumerate(boxes):
        if box.id in selection:
            rgba[row] = SELECTED_RGBA
    parts = [box_segments([a.geometry.bounds_yxyx for a in boxes], rgba)]
    for annotation in annotations:
        if isinstance(annotation.geometry, Polygon) and not isinstance(annotation.geometry, CellOutline):
            colour = _outline_rgba(annotation, colours, selection, tints)
            parts.append(line_segments(annotation.geometry.vertices_yx, colour, closed=True))
    cells = [a for a in annotations if isinstance(a.geometry, CellOutline)]
    if cells:
        parts.append(_ring_segments(cells, colours, selection, tints, in_hand, kept or CellRings()))
    return joined(parts)


def _ring_segments(
    cells: Sequence[Annotation],
    colours: dict[str, tuple[float, float, float]],
    selection: frozenset[str],
    tints: Mapping[str, RGBA],
    in_hand: CellRing,
    kept: CellRings,
) -> Segments:
    ends = list(chain.from_iterable(kept.ends(cells)))
    rgba = np.array([_outline_rgba(a, colours, selection, tints) for a in cells], dtype=np.float32).repeat(2, axis=0)
    # The nucleus of each cell and its cytoplasm in turn, of which one is the fainter.
    faint = np.tile([False, True], len(cells))
    for row, cell in enumerate(cells):
        if in_hand is CellRing.CYTOPLASM and cell.id in selection:
            faint[2 * row : 2 * row + 2] = (True, False)
    rgba[faint, 3] *= CYTOPLASM_ALPHA
    return Segments(np.concatenate(ends), rgba.repeat([len(each) for each in ends], axis=0))


def _outline_rgba(
    annotation: Annotation,
    colours: dict[str, tuple[float, float, float]],
    selection: frozenset[str],
    tints: Mapping[str, RGBA],
) -> tuple[float, float, float, float]:
    if annotation.id in selection:
        return SELECTED_RGBA
    if annotation.id in tints:
        return tints[annotation.id]
    if annotation.class_id is None or annotation.class_id not in colours:
        return REGION_RGBA
    return (*colours[annotation.class_id], ALPHA[annotation.status])


SMALLEST_SCREEN_PX = 6.0
"""Of a usual box: below, an outline says no more than its dot."""

SURE_SCREEN_PX = 60.0
"""From here on outlines are shown however many there are: who is so near looks at single cells."""

CROWDED_SHARE = 0.4
"""Of what is in view; where boxes cover more, outlines cross each other and hide the cells."""


def is_crowded(cells: Iterable[Annotation], box_yxyx: YXYX | None) -> bool:
    """Whether the boxes of ``cells`` cover so much of a part of the slide, level-0 px, that they heap up there."""
    if box_yxyx is None:
        return False
    y0, x0, y1, x1 = box_yxyx
    areas = (math.prod(c.geometry.size_hw) for c in cells if isinstance(c.geometry, Box))
    return sum(areas) > CROWDED_SHARE * (y1 - y0) * (x1 - x0)


def outlines_show(usual_screen_px: float, *, crowded: bool) -> bool:
    """Whether boxes are outlined where a usual one is so large on the screen."""
    return usual_screen_px >= (SURE_SCREEN_PX if crowded else SMALLEST_SCREEN_PX)
