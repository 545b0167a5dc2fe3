"""What an audit of much costs, in core seconds and memory: crops with copies among them, and projects of many slides.

    python benchmarks/size_audit.py [--crops 5000] [--crowd 400] [--slides 200]

Drawn cells are written as the crops of a dataset, a tenth of them noisy and turned copies of four (``crops``), or all
of them (``crowd``), and as small slides of a project (``slides``). Each audit is a command line of its own; each is
done at the count and at ten times as many. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _child_cost import child_cost
from PIL import Image

CROP_PX = 100
SLIDE_PX = 512
CELLS_A_SLIDE = 6
COPIES = 0.1
ORIGINALS = 4
_CLASSES = ("NILM", "LSIL", "HSIL")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=int, default=5_000)
    parser.add_argument("--crowd", type=int, default=400)
    parser.add_argument("--slides", type=int, default=200)
    options = parser.parse_args()
    rows = {f"crops {n}": measure_crops(n) for n in (options.crops, 10 * options.crops)}
    rows |= {f"crowd {n}": measure_crowd(n) for n in (options.crowd, 10 * options.crowd)}
    rows |= {f"slides {n}": measure_slides(n) for n in (options.slides, 10 * options.slides)}
    for name, row in rows.items():
        print(name, row)
    print(json.dumps(rows))


def measure_crops(count: int) -> dict[str, Any]:
    """Return what the audit of ``count`` crops takes, a tenth of them copies; ``found`` of ``hidden`` test copies."""
    return _crops(count, round(COPIES * count))


def measure_crowd(count: int) -> dict[str, Any]:
    """Return what the audit of ``count`` crops takes that are all copies of four cells."""
    return _crops(count, count)


def measure_slides(count: int) -> dict[str, Any]:
    """Return what the audit of a project of ``count`` slides takes."""
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), count)
        row, said = child_cost(("-m", "napari_cyto", "audit", str(project), "--json"), may_refuse=True)
        return row | {"findings": len(json.loads(said)["findings"])}


def _crops(count: int, copies: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        hidden = make_crops(Path(folder), count, copies)
        row, said = child_cost(("-m", "napari_cyto", "audit", folder, "--json"), may_refuse=True)
        findings = json.loads(said)["findings"]
        return row | {"hidden": hidden, "found": sum(len(f["rows"]) for f in findings if "crop" in f["kind"])}


def make_crops(folder: Path, count: int, copies: int) -> int:
    """Write ``count`` crops, every third on the test side, the first ``copies`` of four cells; return those in test."""
    rng = np.random.default_rng(0)
    originals = [drawn_cell(rng) for _ in range(ORIGINALS)]
    for side in ("train", "test"):
        (folder / "cells" / side / "healthy").mkdir(parents=True)
    for n in range(count):
        cell = drawn_cell(rng)
        if n < copies:
            cell = np.rot90(originals[n % ORIGINALS], n // ORIGINALS % 4) + rng.normal(0, 2, (CROP_PX, CROP_PX, 1))
        side = "train" if n % 3 else "test"
        pixels = np.clip(cell + rng.normal(0, 1, cell.shape), 0, 255).astype(np.uint8)
        name = f"{side}{n % 7}_0-0_{n}_50-50_2024-01-01.png"
        Image.fromarray(pixels).save(folder / "cells" / side / "healthy" / name, compress_level=1)
    return len(range(0, copies, 3))


def drawn_cell(rng: np.random.Generator) -> np.ndarray:
    """Return a pale body with a dark nucleus ((100, 100, 3), float64), as alike as cells are to a hash."""
    y, x = np.mgrid[:CROP_PX, :CROP_PX]
    pixels = np.full((CROP_PX, CROP_PX, 3), (235.0, 228.0, 238.0))
    cy, cx = rng.uniform(40, 60, 2)
    body = np.hypot(y - cy, (x - cx) * rng.uniform(0.7, 1.4)) < rng.uniform(28, 48)
    pixels[body] = rng.uniform((170, 150, 180), (225, 210, 225))
    off_y, off_x = rng.uniform(-5, 5, 2)
    nucleus = np.hypot((y - cy - off_y) * rng.uniform(0.7, 1.4), x - cx - off_x) < rng.uniform(8, 18)
    pixels[nucleus] = rng.uniform((60, 40, 90), (130, 100, 150))
    chromatin = Image.fromarray(rng.integers(0, 255, (12, 12), dtype=np.uint8)).resize((CROP_PX, CROP_PX), 3)
    return pixels + (np.asarray(chromatin, np.float64)[..., None] - 128) * 0.25


def make_project(folder: Path, count: int) -> Path:
    """Write ``count`` small slides with drawn cells and a project of them: four of a smear, eight of a patient."""
    from napari_cyto.domain.annotation import Annotation
    from napari_cyto.domain.edits import add
    from napari_cyto.domain.geometry import Point
    from napari_cyto.domain.presets import preset
    from napari_cyto.domain.slide_record import SlideRecord
    from napari_cyto.store import Project

    rng = np.random.default_rng(0)
    reach = CROP_PX // 2
    slides, cells = [], []
    for n in range(count):
        pixels = rng.normal(235, 2, (SLIDE_PX, SLIDE_PX, 3))
        path = folder / f"{n:05d}.png"
        record = SlideRecord(
            name=path.name,
            path=str(path),
            size_hw=(SLIDE_PX, SLIDE_PX),
            mpp=0.25,
            smear=f"{n // 4}",
            patient=f"{n // 8}",
        )
        slides.append(record)
        for k, (y, x) in enumerate(rng.integers(reach, SLIDE_PX - reach, (CELLS_A_SLIDE, 2)).tolist()):
            pixels[y - reach : y + reach, x - reach : x + reach] = drawn_cell(rng)
            cells.append(Annotation(slide_id=record.id, geometry=Point(y, x), class_id=_CLASSES[k % 3]))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, compress_level=1)
    with Project.create(folder / "made.cyto", preset("bethesda")) as project:
        project.add_slides(slides)
        project.apply(add(cells, "add"), "benchmark")
    return folder / "made.cyto"


if __name__ == "__main__":
    main()
