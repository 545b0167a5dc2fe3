"""A small project to edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project

Cell = Callable[..., Annotation]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "smears.cyto"


@pytest.fixture
def project(folder: Path) -> Iterator[Project]:
    """A new project with the slides ``one`` and ``two``."""
    with Project.create(folder, preset("bethesda")) as project:
        project.add_slides([SlideRecord(name="one.svs", id="one"), SlideRecord(name="two.svs", id="two")])
        yield project


@pytest.fixture
def cell() -> Cell:
    """Makes a cell: a point of class HSIL on slide ``one``, unless told otherwise."""

    def make(y: float = 10.0, x: float = 20.0, **values: object) -> Annotation:
        given = {"slide_id": "one", "geometry": Point(y, x), "class_id": "HSIL", "author": "Ana", **values}
        return Annotation(**given)  # type: ignore[arg-type]

    return make
