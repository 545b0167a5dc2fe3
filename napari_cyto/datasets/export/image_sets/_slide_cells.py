"""The annotations of one slide as arrays, so that a million of them take no more than their numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.annotation_rows import (
    CLASS,
    CORNERS,
    KIND,
    NO_CLASS,
    OUTLINES,
    STATUS,
    Row,
    bounds_of,
    geometry_of,
)
from napari_cyto.domain.geometry import YXYX, Box, Polygon
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats.boxes import box_round
from napari_cyto.formats.label_format import BoxOptions

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SlideCells:
    """What is annotated on one slide; level-0 px.

    Parameters
    ----------
    boxes_yxyx : ndarray, (n, 4), float64
        The cells that are written.
    classes : ndarray, (n,), intp
        Their classes, by number.
    outlines : mapping
        The corners of those that have an outline, by their place in the list, as rows hold them.
    regions : tuple of Polygon
        Inside them every cell is annotated.
    doubtful_yx : ndarray, (m, 2), float64
        Centres of predictions that nobody reviewed and that are not written.
    """

    boxes_yxyx: Floats
    classes: npt.NDArray[np.intp]
    outlines: Mapping[int, bytes]
    regions: tuple[Polygon, ...]
    doubtful_yx: Floats

    def outline(self, place: int) -> Polygon | None:
        """Return the outline of a cell, level-0 px, or None where it has none."""
        corners = self.outlines.get(place)
        shape = None if corners is None else geometry_of("polygon", (0, 0, 0, 0), corners)
        return shape if isinstance(shape, Polygon) else None


def read_cells(
    slide: SlideRecord,
    rows: Iterable[Row],
    statuses: Collection[Status],
    options: BoxOptions,
    numbers: Mapping[str, int],
    outlines: bool,
) -> SlideCells:
    """Return the annotations of a slide.

    Parameters
    ----------
    slide : SlideRecord
        Which one.
    rows : iterable of Row
        All its annotations.
    statuses : collection of Status
        Which are written.
    options : BoxOptions
        How large the box of a point is.
    numbers : mapping
        Class id to its number.
    outlines : bool
        Whether outlines are wanted.
    """
    written = frozenset(status.value for status in statuses)
    boxes: list[tuple[float, float, float, float]] = []
    classes: list[int] = []
    corners: dict[int, bytes] = {}
    regions: list[Polygon] = []
    doubtful: list[tuple[float, float]] = []
    for row in rows:
        class_id, kind = row[CLASS], row[KIND]
        if class_id == NO_CLASS:
            shape = geometry_of(kind, bounds_of(row), row[CORNERS])
            if isinstance(shape, Polygon) and row[STATUS] == Status.ACCEPTED.value:
                regions.append(shape)
        elif row[STATUS] in written:
            bounds = bounds_of(row)
            if kind != "box":
                # With outlines, the box of what is written, which of a cell's two outlines is that of the nucleus.
                shape = (
                    Box(*bounds) if outlines and _has_area(kind, bounds) else geometry_of(kind, bounds, row[CORNERS])
                )
                bounds = box_round(shape, class_id, slide, options).bounds_yxyx
                if outlines and kind in OUTLINES:
                    corners[len(boxes)] = row[CORNERS]
            boxes.append(bounds)
            classes.append(numbers[class_id])
        elif row[STATUS] == Status.UNREVIEWED.value:
            y0, x0, y1, x1 = bounds_of(row)
            doubtful.append(((y0 + y1) / 2, (x0 + x1) / 2))
    return SlideCells(
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(classes, dtype=np.intp),
        corners,
        tuple(regions),
        np.array(doubtful, dtype=np.float64).reshape(-1, 2),
    )


def _has_area(kind: str, bounds_yxyx: YXYX) -> bool:
    y0, x0, y1, x1 = bounds_yxyx
    return kind in OUTLINES and y0 < y1 and x0 < x1
