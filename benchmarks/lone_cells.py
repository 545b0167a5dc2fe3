"""Lone cells on whole slides: real cells of four classes alone on glass, beside a dense smear, at four sizes.

Cells of CRIC, each with its surroundings of 60 µm fading into glass, are laid on slides of 20,000 and 40,000 and 80,000
px a side and of 100,000 x 220,000 px, far from each other, beside a smear of whole fields. The slides are pyramidal
TIFFs that this script writes; all tiles of plain glass share the bytes of one, so that the largest takes few MB. Per
size at least 0.98 of the cells must be found that are found on their field of the same pixels (``found_share``), and
looking through the largest may take 1.3 times what its tiles with something on them take (``time_ratio``). The last
line is JSON. Needs the real data beside the checkout (``--cric``).
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

CLASSES = ("NILM", "LSIL", "HSIL", "SCC")
SIZES = ((20_000, 20_000), (40_000, 40_000), (80_000, 80_000), (100_000, 220_000))
MPP, TILE, LEVELS = 0.228, 256, 6
GLASS = (240, 238, 242)
PATCH, NEAR_UM = 512, 6.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cric", type=Path, default=Path("../shared/data/cric"))
    parser.add_argument("--detector", default="nucleus-detector")
    parser.add_argument("--cells", type=int, default=30, help="of each class")
    parser.add_argument("--fields", type=int, default=24, help="of the dense smear")
    parser.add_argument("--sizes", type=int, default=len(SIZES), help="how many sizes, from the smallest on")
    options = parser.parse_args()
    print(json.dumps(measured(options.cric, options.detector, options.cells, options.fields, SIZES[: options.sizes])))


def lone_cells(cric: Path, many: int) -> list[tuple[str, np.ndarray]]:
    """Return class and picture (PATCH, PATCH, 3) of cells that lie far enough from their field's border."""
    by_image = defaultdict(list)
    for row in csv.DictReader((cric / "cells.csv").open()):
        by_image[row["image"]].append(row)
    rng, found = np.random.default_rng(0), defaultdict(list)
    ys, xs = np.mgrid[:PATCH, :PATCH] - PATCH / 2 + 0.5
    # The cell's own 60 µm, then ever more glass: no edge that a network could take for a cell's.
    keep = np.clip((46.0 / MPP - np.hypot(ys, xs)) / (16.0 / MPP), 0, 1)[..., None]
    for name in rng.permutation(sorted(by_image)):
        image = None
        for row in by_image[str(name)]:
            class_id, y, x = row["bethesda"], float(row["y"]), float(row["x"])
            inside = PATCH / 2 < x < int(row["width"]) - PATCH / 2 and PATCH / 2 < y < int(row["height"]) - PATCH / 2
            if class_id not in CLASSES or not inside or len(found[class_id]) >= many:
                continue
            image = np.asarray(Image.open(cric / "images" / str(name)).convert("RGB")) if image is None else image
            top, left = round(y) - PATCH // 2, round(x) - PATCH // 2
            part = image[top : top + PATCH, left : left + PATCH]
            found[class_id].append(np.round(part * keep + np.array(GLASS) * (1 - keep)).astype(np.uint8))
    return [(class_id, image) for class_id in CLASSES for image in found[class_id]]


class SparseSlide:
    """Tiles of a slide that hold something, by level; the rest is glass."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self.size_hw = size_hw
        self.tiles: list[dict[tuple[int, int], np.ndarray]] = [{} for _ in range(LEVELS)]

    def lay(self, y: int, x: int, image: np.ndarray) -> None:
        """Lay a picture; its corner and size are multiples of the coarsest level's px."""
        for tiles in self.tiles:
            for row in range(y // TILE, -(-(y + image.shape[0]) // TILE)):
                for column in range(x // TILE, -(-(x + image.shape[1]) // TILE)):
                    tile = tiles.setdefault((row, column), np.full((TILE, TILE, 3), GLASS, np.uint8))
                    top, left = row * TILE - y, column * TILE - x
                    part = image[max(top, 0) : top + TILE, max(left, 0) : left + TILE]
                    tile[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]] = part
            image = np.asarray(Image.fromarray(image).reduce(2))
            y, x = y // 2, x // 2

    def write(self, path: Path) -> None:
        """Write a TIFF whose tiles of glass are one run of bytes."""
        glass = imagecodecs.jpeg8_encode(np.full((TILE, TILE, 3), GLASS, np.uint8), level=90)
        encoded = [{at: imagecodecs.jpeg8_encode(tile, level=90) for at, tile in tiles.items()} for tiles in self.tiles]
        with tifffile.TiffWriter(path, bigtiff=True) as writer:
            for number, tiles in enumerate(encoded):
                shape = tuple(-(-length // 2**number) for length in self.size_hw)
                rows, columns = (-(-length // TILE) for length in shape)
                # Written once, with nothing for the rest of the tiles, and then pointed to by `_share`.
                full = [tiles[at] for at in sorted(tiles)]
                bytes_of = [*([glass] if len(full) < rows * columns else []), *full]
                bytes_of += [b""] * (rows * columns - len(bytes_of))
                writer.write(
                    iter(bytes_of),
                    shape=(*shape, 3), dtype=np.uint8, tile=(TILE, TILE), photometric="ycbcr", subsampling=(2, 2),
                    compression="jpeg", subfiletype=int(number > 0), metadata=None,
                    resolution=(1e4 / MPP / 2**number,) * 2, resolutionunit="CENTIMETER",
                )  # fmt: skip
        self._share(path, encoded)

    def _share(self, path: Path, encoded: list[dict[tuple[int, int], bytes]]) -> None:
        """Have each tile point to its own bytes, and all of glass to the same ones."""
        with tifffile.TiffFile(path, mode="r+b") as file:
            for page, tiles in zip(file.pages, encoded, strict=True):
                columns = -(-page.imagewidth // TILE)
                kept = list(zip(page.dataoffsets, page.databytecounts, strict=True))
                offsets, counts = ([v] * len(kept) for v in kept[0])
                for place, (row, column) in enumerate(sorted(tiles), start=int(len(tiles) < len(kept))):
                    offsets[row * columns + column], counts[row * columns + column] = kept[place]
                page.tags["TileOffsets"].overwrite(offsets)
                page.tags["TileByteCounts"].overwrite(counts)


def made_slide(path: Path, size_hw: tuple[int, int], cells: list[Any], fields: list[np.ndarray]) -> np.ndarray:
    """Write a slide and return where the cells lie, level-0 px ``(n, 2)``."""
    slide, (height, width) = SparseSlide(size_hw), size_hw
    across = max(1, round(len(fields) ** 0.5))
    for n, field in enumerate(fields):
        slide.lay(n // across * 896, n % across * 1216, field)
    free = (len(fields) // across + 1) * 896 + 2048
    columns = max(1, min(len(cells), (width - 1024) // 2048))
    step_y = (height - free - 1024) // (-(-len(cells) // columns))
    step_x = (width - 1024) // columns
    corners = [(free + n // columns * step_y, 256 + n % columns * step_x) for n in range(len(cells))]
    corners = [(y // 32 * 32 + 7 * 32 * (n % 3), x // 32 * 32) for n, (y, x) in enumerate(corners)]
    for (y, x), (_, image) in zip(corners, cells, strict=True):
        slide.lay(y, x, image)
    slide.write(path)
    return np.array(corners, np.float64) + PATCH / 2


def near(found_yx: np.ndarray, centres_yx: np.ndarray) -> np.ndarray:
    """Return which centres have a detection within `NEAR_UM`."""
    if not len(found_yx):
        return np.zeros(len(centres_yx), bool)
    return np.array([np.hypot(*(found_yx - c).T).min() * MPP <= NEAR_UM for c in centres_yx])


def looked_through(path: Path, detector: Any) -> tuple[np.ndarray, float, float, float]:
    """Return centres, and seconds of all, of the network's part alone, and the MP that were looked at."""
    from napari_cyto.inference.engine.pipeline import Batch, Engine
    from napari_cyto.inference.engine.plan import make_plan
    from napari_cyto.slides import open_slide

    with open_slide(path) as slide:
        started_s = time.perf_counter()
        plan = make_plan(slide, MPP, detector)
        planned_s = time.perf_counter()
        parts = [s.cells.centres_yx for s in Engine(slide, plan, detector).steps() if isinstance(s, Batch)]
        ended_s = time.perf_counter()
    return np.concatenate([np.empty((0, 2)), *parts]), ended_s - started_s, ended_s - planned_s, plan.megapixels


def measured(cric: Path, name: str, many: int, fields: int, sizes: tuple[tuple[int, int], ...]) -> dict[str, Any]:
    """Return the figures."""
    from _image_slide import image_slide

    from napari_cyto.inference.engine.detect import CellDetector
    from napari_cyto.inference.engine.search import CellSearch
    from napari_cyto.models.library import bundle_named

    detector = CellDetector(bundle_named(name), "cpu", runtime="auto")
    search = CellSearch(detector, detector.manifest.decision.score_threshold)
    cells = lone_cells(cric, many)
    names = sorted((cric / "images").glob("*.jpg"))[:fields]
    dense = [np.asarray(Image.open(p).convert("RGB"))[:896, :1216] for p in names]
    middle = np.array([[PATCH / 2, PATCH / 2]])
    alone = np.zeros(len(cells), dtype=bool)
    for n, (_, image) in enumerate(cells):
        with image_slide(image) as slide:
            alone[n] = near(search.detect(slide, MPP).centres_yx, middle)[0]
    classes = np.array([class_id for class_id, _ in cells])
    figures: dict[str, Any] = {"on_field": {c: f"{alone[classes == c].sum()}/{(classes == c).sum()}" for c in CLASSES}}
    shares = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = Path(folder) / "slide.tif"
            centres = made_slide(path, size, cells, dense)
            found, all_s, tiles_s, megapixels = looked_through(path, detector)
            hit = near(found, centres)
            shares.append(float((hit & alone).sum() / max(alone.sum(), 1)))
            ratio = all_s / tiles_s
            figures[f"{size[0]}x{size[1]}"] = {
                **{c: f"{(hit & alone)[classes == c].sum()}/{alone[classes == c].sum()}" for c in CLASSES},
                "seconds": round(all_s, 1), "time_ratio": round(ratio, 2), "looked_at_mp": round(megapixels, 1),
                "file_mb": round(path.stat().st_size / 2**20, 1),
            }  # fmt: skip
            print(json.dumps({f"{size[0]}x{size[1]}": figures[f"{size[0]}x{size[1]}"]}), flush=True)
    return figures | {"found_share": round(min(shares), 4), "time_ratio": round(ratio, 2)}


if __name__ == "__main__":
    main()
