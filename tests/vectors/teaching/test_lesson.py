"""Promise: a few examples make a class; every answer counts, also "not this", and what a head cannot say is said."""

from __future__ import annotations

import time

import numpy as np
from planted_lesson import cell_id, lesson_on, planted, say

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.taught import as_counterexample, as_example, not_classes, with_not, without_not
from napari_cyto.vectors.teaching._basis import fit_basis, normalised
from napari_cyto.vectors.teaching._head import fit_head
from napari_cyto.vectors.teaching.estimate import across_slides, doubts
from napari_cyto.vectors.teaching.examples import NONE_OF_THEM, Answer, answer_of, examples_of
from napari_cyto.vectors.teaching.sentences import across_words, doubt_words, example_words, limitations


def cell(**values) -> Annotation:
    given = {"slide_id": "s", "geometry": Point(1, 2), "class_id": "NILM", "status": Status.UNREVIEWED} | values
    return Annotation(**given)


def test_not_this_lives_in_the_note_and_leaves_the_rest_of_it_alone():
    note = with_not("big nucleus\nasked Ben", "LSIL")
    assert note.splitlines()[:2] == ["big nucleus", "asked Ben"]
    assert not_classes(note) == ("LSIL",)
    assert with_not(note, "LSIL") == note
    both = with_not(note, "HSIL")
    assert not_classes(both) == ("LSIL", "HSIL")
    assert without_not(both, "LSIL") == "big nucleus\nasked Ben\nnot: HSIL"
    assert without_not(both) == "big nucleus\nasked Ben"


def test_what_an_answer_makes_of_a_cell():
    waiting = cell(scores=(("NILM", 0.6), ("HSIL", 0.3)), author="finder")
    against = as_counterexample(waiting, "LSIL")
    assert (against.status, against.class_id, not_classes(against.note)) == (Status.UNREVIEWED, "NILM", ("LSIL",))
    taught = as_example(against, "anna", "LSIL")
    assert (taught.status, taught.class_id, taught.author, taught.note) == (Status.ACCEPTED, "LSIL", "anna", "")
    # Taken back: it waits again, as what the model had called it.
    again = as_counterexample(taught, "LSIL")
    assert (again.status, again.class_id, not_classes(again.note)) == (Status.UNREVIEWED, "NILM", ("LSIL",))
    other = cell(status=Status.ACCEPTED, class_id="HSIL")
    assert as_counterexample(other, "LSIL") is other
    rejected = cell(status=Status.REJECTED)
    assert as_counterexample(rejected, "LSIL") is rejected


def test_answers_of_cells():
    assert answer_of(cell()) is None
    assert answer_of(cell(status=Status.ACCEPTED)) == Answer("NILM")
    assert answer_of(cell(status=Status.REJECTED)) == Answer(NONE_OF_THEM)
    assert answer_of(cell(note="not: LSIL")) == Answer(None, frozenset({"LSIL"}))


def test_examples_leave_open_what_is_open():
    order = ("NILM", "LSIL", "HSIL")
    answers = {"a": Answer("HSIL"), "b": Answer("LSIL"), "c": Answer(None, frozenset({"HSIL"})), "d": Answer("")}
    found = examples_of(answers, order)
    assert found.classes == ("LSIL", "HSIL", NONE_OF_THEM)
    assert found.permitted.tolist() == [
        [False, True, False],
        [True, False, False],
        [True, False, True],
        [False, False, True],
    ]
    assert found.counts == {"LSIL": 1, "HSIL": 1, NONE_OF_THEM: 1}
    # What only excludes a class without examples says nothing.
    assert examples_of({"a": Answer("LSIL"), "c": Answer(None, frozenset({"HSIL"}))}, order).ids == ("a",)


def test_weights_can_be_laid_on_the_vectors_themselves():
    vectors, truth, _ = planted(200)
    basis = fit_basis(vectors)
    examples = examples_of({cell_id(n): Answer(str(truth[n])) for n in range(200)}, ("NILM", "LSIL", "HSIL"))
    places = basis.project(vectors)
    assert np.isclose((places.astype(float) ** 2).sum(axis=1).mean(), 1, atol=0.01)
    head = fit_head(places, examples)
    weights, offsets = basis.on_vectors(head.weights, head.offsets)
    outputs = normalised(vectors) @ weights.T + offsets
    shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    assert np.allclose(shares, head.scores(places), atol=1e-4)


def test_ten_clicks_find_the_class_among_hundreds():
    lesson, truth = lesson_on(800)
    for name in ("HSIL", "NILM", "LSIL"):
        for row in np.flatnonzero(truth == name)[: 10 if name == "HSIL" else 5]:
            say(lesson, row, Answer(name))
    lesson.learn()
    first = [lesson.row_of[found] for found, _ in lesson.most_like("HSIL", 20)]
    assert (truth[first] == "HSIL").mean() >= 0.8
    called = np.array(lesson.head.classes)[lesson.scores[lesson.waiting_rows].argmax(axis=1)]
    assert (called == "HSIL")[truth[lesson.waiting_rows] == "HSIL"].mean() > 0.85
    assert sum(lesson.called("HSIL").values()) == (called == "HSIL").sum()


def test_not_this_pulls_a_cell_and_its_like_down():
    lesson, truth = lesson_on(600)
    for row in np.flatnonzero(truth == "HSIL")[:3]:
        say(lesson, row, Answer("HSIL"))
    lesson.learn()
    assert lesson.head.is_likeness
    wrong = np.flatnonzero(truth == "LSIL")
    before = lesson.likeness("HSIL")[wrong].argsort().argsort()
    assert len(before) == len(wrong)
    for row in wrong[:3]:
        say(lesson, row, Answer(None, frozenset({"HSIL"})))
    lesson.learn()
    assert lesson.head.classes == ("HSIL", NONE_OF_THEM)
    assert lesson.likeness("HSIL")[wrong].mean() < 0.5 < lesson.likeness("HSIL")[truth == "HSIL"].mean()
    # It still waits, but what was answered is not asked again.
    assert lesson.is_waiting[wrong[0]]
    assert wrong[0] not in lesson.waiting_rows


def test_not_this_is_no_vote_for_none_where_another_class_may_be_meant():
    lesson, truth = lesson_on(600)
    for name in ("HSIL", "LSIL"):
        for row in np.flatnonzero(truth == name)[:8]:
            say(lesson, row, Answer(name))
    for row in np.flatnonzero(truth == "LSIL")[8:16]:
        say(lesson, row, Answer(None, frozenset({"HSIL"})))
    lesson.learn()
    rest = np.flatnonzero(truth == "LSIL")[16:]
    called = np.array(lesson.head.classes)[lesson.scores[rest].argmax(axis=1)]
    assert (called == "LSIL").mean() > 0.8


def test_what_is_taken_back_teaches_nothing_more():
    lesson, truth = lesson_on(200)
    rows = np.flatnonzero(truth == "HSIL")[:2]
    made = [cell(id=lesson.ids[row], class_id="HSIL", status=Status.ACCEPTED) for row in rows]
    assert lesson.take((each.id, each) for each in made)
    lesson.learn()
    assert lesson.examples.counts == {"HSIL": 2}
    assert not lesson.take([(made[0].id, made[0])])
    assert lesson.take([(made[0].id, cell(id=made[0].id))])
    lesson.learn()
    assert lesson.examples.counts == {"HSIL": 1}
    assert lesson.take([(made[1].id, None)])
    assert lesson.learn() is None
    assert lesson.likeness("HSIL") is None


def test_the_same_head_is_found_from_where_it_was():
    lesson, truth = lesson_on(400)
    for row in range(60):
        say(lesson, row, Answer(str(truth[row])))
        lesson.learn()
    warm = lesson.scores.copy()
    lesson.learn(afresh=True)
    assert np.abs(warm - lesson.scores).max() < 0.05


def test_an_answer_is_learnt_from_in_time_for_the_next_key():
    lesson, truth = lesson_on(40_000)
    for row in range(200):
        say(lesson, row, Answer(str(truth[row])))
    lesson.learn()
    took = []
    for row in range(200, 210):
        began = time.perf_counter()
        say(lesson, row, Answer(str(truth[row])))
        lesson.learn()
        np.argsort(-lesson.likeness("HSIL"))
        took.append(time.perf_counter() - began)
    # The bar is 0.15 s on an idle machine, with the window (see the benchmark); a test's machine may be busy.
    assert np.median(took) < 0.6


# What it cannot say


def words(lesson, class_id: str) -> str:
    return " ".join(limitations(lesson, class_id))


def test_a_class_absent_at_the_start():
    lesson, truth = lesson_on(300)
    for row in np.flatnonzero(truth == "NILM")[:4]:
        say(lesson, row, Answer("NILM"))
    for row in np.flatnonzero(truth == "LSIL")[:4]:
        say(lesson, row, Answer("LSIL"))
    lesson.learn()
    assert "There is no example of HSIL yet, so no cell can be scored as HSIL. The head knows only NILM, LSIL" in words(
        lesson, "HSIL"
    )
    reasons = [each.reason for each in lesson.suggestions(sought=("HSIL",))]
    assert sum("unlike every example: may be HSIL" in reason for reason in reasons) == 4
    found = [
        truth[lesson.row_of[each.cell_id]] for each in lesson.suggestions(sought=("HSIL",)) if "unlike" in each.reason
    ]
    assert "HSIL" in found


def test_two_cells_only():
    lesson, truth = lesson_on(300)
    for row in np.flatnonzero(truth == "HSIL")[:2]:
        say(lesson, row, Answer("HSIL"))
    lesson.learn()
    assert "2 examples of HSIL and nothing against it: cells are ordered by likeness alone" in words(lesson, "HSIL")
    assert not lesson.called("HSIL")
    first = [truth[lesson.row_of[found]] for found, _ in lesson.most_like("HSIL", 10)]
    assert first.count("HSIL") >= 8


def test_one_slide_only_and_few_examples():
    lesson, truth = lesson_on(300, slides=1)
    for row in range(30):
        say(lesson, row, Answer(str(truth[row])))
    lesson.learn()
    said = words(lesson, "HSIL")
    assert "All examples are of one slide" in said
    assert "few, so expect it to change its mind" in said
    groups = [lesson.slide_ids[row] for row in lesson.example_rows]
    found = across_slides(lesson.places[lesson.example_rows], lesson.examples, groups)
    assert found is None
    assert "not enough slides to tell (1 with examples, 3 are needed)" in across_words(found, 1)


def test_one_in_ten_labels_wrong_is_named():
    lesson, truth = lesson_on(400, spread=0.22, shares=(0.4, 0.3, 0.3))
    rng = np.random.default_rng(1)
    wrong = set(rng.choice(200, 20, replace=False).tolist())
    for row in range(200):
        others = [name for name in ("NILM", "LSIL", "HSIL") if name != truth[row]]
        say(lesson, row, Answer(str(rng.choice(others)) if row in wrong else str(truth[row])))
    lesson.learn()
    rows = lesson.example_rows
    found = doubts(lesson.places[rows], lesson.examples)
    named = {lesson.row_of[each.cell_id] for each in found}
    assert len(named & wrong) >= 0.7 * len(wrong)
    assert len(named - wrong) <= 0.25 * len(named)
    assert f"{len(found)} examples look wrong: one " in doubt_words(found)
    # A tenth of wrong labels does not turn the order upside down.
    first = [truth[lesson.row_of[each]] for each, _ in lesson.most_like("HSIL", 20)]
    assert first.count("HSIL") >= 16


def test_cells_without_a_vector_are_counted():
    lesson, _ = lesson_on(50)
    lesson.without = 3
    lesson.learn()
    assert "3 cells of the project have no vector of this encoder" in words(lesson, "HSIL")
    assert example_words(lesson) == "none yet"
