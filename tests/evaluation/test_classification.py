"""Guards that classification scores are those of scikit-learn, and unknown where nothing supports them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from napari_cyto.errors import CytoError
from napari_cyto.evaluation.classification import auroc, confusion_matrix, score_classes

CLASSES = ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC")
cells = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=60)


@given(cells)
def test_scores_of_labels_are_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    truth, pred = [t for t, _ in pairs], [p for _, p in pairs]
    ours = score_classes(truth, pred, CLASSES)
    assert np.array_equal(ours.confusion, metrics.confusion_matrix(truth, pred, labels=list(CLASSES)))
    assert ours.accuracy == pytest.approx(metrics.accuracy_score(truth, pred))
    present = sorted({*truth, *pred})
    assert ours.macro_f1 == pytest.approx(metrics.f1_score(truth, pred, labels=present, average="macro"))
    assert ours.weighted_f1 == pytest.approx(
        metrics.f1_score(truth, pred, labels=present, average="weighted", zero_division=0)
    )
    assert ours.balanced_accuracy == pytest.approx(
        metrics.recall_score(truth, pred, labels=sorted(set(truth)), average="macro")
    )
    if len(present) > 1:
        expected = metrics.cohen_kappa_score(truth, pred, labels=list(CLASSES), weights="quadratic")
        assert ours.quadratic_kappa == pytest.approx(expected)
    else:
        assert ours.quadratic_kappa is None


@given(cells)
def test_each_class_is_scikit_learns_binary_problem(pairs: list[tuple[str, str]]) -> None:
    truth, pred = [t for t, _ in pairs], [p for _, p in pairs]
    for name, ours in score_classes(truth, pred, CLASSES).per_class.items():
        is_true, is_called = [t == name for t in truth], [p == name for p in pred]
        tn, fp, fn, tp = metrics.confusion_matrix(is_true, is_called, labels=[False, True]).ravel()
        assert ours.support == tp + fn
        assert ours.sensitivity == (pytest.approx(tp / (tp + fn)) if tp + fn else None)
        assert ours.specificity == (pytest.approx(tn / (tn + fp)) if tn + fp else None)
        assert ours.precision == (pytest.approx(tp / (tp + fp)) if tp + fp else None)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
def test_auroc_is_scikit_learns_ties_included(rows: list[tuple[bool, int]]) -> None:
    positive, score = [p for p, _ in rows], [s for _, s in rows]
    if len(set(positive)) == 2:
        assert auroc(positive, score) == pytest.approx(metrics.roc_auc_score(positive, score))
    else:
        assert auroc(positive, score) is None


def test_macro_auroc_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 6, 300)
    scores = rng.dirichlet(np.ones(6), 300)
    scores[np.arange(300), truth] += 0.2
    scores /= scores.sum(axis=1, keepdims=True)
    names = [CLASSES[t] for t in truth]
    ours = score_classes(names, [CLASSES[p] for p in scores.argmax(axis=1)], CLASSES, scores)
    assert ours.macro_auroc == pytest.approx(metrics.roc_auc_score(truth, scores, multi_class="ovr"))
    assert ours.per_class["SCC"].auroc > 0.5


def test_a_mistake_by_more_grades_costs_more() -> None:
    """Calling HSIL normal lowers the kappa more than calling it ASC-H, where plain accuracy sees no difference."""
    truth = ["NILM", "ASC-H", "HSIL", "HSIL"]
    near = score_classes(truth, ["NILM", "ASC-H", "HSIL", "ASC-H"], CLASSES)
    far = score_classes(truth, ["NILM", "ASC-H", "HSIL", "NILM"], CLASSES)
    assert near.accuracy == far.accuracy
    assert near.quadratic_kappa is not None
    assert far.quadratic_kappa is not None
    assert near.quadratic_kappa > far.quadratic_kappa


def test_no_cells_give_no_scores() -> None:
    none = score_classes([], [], CLASSES, np.empty((0, 6)))
    assert (none.accuracy, none.macro_f1, none.weighted_f1, none.macro_auroc, none.quadratic_kappa) == (None,) * 5


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(CytoError, match="got 'AGC'"):
        confusion_matrix(["AGC"], ["NILM"], CLASSES)
    with pytest.raises(CytoError, match="a true and a predicted"):
        confusion_matrix(["NILM"], [], CLASSES)
    with pytest.raises(CytoError, match="each class once"):
        confusion_matrix([], [], ("a", "a"))
    with pytest.raises(CytoError, match="shape"):
        score_classes(["NILM"], ["NILM"], CLASSES, np.ones((1, 5)))
    with pytest.raises(CytoError, match="finite"):
        score_classes(["NILM"], ["NILM"], CLASSES, np.full((1, 6), np.nan))


def test_kappa_weighs_by_severity_and_leaves_out_what_has_no_grade() -> None:
    """An artefact is not worse than a carcinoma: where it stands among the outputs must not matter."""
    truth = ["NILM", "LSIL", "HSIL", "artefact", "NILM", "HSIL"]
    pred = ["NILM", "HSIL", "HSIL", "artefact", "artefact", "NILM"]
    result = {}
    for classes, grades in (
        (("NILM", "LSIL", "HSIL", "artefact"), (0, 2, 4, None)),
        (("artefact", "HSIL", "NILM", "LSIL"), (None, 4, 0, 2)),
    ):
        found = score_classes(truth, pred, classes, severities=grades)
        result[classes] = found.quadratic_kappa
        assert found.kappa_left_out == ("artefact",)
        assert found.kappa_left_out_cells == 2
    one, other = result.values()
    assert one == pytest.approx(other)
    kept = [(t, p) for t, p in zip(truth, pred, strict=True) if "artefact" not in (t, p)]
    grade = {"NILM": 0, "LSIL": 2, "HSIL": 4}
    sides = [[grade[c] for c in side] for side in zip(*kept, strict=True)]
    expected = metrics.cohen_kappa_score(*sides, labels=[0, 1, 2, 3, 4], weights="quadratic")
    assert one == pytest.approx(expected)


@pytest.mark.parametrize("grades", [(None, None, None), (0, None, None)])
def test_classes_without_an_order_have_no_weighted_kappa(grades: tuple[int | None, ...]) -> None:
    found = score_classes(["a", "b", "c"], ["a", "b", "a"], ("a", "b", "c"), severities=grades)
    assert found.quadratic_kappa is None
    assert found.accuracy == pytest.approx(2 / 3)
