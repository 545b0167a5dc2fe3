"""Vectors of planted classes for the cells of a project, as an encoder would have left them."""

from __future__ import annotations

import numpy as np

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Point
from napari_cyto.store import Project
from napari_cyto.vectors import VectorKind, open_vectors

LENGTH = 12
KIND = VectorKind(encoder="planted", sha256="ab" * 32, crop='{"windows": [40]}', length=LENGTH)


def vectors_of(kinds: list[int], seed: int = 0, spread: float = 0.3) -> np.ndarray:
    """Vectors of cells of planted kinds, numbered from 0."""
    middles = np.eye(LENGTH) + 0.3
    noise = np.random.default_rng(seed).standard_normal((len(kinds), LENGTH))
    return (middles[kinds] + spread * noise).astype(np.float16)


def add_cells(
    project: Project, kinds: list[int], slide: int = 0, seed: int = 0, kind: VectorKind = KIND, side_px: float = 640
) -> list[str]:
    """Add predictions of planted kinds to a slide, with their vectors, and return their ids."""
    rng = np.random.default_rng(seed)
    slide_id = project.slides()[slide].id
    made = [
        Annotation(
            slide_id=slide_id,
            geometry=Point(*(float(v) for v in rng.uniform(0.1 * side_px, 0.9 * side_px, 2))),
            class_id="NILM",
            status=Status.UNREVIEWED,
            author="finder",
            origin=origin_of_model("finder", "0" * 64),
            scores=(("NILM", 0.8), ("HSIL", 0.1)),
        )
        for _ in kinds
    ]
    project.apply(edits.add(made, "Run detection"), "finder")
    add_vectors(project, made, vectors_of(kinds, seed), kind)
    return [each.id for each in made]


def add_vectors(project: Project, cells: list[Annotation], vectors: np.ndarray, kind: VectorKind = KIND) -> None:
    """Keep vectors of cells beside a project."""
    centres = np.array([cell.geometry.centre_yx for cell in cells])
    open_vectors(project, kind).add([cell.id for cell in cells], [cell.slide_id for cell in cells], centres, vectors)
