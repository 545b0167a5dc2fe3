"""Guards cross-validation: each cell is judged once, by a model that did not see it; finished folds are not redone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from napari_cyto.jobs.events import Done, Failed, Measured, Noted
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.models.bundle import read_bundle
from napari_cyto.models.manifest import Decision
from napari_cyto.training import classifier_task
from napari_cyto.training._kept_outputs import OUTPUTS_FILE, read_outputs
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.cross_validation import cross_validate

pytestmark = pytest.mark.networks


@pytest.fixture(scope="module")
def unsided_cells(tiny_cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two class folders without sides."""
    root = tmp_path_factory.mktemp("unsided")
    for class_id in ("NILM", "HSIL"):
        (root / class_id).mkdir()
        for image in tiny_cells.glob(f"*/{class_id}/*.png"):
            shutil.copy(image, root / class_id)
    return root


def test_all_cells_are_evaluated_by_a_model_that_did_not_see_them(
    unsided_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path
) -> None:
    recipe = tiny_recipe.with_values({"phases": [{"epochs": 1}]})
    work = (f"folders:{unsided_cells}",)
    events = list(cross_validate(recipe, work, tmp_path / "cv", 2))
    assert isinstance(events[-1], Done), events[-1]
    outcome = events[-1].result
    assert sorted(c["slide"] for c in outcome["cells"]) == sorted(str(p) for p in unsided_cells.glob("*/*.png"))
    assert outcome["metrics"]["classification"]["n"] == 48
    assert outcome["metrics"]["classification"]["intervals"]["macro_f1"]["low"] is not None
    assert {e.values["fold"] for e in events if isinstance(e, Measured)} == {0, 1}
    for fold in range(2):
        record = read_bundle(tmp_path / "cv" / f"fold-{fold}").manifest.card.split
        assert not set(record["sides"]["test"]) & set(record["sides"]["train"])
    again = list(cross_validate(recipe, work, tmp_path / "cv", 2))
    assert [e.message for e in again if isinstance(e, Noted)] == [f"Fold {n} of 2 is complete already." for n in (1, 2)]
    assert again[-1].result["metrics"] == outcome["metrics"]  # type: ignore[union-attr]


def test_the_figures_are_of_all_cells_though_few_are_listed(
    unsided_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong cells are listed first, so figures of a cut list would be far too low."""
    monkeypatch.setattr(classifier_task, "MOST_CELLS", 3)
    recipe = tiny_recipe.with_values({"phases": [{"epochs": 1}]})
    end = list(cross_validate(recipe, (f"folders:{unsided_cells}",), tmp_path / "cv", 2))[-1]
    assert isinstance(end, Done)
    outcome = end.result
    assert len(outcome["cells"]) == 6
    assert outcome["metrics"]["classification"]["n"] == 48
    assert sum(map(sum, outcome["confusion"]["counts"])) == 48
    (RunFolder.of(tmp_path / "cv" / "fold-1").path / OUTPUTS_FILE).unlink()
    end = list(cross_validate(recipe, (f"folders:{unsided_cells}",), tmp_path / "cv", 2))[-1]
    assert isinstance(end, Failed)
    assert "fold-1.run" in end.message


def test_a_detector_is_evaluated_on_all_images_each_fold_at_its_own_threshold(
    tiny_fields: Path, tiny_detector: TrainConfig, tmp_path: Path
) -> None:
    events = list(
        cross_validate(
            tiny_detector.with_values({"phases": [{"epochs": 1}]}), (f"cric:{tiny_fields}",), tmp_path / "cv", 2
        )
    )
    assert isinstance(events[-1], Done), events[-1]
    outcome = events[-1].result
    found = outcome["metrics"]["detection"]
    assert (found["fields"], found["cells"]) == (9, 81)
    assert len(outcome["cells"]) == 81
    recall, kept = 0, 0
    for fold, decision in enumerate(outcome["decisions"]):
        bundle = read_bundle(tmp_path / "cv" / f"fold-{fold}")
        assert Decision.model_validate(decision) == bundle.manifest.decision
        of_fold = bundle.manifest.card.metrics["detection"]
        assert of_fold["threshold"] == decision["score_threshold"]
        recall, kept = recall + of_fold["tp"], kept + of_fold["detections"]
        fields = read_outputs(RunFolder.of(bundle.path).path, bundle.manifest.classes)
        assert isinstance(fields, tuple)
        assert len(fields) == of_fold["fields"]
    assert (found["tp"], found["detections"]) == (recall, kept)
    assert found["recall"] == recall / 81
    assert found["at_detections_per_cell"]["per_cell"] == 3
    assert found["intervals"]["detections_per_cell"]["low"] is not None
    assert set(found["intervals"]["per_class_f1"]) == set(found["per_class"])


def test_what_cannot_be_crossed_is_refused(tiny_recipe: TrainConfig, tmp_path: Path) -> None:
    one = list(cross_validate(tiny_recipe, ("folders:x",), tmp_path, 1))[-1]
    assert isinstance(one, Failed)
    assert "2 to 20" in one.message
