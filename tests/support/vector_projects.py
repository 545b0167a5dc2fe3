"""A project whose cells have vectors in three clusters, one for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project
from napari_cyto.vectors import VectorKind, cell_places, open_vectors

KIND = VectorKind(encoder="made", sha256="b" * 64, crop="{}", length=16)
CLASSES = ("NILM", "LSIL", "HSIL")


def give_vectors(project: Project, classes: dict[str, int], spread: float = 0.3) -> None:
    """Give each cell a vector near the middle of its class."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(3, KIND.length)) * 4
    file = open_vectors(project, KIND)
    for record in project.slides():
        places = cell_places(project, record.id)
        vectors = np.array([middles[classes[i]] + rng.normal(0, spread, KIND.length) for i in places.ids])
        if len(vectors):
            file.add(places.ids, [record.id] * len(places.ids), places.centres_yx, vectors)


def make_project(folder: Path, cells: int = 240, slides: int = 2) -> dict[str, int]:
    """Make a project with accepted cells of three classes, each slide of another patient; return the class of each."""
    classes: dict[str, int] = {}
    with Project.create(folder, preset("bethesda")) as project:
        records = [SlideRecord(name=f"{n}.svs", patient=f"p{n}") for n in range(slides)]
        project.add_slides(records)
        for record in records:
            made = [
                Annotation(slide_id=record.id, geometry=Point(float(n), 5.0), class_id=CLASSES[n % 3])
                for n in range(cells // slides)
            ]
            project.apply(add(made, "mark"), "me")
            classes |= {cell.id: CLASSES.index(str(cell.class_id)) for cell in made}
        give_vectors(project, classes)
    return classes
