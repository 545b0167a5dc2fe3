"""Slides in memory with cells that a perfect detector finds, and what is true of them by brute force.

A cell is one px whose lowest bits say so: that it is one, how sure, of which class. Nothing else on these slides has
such bits, and eyes, the search for stain and that for what was not scanned do not see them.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from made_bundles import manifest

from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.models.found_cells import FoundCells
from napari_cyto.slides import Slide
from napari_cyto.slides._tile_cache import TileCache
from napari_cyto.slides.backend import RGB, TileError
from napari_cyto.slides.slide_info import SlideInfo

GLASS, STAIN, NUCLEUS = (240, 240, 240), (208, 176, 208), (96, 64, 112)
_MARK = 9
SIDE_PX = 9
"""Of a nucleus as it is drawn, px of the model."""


class ArrayBackend:
    """Pixels in memory; where ``factor`` is above 1, level 1 is the picture, and level 0 has each px so often."""

    def __init__(self, image: RGB, factor: int = 1, tile: int = 64, damaged: Collection[tuple[int, ...]] = ()) -> None:
        height, width = image.shape[:2]
        whole = image.repeat(factor, axis=0).repeat(factor, axis=1)
        self._levels = (image,) if factor == 1 else (whole, image)
        self._tile, self.damaged = tile, set(damaged)
        sizes = tuple(level.shape[:2] for level in self._levels)
        factors = tuple(float(factor * height / size[0]) for size in sizes)
        self.info = SlideInfo(
            # No two of them share tiles in a cache.
            path=Path(f"/nowhere/{uuid.uuid4().hex}.tif"),
            vendor="tiff",
            width=width * factor,
            height=height * factor,
            level_sizes_hw=sizes,
            downsamples=factors,
            factors_yx=tuple((f, f) for f in factors),
        )

    def tile_shape_hw(self, level: int) -> tuple[int, int]:
        return (self._tile, self._tile)

    def decode_tile(self, level: int, row: int, column: int) -> RGB:
        if (level, row, column) in self.damaged:
            raise TileError("its bytes are gone")
        side = self._tile
        return self._levels[level][row * side : (row + 1) * side, column * side : (column + 1) * side].copy()

    def associated(self, name: str) -> RGB:
        raise TileError(f"no {name}")

    def close(self) -> None:
        pass


def slide_of(image: RGB, factor: int = 1, tile: int = 64, damaged: Collection[tuple[int, ...]] = ()) -> Slide:
    """Return a picture as an open slide."""
    return Slide(ArrayBackend(image, factor, tile, damaged), TileCache(2**26))


def planted(height: int, width: int, cells: list[tuple[int, int, int, int]], stained: Any = None) -> RGB:
    """Return a picture of glass with cells ``(y, x, sureness 1 to 15, class)``, the later on top of the earlier.

    ``stained`` are half-open boxes that are smear rather than glass.
    """
    image = np.full((height, width, 3), GLASS, np.uint8)
    for y0, x0, y1, x1 in stained or ():
        image[y0:y1, x0:x1] = STAIN
    half = SIDE_PX // 2
    for y, x, *_ in cells:
        image[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1] = NUCLEUS
    for y, x, sure, class_index in cells:
        image[y, x] = np.add(NUCLEUS, (_MARK, sure, class_index))
    return image


@dataclass
class PlantedRuntime:
    """Finds planted cells; a cell is half as sure where another lies within ``sees`` px of it, up or down or beside.

    Nothing of a tile says where it lies: what is found depends on the pixels within ``sees`` alone.
    """

    classes: int = 3
    halo: int = 32
    multiple: int = 32
    sees: int = 30
    title: str = "planted"
    device: str = "cpu"
    bytes_per_px: int = 1
    side_px: int | None = None

    def ready(self, height: int, width: int) -> None:
        pass

    def cells(self, pixels: RGB, floor: float, token: Any = None) -> FoundCells:
        ys, xs = np.nonzero((pixels[..., 0] & 15) == _MARK)
        sure, kinds = pixels[ys, xs, 1] & 15, (pixels[ys, xs, 2] & 15).astype(np.intp)
        away = np.maximum(np.abs(ys[:, None] - ys), np.abs(xs[:, None] - xs))
        crowded = ((away <= self.sees) & (away > 0)).any(axis=1)
        scores = sure / 16 * np.where(crowded, 0.5, 1.0)
        kept = scores >= floor
        points = np.column_stack([ys, xs])[kept] + 0.5
        sizes = np.column_stack([2.0 + kinds, np.where(kinds == 0, np.nan, 3.0)])[kept]
        shares = np.eye(self.classes)[np.minimum(kinds, self.classes - 1)][kept] * scores[kept, None]
        return FoundCells(points, sizes, scores[kept], shares)


CLASSES = [{"id": f"c{n}", "name": f"C{n}", "colour": "#00aa00", "box_um": 10.0 + n} for n in range(3)]


def planted_detector(runtime: PlantedRuntime | None = None, mpp: float | None = 1.0, merge_um: float = 0.0,
                     threshold: float = 0.02) -> CellDetector:  # fmt: skip
    """Return a detector of planted cells that sees ``mpp`` µm a px."""
    made = manifest(
        kind="detector", architecture="p2p", classes=CLASSES, mpp=mpp, input_px=96, crop_rule=None,
        decision={"merge_um": merge_um, "score_threshold": threshold},
    )  # fmt: skip
    return CellDetector.of_runtime(made, runtime or PlantedRuntime())


Row = tuple[float, ...]


def brute_force(
    image: RGB,
    detector: CellDetector,
    factor: int = 1,
    mpp: float = 1.0,
    region_yxyx: tuple[float, ...] | None = None,
    outline_yx: list[tuple[float, float]] | None = None,
    score_from: float = 0.02,
    damage_yxyx: Collection[tuple[float, ...]] = (),
) -> list[Row]:
    """Return a row for each cell, sorted: y, x, box, score, scores of classes; level-0 px.

    The whole picture is read, the network asked once, and every cell compared with every one before it.
    """
    pad = detector.runtime.halo
    framed = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), constant_values=255)
    found = detector.runtime.cells(framed, score_from)
    manifest = detector.manifest
    apart = 0.0 if manifest.mpp is None else manifest.decision.merge_um / manifest.mpp
    y1, x1 = image.shape[:2]
    bounds = (0.0, 0.0, y1, x1) if region_yxyx is None else tuple(v / factor for v in region_yxyx)
    area = None if outline_yx is None else shapely.Polygon(np.asarray(outline_yx) / factor)
    result = []
    for (y, x), (h, w), score, shares in zip(
        found.points_yx - pad, found.sizes_hw, found.scores, found.class_scores, strict=True
    ):
        damaged = any(b[0] <= y * factor < b[2] and b[1] <= x * factor < b[3] for b in damage_yxyx)
        if not damaged and 0 <= y < y1 and 0 <= x < x1:
            result.append((-score, y, x, h, w, *shares))
    kept: list[Any] = []
    for cell in sorted(result):
        if all(np.hypot(cell[1] - other[1], cell[2] - other[2]) >= apart for other in kept):
            kept.append(cell)
    rows = []
    for score, y, x, h, w, *shares in kept:
        inside = bounds[0] <= y < bounds[2] and bounds[1] <= x < bounds[3]
        if inside and (area is None or area.contains(shapely.Point(y, x))):
            usual = manifest.classes[int(np.argmax(shares))].box_um / mpp
            height, width = (usual if np.isnan(v) else v * factor for v in (h, w))
            cy, cx = y * factor, x * factor
            box = (cy - height / 2, cx - width / 2, cy + height / 2, cx + width / 2)
            rows.append(tuple(float(v) for v in (cy, cx, *box, -score, *shares)))
    return sorted(rows)


def rows_of(cells: Any) -> list[Row]:
    """Return detections as `brute_force` has them."""
    table = np.column_stack([cells.centres_yx, cells.boxes_yxyx, cells.scores, cells.class_scores])
    return sorted(map(tuple, table.tolist()))
