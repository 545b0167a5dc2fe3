"""Promise: a model of slides learns from interpretations alone, says honestly how well, and its attention explains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interpreted_slides import KIND, Planted, planted_project
from verb_calls import printed, refusal

from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.statistics import seed_interval
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.classification import auroc
from napari_cyto.inference.slide_scores.bags import cell_bag
from napari_cyto.inference.slide_scores.job import SlideScoreOptions, score_slides
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Event, Failed, Measured, Noted
from napari_cyto.models.bundle import read_bundle
from napari_cyto.store import Project
from napari_cyto.training.slide._fitting import (
    Scaling,
    attention_on,
    fit,
    trained,
    with_shuffled_weights,
)
from napari_cyto.training.slide.job import train_slides
from napari_cyto.training.slide.slide_config import SlideTrainConfig, slide_recipe
from napari_cyto.vectors import attention_of, scores_of

pytestmark = pytest.mark.networks

QUICK = SlideTrainConfig(seeds=3, epochs=25, patience=25, lr=3e-3, hidden=16, attention=8, dropout=0.1, held_out=False)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted_project(tmp_path_factory.mktemp("planted") / "p.cyto", slides=32)


@pytest.fixture(scope="module")
def model(planted: Planted) -> Path:
    out = planted.folder.parent / "slide-model"
    *_, last = train_slides(QUICK, (str(planted.folder),), out)
    assert isinstance(last, Done), last
    return out


def on_abnormal(planted: Planted, ids: tuple[str, ...], weights: Any) -> float:
    found = auroc(np.array([cell in planted.abnormal for cell in ids]), np.asarray(weights, np.float64))
    assert found is not None
    return found


def test_it_learns_which_slides_are_positive_and_says_on_how_many(model: Path) -> None:
    bundle = read_bundle(model)
    assert (bundle.manifest.kind, bundle.manifest.classes) == ("slide", ())
    assert bundle.manifest.parents[0].sha256 == KIND.sha256
    metrics = bundle.manifest.card.metrics
    assert metrics["side"] == "test"
    assert metrics["auroc"]["value"] > 0.9
    assert metrics["groups"] == metrics["slides"]
    assert metrics["auroc"]["groups"] == metrics["positive"], "it rests on the rarer kind"
    assert metrics["auroc"]["low"] < metrics["auroc"]["value"], "no certainty of a handful of slides in order"
    assert "No figure on real whole slides" in bundle.manifest.card.limits
    checks = metrics["explanation"]
    assert checks["between_seeds"] > checks["weights_shuffled"] + 0.3
    assert checks["between_seeds"] > checks["labels_shuffled"] + 0.3


def test_scores_and_attention_are_kept_and_find_the_planted_cells(planted: Planted, model: Path) -> None:
    *_, last = score_slides(planted.folder, SlideScoreOptions(model=str(model)))
    assert isinstance(last, Done), last
    slides = last.result.slides
    truth = np.array([each.name[1:3] in {f"{n:02d}" for n in range(1, 32, 2)} for each in slides])
    scores = [each.score.score for each in slides]
    assert scores == sorted(scores, reverse=True)
    assert auroc(truth, np.array(scores)) > 0.95
    assert all(each.score.low <= each.score.score <= each.score.high for each in slides)
    assert all(min(each.score.seeds) <= each.score.score <= max(each.score.seeds) for each in slides)
    with Project.open(planted.folder) as project:
        found = []
        for record in project.slides():
            (kept,) = scores_of(project, record.id)
            attention = attention_of(project, record.id, kept.sha256)
            assert attention is not None
            assert abs(float(attention.weights.sum()) - 1) < 1e-4
            if record.interpretation.category == "HSIL":
                found.append(on_abnormal(planted, attention.ids, attention.weights))
        assert np.mean(found) > 0.95
        size = record.size_hw
        top = attention.centres_yx[int(np.argmax(attention.weights))]
        shown = attention.as_map(size, 400)
        assert shown[int(top[0] / 10), int(top[1] / 10)] > 0
        assert shown.max() == 1.0


def test_shuffled_weights_and_shuffled_labels_each_destroy_the_explanation(planted: Planted) -> None:
    with Project.open(planted.folder) as project:
        records = project.slides()
        bags = [cell_bag(project, record, KIND) for record in records]
    labels = np.array([r.interpretation.category == "HSIL" for r in records])
    vectors = [bag.vectors for bag in bags]
    scaling = Scaling.of(vectors)
    held_out = planted_vectors(planted.folder.parent / "other.cyto")

    def mean_auroc(networks: list[Any]) -> float:
        return float(np.mean([on_abnormal(p, ids, attention_on(networks, bag, scaling)) for p, ids, bag in held_out]))

    def fitted(answers: Any, seed: int) -> Any:
        of_training = (vectors[:22], answers[:22], vectors[22:], answers[22:])
        return trained(fit(*of_training, QUICK, seed, scaling))

    networks = [fitted(labels, seed) for seed in range(2)]
    assert mean_auroc(networks) > 0.9
    of_weights = [mean_auroc([with_shuffled_weights(network, seed)]) for seed in range(8) for network in networks]
    assert 0.3 < np.mean(of_weights) < 0.7
    # One such network may like or avoid whatever is rare; on average it knows nothing of the planted cells.
    chance = np.random.default_rng(5)
    of_labels = [mean_auroc([fitted(chance.permutation(labels), seed)]) for seed in range(8)]
    assert 0.3 < np.mean(of_labels) < 0.7


def planted_vectors(folder: Path) -> list[tuple[Planted, tuple[str, ...], Any]]:
    other = planted_project(folder, slides=8, seed=9)
    with Project.open(other.folder) as project:
        records = [r for r in project.slides() if r.interpretation.category == "HSIL"]
        return [(other, bag.ids, bag.vectors) for bag in (cell_bag(project, r, KIND) for r in records)]


def test_an_interrupted_run_goes_on_to_the_very_same_model(planted: Planted, model: Path, tmp_path: Path) -> None:
    out, token, seen = tmp_path / "m", CancelToken(), list[Event]()
    for event in train_slides(QUICK, (str(planted.folder),), out, token):
        seen.append(event)
        if isinstance(event, Measured) and event.values["phase"] == 2:
            token.cancel()
    assert isinstance(seen[-1], Cancelled)
    assert "1 network of 3 finished" in seen[-1].message
    events = list(train_slides(QUICK, (str(planted.folder),), out, resume=True))
    assert any(isinstance(e, Noted) and "Resumed after 1 network of 3" in e.message for e in events)
    # A busy machine may divide a sum among threads in another way, so the last digits are not looked at.
    weights, whole = read_bundle(out).state_dict(), read_bundle(model).state_dict()
    assert weights.keys() == whole.keys()
    assert all(np.allclose(weights[name], whole[name], rtol=1e-4, atol=1e-5) for name in weights)
    epochs = [e.values["epoch"] for e in seen if isinstance(e, Measured)]
    assert epochs == sorted(epochs)
    assert all(isinstance(e, Advanced | Noted | Measured) for e in events[:-1])


def test_another_recipe_does_not_go_on_with_it(planted: Planted, tmp_path: Path) -> None:
    out, token = tmp_path / "m", CancelToken()
    for event in train_slides(QUICK, (str(planted.folder),), out, token):
        if isinstance(event, Measured) and event.values["phase"] == 2:
            token.cancel()
    *_, last = train_slides(QUICK.model_copy(update={"lr": 1e-4}), (str(planted.folder),), out, resume=True)
    assert isinstance(last, Failed)
    assert "other settings, slides or vectors" in last.message


def test_what_is_left_out_is_said_and_too_little_is_refused(tmp_path: Path) -> None:
    small = planted_project(tmp_path / "p.cyto", slides=8, cells=6)
    with Project.open(small.folder) as project:
        ids = [record.id for record in project.slides()]
        project.interpret({ids[0]: None, ids[1]: Interpretation("Unsatisfactory")}, "Ana")
    events = list(train_slides(QUICK.model_copy(update={"epochs": 1}), (str(small.folder),), tmp_path / "m"))
    said = [event.message for event in events if isinstance(event, Noted)]
    assert "1 slide without an interpretation left out." in said
    assert "1 slide unsatisfactory for evaluation left out." in said
    with Project.open(small.folder) as project:
        project.interpret({each: Interpretation("NILM") for each in ids[2:]}, "Ana")
    *_, last = train_slides(QUICK, (str(small.folder),), tmp_path / "n")
    assert isinstance(last, Failed)
    assert "Expected at least two positive slides (HSIL or worse) and two negative ones, got 0 and 6" in last.message
    with Project.open(small.folder) as project:
        other = planted_project(tmp_path / "q.cyto", slides=2)
    assert isinstance(list(score_slides(other.folder, SlideScoreOptions(model=str(tmp_path / "m"))))[-1], Done)


def test_scores_are_evaluated_and_calibrated_on_slides_held_out_fold_by_fold(tmp_path: Path) -> None:
    place = planted_project(tmp_path / "p.cyto", slides=44, cells=12, share=0.25)
    quick = QUICK.model_copy(update={"held_out": True, "seeds": 2, "epochs": 12, "checks": False})
    out, token, seen = tmp_path / "m", CancelToken(), list[Event]()
    for event in train_slides(quick, (str(place.folder),), out, token):
        seen.append(event)
        if isinstance(event, Advanced) and "fold 3 of 5" in event.message:
            token.cancel()
    assert isinstance(seen[-1], Cancelled), seen[-1]
    kept = json.loads((tmp_path / "m.run" / "folds.json").read_text(encoding="utf-8"))
    assert sorted(kept["folds"]) == ["0", "1"], "finished folds are kept for a run that is resumed"
    *_, last = train_slides(quick, (str(place.folder),), out, resume=True)
    assert isinstance(last, Done), last
    found = last.result["metrics"]["held_out"]
    assert (found["slides"], found["positive"], found["folds"]) == (44, 22, 5)
    assert found["auroc"]["value"] > 0.85
    assert found["brier_calibrated"]["high"] < found["brier_of_share"] == 0.25
    assert "Calibrated on 44 slides held out in 5 folds, 22 of them positive" in found["sentence"]

    bundle = read_bundle(out)
    assert bundle.manifest.card.metrics["held_out"]["sentence"] == found["sentence"]
    assert bundle.manifest.settings["calibration"] == list(found["calibration"].values())
    *_, last = score_slides(place.folder, SlideScoreOptions(model=str(out)))
    scores = [each.score for each in last.result.slides]
    seen_in_training = [score for score in scores if score.learned_from]
    assert len(seen_in_training) == sum(bundle.manifest.card.split["slides"][name] for name in ("train", "validation"))
    assert all(score.calibrated is None and "was trained with this slide" in score.words for score in seen_in_training)
    slope, intercept = bundle.manifest.settings["calibration"]
    for score in (score for score in scores if not score.learned_from):
        logit = slope * np.log(score.score / (1 - score.score)) + intercept
        assert score.calibrated == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-3)
        assert f"calibrated {score.calibrated:.2f}" in score.words


def test_too_few_slides_to_hold_out_are_a_sentence(tmp_path: Path) -> None:
    small = planted_project(tmp_path / "p.cyto", slides=8, cells=6)
    quick = QUICK.model_copy(update={"held_out": True, "seeds": 1, "epochs": 1, "checks": False})
    *_, last = train_slides(quick, (str(small.folder),), tmp_path / "m")
    assert isinstance(last, Done), last
    assert "Not enough slides to tell" in last.result["metrics"]["held_out"]["sentence"]
    assert read_bundle(tmp_path / "m").manifest.settings["calibration"] is None


def test_recipes_are_read_and_refused_in_sentences(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("positive: LSIL\nepochs: 3\n", encoding="utf-8")
    found = slide_recipe(str(tmp_path / "r.yaml"), ["split.by=smear", "epochs=4"])
    assert (found.positive, found.epochs, found.split.by) == ("LSIL", 4, "smear")
    for wrong in ("positive=NILM", "positive=CIN", "epochs=0", "nothing=1", "epochs"):
        with pytest.raises(CytoError, match=r"recipe's|KEY=VALUE"):
            slide_recipe(None, [wrong])


def test_the_interval_over_seeds_holds() -> None:
    """Of ensembles of five whose logits scatter about a true mean, about 95 % of the intervals hold the true score."""
    chance = np.random.default_rng(1)
    true = 1 / (1 + np.exp(-0.7))
    held = [low <= true <= high for _ in range(2000) for _, low, high in [seed_interval(chance.normal(0.7, 1.3, 5))]]
    assert 0.935 < np.mean(held) < 0.965
    assert np.isnan(seed_interval([0.3])[1])


def test_the_command_line_trains_and_scores(
    planted: Planted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    quick = [part for each in ("seeds=2", "epochs=2", "checks=false") for part in ("--set", each)]
    argv = ["train", "slide", "--data", str(planted.folder), "--out", str(out), *quick, "--json"]
    trained_model = printed(argv, capsys)
    assert trained_model["kind"] == "slide"
    argv = ["predict", "slide", str(planted.folder), "--model", str(out), "--slide", "s03", "--json"]
    (found,) = printed(argv, capsys)["slides"]
    assert found["score"]["looked_at"] == 40
    assert len(found["most_attended"]) == 10
    assert printed(["models", "show", str(out), "--json"], capsys)
    assert "expected a model of slides" in refusal(
        ["predict", "slide", str(planted.folder), "--model", "bethesda-light"], capsys
    )
    assert "napari-cyto embed" in refusal(
        ["train", "slide", "--data", str(_empty(tmp_path)), "--out", str(tmp_path / "x")], capsys
    )


def _empty(tmp_path: Path) -> Path:
    from napari_cyto.domain.presets import preset

    with Project.create(tmp_path / "empty.cyto", preset("bethesda")):
        return tmp_path / "empty.cyto"
