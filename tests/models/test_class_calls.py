"""Guards that costs act when a cell is called, and that everybody who asks later what was called hears the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_bundles import manifest

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Status
from napari_cyto.domain.decision_rule import called_class
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.inference._detections import Detections
from napari_cyto.inference._stored_predictions import PredictionWriter
from napari_cyto.inference.probabilities import weighed
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.manifest import Decision, ModelClass
from napari_cyto.reporting.slide_summary import gather_result
from napari_cyto.review.order import gather
from napari_cyto.review.query import ReviewQuery, Sort, model_class
from napari_cyto.store import Project

CLASSES = ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC")
COSTS = (1.0, 1.0, 1.0, 1.0, 3.0, 3.0)


def speaker(costs: tuple[float, ...] = COSTS, name: str = "costly") -> Bundle:
    known = [ModelClass.of(preset("bethesda")[class_id]).model_dump() for class_id in CLASSES]
    return Bundle(Path("/nowhere"), manifest(id=name, classes=known, decision={"miss_costs": costs}))


def found(*shares: tuple[float, ...], first_y: float = 100.0) -> Detections:
    centres = np.array([[first_y + 80 * n, 100.0] for n in range(len(shares))])
    table = np.array(shares)
    return Detections(centres, np.hstack([centres - 20, centres + 20]), table.sum(axis=1), table)


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "p.cyto", preset("bethesda")) as opened:
        opened.add_slides([SlideRecord(name="a", id="a" * 32, size_hw=(4000, 4000))])
        yield opened


def predict(project: Project, cells: Detections, bundle: Bundle) -> None:
    PredictionWriter(project, "a" * 32, 0.25, bundle, "anna").put(cells)


UNSURE = (0.5, 0.0, 0.1, 0.0, 0.2, 0.0)


def test_a_cell_is_called_by_its_costs_and_keeps_its_probabilities(project: Project) -> None:
    predict(project, found(UNSURE), speaker())
    (cell,) = project.annotations("a" * 32)
    assert cell.class_id == "HSIL"
    assert dict(cell.scores)["NILM"] == 0.5
    assert dict(cell.scores)["HSIL"] == 0.2


def test_a_model_without_costs_calls_the_likeliest_as_ever(project: Project) -> None:
    predict(project, found(UNSURE), speaker(()))
    (cell,) = project.annotations("a" * 32)
    assert cell.class_id == "NILM"
    assert project.model_costs() == {}


def test_an_accepted_call_is_no_correction_and_an_overruled_one_is(project: Project) -> None:
    predict(project, found(UNSURE, (0.9, 0.0, 0.0, 0.0, 0.05, 0.0)), speaker())
    called, normal = project.annotations("a" * 32)
    predict(project, found(UNSURE, first_y=1000.0), speaker((), "plain"))
    (other,) = [a for a in project.annotations("a" * 32) if a.id not in (called.id, normal.id)]
    assert other.class_id == "NILM"
    evaluated = [
        (called, replace(called, status=Status.ACCEPTED)),
        (normal, replace(normal, status=Status.ACCEPTED, class_id="HSIL")),
        (other, replace(other, status=Status.ACCEPTED)),
    ]
    project.apply(edits.replace_all(evaluated, "Judge"), "anna")
    result = gather_result(project, "a" * 32)
    assert result is not None
    assert dict(+result.corrected) == {"HSIL": 1}
    query = ReviewQuery(statuses=tuple(Status), sort=Sort.DISAGREEMENT, control_share=0)
    gathered = gather(project, query)
    assert gathered.cells[0].id == normal.id
    assert dict(gathered.tally.total) == {"HSIL": 1, "NILM": 2}


rows = st.lists(st.floats(0.001, 1.0), min_size=6, max_size=6)


@given(rows, st.lists(st.floats(0.1, 10.0), min_size=6, max_size=6))
def test_the_network_side_and_the_project_side_call_alike(shares: list[float], costs: list[float]) -> None:
    place = int(weighed([shares], Decision(miss_costs=tuple(costs))).argmax(axis=1)[0])
    named = dict(zip(CLASSES, costs, strict=True))
    assert called_class(zip(CLASSES, shares, strict=True), named) == CLASSES[place]


def test_who_has_no_costs_gets_the_likeliest(project: Project) -> None:
    predict(project, found(UNSURE), speaker())
    (cell,) = project.annotations("a" * 32)
    assert model_class(cell, project.model_costs()) == "HSIL"
    assert model_class(replace(cell, origin="model:other@0"), project.model_costs()) == "NILM"
