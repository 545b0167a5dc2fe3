"""Promise: anyone can train a model of outlines from the recipe that ships, and learn what it is worth."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from outlined_project import outlined_project
from verb_calls import printed, refusal

from napari_cyto.domain.edits import remove
from napari_cyto.errors import CytoError
from napari_cyto.inference.outline.outlines import outline_method, outlines_at
from napari_cyto.jobs.events import Cancelled, CancelToken, Done, Event, Failed, Measured, Noted
from napari_cyto.models.bundle import read_bundle
from napari_cyto.models.finite_outputs import try_network
from napari_cyto.store import Project
from napari_cyto.synthesis.outlined_fields import make_field
from napari_cyto.training.outline.job import ANEW, MADE_UP, OF_PROJECT, train_outlines
from napari_cyto.training.outline.outline_config import OutlineTrainConfig, outline_recipe

pytestmark = pytest.mark.networks

TINY = OutlineTrainConfig(
    widths=(8, 12),
    side_px=32,
    fields=2,
    field_px=256,
    held_out_fields=1,
    held_out_px=256,
    epochs=1,
    steps=30,
    batch=8,
    rate=1e-2,
    keep=0.5,
)


@pytest.fixture(scope="module", autouse=True)
def _fields_made_once() -> Iterator[None]:
    """Each run asks for the same few fields, which take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_cyto.training.outline.job.make_field", lru_cache(make_field))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    folder = tmp_path_factory.mktemp("outline")
    project = outlined_project(folder)
    events = list(train_outlines(TINY, (str(project),), folder / "own"))
    assert isinstance(events[-1], Done), events[-1]
    return folder, events


def test_it_learns_says_from_how_many_and_what_it_is_worth(trained: tuple[Path, list[Event]]) -> None:
    folder, events = trained
    notes = " ".join(event.message for event in events if isinstance(event, Noted))
    assert "23 accepted outlines, 0 of them with the edge of the cytoplasm." in notes
    assert "1 outline that nobody accepted left out." in notes
    assert "1 outline that may be of a nucleus or of a cell left out." in notes
    assert "1 of 23 accepted outlines are held out, those of 1 patient, smear or slide." in notes
    (epoch,) = (event.values for event in events if isinstance(event, Measured))
    assert (epoch["epoch"], epoch["epochs"]) == (1, 1)
    assert epoch["train_loss"] > 0
    bundle = read_bundle(folder / "own")
    card = bundle.manifest.card
    assert (bundle.manifest.kind, bundle.manifest.input_px) == ("outline", 32)
    assert card.data["accepted outlines"]["learned from"] == 22
    assert card.recipe == TINY.model_dump(mode="json")
    assert {MADE_UP, OF_PROJECT} == set(card.metrics["nucleus Dice"]) == set(card.metrics["failures, %"])
    assert set(card.metrics["cell Dice"]) == {MADE_UP}
    try_network(bundle.load_network(), bundle.manifest)
    method, _ = outline_method(str(folder / "own"))
    image = np.full((300, 300, 3), 235, np.uint8)
    image[np.hypot(*(np.mgrid[:300, :300] - 150)) < 14] = 90
    (found,) = outlines_at(image, [(150.0, 150.0)], 0.25, method)
    assert len(found.nucleus_yx) >= 3, "the training got it to see a dark nucleus"
    assert found.score > 0


@pytest.mark.nightly
def test_the_same_seed_gives_the_same_weights_and_the_outlines_had_a_say(
    trained: tuple[Path, list[Event]], tmp_path: Path
) -> None:
    folder, _ = trained
    project = (str(folder / "p.cyto"),)
    config = TINY.model_copy(update={"steps": 2})
    others = {"again": (config, project), "alone": (config, ()), "twice": (config, project)}
    weights = {}
    for name, (settings, sources) in others.items():
        *_, last = train_outlines(settings, sources, tmp_path / name)
        assert isinstance(last, Done), last
        weights[name] = read_bundle(tmp_path / name).state_dict()
    # A busy machine may divide a sum among threads in another way, so the last digits are not looked at.
    close = {
        name: all(np.allclose(weights["again"][key], weights[name][key], atol=1e-3) for key in weights["again"])
        for name in others
    }
    assert close == {"again": True, "twice": True, "alone": False}
    tuned = tmp_path / "tuned"
    *_, last = train_outlines(config.model_copy(update={"rate": 1e-9}), (), tuned, parent=folder / "own")
    assert isinstance(last, Done), last
    own = read_bundle(folder / "own")
    assert read_bundle(tuned).manifest.parents[0].sha256 == own.sha256
    name = "head.weight"
    assert np.allclose(read_bundle(tuned).state_dict()[name], own.state_dict()[name], atol=1e-3)


def test_a_cancelled_run_leaves_no_half_model_and_begins_anew(tmp_path: Path) -> None:
    out, token = tmp_path / "m", CancelToken()
    config = TINY.model_copy(update={"steps": 2, "epochs": 3, "fields": 1})
    events: list[Event] = []
    for event in train_outlines(config, (), out, token):
        events.append(event)
        if isinstance(event, Measured):
            token.cancel()
    assert isinstance(events[-1], Cancelled)
    assert sum(isinstance(event, Measured) for event in events) == 1
    assert not out.exists()
    assert not [place for place in out.with_name("m.run").rglob("*") if place.suffix == ".safetensors"]
    again = list(train_outlines(config, (), out, resume=True))
    assert any(isinstance(event, Noted) and event.message == ANEW for event in again)
    assert isinstance(again[-1], Done)
    assert not (tmp_path / "m.run" / "not-measured-yet").exists()
    *_, last = train_outlines(config, (), out)
    assert isinstance(last, Failed)
    assert "is there already" in last.message


def test_the_recipe_that_ships_is_the_default_and_faults_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = outline_recipe("outline-unet", ["epochs=3", "mpps=0.25,0.5", "held_out_share=0.3"])
    assert (config.name, config.epochs, config.mpps) == ("outline-unet", 3, (0.25, 0.5))
    assert (config.widths, config.side_px, config.fields) == ((16, 32, 64, 96, 128), 96, 100)
    assert config.epochs * config.steps == 300
    for faulty in ("side_px=90", "epochs=none", "colour=1"):
        with pytest.raises(CytoError, match="The recipe's"):
            outline_recipe(None, [faulty])
    place = tmp_path / "r.yaml"
    place.write_text("kind: slide\n", encoding="utf-8")
    with pytest.raises(CytoError, match="kind outline"):
        outline_recipe(str(place))
    listed = printed(["train", "--list-recipes", "--json"], capsys)["recipes"]
    assert [each["name"] for each in listed if each["kind"] == "outline"] == ["outline-unet"]
    assert "add --out" in refusal(["train", "outline"], capsys)
    folds = ["train", "outline", "--out", str(tmp_path / "m"), "--cross-validate", "3"]
    assert "leave out --cross-validate" in refusal(folds, capsys)


def test_too_few_accepted_outlines_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    place = outlined_project(tmp_path)
    with Project.open(place) as project:
        (cells,) = (list(project.annotations(slide.id)) for slide in project.slides() if slide.name == "a")
        project.apply(remove(cells[5:], "Clear"), "Ana")
    *_, last = train_outlines(TINY, (str(place),), tmp_path / "m")
    assert isinstance(last, Failed)
    assert "Expected at least 10 accepted outlines of cells in the data, got 6" in last.message
    assert not (tmp_path / "m").exists()
