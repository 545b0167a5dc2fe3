"""Promise: of a project's cells each gets its own vector or is counted as without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project
from napari_cyto.vectors import VectorFileError, VectorKind, cell_places, cell_vectors, open_vectors, vector_kinds

KIND = VectorKind(encoder="e", sha256="a" * 64, crop="{}", length=2)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    with Project.create(tmp_path / "p.cyto", preset("bethesda")) as project:
        slides = [SlideRecord(name="one.svs"), SlideRecord(name="two.svs")]
        project.add_slides(slides)
        outline = Polygon(((0, 0), (0, 40), (40, 40), (40, 0)))
        cells = [Annotation(slide_id=s.id, geometry=Point(y, 7.0), class_id="HSIL") for s in slides for y in (1.0, 2.0)]
        cells.append(Annotation(slide_id=slides[0].id, geometry=Box(10, 10, 20, 40), class_id="LSIL"))
        cells.append(Annotation(slide_id=slides[0].id, geometry=outline, class_id=None))
        project.apply(add(cells, "mark"), "me")
        yield project


def test_regions_are_no_cells_and_boxes_lie_at_their_centre(project: Project) -> None:
    places = cell_places(project, project.slides()[0].id)
    assert sorted(map(tuple, places.centres_yx.tolist())) == [(1.0, 7.0), (2.0, 7.0), (15.0, 25.0)]


def test_cells_have_their_own_vectors_and_those_without_are_counted(project: Project) -> None:
    with pytest.raises(VectorFileError, match="napari-cyto embed"):
        cell_vectors(project, KIND)
    assert vector_kinds(project) == ()
    file, (one, two) = open_vectors(project, KIND), project.slides()
    places = {slide.id: cell_places(project, slide.id) for slide in (one, two)}
    for slide in (one, two):
        ids, centres = places[slide.id].ids, places[slide.id].centres_yx
        file.add(ids, [slide.id] * len(ids), centres, centres)
    assert vector_kinds(project) == (KIND,)
    found = cell_vectors(project, KIND)
    assert found.without == 0
    assert len(found.ids) == 5
    for cell, slide, vector in zip(found.ids, found.slide_ids, found.vectors, strict=True):
        assert np.array_equal(vector, places[slide].centres_yx[places[slide].ids.index(cell)])
    moved = next(a for a in project.annotations(one.id) if a.geometry == Point(1.0, 7.0))
    project.apply(add([Annotation(slide_id=two.id, geometry=Point(9.0, 9.0), class_id="HSIL")], "mark"), "me")
    found = cell_vectors(project, KIND)
    assert (len(found.ids), found.without) == (5, 1)
    assert moved.id in found.ids
    assert cell_vectors(project, KIND, one.id).without == 0
