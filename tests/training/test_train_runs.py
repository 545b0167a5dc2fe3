"""Guards a training run from data to bundle: what it says, what it writes, that going on gives the same numbers."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_cyto.inference.classify import CellClassifier
from napari_cyto.jobs.events import Cancelled, CancelToken, Done, Event, Failed, Measured, Noted
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.models.bundle import read_bundle
from napari_cyto.slides import open_slide
from napari_cyto.training import _checkpoint as checkpoint
from napari_cyto.training._calibration_fit import prior_offsets, sampled_costs, shown_ratios
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.run import train

pytestmark = pytest.mark.networks


def events_of(config: TrainConfig, cells: Path, out: Path, **more: Any) -> list[Event]:
    return list(train(config, (f"folders:{cells}",), out, **more))


def sentences(events: list[Event]) -> str:
    return " | ".join(e.message for e in events if isinstance(e, Noted | Failed | Cancelled))


def losses(folder: Path) -> dict[int, float]:
    lines, _ = RunFolder(folder).events()
    return {e["values"]["epoch"]: e["values"]["train_loss"] for e in lines if e["event"] == "measured"}


def test_a_run_ends_in_an_evaluated_bundle(tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path) -> None:
    out = tmp_path / "model"
    events = events_of(tiny_recipe, tiny_cells, out)
    assert isinstance(events[-1], Done), events[-1]
    found = events[-1].result
    assert found["side"] == "test"
    assert len(found["cells"]) == 12
    assert found["confusion"]["classes"] == ["NILM", "HSIL"]
    manifest = read_bundle(out).manifest
    assert manifest.class_ids == ("NILM", "HSIL")
    assert manifest.crop_rule == tiny_recipe.model.crop_rule
    assert manifest.card.recipe["batch"] == 8
    assert manifest.card.data["fingerprint"]
    assert manifest.card.metrics["classification"]["intervals"]["accuracy"]["low"] is not None
    assert manifest.card.split["sides"]
    json.dumps(found, allow_nan=False)


def test_each_epoch_tells_what_the_dock_shows(tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path) -> None:
    out = tmp_path / "model"
    events = events_of(tiny_recipe, tiny_cells, out)
    values = [e.values for e in events if isinstance(e, Measured)]
    assert [v["epoch"] for v in values] == [1, 2]
    target = {"epochs", "phase", "lr", "train_loss", "val_loss", "score", "metrics", "per_class_recall", "worst"}
    assert target | {"images_per_s", "eta_s"} <= set(values[0])
    assert set(values[0]["per_class_recall"]) == {"NILM", "HSIL"}
    folder = RunFolder.of(out)
    for cell in values[-1]["worst"]:
        assert (folder.path / cell["picture"]).is_file()
    lines, _ = folder.events()
    assert [e["event"] for e in lines if e["event"] != "advanced"] == [
        type(e).__name__.lower() for e in events if type(e).__name__ != "Advanced"
    ]
    assert folder.config()["config"]["name"] == "tiny"


def test_the_bundle_says_of_a_cell_what_the_run_said(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path
) -> None:
    recipe = tiny_recipe.with_values({"model": {"views": 3, "logit_offsets": True}})
    events = events_of(recipe, tiny_cells, tmp_path / "model")
    found = events[-1]
    assert isinstance(found, Done)
    model = CellClassifier(read_bundle(tmp_path / "model"), device="cpu")
    for cell in found.result["cells"][:3]:
        with open_slide(cell["slide"]) as slide:
            again = model.classify(slide, [cell["centre_yx"]], None)
        np.testing.assert_allclose(again[0], cell["scores"], atol=2e-4)
        assert again.sum() == pytest.approx(1)


def test_nothing_is_fitted_on_cells_that_were_trained_on_and_sampling_is_undone(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path
) -> None:
    """Without held-out cells a fitted temperature would only say how well the training cells are known by heart."""
    shutil.copytree(tiny_cells, tmp_path / "cells")
    rare = sorted((tmp_path / "cells").rglob("train-HSIL-*.png"))
    for path in rare[: len(rare) // 2]:
        path.unlink()
    split = {"validation_share": 0, "test_share": 0, "published": False}
    recipe = tiny_recipe.with_values({"split": split, "keep": "last", "phases": [{"epochs": 1}]})
    found = events_of(recipe, tmp_path / "cells", tmp_path / "model")[-1]
    assert isinstance(found, Done)
    decision = read_bundle(tmp_path / "model").manifest.decision
    assert decision.temperature == 1.0
    counts = np.array(list(read_bundle(tmp_path / "model").manifest.card.split["cells"]["train"].values()))
    shown = shown_ratios(counts, "sqrt", "none")
    assert decision.logit_offsets == pytest.approx(prior_offsets(shown))
    assert decision.miss_costs == pytest.approx(sampled_costs(shown))


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_run_that_was_stopped_goes_on_to_the_same_numbers(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path, ema: float
) -> None:
    recipe = tiny_recipe.with_values(
        {"phases": [{"epochs": 2, "lr": 0.01, "trains": "head"}, {"epochs": 2, "lr": 0.003}], "ema": ema}
    )
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert isinstance(events_of(recipe, tiny_cells, whole)[-1], Done)
    token = CancelToken()
    for event in train(recipe, (f"folders:{tiny_cells}",), parts, token):
        # In the middle of the last epoch: its first steps have to be done anew.
        if isinstance(event, Measured) and event.values["epoch"] == 3:
            token.cancel()
    assert isinstance(event, Cancelled)
    assert "epoch 4" in event.message
    read_bundle(parts)
    assert isinstance(events_of(recipe, tiny_cells, parts, resume=True)[-1], Done)
    assert losses(RunFolder.of(parts).path) == pytest.approx(losses(RunFolder.of(whole).path), rel=1e-5)
    one, other = (read_bundle(p).state_dict() for p in (whole, parts))
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-4, atol=1e-5)


def test_a_run_that_was_stopped_while_it_was_evaluated_has_its_model_and_goes_on(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_cyto.training.classifier_task import ClassifierTask

    out, token, evaluate = tmp_path / "model", CancelToken(), ClassifierTask.evaluate

    def cancelled_in(self: Any, *args: Any) -> Any:
        token.cancel()
        return evaluate(self, *args)

    monkeypatch.setattr(ClassifierTask, "evaluate", cancelled_in)
    last = events_of(tiny_recipe, tiny_cells, out, token=token)[-1]
    assert isinstance(last, Cancelled)
    assert "during the evaluation" in last.message
    assert str(out) in last.message
    read_bundle(out)
    monkeypatch.undo()
    done = events_of(tiny_recipe, tiny_cells, out, resume=True)[-1]
    assert isinstance(done, Done), done
    assert done.result["side"] == "test"


def test_going_on_with_other_settings_or_data_is_refused(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    events_of(tiny_recipe, tiny_cells, out)
    assert "batch" in sentences(events_of(tiny_recipe.with_values({"batch": 4}), tiny_cells, out, resume=True))
    (tiny_cells / "train" / "NILM" / "train-NILM-0.png").rename(tmp_path / "kept.png")
    try:
        assert "fingerprint" in sentences(events_of(tiny_recipe, tiny_cells, out, resume=True))
    finally:
        (tmp_path / "kept.png").rename(tiny_cells / "train" / "NILM" / "train-NILM-0.png")
    assert "--resume" in sentences(events_of(tiny_recipe, tiny_cells, out))
    assert "no checkpoint" in sentences(events_of(tiny_recipe, tiny_cells, tmp_path / "other", resume=True))


class LaterToken:
    """Asks for a stop at the n-th look since training began, and keeps the seconds of work between looks."""

    def __init__(self, n: int) -> None:
        self.left, self.looks_s, self.began = n, [], False

    def cancelled(self) -> bool:
        self.looks_s.append(time.process_time())
        self.left -= self.began
        return self.left < 0


def test_a_large_step_is_left_in_its_middle(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {"backbone": "resnet18", "crop_rule": {"windows": [40], "unit": "px", "size_px": 128}}
    recipe = tiny_recipe.with_values({"model": model, "batch": 24})
    # Some 60 layers are behind at the end of the forward pass, so this is in the backward pass of the first step.
    token = LaterToken(90)
    stepped: list[int] = []
    monkeypatch.setattr("torch.optim.AdamW.step", lambda self, *_: stepped.append(1))
    for event in train(recipe, (f"folders:{tiny_cells}",), tmp_path / "model", token):
        token.began = token.began or "Computing" in getattr(event, "message", "")
    assert isinstance(event, Cancelled)
    assert token.left < 0
    assert stepped == []
    # Seconds of work, not of the clock: other processes may have the cores.
    in_step = token.looks_s[-80:]
    assert max(b - a for a, b in pairwise(in_step)) / torch.get_num_threads() < 0.5


def test_a_run_waits_and_goes_on_as_its_folder_says(tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path) -> None:
    out = tmp_path / "model"
    folder = RunFolder.of(out)
    events: list[Event] = []
    waited = 0
    for event in train(tiny_recipe, (f"folders:{tiny_cells}",), out):
        events.append(event)
        if isinstance(event, Measured) and event.values["epoch"] == 1:
            folder.ask("pause")
            time.sleep(0.15)
        if "Paused" in sentences(events) and folder.wish() == "pause":
            waited += 1
            if waited == 4:
                folder.ask("go")
    assert isinstance(events[-1], Done)
    assert "Paused in epoch 2. | Resumed." in sentences(events)


def broken_step(times: int, break_: Callable[[Any, Any], torch.Tensor]) -> Callable[[Any, Any], torch.Tensor]:
    from napari_cyto.training._loop import Fitting

    whole, seen = Fitting._step, [0]

    def step(self: Any, batch: Any) -> torch.Tensor:
        if self.progress.epoch == 1 and seen[0] < times:
            seen[0] += 1
            return break_(self, batch)
        return whole(self, batch)

    return step


def nan_step(self: Any, _batch: Any) -> torch.Tensor:
    with torch.no_grad():
        for parameter in self.network.parameters():
            parameter.fill_(float("nan"))
    return torch.tensor(float("nan"))


def full_memory(self: Any, batch: Any) -> torch.Tensor:
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:116] DefaultCPUAllocator: can't allocate memory: 9 bytes")


def test_a_nan_is_undone_and_said(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_cyto.training._loop.Fitting._step", broken_step(1, nan_step))
    events = events_of(tiny_recipe, tiny_cells, tmp_path / "model")
    assert isinstance(events[-1], Done)
    assert "restored the state after epoch 1" in sentences(events)
    read_bundle(tmp_path / "model")


def test_weights_that_the_last_step_of_an_epoch_broke_are_not_kept(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of that step is still a number: 24 cells in steps of 8, the third breaks the weights."""
    from napari_cyto.training._loop import Fitting

    whole, steps = Fitting._step, [0]

    def step(self: Any, batch: Any) -> torch.Tensor:
        loss = whole(self, batch)
        steps[0] += 1
        if steps[0] == 6:
            nan_step(self, batch)
        return loss

    monkeypatch.setattr(Fitting, "_step", step)
    events = events_of(tiny_recipe, tiny_cells, tmp_path / "model")
    assert isinstance(events[-1], Done), events[-1]
    assert "The weights were NaN in epoch 2: restored the state after epoch 1" in sentences(events)
    assert steps[0] == 9
    assert all(t.isfinite().all() for t in checkpoint.load(RunFolder.of(tmp_path / "model").path).network.values())


def test_a_loss_that_stays_nan_ends_the_run_with_the_best_model(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_cyto.training._loop.Fitting._step", broken_step(99, nan_step))
    events = events_of(tiny_recipe, tiny_cells, tmp_path / "model")
    assert isinstance(events[-1], Failed)
    assert events[-1].expected
    assert "learning rate" in events[-1].message
    assert read_bundle(tmp_path / "model").manifest.card.metrics["epoch"] == 1


def test_too_little_memory_halves_the_batch_once(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_cyto.training._loop.Fitting._step", broken_step(1, full_memory))
    events = events_of(tiny_recipe, tiny_cells, tmp_path / "once")
    assert isinstance(events[-1], Done)
    assert "the batch is now 4 images instead of 8" in sentences(events)
    monkeypatch.undo()
    monkeypatch.setattr("napari_cyto.training._loop.Fitting._step", broken_step(2, full_memory))
    last = events_of(tiny_recipe, tiny_cells, tmp_path / "twice")[-1]
    assert isinstance(last, Failed)
    assert last.expected
    assert "smaller batch" in last.message


def test_a_full_disk_leaves_the_last_good_checkpoint(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors.torch as stored

    whole, calls = stored.save_file, [0]

    def save_file(*args: Any, **more: Any) -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise OSError(28, "No space left on device")
        whole(*args, **more)

    monkeypatch.setattr(stored, "save_file", save_file)
    last = events_of(tiny_recipe, tiny_cells, tmp_path / "model")[-1]
    assert isinstance(last, Failed)
    assert last.expected
    assert "full" in last.message
    assert isinstance(events_of(tiny_recipe, tiny_cells, tmp_path / "model", resume=True)[-1], Done)


def test_a_corrupt_image_is_left_out_and_said(tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path) -> None:
    bad = tiny_cells / "train" / "NILM" / "train-NILM-1.png"
    whole = bad.read_bytes()
    try:
        bad.write_bytes(whole[: len(whole) // 3])
        events = events_of(tiny_recipe, tiny_cells, tmp_path / "model")
    finally:
        bad.write_bytes(whole)
    assert isinstance(events[-1], Done), events[-1]
    assert "train-NILM-1.png" in sentences(events)
    assert str(tiny_cells.parent) not in (tmp_path / "model" / "model.json").read_text("utf-8")


def test_a_model_goes_on_with_more_data(tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path) -> None:
    events_of(tiny_recipe, tiny_cells, tmp_path / "first")
    other = tiny_recipe.with_values({"model": {"head": 64, "crop_rule": {"windows": [30], "size_px": 48}}})
    events = events_of(other, tiny_cells, tmp_path / "second", parent=tmp_path / "first")
    assert isinstance(events[-1], Done), events[-1]
    first, second = (read_bundle(tmp_path / n) for n in ("first", "second"))
    assert second.manifest.parents[-1].id == "first"
    assert second.manifest.parents[-1].sha256 == first.sha256
    assert second.manifest.parents[-1].added
    # What the parent was made for holds: its head, and how it cuts cells out.
    assert second.manifest.settings["head"] == 8
    assert second.manifest.crop_rule == first.manifest.crop_rule
    assert second.manifest.card.split["sides"] == first.manifest.card.split["sides"]
    # A model is handed on: nothing in it says where on this machine its parent lay.
    assert second.manifest.card.recipe["model"]["weights"] == "bundle:first"
    assert str(tmp_path) not in (tmp_path / "second" / "model.json").read_text("utf-8")
