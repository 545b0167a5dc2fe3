"""Guards that what a model was trained on never judges what continues from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_cyto.datasets.splits.config import SplitConfig
from napari_cyto.datasets.splits.training_split import split_training_set
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.datasets.training.training_set import TrainingSet
from napari_cyto.domain.presets import preset
from napari_cyto.training._fine_tuning import on_sets_of_parent, seen_in_training, with_parents
from napari_cyto.training.preview import preview_training


def slide(key: str) -> TrainingSlide:
    none = np.full((8, 4), np.nan)
    centres, index = np.zeros((8, 2)), np.repeat([0, 1], 4)
    return TrainingSlide(key, f"{key}.png", key, 0.25, "", "", "test", centres, none, index, (9, 9), fingerprint=key)


def data_of(*keys: str) -> TrainingSet:
    return TrainingSet(preset("bethesda"), ("NILM", "HSIL"), tuple(slide(key) for key in sorted(keys)))


def parent(split: dict[str, Any], **data: Any) -> Any:
    return SimpleNamespace(manifest=SimpleNamespace(card=SimpleNamespace(split=split, data=data)))


OLD, NEW = [f"old{i}" for i in range(6)], [f"new{i}" for i in range(4)]


@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_a_parents_training_slides_do_not_evaluate_its_child(published: bool, seed: int) -> None:
    """The slides that judged the parent lie elsewhere, so the test side has to be drawn anew."""
    known = parent({"sides": {"train": OLD[:5], "validation": OLD[5:], "test": ["gone"]}})
    data = on_sets_of_parent(data_of(*OLD, *NEW), known)
    request = SplitConfig(published=published, seed=seed, twins=False)
    split = split_training_set(data, request, known=seen_in_training(data, known))
    test = {s.key for s in split.of("test")}
    assert test
    assert test <= set(NEW)


def test_what_a_grandparent_learnt_from_does_not_evaluate_its_grandchild() -> None:
    """The parent was trained without the grandparent's slides, so only its record can tell of them."""
    first = parent({"sides": {"train": OLD[:5], "validation": OLD[5:], "test": ["gone"]}})
    record = with_parents({"sides": {"train": [*NEW[:2], OLD[0]], "validation": [], "test": []}}, first)
    assert record["sides_of_parents"] == {"train": OLD[1:5], "validation": OLD[5:]}
    again = with_parents({"sides": {"train": NEW[:2]}}, parent(record))
    assert sorted(again["sides_of_parents"]["train"]) == OLD[:5]
    assert seen_in_training(data_of(*OLD, *NEW), parent(again)) == {*OLD, *NEW[:2]}
    assert with_parents({"sides": {}}, None) == {"sides": {}}
    assert with_parents({"sides": {"train": OLD}}, first) == {"sides": {"train": OLD}}


def test_a_slide_that_moved_is_known_by_its_pixels() -> None:
    moved = TrainingSet(preset("bethesda"), ("NILM", "HSIL"), (replace(slide("old0"), key="elsewhere"), slide("new0")))
    assert seen_in_training(moved, parent({"sides": {"train": ["old0"]}})) == {"elsewhere"}


def test_without_a_record_the_same_data_had_a_say() -> None:
    data = data_of(*OLD)
    assert seen_in_training(data, parent({}, fingerprint=data.fingerprint)) == set(OLD)
    assert seen_in_training(data, parent({}, fingerprint="other")) == seen_in_training(data, None) == frozenset()
    assert on_sets_of_parent(data, parent({"sides": {"train": None}})).slides == data.slides


def test_the_preview_divides_as_the_run_will(monkeypatch: pytest.MonkeyPatch) -> None:
    known = parent({"sides": {"train": OLD}})
    monkeypatch.setattr("napari_cyto.training._fine_tuning.read_for", lambda *_: data_of(*OLD))
    monkeypatch.setattr("napari_cyto.models.bundle.read_bundle", lambda _: known)
    request = SplitConfig(published=False, twins=False)

    def refusal(of: Path | None) -> str:
        return str(list(preview_training(["made"], request, "bethesda", of))[-1].result["refusal"])

    assert refusal(None) == ""
    assert "that the parent model has not seen" in refusal(Path("parent"))
