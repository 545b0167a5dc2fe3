"""Promise: the map, similar cells and likely label errors are on the command line, with what limits them."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from vector_projects import make_project
from verb_calls import printed, refusal

from napari_cyto.domain.edits import replace_all
from napari_cyto.store import Project
from napari_cyto.vectors import cell_map


@pytest.fixture
def made(tmp_path):
    folder = tmp_path / "p.cyto"
    return folder, make_project(folder)


def test_similar_cells_are_of_the_same_cluster_and_of_other_patients_only(made, capsys):
    folder, classes = made
    cell = next(iter(classes))
    got = printed(["similar", str(folder), cell, "--of", "other-patients", "--count", "30", "--json"], capsys)
    assert len(got["cells"]) == 30
    assert {classes[each["id"]] for each in got["cells"]} == {classes[cell]}
    with Project.open(folder) as project:
        own = project.annotation(cell).slide_id
        assert own not in {a.slide_id for a in project.annotations_by_id([each["id"] for each in got["cells"]])}
    assert got["searched"] == 120
    assert "has none where it lies now" in refusal(["similar", str(folder), "nobody"], capsys)


def test_changed_labels_come_first(made, capsys):
    folder, classes = made
    with Project.open(folder) as project:
        wrong = project.annotations_by_id(list(classes)[:5])
        pairs = [(a, replace(a, class_id="SCC")) for a in wrong]
        project.apply(replace_all(pairs, "change"), "me")
    got = printed(["label-errors", str(folder), "--count", "5", "--json"], capsys)
    assert {each["id"] for each in got["suspects"]} == {a.id for a in wrong}
    assert got["check"]["at_least"] > 0.5


def test_the_map_is_written_as_a_table(made, capsys, tmp_path, monkeypatch):
    folder, classes = made
    monkeypatch.setattr(
        cell_map, "_places", lambda found, *_: np.arange(2 * len(found.ids), dtype=np.float32).reshape(-1, 2)
    )
    out = tmp_path / "map.csv"
    got = printed(["map", str(folder), "--out", str(out), "--json"], capsys)
    assert got["cells"] == len(classes)
    assert got["trust"]["value"] < 0.9
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {row["id"] for row in rows} == set(classes)
    assert {row["class"] for row in rows} == {"NILM", "LSIL", "HSIL"}
    assert "by nobody" in refusal(["map", str(folder), "--encoder", "nobody"], capsys)
