"""Guards cross-validation: each cell is judged once, by a model that did not see it; finished folds are not redone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from napari_cyto.domain.jobs import Done, Failed, Measured, Noted
from napari_cyto.models.bundle import read_bundle
from napari_cyto.training.config import DetectorConfig, TrainConfig
from napari_cyto.training.crossing import cross_validate


@pytest.fixture(scope="module")
def unsided_cells(tiny_cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two class folders without sides."""
    root = tmp_path_factory.mktemp("unsided")
    for class_id in ("NILM", "HSIL"):
        (root / class_id).mkdir()
        for picture in tiny_cells.glob(f"*/{class_id}/*.png"):
            shutil.copy(picture, root / class_id)
    return root


def test_all_cells_are_judged_by_a_model_that_did_not_see_them(
    unsided_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path
) -> None:
    recipe = tiny_recipe.with_values({"phases": [{"epochs": 1}]})
    work = (f"folders:{unsided_cells}",)
    events = list(cross_validate(recipe, work, tmp_path / "cv", 2))
    assert isinstance(events[-1], Done), events[-1]
    told = events[-1].result
    assert sorted(c["slide"] for c in told["cells"]) == sorted(str(p) for p in unsided_cells.glob("*/*.png"))
    assert told["metrics"]["classification"]["n"] == 48
    assert told["metrics"]["classification"]["intervals"]["macro_f1"]["low"] is not None
    assert {e.values["fold"] for e in events if isinstance(e, Measured)} == {0, 1}
    for fold in range(2):
        record = read_bundle(tmp_path / "cv" / f"fold-{fold}").manifest.card.split
        assert not set(record["sides"]["test"]) & set(record["sides"]["train"])
    again = list(cross_validate(recipe, work, tmp_path / "cv", 2))
    assert [e.message for e in again if isinstance(e, Noted)] == [f"Fold {n} of 2 is there already." for n in (1, 2)]
    assert again[-1].result["metrics"] == told["metrics"]  # type: ignore[union-attr]


def test_what_cannot_be_crossed_is_refused(tiny_recipe: TrainConfig, tmp_path: Path) -> None:
    one = list(cross_validate(tiny_recipe, ("folders:x",), tmp_path, 1))[-1]
    assert isinstance(one, Failed)
    assert "2 to 20" in one.message
    detector = list(cross_validate(TrainConfig(model=DetectorConfig()), ("folders:x",), tmp_path, 3))[-1]
    assert isinstance(detector, Failed)
    assert detector.expected
