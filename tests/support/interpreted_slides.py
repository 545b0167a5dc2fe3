"""A project of slides whose interpretation hangs on a few planted cells, with vectors of all cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project
from napari_cyto.vectors import VectorKind, cell_places, open_vectors

KIND = VectorKind(encoder="planted", sha256="e" * 64, crop=CropRule().model_dump_json(), length=12)


@dataclass(frozen=True)
class Planted:
    """The project's folder, and the ids of the abnormal cells."""

    folder: Path
    abnormal: frozenset[str]


def planted_project(folder: Path, slides: int = 24, cells: int = 40, share: float = 0.1, seed: int = 0) -> Planted:
    """Make one: every second slide is HSIL and has ``share`` of its cells far off in three of twelve numbers."""
    chance = np.random.default_rng(seed)
    abnormal: set[str] = set()
    with Project.create(folder, preset("bethesda")) as project:
        records = [
            SlideRecord(name=f"s{n:02d}.svs", patient=f"P{n}", size_hw=(4000, 4000), mpp=0.25, mpp_source="file")
            for n in range(slides)
        ]
        project.add_slides(records)
        said = {r.id: Interpretation("HSIL" if n % 2 else "NILM", "Ana") for n, r in enumerate(records)}
        project.interpret(said, "Ana")
        file = open_vectors(project, KIND)
        for number, record in enumerate(records):
            places = chance.uniform(50, 3950, (cells, 2))
            made = [
                Annotation(slide_id=record.id, geometry=Point(float(y), float(x)), class_id="NILM") for y, x in places
            ]
            project.apply(add(made, "Planted"), "Ana")
            where = cell_places(project, record.id)
            vectors = chance.normal(size=(cells, KIND.length))
            if number % 2:
                few = max(1, round(share * cells))
                vectors[:few, :3] += 4.0
                abnormal |= set(where.ids[:few])
            file.add(where.ids, [record.id] * cells, where.centres_yx, vectors.astype(np.float32))
    return Planted(folder, frozenset(abnormal))
