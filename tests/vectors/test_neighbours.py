"""Promise: the nearest are the nearest, of the cells that were asked for, and what limits them is said."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.vectors import CellVectors, VectorKind, neighbours
from napari_cyto.vectors.neighbours import Scope, grade_neighbours, nearest, similar

KIND = VectorKind(encoder="e", sha256="a" * 64, crop="{}", length=3)


def found_of(vectors: list[list[float]], slides: list[SlideRecord], of: list[int], without: int = 0) -> CellVectors:
    ids = tuple(f"cell{n}" for n in range(len(vectors)))
    rows = np.array(vectors, dtype=np.float16)
    return CellVectors(KIND, ids, tuple(slides[n].id for n in of), np.zeros((len(ids), 2)), rows, without)


def test_blocks_give_what_one_product_of_matrices_gives(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 8)).astype(np.float16)
    vectors[7] = 0
    unit = vectors.astype(np.float64)
    unit /= np.maximum(np.linalg.norm(unit, axis=1), 1e-12)[:, None]
    among = np.flatnonzero(rng.random(300) < 0.5)
    monkeypatch.setattr(neighbours, "_ROWS_AT_ONCE", 23)
    monkeypatch.setattr(neighbours, "_QUERIES_AT_ONCE", 5)
    for rows in (None, among):
        places = np.arange(300) if rows is None else rows
        got, cosines = nearest(vectors, vectors[:40], 9, rows)
        expected = unit[:40] @ unit[places].T
        order = np.argsort(-expected, axis=1, kind="stable")[:, :9]
        assert np.allclose(np.take_along_axis(expected, order, 1), cosines, atol=1e-5)
        at = np.searchsorted(places, got)
        assert (places[at] == got).all()
        assert np.allclose(np.take_along_axis(expected, at, 1), cosines, atol=1e-5)
        assert all(len(set(row)) == 9 for row in got.tolist())


def test_length_does_not_matter_and_fewer_cells_give_fewer():
    rows, cosines = nearest(np.array([[1, 0], [100, 1], [0, 1]], np.float16), [[5, 0]], 10)
    assert rows.tolist() == [[0, 1, 2]]
    assert cosines[0] == pytest.approx([1, 0.99995, 0], abs=1e-3)


def test_the_scope_decides_which_patients_are_searched_and_unknown_ones_are_said():
    slides = [
        SlideRecord(name="a1", patient="anna"),
        SlideRecord(name="a2", patient="anna"),
        SlideRecord(name="b", patient="berta"),
        SlideRecord(name="x", smear="s1"),
        SlideRecord(name="y", smear="s1"),
    ]
    vectors = [[1, 0, 0]] * 5
    found = found_of(vectors, slides, [0, 1, 2, 3, 4], without=3)
    by = {scope: similar(found, slides, "cell0", scope) for scope in Scope if scope is not Scope.SLIDE}
    assert set(by[Scope.ALL].ids) == {"cell1", "cell2", "cell3", "cell4"}
    assert set(by[Scope.OTHER_PATIENTS].ids) == {"cell2", "cell3", "cell4"}
    assert by[Scope.OTHER_PATIENTS].unknown_patients == 2
    assert "2 slides without a patient" in by[Scope.OTHER_PATIENTS].sentence
    assert "3 cells without a vector" in by[Scope.ALL].sentence
    of_unknown = similar(found, slides, "cell3", Scope.OTHER_PATIENTS)
    assert set(of_unknown.ids) == {"cell0", "cell1", "cell2"}
    assert "patient of this cell is unknown" in of_unknown.sentence
    with pytest.raises(CytoError, match="another cell with a vector on this slide"):
        similar(found, slides, "cell0", Scope.SLIDE)
    with pytest.raises(CytoError, match="other patients than patient anna"):
        similar(found_of(vectors[:2], slides, [0, 1]), slides, "cell0", Scope.OTHER_PATIENTS)
    with pytest.raises(CytoError, match="napari-cyto embed"):
        similar(found, slides, "gone", Scope.ALL)


def test_grade_neighbours_are_accepted_cells_of_the_next_grades():
    slide = SlideRecord(name="a")
    vectors = [[1, 0, 0], [1, 0.1, 0], [1, 0.2, 0], [1, 0.3, 0], [1, 0.01, 0]]
    found = found_of(vectors, [slide], [0] * 5)
    severity = {"NILM": 0, "LSIL": 2, "HSIL": 4, "SCC": 5}
    accepted = ["", "NILM", "LSIL", "SCC", ""]
    got = grade_neighbours(found, "cell0", "HSIL", accepted, severity)
    assert (got.lower, got.higher) == ("cell2", "cell3")
    got = grade_neighbours(found, "cell0", "SCC", accepted, severity)
    assert (got.lower, got.higher) == ("", "")
    assert grade_neighbours(found, "cell2", "LSIL", accepted, severity).lower == "cell1"
    assert grade_neighbours(found, "cell0", "artefact", accepted, severity) == grade_neighbours(
        found, "cell0", "NILM", [""] * 5, severity
    )
