"""A project with outlines on two small images: nuclei of known size, some of them flagged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import CellOutline, Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project


def ring(y: float, x: float, radius: float):
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return tuple(zip((y + radius * np.sin(angles)).tolist(), (x + radius * np.cos(angles)).tolist(), strict=True))


def outlined_project(tmp_path: Path) -> Path:
    """Two slides, one without µm per px: 22 NILM nuclei of 3 µm, an LSIL of 6 µm with its cytoplasm, and others."""
    rng = np.random.default_rng(0)
    field = np.full((600, 600, 3), 235, np.uint8)
    rows, columns = np.mgrid[:600, :600]
    places = [(60 + 90 * (n // 6), 60 + 90 * (n % 6)) for n in range(25)]
    for y, x in places:
        field[np.hypot(rows - y, columns - x) < (24 if (y, x) == places[22] else 12)] = 90
    field = np.clip(field + rng.normal(0, 6, field.shape), 0, 255).astype(np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(field).save(tmp_path / name)
    with Project.create(tmp_path / "p.cyto", preset("bethesda")) as project:
        records = [
            SlideRecord(name=name, path=str(tmp_path / f"{name}.png"), size_hw=(600, 600), mpp=mpp)
            for name, mpp in (("a", 0.25), ("b", None))
        ]
        project.add_slides(records)
        a, b = (slide.id for slide in project.slides())
        cells = [Annotation(slide_id=a, geometry=CellOutline(ring(y, x, 12)), class_id="NILM") for y, x in places[:22]]
        y, x = places[22]
        outline = CellOutline(ring(y, x, 24), ring(y, x, 48), accepted=False)
        cells += [
            Annotation(slide_id=a, geometry=outline, class_id="LSIL", status=Status.UNREVIEWED),
            Annotation(slide_id=a, geometry=Point(*places[23]), class_id="NILM"),
            Annotation(slide_id=a, geometry=Polygon(ring(*places[24], 12)), class_id="NILM"),
            Annotation(
                slide_id=a, geometry=CellOutline(ring(*places[24], 12)), class_id="HSIL", status=Status.REJECTED
            ),
            Annotation(slide_id=b, geometry=CellOutline(ring(*places[0], 12)), class_id="NILM"),
        ]
        project.apply(add(cells, "Draw"), "Ana")
    return tmp_path / "p.cyto"
