"""The cells of a slide that have an outline, as they are now, and a name for the shape of each."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.annotation_rows import (
    CLASS,
    CORNERS,
    ID,
    KIND,
    NO_CLASS,
    SCORES,
    STATUS,
    X0,
    X1,
    Y0,
    Y1,
    Row,
    geometry_of,
    is_accepted_outline,
    rings_of,
    scores_of,
)
from napari_cyto.domain.annotation_source import AnnotationSource
from napari_cyto.domain.geometry import CellOutline, Polygon
from napari_cyto.measurements._reference import CONFIDENT
from napari_cyto.store import Project

SHAPE_BYTES = 16
Ring = npt.NDArray[np.float64]
"""Corners (y, x), level-0 px ``(k, 2)``."""


class MeasureOptions(BaseModel):
    """What is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plain_outlines: Literal["leave-out", "nucleus"] = Field(
        default="leave-out",
        title="Outlines of unknown kind",
        description="Outlines that do not say whether they are of a nucleus or of a cell: leave them out, or take them "
        "for nuclei.",
    )


@dataclass
class OutlinedCells:
    """The cells of one slide that are measured, in order of creation, and the places of all.

    Parameters
    ----------
    ids, class_ids, statuses : list of str
        Of the cells with an outline; none of them is rejected.
    accepted : list of bool
        Whether a person drew or accepted the outline.
    is_sure : list of bool
        Whether the class of a cell is accepted, or predicted with confidence.
    shapes : list of bytes
        A name for the rings of each, `SHAPE_BYTES` long: the same rings have the same name.
    centres_yx : list of (y, x)
        Of all cells, those without an outline too, level-0 px.
    without, plain : int
        How many cells have no outline, and how many one that does not say of what it is and is left out.
    """

    ids: list[str] = field(default_factory=list)
    class_ids: list[str] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    accepted: list[bool] = field(default_factory=list)
    is_sure: list[bool] = field(default_factory=list)
    shapes: list[bytes] = field(default_factory=list)
    centres_yx: list[tuple[float, float]] = field(default_factory=list)
    without: int = 0
    plain: int = 0
    _rows: list[Row] = field(default_factory=list, repr=False)

    def outline(self, n: int) -> CellOutline:
        """Return the outline of one cell."""
        row = self._rows[n]
        shape = geometry_of(row[KIND], row[Y0 : X1 + 1], row[CORNERS])
        if isinstance(shape, CellOutline):
            return shape
        assert isinstance(shape, Polygon)
        return CellOutline(shape.vertices_yx)

    def rings_yx(self) -> tuple[list[Ring], list[Ring]]:
        """Return the nuclei and the cytoplasms of all, level-0 px; a cytoplasm that is not known has no corners."""
        rings = [rings_of(row[CORNERS]) for row in self._rows]
        return [_ring(nucleus) for nucleus, _ in rings], [_ring(cytoplasm or ()) for _, cytoplasm in rings]

    @cached_property
    def bounds_yxyx(self) -> npt.NDArray[np.float64]:
        """The bounds of the nuclei, level-0 px ``(n, 4)``."""
        return np.array([row[Y0 : X1 + 1] for row in self._rows], dtype=np.float64).reshape(-1, 4)

    @property
    def places_yx(self) -> npt.NDArray[np.float64]:
        """Where the nuclei lie, level-0 px ``(n, 2)``: the middle of their bounds."""
        bounds = self.bounds_yxyx
        middle: npt.NDArray[np.float64] = (bounds[:, :2] + bounds[:, 2:]) / 2
        return middle

    def neighbourhood(self, mpp: float) -> bytes:
        """Return a name for what the cells' standing to each other depends on."""
        digest = hashlib.blake2b(b"".join(self.shapes), digest_size=SHAPE_BYTES)
        digest.update(np.array(self.centres_yx, dtype="<f8").tobytes() + repr(mpp).encode())
        return digest.digest()

    def take(self, row: Row, options: MeasureOptions) -> None:
        """Take in a row of the project: a cell that is not rejected."""
        self.centres_yx.append(((row[Y0] + row[Y1]) / 2, (row[X0] + row[X1]) / 2))
        kind, corners = row[KIND], row[CORNERS] or b""
        if kind in ("point", "box"):
            self.without += 1
            return
        if kind == "polygon" and options.plain_outlines == "leave-out":
            self.plain += 1
            return
        is_accepted_cell = row[STATUS] == Status.ACCEPTED.value
        # An outline that says nothing of itself is as sure as its cell.
        self.accepted.append(is_accepted_cell if kind == "polygon" else is_accepted_outline(corners))
        self.ids.append(row[ID])
        self.class_ids.append(row[CLASS])
        self.statuses.append(row[STATUS])
        self.is_sure.append(is_accepted_cell or _score(row) >= CONFIDENT)
        self.shapes.append(_shape_name(kind, corners))
        self._rows.append(row)


def _ring(flat: Sequence[float]) -> Ring:
    return np.asarray(flat, dtype=np.float64).reshape(-1, 2)


def _score(row: Row) -> float:
    return dict(scores_of(row[SCORES])).get(row[CLASS], 0.0) if row[SCORES] else 0.0


def _shape_name(kind: str, corners: bytes) -> bytes:
    """Return a name for rings, whether or not somebody accepted them: the last number says that by its sign."""
    if kind == "polygon":
        # The same ring, said to be a nucleus, is measured alike.
        corners += np.array([math.nan, len(corners) // 16], dtype="<f8").tobytes()
    count = abs(struct.unpack("<d", corners[-8:])[0])
    return hashlib.blake2b(corners[:-16] + repr(count).encode(), digest_size=SHAPE_BYTES).digest()


def outlined_cells(project: Project, slide_id: str, options: MeasureOptions) -> OutlinedCells:
    """Return the outlined cells of a slide."""
    cells = OutlinedCells()
    for row in _rows(project, slide_id):
        if row[CLASS] != NO_CLASS and row[STATUS] != Status.REJECTED.value:
            cells.take(row, options)
    return cells


def _rows(project: Project, slide_id: str) -> Iterator[Row]:
    with project.labels_now([slide_id]) as labels:
        assert isinstance(labels.annotations, AnnotationSource)
        yield from labels.annotations.rows_of_slide(slide_id)
