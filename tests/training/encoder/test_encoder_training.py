"""Guards the training of an encoder as a run: a bundle at the end, the same numbers after a stop, sentences."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_cyto.jobs.allocator import ALLOCATOR
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Event, Failed, Measured, Noted
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.models.bundle import read_bundle
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.run import train

pytest.importorskip("lightly", reason="needs the [pretraining] extra")
pytestmark = pytest.mark.networks


def events_of(config: TrainConfig, fields: Path, out: Path, options: str = "@0.25", **more: Any) -> list[Event]:
    return list(train(config, (f"images:{fields}{options}",), out, **more))


def sentences(events: list[Event]) -> str:
    return " | ".join(e.message for e in events if isinstance(e, Noted | Failed | Cancelled))


def losses(out: Path) -> dict[int, float]:
    lines, _ = RunFolder.of(out).events()
    return {e["values"]["epoch"]: e["values"]["train_loss"] for e in lines if e["event"] == "measured"}


def test_a_run_ends_in_an_encoder_that_gives_vectors(
    tiny_fields: Path, encoder_recipe: TrainConfig, tmp_path: Path
) -> None:
    out = tmp_path / "encoder"
    events = events_of(encoder_recipe, tiny_fields, out, "@0.3")
    assert isinstance(events[-1], Done), events[-1]
    # 128 x 160 px are 2 x 3 patches of 53, and a row more of which two thirds would be padding.
    held_out = "Of the images held out to watch it: 6 patches of 64 px at 0.25 µm per px. 3 patches dropped: more than"
    assert any(held_out in said for said in read_bundle(out).manifest.card.data["learned_from"])
    assert "30 patches of 64 px at 0.25 µm per px." in sentences(events) or "30 patches" in str(
        read_bundle(out).manifest.card.data["learned_from"]
    )
    measured = [e.values for e in events if isinstance(e, Measured)]
    assert [v["epoch"] for v in measured] == [1, 2, 3]
    assert {"patches recognised", "spread", "effective dimensions"} <= set(measured[-1]["metrics"])
    manifest = read_bundle(out).manifest
    assert (manifest.kind, manifest.architecture, manifest.vector_length) == ("encoder", "timm-encoder", 128)
    assert manifest.crop_rule.windows == (16.0,)
    network = read_bundle(out).load_network()
    vectors = network(torch.randn(3, 1, 3, 64, 64))
    assert tuple(vectors.shape) == (3, 128)
    assert network.has_attention


def test_the_encoder_is_the_teacher_and_each_thing_is_said_once(
    tiny_fields: Path, encoder_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    # Of epochs shorter than that, a fast machine shows none.
    for module in ("_loop", "run"):
        monkeypatch.setattr(f"napari_cyto.training.{module}._REPORT_S", -1.0)

    out = tmp_path / "encoder"
    unknown = tmp_path / "unknown"
    unknown.mkdir()
    shutil.copy(tiny_fields / "field_0.png", unknown / "other.png")
    events = list(train(encoder_recipe, (f"images:{tiny_fields}@0.25", f"images:{unknown}"), out))
    said = [event.message for event in events if isinstance(event, Noted)]
    assert [message for message in said if "1 image left out" in message]
    assert len(said) == len(set(said))
    shown = {event.message for event in events if isinstance(event, Advanced) if event.message.startswith("Epoch")}
    assert shown == {f"Epoch {number} of at most 3" for number in (1, 2, 3)}
    kept = load_file(RunFolder.of(out).path / "checkpoint.safetensors")
    state = read_bundle(out).state_dict()
    assert state
    for name, tensor in state.items():
        torch.testing.assert_close(tensor, kept[f"network.teacher.vit.{name.removeprefix('network.')}"])
    moved = [n for n, t in state.items() if not torch.equal(t, kept[f"network.student.vit.{n[8:]}"])]
    assert moved


def test_going_on_gives_the_same_run(tiny_fields: Path, encoder_recipe: TrainConfig, tmp_path: Path) -> None:
    events_of(encoder_recipe, tiny_fields, tmp_path / "whole")
    out, token = tmp_path / "parts", CancelToken()
    for event in train(encoder_recipe, (f"images:{tiny_fields}@0.25",), out, token):
        if isinstance(event, Measured) and event.values["epoch"] == 2:
            token.cancel()
    assert isinstance(event, Cancelled)
    assert "continue it with --resume" in event.message
    events = events_of(encoder_recipe, tiny_fields, out, resume=True)
    assert isinstance(events[-1], Done)
    assert losses(out) == losses(tmp_path / "whole")
    first, second = (read_bundle(tmp_path / name).state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_killed_run_goes_on(tiny_fields: Path, encoder_recipe: TrainConfig, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(encoder_recipe.with_values({"phases": [{"epochs": 500}]}).model_dump_json())
    out = tmp_path / "encoder"
    words = ["train", "encoder", "--data", f"images:{tiny_fields}@0.25", "--out", str(out), "--recipe", str(recipe)]
    command = [sys.executable, "-m", "napari_cyto", *words]
    folder = RunFolder.of(out)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **ALLOCATOR}, stdout=log, stderr=log)
        deadline = time.monotonic() + 200
        while 2 not in losses(out) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        process.wait()
    assert 2 in losses(out), (tmp_path / "log").read_text()
    read_bundle(out)
    token = CancelToken()
    config = TrainConfig.model_validate_json(recipe.read_text())
    reached = max(losses(out))
    for event in train(config, (f"images:{tiny_fields}@0.25",), out, token, resume=True):
        if isinstance(event, Measured):
            token.cancel()
    assert isinstance(event, Cancelled)
    assert max(losses(out)) >= reached
    assert not folder.is_finished()


def test_images_without_a_scale_are_left_out_and_counted(
    tiny_fields: Path, encoder_recipe: TrainConfig, tmp_path: Path
) -> None:
    events = events_of(encoder_recipe, tiny_fields, tmp_path / "encoder", options="")
    assert isinstance(events[-1], Failed)
    assert "6 images left out" in sentences(events)
    assert "--scale-by-nuclei" in sentences(events)
    assert not (tmp_path / "encoder").exists()


def test_a_collapse_is_said(
    tiny_fields: Path, encoder_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vectors(self: Any, images: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(images), 128) + 1e-4 * torch.arange(128)

    monkeypatch.setattr("napari_cyto.training.encoder._ibot.IBot.vectors", vectors)
    events = events_of(encoder_recipe, tiny_fields, tmp_path / "encoder")
    said = [e.message for e in events if isinstance(e, Noted) and "collapsed" in e.message]
    # Not in the first epoch, in which the prototypes are frozen.
    assert len(said) == 2


def test_a_parent_is_refused_with_what_to_do_instead(
    tiny_fields: Path, encoder_recipe: TrainConfig, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    events_of(encoder_recipe, tiny_fields, first)
    events = events_of(encoder_recipe, tiny_fields, tmp_path / "next", parent=first)
    assert "--set model.weights=bundle:" in sentences(events)
    again = encoder_recipe.with_values({"model": {"weights": f"bundle:{first}"}, "phases": [{"epochs": 1}]})
    events = events_of(again, tiny_fields, tmp_path / "next")
    assert isinstance(events[-1], Done), events[-1]
    assert read_bundle(tmp_path / "next").manifest.parents[0].id == "first"


def test_views_that_no_patch_fits_are_refused(tiny_fields: Path, encoder_recipe: TrainConfig, tmp_path: Path) -> None:
    odd = encoder_recipe.with_values({"model": {"views": {"global_px": 70}}})
    events = events_of(odd, tiny_fields, tmp_path / "encoder")
    assert "multiple of 16 px" in sentences(events)


def test_without_lightly_the_extra_is_named(
    tiny_fields: Path, encoder_recipe: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_cyto.training.encoder.lightly_installed.find_spec", lambda name: None)
    events = events_of(encoder_recipe, tiny_fields, tmp_path / "encoder")
    assert "napari-cyto[pretraining]" in sentences(events)
