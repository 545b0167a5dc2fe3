"""What an export costs in core seconds and memory, at N and at 10 N: GeoJSON, COCO, CSV, and fields as APACC.

    python benchmarks/size_export.py [--count 100000] [--fields 200]

The projects are made once and kept in a temporary folder. Each export is a command line of its own, whose core seconds
(user and system, children included) and largest resident memory the system counts. The last line is JSON: for each
kind of export the figures at N and at 10 N, and ``growth``, the core seconds of 10 N over ten times those of N.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from _child_cost import child_cost

SUFFIXES = {"geojson": "", "coco": ".json", "csv": ".csv"}
BATCH = 20_000
FIELD_PX = 256
CELLS_A_FIELD = 4
SLIDES = 4
KEPT = Path(tempfile.gettempdir()) / "napari-cyto-size-export"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000, help="annotations; measured too: ten times as many")
    parser.add_argument("--fields", type=int, default=200, help="fields of APACC; measured too: ten times as many")
    options = parser.parse_args()
    print(
        json.dumps(
            {**grown(measure, options.count), **grown(lambda fields: {"apacc": measure_fields(fields)}, options.fields)}
        )
    )


def grown(measured: Any, count: int) -> dict[str, Any]:
    """Return the figures of ``measured`` at ``count`` and at ten times that, and the growth between them."""
    small, large = measured(count), measured(10 * count)
    return {
        name: {
            str(count): small[name],
            str(10 * count): large[name],
            "growth": large[name]["core_s"] / (10 * small[name]["core_s"]),
        }
        for name in small
    }


def measure(count: int) -> dict[str, dict[str, Any]]:
    """Return what an export of ``count`` annotations takes, by format."""
    return {name: measure_one(name, count) for name in SUFFIXES}


def measure_one(name: str, count: int) -> dict[str, Any]:
    """Return what an export of ``count`` annotations to one of the formats takes."""
    return _exported(name, project_of(count), SUFFIXES[name])


def measure_fields(fields: int) -> dict[str, Any]:
    """Return what an APACC export of ``fields`` small fields takes, and the core seconds a field."""
    figures = _exported("apacc", fields_of(fields), "", "--test-share", "0.2")
    return {**figures, "core_s_a_field": figures["core_s"] / fields}


def project_of(count: int) -> Path:
    """Return a project of ``count`` annotations on four slides, made if it is not there yet."""
    from napari_cyto.domain import edits
    from napari_cyto.domain.presets import preset
    from napari_cyto.domain.slide_record import SlideRecord
    from napari_cyto.store import Project

    folder = KEPT / f"{count}.cyto"
    if folder.exists():
        return folder
    making = KEPT / f"making-{count}.cyto"
    shutil.rmtree(making, ignore_errors=True)
    KEPT.mkdir(exist_ok=True)
    with Project.create(making, preset("bethesda")) as project:
        slides = [
            SlideRecord(name=f"slide-{k}.tif", path=f"/no/slide-{k}.tif", size_hw=(100_000, 100_000), mpp=0.25)
            for k in range(SLIDES)
        ]
        project.add_slides(slides)
        cells = annotations(count, [slide.id for slide in slides])
        while batch := list(islice(cells, BATCH)):
            project.apply(edits.add(batch, "add"), "measured")
    making.rename(folder)
    return folder


def annotations(count: int, slide_ids: list[str]) -> Iterator[Any]:
    """Yield boxes, every tenth a point and every tenth an outline of 12 corners, all with a score."""
    from napari_cyto.domain.annotation import Annotation, Status
    from napari_cyto.domain.geometry import Box, Point, Polygon

    names = ("NILM", "ASC-US", "LSIL", "HSIL")
    for k in range(count):
        y, x = (k * 97.25) % 99_000, (k * 31.5) % 99_000
        kind = k % 10
        corners = [(y + 20 * math.sin(t / 2), x + 20 * math.cos(t / 2)) for t in range(12)] if kind == 1 else []
        name = names[k % 4]
        yield Annotation(
            slide_id=slide_ids[k * len(slide_ids) // count],
            geometry=Point(y, x) if kind == 0 else Polygon(tuple(corners)) if corners else Box(y, x, y + 40, x + 38.5),
            class_id=name,
            status=Status.UNREVIEWED if k % 3 else Status.ACCEPTED,
            author="measured",
            origin="model:nucleus@0123456789ab",
            scores=((name, 0.5 + (k % 1000) / 2001),),
        )


def fields_of(count: int) -> Path:
    """Return a project of ``count`` small fields of drawn cells, a smear each, made if it is not there yet."""
    import numpy as np
    from PIL import Image

    from napari_cyto.domain import edits
    from napari_cyto.domain.annotation import Annotation
    from napari_cyto.domain.geometry import Box
    from napari_cyto.domain.presets import preset
    from napari_cyto.domain.slide_record import SlideRecord
    from napari_cyto.store import Project

    folder = KEPT / f"fields-{count}"
    if folder.exists():
        return folder / "fields.cyto"
    making = KEPT / f"making-fields-{count}"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with Project.create(making / "fields.cyto", preset("bethesda")) as project:
        for k in range(count):
            field = rng.normal(225, 6, (FIELD_PX, FIELD_PX, 3)).clip(0, 255).astype(np.uint8)
            # Fields lie beside their project, so that both can be moved together.
            path = making / f"field-{k:05d}.png"
            corners = rng.integers(10, FIELD_PX - 70, (CELLS_A_FIELD, 2))
            for y, x in corners:
                field[y : y + 50, x : x + 50] = rng.integers(60, 160, 3) + rng.integers(0, 20, (50, 50, 3))
            Image.fromarray(field).save(path, compress_level=1)
            slide = SlideRecord(
                name=path.name, path=str(path), size_hw=(FIELD_PX, FIELD_PX), mpp=0.25, smear=f"smear-{k:05d}"
            )
            project.add_slides([slide])
            cells = [
                Annotation(slide_id=slide.id, geometry=Box(y, x, y + 50, x + 50), class_id=name)
                for (y, x), name in zip(corners.astype(float).tolist(), ("NILM", "LSIL") * 2, strict=True)
            ]
            project.apply(edits.add(cells, "add"), "measured")
    making.rename(folder)
    return folder / "fields.cyto"


def _exported(name: str, project: Path, suffix: str, *words: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        out = str(Path(folder) / f"out{suffix}")
        return child_cost(("-m", "napari_cyto", "export", name, str(project), out, "--json", *words))[0]


if __name__ == "__main__":
    main()
