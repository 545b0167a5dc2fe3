"""How annotations look, as arrays for napari and vispy; no Qt and no layer is touched here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.geometry import Box, Polygon
from napari_cyto.widgets.canvas.frames import frame_to_data

Floats = npt.NDArray[np.float32]

# Symbols differ in outline, so that status does not hang on colour alone.
SYMBOLS = {Status.ACCEPTED: "disc", Status.PROPOSED: "diamond", Status.REJECTED: "cross"}
ALPHA = {Status.ACCEPTED: 1.0, Status.PROPOSED: 0.85, Status.REJECTED: 0.5}
SELECTED_RGBA = (0.0, 1.0, 1.0, 1.0)
RIM_RGBA = (1.0, 1.0, 1.0, 1.0)
REGION_RGBA = (1.0, 0.85, 0.0, 1.0)
# A cell whose class is not told: of no class's colour, and to be seen on pale glass.
HIDDEN_RGB = (0.28, 0.33, 0.46)


@dataclass(frozen=True, slots=True)
class CellMarks:
    """The cells as points.

    Parameters
    ----------
    centres : numpy.ndarray (n, 2), float64
        napari data coordinates.
    face_rgba : numpy.ndarray (n, 4), float32
        0 to 1.
    symbols : numpy.ndarray (n,), str
        vispy's names.
    """

    centres: npt.NDArray[np.float64]
    face_rgba: Floats
    symbols: npt.NDArray[np.str_]

    def same_as(self, other: CellMarks) -> bool:
        """Whether the other ones look alike."""
        return (
            np.array_equal(self.centres, other.centres)
            and np.array_equal(self.face_rgba, other.face_rgba)
            and np.array_equal(self.symbols, other.symbols)
        )


NO_MARKS = CellMarks(np.zeros((0, 2)), np.zeros((0, 4), np.float32), np.zeros(0, np.str_))


def palette(scheme: ClassScheme) -> dict[str, tuple[float, float, float]]:
    """Return the colours of the classes, 0 to 1."""
    return {c.id: (c.rgb[0] / 255, c.rgb[1] / 255, c.rgb[2] / 255) for c in scheme.classes}


def unnamed(annotation: Annotation) -> Annotation:
    """Return a proposal without its class, as it is drawn for who reads blindly; whatever else as it is."""
    if annotation.status is not Status.PROPOSED or annotation.is_region:
        return annotation
    return replace(annotation, class_id="")


def cell_marks(cells: Sequence[Annotation], colours: dict[str, tuple[float, float, float]]) -> CellMarks:
    """Return how ``cells`` look as points."""
    n = len(cells)
    centres = np.array([a.geometry.centre_yx for a in cells], dtype=np.float64).reshape(n, 2)
    symbols = np.array([SYMBOLS[a.status] for a in cells], dtype=np.str_)
    return CellMarks(frame_to_data(centres), _face(cells, colours), symbols)


def _face(cells: Sequence[Annotation], colours: dict[str, tuple[float, float, float]]) -> Floats:
    rows = [(*colours.get(a.class_id or "", HIDDEN_RGB), ALPHA[a.status]) for a in cells]
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


def joined(parts: Sequence[Segments]) -> Segments:
    """Return all parts as one."""
    if not parts:
        return NO_SEGMENTS
    return Segments(np.concatenate([p.ends_xy for p in parts]), np.concatenate([p.rgba for p in parts]))


def outlines_of(
    annotations: Sequence[Annotation], colours: dict[str, tuple[float, float, float]], selection: frozenset[str]
) -> Segments:
    """Return the outlines of the boxes and polygons among ``annotations``."""
    boxes = [a for a in annotations if isinstance(a.geometry, Box)]
    rgba = _face(boxes, colours)
    for row, box in enumerate(boxes):
        if box.id in selection:
            rgba[row] = SELECTED_RGBA
    parts = [box_segments([a.geometry.bounds_yxyx for a in boxes], rgba)]
    for annotation in annotations:
        if isinstance(annotation.geometry, Polygon):
            colour = _outline_rgba(annotation, colours, selection)
            parts.append(line_segments(annotation.geometry.vertices_yx, colour, closed=True))
    return joined(parts)


def _outline_rgba(
    annotation: Annotation, colours: dict[str, tuple[float, float, float]], selection: frozenset[str]
) -> tuple[float, float, float, float]:
    if annotation.id in selection:
        return SELECTED_RGBA
    if annotation.class_id is None or annotation.class_id not in colours:
        return REGION_RGBA
    return (*colours[annotation.class_id], ALPHA[annotation.status])
