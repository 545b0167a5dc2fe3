"""Promise: proposals are filtered, counted and mapped as they are stored; judging them keeps model and person."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.review.prediction_table import CellTable
from napari_cyto.review.predictions import Heat, ShownFilter, risk_of, score_of, severities, with_review
from napari_cyto.session.commands import run, run_on
from napari_cyto.session.tools import Tool

ORIGIN = origin_of_model("finder", "0" * 64)
WHOLE = (-1.0, -1.0, 1e6, 1e6)


def prediction(slide_id, yx, class_id="HSIL", score=0.8, status=Status.UNREVIEWED) -> Annotation:
    return Annotation(
        slide_id=slide_id,
        geometry=Box.around(yx, 40, 40),
        class_id=class_id,
        status=status,
        author="finder",
        origin=ORIGIN,
        scores=((class_id, score), ("NILM", 0.1)),
    )


def put(session, cells) -> None:
    session.project.apply(edits.add(cells, "Predict"), "finder")


@pytest.fixture
def many(session):
    rng = np.random.default_rng(5)
    scheme, slide = session.project.scheme, session.slide
    cells = [
        prediction(
            slide.id,
            tuple(rng.uniform(50, 3900, 2)),
            str(rng.choice(scheme.ids[:6])),
            round(float(rng.uniform(0.1, 1)), 3),
            [Status.UNREVIEWED, Status.UNREVIEWED, Status.ACCEPTED, Status.REJECTED][n % 4],
        )
        for n in range(400)
    ]
    cells += [Annotation(slide_id=slide.id, geometry=Point(70.0 * n, 90.0), class_id="LSIL") for n in range(30)]
    put(session, cells)
    session.edits.add_region([(10, 10), (10, 900), (900, 900)])
    return session


FILTERS = (
    ShownFilter(),
    ShownFilter(threshold=0.55),
    ShownFilter(hidden_classes=frozenset({"NILM", "SCC"})),
    ShownFilter(statuses=frozenset({Status.UNREVIEWED})),
    ShownFilter(threshold=0.3, hidden_classes=frozenset({"LSIL"}), statuses=frozenset({Status.UNREVIEWED, "rejected"})),
)


def agrees(table: CellTable, session, shown: ShownFilter, box=WHOLE) -> None:
    y0, x0, y1, x1 = box
    expected = {
        a.id
        for a in session.project.annotations(session.slide.id)
        if not a.is_region
        and shown.passes(a)
        and y0 <= a.geometry.centre_yx[0] <= y1
        and x0 <= a.geometry.centre_yx[1] <= x1
    }
    assert set(table.ids(table.rows_in(box, shown))) == expected
    if box == WHOLE:
        assert table.count(shown) == len(expected)


@pytest.mark.parametrize("shown", FILTERS)
def test_columns_and_annotations_agree_on_what_passes(many, shown):
    table = CellTable(many.project.scheme)
    assert table.read(many.project, many.slide.id)
    for box in (WHOLE, (500.0, 500.0, 2000.0, 3000.0)):
        agrees(table, many, shown, box)


def test_columns_follow_every_kind_of_edit(many):
    table = CellTable(many.project.scheme)
    table.read(many.project, many.slide.id)
    many.annotations_changed.connect(lambda entry: table.apply(entry.edit.changes, many.slide.id))
    ids = [a.id for a in many.project.annotations(many.slide.id) if not a.is_region]

    def check():
        for shown in FILTERS:
            agrees(table, many, shown)

    many.select(ids[:40])
    many.edits.set_status(Status.ACCEPTED)
    check()
    many.edits.choose_class("SCC")
    check()
    many.edits.move_selected(33.0, -21.5)
    check()
    many.edits.delete_selected()
    check()
    assert len(table) == len(ids) - 40
    many.edits.add_point((1234.5, 999.5))
    check()
    for _ in range(5):
        many.history.undo()
        check()
    many.history.redo()
    check()


def test_columns_read_while_edits_are_made_catch_up(many):
    table = CellTable(many.project.scheme)
    changes = []
    many.annotations_changed.connect(lambda entry: changes.extend(entry.edit.changes))
    ids = [a.id for a in many.project.annotations(many.slide.id) if not a.is_region]
    many.select(ids[:5])
    many.edits.set_status(Status.REJECTED)
    table.read(many.project, many.slide.id)
    many.edits.move_selected(50, 50)
    many.select(ids[5:8])
    many.edits.delete_selected()
    many.edits.add_point((5, 5))
    table.catch_up(changes, many.slide.id)
    for shown in FILTERS:
        agrees(table, many, shown)


def test_reading_stops_on_request(many):
    table = CellTable(many.project.scheme)
    assert not table.read(many.project, many.slide.id, lambda: False)
    assert len(table) == 0


def test_the_map_counts_predictions_only_and_weighs_them_by_risk(session):
    at = [((100.0, 100.0), "SCC"), ((110.0, 120.0), "NILM"), ((3900.0, 2000.0), "HSIL")]
    put(session, [prediction(session.slide.id, yx, c, 1.0) for yx, c in at])
    session.edits.add_point((2000, 2000))
    table = CellTable(session.project.scheme)
    table.read(session.project, session.slide.id)
    density = table.heat(ShownFilter(heat=Heat.DENSITY), (4000, 2000), side=8)
    assert density.shape == (8, 4)
    assert density.sum() == 3
    assert density[0, 0] == 2
    assert density[7, 3] == 1  # on the far edge, still on the map
    risk = table.heat(ShownFilter(heat=Heat.RISK), (4000, 2000), side=8)
    severity = severities(session.project.scheme)
    assert risk[0, 0] == pytest.approx(1.0)
    assert risk[7, 3] == pytest.approx(severity["HSIL"], abs=1e-6)
    # The model's word on how bad a cell is stays hidden from a blind reader.
    assert np.array_equal(table.heat(ShownFilter(heat=Heat.RISK, blind=True), (4000, 2000), side=8), density)


def test_risk_is_the_expected_severity():
    severity = severities(preset("bethesda"))
    assert severity["NILM"] == 0
    assert max(severity.values()) == 1
    assert "rubbish" not in severity
    assert risk_of((("SCC", 0.5), ("NILM", 0.5)), "SCC", severity) == pytest.approx(0.5)
    assert risk_of((), "SCC", severity) == 1
    assert risk_of((("rubbish", 0.9),), "rubbish", severity) == 0


def test_reviewing_keeps_the_model_and_records_the_person(session):
    cell = prediction(session.slide.id, (500, 500))
    put(session, [cell])
    for new_status in (Status.ACCEPTED, Status.REJECTED):
        after = with_review(cell, "anna", new_status)
        assert (after.status, after.author, after.origin, after.scores) == (new_status, "anna", ORIGIN, cell.scores)
    session.select([cell.id])
    session.edits.choose_class("LSIL")
    stored = session.project.annotation(cell.id)
    assert (stored.class_id, stored.status, stored.author) == ("LSIL", Status.ACCEPTED, "anna")
    assert (stored.origin, stored.scores) == (ORIGIN, cell.scores)
    assert [e.author for e in session.project.history_of(cell.id)] == ["finder", "anna"]
    session.history.undo()
    assert session.project.annotation(cell.id) == cell


def test_a_second_review_leaves_the_first_reviewer(session):
    accepted = with_review(prediction(session.slide.id, (500, 500)), "anna", Status.ACCEPTED)
    assert with_review(accepted, "ben", Status.REJECTED).author == "anna"


def test_bulk_reviewing_is_one_undo_step(many):
    ids = [a.id for a in many.project.annotations(many.slide.id) if a.status is Status.UNREVIEWED]
    many.select(ids)
    many.edits.set_status(Status.REJECTED)
    assert not many.project.status_counts(many.slide.id).get(Status.UNREVIEWED)
    many.history.undo()
    assert many.project.status_counts(many.slide.id)[Status.UNREVIEWED] == len(ids)


def test_keys_mean_the_cell_under_the_mouse(session):
    cell = prediction(session.slide.id, (500, 500))
    put(session, [cell])

    def now():
        return session.project.annotation(cell.id)

    session.tool = Tool.POINT
    # With a tool that marks, a digit chooses the class of the next mark.
    assert not run_on(session, "class.6", now())
    session.tool = Tool.SELECT
    assert run_on(session, "class.6", now())
    assert (now().class_id, now().status) == ("SCC", Status.ACCEPTED)
    # What a person has said is not changed in passing.
    assert not run_on(session, "class.1", now())
    assert run_on(session, "reject", now())
    assert now().status is Status.REJECTED
    assert not run_on(session, "undo", now())
    assert not run_on(session, "class.9", now())


def test_what_the_filter_hides_is_no_longer_selected(many):
    cells = [a for a in many.project.annotations(many.slide.id) if a.scores]
    many.select(a.id for a in cells)
    reported = []
    many.filter_changed.connect(lambda: reported.append(1))
    many.view.show_only(ShownFilter(threshold=0.5))
    assert many.selection == {a.id for a in cells if score_of(a) >= 0.5}
    many.view.show_only(ShownFilter(threshold=0.5))
    assert reported == [1]


def test_a_blind_reader_gives_classes_and_cannot_accept_one_unseen(session, heard):
    cell = prediction(session.slide.id, (500, 500))
    put(session, [cell])
    session.view.show_only(ShownFilter(blind=True))
    session.select([cell.id])
    run(session, "accept")
    assert "blind reading" in heard.messages[-1]
    assert session.project.annotation(cell.id) == cell
    with pytest.raises(CytoError, match="1 to 9"):
        session.edits.set_status(Status.ACCEPTED)
    run(session, "class.3")
    assert session.project.annotation(cell.id).class_id == "LSIL"
    assert session.project.annotation(cell.id).status is Status.ACCEPTED


def test_next_passes_over_what_the_filter_hides(session):
    cells = [prediction(session.slide.id, (100.0 * (n + 1), 100.0), score=0.2 + 0.6 * (n % 2)) for n in range(6)]
    put(session, cells)
    session.view.show_only(ShownFilter(threshold=0.5))
    went = [session.view.step(1, unreviewed=True).id for _ in range(4)]
    assert went == [cells[n].id for n in (1, 3, 5, 1)]
