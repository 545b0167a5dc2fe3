"""Guards the scores of a classifier bundle: its views, page one, intervals, calibration and costs, as plain values."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from napari_cyto.domain.presets import preset
from napari_cyto.domain.statistics.bootstrap import Resampling, estimate, weighted_estimate
from napari_cyto.errors import CytoError
from napari_cyto.evaluation._ranking import Ranking, thinned
from napari_cyto.evaluation.classification import auroc
from napari_cyto.evaluation.classifier_scores import classifier_scores
from napari_cyto.evaluation.scored_cells import ScoredCells, through
from napari_cyto.evaluation.screening import operating_points
from napari_cyto.evaluation.views import FOUR, four_class_view, normal_abnormal_view

BETHESDA = preset("bethesda").classes
SIX = BETHESDA[:6]
QUICK = Resampling(draws=60)
ranked = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=30)


def scored(n: int = 200, classes: tuple = SIX, skill: float = 2.0, seed: int = 0) -> ScoredCells:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(classes), n)
    logits = rng.normal(size=(n, len(classes))) + skill * np.eye(len(classes))[truth]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    groups = tuple(f"g{i}" for i in rng.integers(0, 20, n))
    return ScoredCells(classes, truth, shares, groups, tuple("p.png" for _ in truth), rng.uniform(0, 99, (n, 2)))


def test_the_scores_are_scikit_learns() -> None:
    cells = scored()
    result = classifier_scores(cells, QUICK).to_json()
    own, answers = result["classification"], cells.answers
    assert own["accuracy"] == pytest.approx(metrics.accuracy_score(cells.truth, answers))
    assert own["macro_f1"] == pytest.approx(metrics.f1_score(cells.truth, answers, average="macro"))
    assert own["weighted_f1"] == pytest.approx(metrics.f1_score(cells.truth, answers, average="weighted"))
    kappa = metrics.cohen_kappa_score(cells.truth, answers, weights="quadratic")
    assert own["quadratic_kappa"] == pytest.approx(kappa)
    area = metrics.roc_auc_score(cells.truth, cells.probabilities, multi_class="ovr")
    assert own["macro_auroc"] == pytest.approx(area)
    assert own["per_class"]["HSIL"]["sensitivity"] == pytest.approx(
        metrics.recall_score(cells.truth == 4, answers == 4)
    )
    json.dumps(result, allow_nan=False)


def test_each_interval_holds_its_value_and_rests_on_groups() -> None:
    result = classifier_scores(scored(), QUICK).to_json()
    for part in (result["classification"], *(result["classification"][v] for v in ("four_class", "normal_abnormal"))):
        assert part["n_groups"] == 20
        for name, interval in part["intervals"].items():
            assert interval["value"] == pytest.approx(part[name])
            assert interval["low"] <= interval["value"] + 0.05
            assert interval["high"] >= interval["value"] - 0.05


def test_the_views_add_what_falls_together() -> None:
    cells = scored()
    result = classifier_scores(cells, QUICK).to_json()["classification"]
    four, two = result["four_class"], result["normal_abnormal"]
    parent = np.asarray([0, 1, 2, 3, 3, 3])
    summed = np.stack([cells.probabilities[:, parent == c].sum(axis=1) for c in range(4)], axis=1)
    assert four["classes"] == list(FOUR)
    right = (summed.argmax(axis=1) == parent[cells.truth]).mean()
    assert four["accuracy"] == pytest.approx(right)
    area = metrics.roc_auc_score(cells.truth > 0, 1 - cells.probabilities[:, 0])
    assert two["auroc"] == pytest.approx(area)
    called = cells.probabilities[:, 0] < 0.5
    assert two["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(cells.truth > 0, called))


def test_cells_without_a_grade_are_left_out_of_the_views_only() -> None:
    cells = scored(classes=BETHESDA)
    result = classifier_scores(cells, QUICK).to_json()["classification"]
    graded = int((cells.truth < 6).sum())
    assert result["n"] == 200
    assert result["four_class"]["n"] == result["normal_abnormal"]["n"] == graded < 200
    view = normal_abnormal_view(BETHESDA)
    assert view is not None
    np.testing.assert_allclose(through(view, cells).scores.sum(axis=1), 1)


def test_other_schemes_have_the_views_that_they_can() -> None:
    apacc, ki67, four = (preset(name).classes for name in ("apacc", "ki67", "bethesda-4"))
    assert four_class_view(apacc) is None
    assert normal_abnormal_view(apacc) is not None
    assert normal_abnormal_view(ki67) is None
    assert four_class_view(four) is not None
    result = classifier_scores(scored(classes=ki67), QUICK).to_json()
    assert result["screening"] is None
    assert result["classification"]["four_class"] is result["classification"]["normal_abnormal"] is None
    assert result["calibration"]["ece"] > 0


def test_page_one_tells_the_recall_at_specificity_and_the_table() -> None:
    cells = scored()
    page = classifier_scores(cells, QUICK).to_json()["screening"]
    high = cells.probabilities[:, 3:].sum(axis=1)
    (best,) = operating_points(cells.truth >= 3, high, recalls=(), specificities=(0.9,))
    assert page["recall_at_specificity"]["value"] == pytest.approx(best.recall)
    assert page["recall_at_specificity"]["n"] == int((cells.truth >= 3).sum())
    assert page["high_grade"] == ["ASC-H", "HSIL", "SCC"]
    assert {p["aim"] for p in page["operating_points"]} >= {"recall >= 0.98", "specificity >= 0.9"}
    undercalled = (cells.answers == 0)[cells.truth >= 4].mean()
    assert page["undercall"]["value"] == pytest.approx(undercalled)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_next_to_nothing_is_reported_as_unknown_not_as_an_error(n: int) -> None:
    result = classifier_scores(scored(n), QUICK).to_json()
    assert result["classification"]["n"] == n
    json.dumps(result, allow_nan=False)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(CytoError, match="Expected scores"):
        ScoredCells(SIX, np.zeros(2, np.intp), np.zeros((1, 6)), ("a", "b"), ("p", "p"), np.zeros((2, 2)))
    with pytest.raises(CytoError, match="one finite score"):
        Ranking([True, False], [0.5])


@given(ranked)
def test_a_ranking_counts_copies_as_if_they_were_cells(rows: list[tuple[bool, int, int]]) -> None:
    positive, score, copies = (np.asarray(column) for column in zip(*rows, strict=True))
    ranking = Ranking(positive, score)
    many = np.repeat(np.arange(len(rows)), copies)
    assert ranking.auroc(copies) == pytest.approx(auroc(positive[many], score[many]))
    points = operating_points(positive[many], score[many], recalls=(), specificities=(0.9,))
    assert ranking.recall_at_specificity(0.9, copies) == pytest.approx(points[0].recall if points else None)


@given(ranked.filter(lambda rows: len({p for p, _, _ in rows}) == 2))
def test_curves_are_scikit_learns(rows: list[tuple[bool, int, int]]) -> None:
    positive, score, _ = (np.asarray(column) for column in zip(*rows, strict=True))
    ranking = Ranking(positive, score)
    fpr, tpr, _ = metrics.roc_curve(positive, score, drop_intermediate=False)
    np.testing.assert_allclose(ranking.roc(), np.stack([fpr, tpr], axis=1))
    precision, recall, _ = metrics.precision_recall_curve(positive, score)
    expected = np.stack([recall, precision], axis=1)[::-1][1:]
    np.testing.assert_allclose(ranking.precision_recall(), expected)


def test_a_long_curve_is_thinned_but_for_its_ends() -> None:
    curve = np.stack([np.linspace(0, 1, 5000)] * 2, axis=1)
    short = thinned(curve)
    assert len(short) == 400
    assert (short[0] == curve[0]).all()
    assert (short[-1] == curve[-1]).all()


def test_drawing_weights_is_drawing_cells() -> None:
    rng = np.random.default_rng(3)
    positive, score = rng.random(300) < 0.4, rng.random(300)
    groups = rng.integers(0, 25, 300).tolist()
    ranking = Ranking(positive, score)
    by_weight = weighted_estimate(ranking.auroc, groups, Resampling(500))
    by_place = estimate(lambda cells: auroc(positive[cells], score[cells]), groups, Resampling(500))
    assert by_weight.value == pytest.approx(by_place.value)
    assert by_weight.low == pytest.approx(by_place.low, abs=0.02)
    assert by_weight.high == pytest.approx(by_place.high, abs=0.02)


def test_a_job_that_is_to_stop_leaves_between_two_draws() -> None:
    drawn = []

    def pulse() -> None:
        drawn.append(1)
        if len(drawn) == 5:
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        classifier_scores(scored(), Resampling(2000, pulse=pulse)).to_json()
    assert len(drawn) == 5


def test_costs_move_calls_and_leave_every_figure_of_the_probabilities() -> None:
    cells = scored(400)
    costly = replace(cells, costs=np.tile([1.0, 1.0, 1.0, 4.0, 4.0, 4.0], (len(cells.truth), 1)))
    plain, result = classifier_scores(cells, QUICK).to_json(), classifier_scores(costly, QUICK).to_json()
    assert result["calibration"] == plain["calibration"]
    assert result["classification"]["macro_auroc"] == plain["classification"]["macro_auroc"]
    assert result["screening"]["auroc"] == plain["screening"]["auroc"]
    assert result["screening"]["recall"]["value"] > plain["screening"]["recall"]["value"]
    assert result["screening"]["undercall"]["value"] < plain["screening"]["undercall"]["value"]
    high = (costly.probabilities * costly.costs).argmax(axis=1) >= 3
    assert result["screening"]["recall"]["value"] == pytest.approx(high[cells.truth >= 3].mean())


def test_a_view_calls_by_the_costs_of_what_falls_together() -> None:
    shares = np.array([[0.5, 0.0, 0.0, 0.25, 0.25, 0.0], [0.6, 0.0, 0.0, 0.2, 0.2, 0.0]])
    costs = np.array([[1.0, 1.0, 1.0, 1.2, 1.2, 1.0]] * 2)
    cells = ScoredCells(SIX, np.array([4, 4]), shares, ("a", "b"), ("p", "p"), np.zeros((2, 2)), costs)
    view = four_class_view(SIX)
    assert view is not None
    seen = through(view, cells)
    assert seen.answer_ids == ["HSIL", "NILM"]
    np.testing.assert_allclose(seen.scores[0], [0.5, 0.0, 0.0, 0.5])
    assert list(cells.answers) == [0, 0]


def test_each_class_and_high_grade_are_calibrated_by_themselves() -> None:
    rng = np.random.default_rng(3)
    shares = rng.dirichlet([1.0] * 6, 20_000)
    truth = (shares.cumsum(axis=1) > rng.random((len(shares), 1))).argmax(axis=1)
    places = np.zeros((len(truth), 2))
    names = tuple(str(i) for i in range(len(truth)))

    def calibration_of(result: np.ndarray) -> dict:
        return classifier_scores(ScoredCells(SIX, truth, result, names, names, places), Resampling(draws=2)).to_json()[
            "calibration"
        ]

    true = calibration_of(shares)
    assert true["class_wise_ece"] < 0.01
    assert true["high_grade"]["ece"] < 0.02
    assert true["high_grade"]["share"] == pytest.approx((truth >= 3).mean())
    # A model that shifts a share of each high-grade probability to NILM: the class of each cell hardly changes.
    shifted = shares.copy()
    shifted[:, 0] += 0.3 * shifted[:, 3:].sum(axis=1)
    shifted[:, 3:] *= 0.7
    wrong = calibration_of(shifted)
    assert wrong["high_grade"]["ece"] > 0.1
    assert wrong["per_class"]["NILM"]["ece"] > 0.1
    assert wrong["per_class"]["LSIL"]["ece"] < 0.01
