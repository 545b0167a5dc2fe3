"""Promise: the figures of a result are those of the stored cells, by the formula that is told with them."""

from __future__ import annotations

import pytest

from napari_cyto.domain import edits
from napari_cyto.domain.adequacy import Preparation, Reached
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Point, Polygon
from napari_cyto.session.result import BEST_CELLS, gather_result, quick_counts
from napari_cyto.session.result_kept import magnification_for, preparation_of, say_preparation

SCORES = (("HSIL", 0.6), ("NILM", 0.2))


def put(session, *cells) -> list[Annotation]:
    made = [
        Annotation(
            slide_id=session.slide.id,
            geometry=Point(10.0 + n, 20.0),
            class_id=class_id,
            status=status,
            scores=scores,
            origin="model:finder@0" if scores else "drawn",
        )
        for n, (class_id, status, scores) in enumerate(cells)
    ]
    session.project.apply(edits.add(made, "Put"), "anna")
    return made


def result(session):
    return gather_result(session.project, session.slide.id)


P, A, R = Status.PROPOSED, Status.ACCEPTED, Status.REJECTED


def test_counts_and_corrections(session):
    put(
        session,
        ("HSIL", A, ()),
        ("HSIL", A, SCORES),
        ("LSIL", A, SCORES),
        ("HSIL", P, SCORES),
        ("NILM", R, SCORES),
    )
    region = Polygon(((0.0, 0.0), (0.0, 9.0), (9.0, 9.0)))
    whole = Annotation(slide_id=session.slide.id, geometry=region, class_id=None)
    session.project.apply(edits.add([whole], "Region"), "anna")
    found = result(session)
    by_class = {c.class_id: (c.accepted, c.corrected, c.proposed, c.rejected) for c in found.counts}
    assert by_class["HSIL"] == (2, 0, 1, 0)
    assert by_class["LSIL"] == (1, 1, 0, 0)
    assert by_class["NILM"] == (0, 0, 0, 1)
    assert (found.cells, found.proposed_cells) == (4, 1)
    assert quick_counts(session.project, session.slide.id, found.corrected) == found.counts
    assert found.origins == {"drawn": 1, "model:finder@0": 4}


def test_risk_is_the_mean_of_the_ten_riskiest(session):
    scheme = session.project.scheme
    worst = max(c.severity for c in scheme.classes if c.severity is not None)
    severity = {c.id: c.severity / worst for c in scheme.classes if c.severity is not None}
    assert result(session).risk is None
    put(session, ("HSIL", P, SCORES))
    expected = 0.6 * severity["HSIL"]
    assert result(session).risk == pytest.approx(expected / 10)
    put(session, ("HSIL", A, SCORES), ("SCC", R, (("SCC", 1.0),)), ("NILM", A, ()))
    expected += severity["HSIL"]
    assert result(session).risk == pytest.approx(expected / 10)
    put(session, *[("SCC", A, ())] * 10)
    assert result(session).risk == pytest.approx(1.0)


def test_highest_grade_and_its_best_cells(session):
    lows = [("LSIL", A, (("LSIL", 0.1 * n),)) for n in range(1, 9)]
    put(session, *lows, ("HSIL", P, (("HSIL", 0.3), ("NILM", 0.4))), ("HSIL", P, (("HSIL", 0.7),)), ("SCC", R, ()))
    found = result(session)
    assert (found.accepted.class_id, found.accepted.cells) == ("LSIL", 8)
    assert (found.proposed.class_id, found.proposed.cells, found.proposed.score) == ("HSIL", 2, 0.7)
    assert [c.class_id for c in found.best] == ["HSIL", "HSIL", *["LSIL"] * BEST_CELLS]
    assert [c.score for c in found.best][:4] == pytest.approx([0.7, 0.3, 0.8, 0.7])


def test_a_blind_result_says_nothing_of_what_a_model_said(session):
    put(session, ("HSIL", P, SCORES), ("LSIL", A, SCORES), ("NILM", A, ()))
    blind = result(session).blinded()
    assert blind.is_blind
    assert (blind.risk, blind.proposed) == (None, None)
    assert all(c.proposed == c.corrected == 0 for c in blind.counts)
    assert blind.proposed_cells == 1
    assert [(c.class_id, c.score) for c in blind.best] == [("LSIL", None)]


def test_adequacy_counts_cells_with_a_grade(session):
    put(session, ("NILM", A, ()), ("NILM", P, SCORES), ("HSIL", R, ()))
    found = result(session).cellularity(Preparation.LIQUID_BASED)
    assert (found.cells, found.reached, found.has_abnormal) == (2, Reached.NO, False)
    put(session, ("LSIL", A, ()))
    assert result(session).cellularity(None).has_abnormal


def test_preparation_is_kept_with_who_said_it(session):
    project, slide_id = session.project, session.slide.id
    assert preparation_of(project, slide_id) == (None, "")
    say_preparation(project, [slide_id], Preparation.CONVENTIONAL, "anna")
    assert preparation_of(project, slide_id) == (Preparation.CONVENTIONAL, "anna")
    say_preparation(project, [slide_id], None, "ben")
    assert preparation_of(project, slide_id) == (None, "")
    assert magnification_for(project) == 10.0


def test_reading_stops_when_asked(session):
    put(session, ("NILM", A, ()))
    assert gather_result(session.project, session.slide.id, lambda: False) is None
