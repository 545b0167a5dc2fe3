"""Cells that a network tells of, as plain arrays; and how an exported network's maps become them, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy.ndimage import maximum_filter
from scipy.special import expit, softmax

from napari_cyto.models import _foreign_outputs

Floats = npt.NDArray[np.float64]
Maps = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FoundCells:
    """Cells of one tile or picture.

    Parameters
    ----------
    points_yx, sizes_hw : ndarray, (n, 2), float64
        Centres and sizes, px of the network's input; NaN sizes where none were learned.
    scores : ndarray, (n,), float64
        How sure each is.
    class_scores : ndarray, (n, classes), float64
        Of each class.
    """

    points_yx: Floats
    sizes_hw: Floats
    scores: Floats
    class_scores: Floats

    def at(self, which: npt.NDArray[Any]) -> FoundCells:
        """Return some of them, by a mask or by numbers."""
        return FoundCells(self.points_yx[which], self.sizes_hw[which], self.scores[which], self.class_scores[which])


class ForeignReading(BaseModel):
    """How the outputs of a detector that was made elsewhere are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: Literal["yolo", "boxes", "points", "scores"]
    layout: Literal["", "v5", "v8", "end-to-end"] = Field(default="", description="Of a YOLO's output.")
    classes: int = Field(ge=1)
    side_px: int = Field(ge=16, description="Side of its input, which is always the same.")
    scores: Literal["probabilities", "logits"] = "probabilities"
    first_label: int = Field(default=0, ge=0, le=1, description="What it calls the first class.")
    overlap: float = Field(default=0.5, gt=0, lt=1, description="Boxes that overlap more are one cell.")


class MapReading(BaseModel):
    """How the maps of a detector are read: what its network knows of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    stride: int = Field(ge=1, description="Input px per px of the feature maps.")
    halo: int = Field(ge=0)
    multiple: int = Field(ge=1)
    size_px: float = Field(default=0.0, description="The size that predicted sizes are relative to.")
    sizes: bool = False
    per_side: int = Field(default=1, ge=1, description="Candidates along y, and along x, of a px of the feature maps.")
    longest_log: float = Field(default=0.0, description="Largest logarithm of a size.")
    foreign: ForeignReading | None = Field(default=None, description="Of a network that was made elsewhere.")

    def cells(self, maps: Sequence[Maps], floor: float) -> FoundCells:
        """Return the cells that score ``floor`` or more, of the maps of one picture, ``(1, channels, h, w)`` each."""
        return READERS[self.architecture](self, maps, floor)


def point_cells(reading: MapReading, maps: Sequence[Maps], floor: float) -> FoundCells:
    """Read what ``PointDetector`` puts out before it lays it out as proposals: places and sizes, and logits.

    Only proposals that can reach ``floor`` are looked at one by one: the sum of the classes' shares is at most their
    number times the largest.
    """
    per_cell = reading.per_side**2
    height, width = maps[1].shape[-2:]
    logits = maps[1].reshape(per_cell, -1, height, width)
    bar = np.log(floor / (1 - floor)) - np.log(logits.shape[1] - 1) if floor < 1 else np.inf
    likely = logits[:, :-1].max(axis=1) - logits[:, -1] >= bar - 1e-4
    number, rows, columns = np.unravel_index(np.flatnonzero(likely), likely.shape)
    order = np.lexsort((number, columns, rows))
    number, rows, columns = number[order], rows[order], columns[order]
    shares = softmax(logits[number, :, rows, columns].astype(np.float64), axis=-1)
    scores = 1 - shares[:, -1]
    kept = scores >= floor
    rows, columns, number, shares = rows[kept], columns[kept], number[kept], shares[kept]
    raw = maps[0].reshape(per_cell, -1, height, width)[number, :, rows, columns].astype(np.float64)
    inside = np.stack(np.divmod(number, reading.per_side), axis=1)
    anchors = np.stack([rows, columns], axis=1) + (inside + 0.5) / reading.per_side
    limit = reading.longest_log
    sizes = reading.size_px * np.exp(np.clip(raw[:, 2:4], -limit, limit))
    if not reading.sizes:
        sizes = np.full_like(sizes, np.nan)
    return FoundCells((anchors + raw[:, :2]) * reading.stride, sizes, scores[kept], shares[:, :-1])


def density_cells(reading: MapReading, maps: Sequence[Maps], floor: float) -> FoundCells:
    """Read the maps of ``DensityDetector``: the peaks of the classes' sum, as it does."""
    shares = np.maximum(maps[0][0], 0)
    total = shares.sum(axis=0)
    sloped = total.astype(np.float64) - 1e-9 * np.arange(total.size).reshape(total.shape)
    peaks = (maximum_filter(sloped, 3, mode="constant", cval=-np.inf) == sloped) & (total >= floor)
    rows, columns = np.nonzero(peaks)
    offset = np.stack([_vertex(total, rows, columns, axis) for axis in (0, 1)], axis=1)
    points = (np.stack([rows, columns], axis=1) + 0.5 + offset) * reading.stride
    scores = np.minimum(total[rows, columns].astype(np.float64), 1)
    each = shares[:, rows, columns].T.astype(np.float64)
    each = each / np.maximum(each.sum(axis=1, keepdims=True), 1e-9) * scores[:, None]
    return FoundCells(points, np.full_like(points, np.nan), scores, each)


def _vertex(total: Maps, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], axis: int) -> Floats:
    """Return how far a peak's parabola through three px tops from its px, -0.5 to 0.5."""
    length, at = total.shape[axis], (rows, columns)[axis]

    def beside(step: int) -> Floats:
        moved = np.clip(at + step, 0, length - 1)
        return (total[moved, columns] if axis == 0 else total[rows, moved]).astype(np.float64)

    before, here, after = beside(-1), beside(0), beside(1)
    bend = np.maximum(2 * here - before - after, 1e-6)
    inside = (at > 0) & (at < length - 1)
    shift: Floats = np.where(inside, np.clip((after - before) / (2 * bend), -0.5, 0.5), 0.0)
    return shift


def foreign_cells(reading: MapReading, maps: Sequence[npt.NDArray[Any]], floor: float) -> FoundCells:
    """Read what a detector that was made elsewhere puts out for one picture.

    Raises
    ------
    CytoError
        When it tells of more classes than were declared.
    """
    known = reading.foreign
    assert known is not None, "the record of a foreign network says how its outputs are read"
    return _FOREIGN[known.output](reading, known, maps, floor)


def _yolo(_reading: MapReading, known: ForeignReading, maps: Sequence[npt.NDArray[Any]], floor: float) -> FoundCells:
    assert known.layout, "a YOLO's record says how its output is laid out"
    is_logits = known.scores == "logits"
    read = _foreign_outputs.yolo_cells(maps[0], known.layout, known.classes, floor, known.overlap, is_logits)
    return FoundCells(*read)


def _boxes(_reading: MapReading, known: ForeignReading, maps: Sequence[npt.NDArray[Any]], floor: float) -> FoundCells:
    return FoundCells(*_foreign_outputs.box_cells(maps, known.classes, known.first_label, floor, known.overlap))


def _points(_reading: MapReading, known: ForeignReading, maps: Sequence[npt.NDArray[Any]], floor: float) -> FoundCells:
    return FoundCells(*_foreign_outputs.point_cells(maps, known.classes, floor, known.scores))


def _peaks(reading: MapReading, known: ForeignReading, maps: Sequence[npt.NDArray[Any]], floor: float) -> FoundCells:
    shares = expit(maps[0]) if known.scores == "logits" else maps[0]
    return density_cells(reading, [shares[:, : known.classes]], floor)


_FOREIGN = {"yolo": _yolo, "boxes": _boxes, "points": _points, "scores": _peaks}

READERS: dict[str, Callable[[MapReading, Sequence[Maps], float], FoundCells]] = {
    "p2p": point_cells,
    "fcrn": density_cells,
    "onnx-detector": foreign_cells,
}
"""By architecture; boxes of two stages are not read from maps."""
