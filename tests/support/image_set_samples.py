"""A project that is worth exporting with images, for tests in which other programs read what comes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Box, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project

NAMES = ("coco", "yolo", "voc")
HEIGHT, WIDTH = 300, 400


def make_project_to_export(place: Path, slides: int = 9) -> Path:
    """Make a project of small slides, two of each patient, with boxes, outlines and a region that covers all."""
    rng = np.random.default_rng(0)
    records, cells = [], []
    for number in range(slides):
        path = place / f"smear {number}.png"
        pixels = rng.integers(190, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        facts = {"size_hw": (HEIGHT, WIDTH), "mpp": 0.5, "mpp_source": "user", "patient": f"p{number // 2}"}
        record = SlideRecord(name=path.name, path=str(path), **facts)
        records.append(record)
        for k in range(6):
            y, x = float(rng.integers(0, HEIGHT - 40)), float(rng.integers(0, WIDTH - 45))
            pixels[int(y) : int(y) + 30, int(x) : int(x) + 30] = (90, 60, 140) if k % 2 else (200, 90, 90)
            shape = Box(y, x, y + 30, x + 30) if k % 2 else Polygon(((y, x), (y, x + 30), (y + 30, x + 15)))
            cells.append(Annotation(slide_id=record.id, geometry=shape, class_id=("healthy", "unhealthy")[k % 2]))
        whole = Polygon(((0.0, 0.0), (0.0, WIDTH), (HEIGHT, WIDTH), (HEIGHT, 0.0)))
        cells.append(Annotation(slide_id=record.id, geometry=whole, class_id=None))
        Image.fromarray(pixels).save(path)
    with Project.create(place / "project.cyto", preset("apacc")) as project:
        project.add_slides(records)
        project.apply(add(cells, "draw"), "me")
    return place / "project.cyto"
