"""Promise: a strange model's answers are numbers, or the run stops, says which model it is, and stores nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_cyto.cli.entry import run as command_line
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.inference._job import run
from napari_cyto.inference.classify import CellClassifier
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.engine.pipeline import is_usable
from napari_cyto.inference.request import PredictRequest
from napari_cyto.inference.runtimes import _openvino_runtime as runtime_openvino
from napari_cyto.inference.runtimes import torch_runtime as runtime_torch
from napari_cyto.jobs.events import Failed
from napari_cyto.models.bundle import Bundle, read_bundle, write_bundle
from napari_cyto.models.finite_outputs import NotFiniteError, is_finite
from napari_cyto.models.library import verify_model
from napari_cyto.models.manifest import ModelClass
from napari_cyto.models.registry import build, planned_shapes

pytestmark = pytest.mark.networks

CLASSES = [ModelClass.of(c).model_dump() for c in preset("bethesda").classes]
PYRAMID = {"backbone": "test_resnet", "stride": 8, "width": 16, "levels": 2, "input_px": 96}
SETTINGS: dict[str, dict[str, Any]] = {
    "timm-classifier": {"backbone": "test_efficientnet", "windows": 1, "head": 8, "input_px": 32},
    "p2p": PYRAMID,
    "fcrn": PYRAMID | {"stride": 4},
    "faster-rcnn": PYRAMID | {"architecture": "faster-rcnn"},
    "retinanet": PYRAMID | {"architecture": "retinanet"},
}
LARGE = 1e30


def bundle_of(folder: Path, architecture: str, large: bool = False, **changes: Any) -> Bundle:
    """A model that was never trained; a ``large`` one has finite weights whose products are not."""
    torch.manual_seed(0)
    network = build(architecture, SETTINGS[architecture], len(CLASSES))
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    if large:
        state |= {n: torch.full_like(t, LARGE) for n, t in state.items() if t.is_floating_point() and t.ndim > 1}
    is_classifier = architecture == "timm-classifier"
    rule = {"windows": [40], "unit": "px", "size_px": 32}
    fields = {
        "kind": "classifier" if is_classifier else "detector",
        "architecture": architecture,
        "settings": SETTINGS[architecture],
        "classes": CLASSES,
        "mpp": None if is_classifier else 1.0,
        "input_px": 32 if is_classifier else 96,
        "crop_rule": rule if is_classifier else None,
    }
    return write_bundle(folder / f"model-{architecture}", fields | changes, state)


@pytest.mark.parametrize("architecture", ["timm-classifier", "p2p", "fcrn", "retinanet"])
def test_verify_lets_each_architecture_look_and_demands_numbers(
    architecture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = bundle_of(tmp_path / "whole", architecture)
    assert verify_model(str(whole.path), build_network=True)["checked"][-1] == "answers"
    bad = bundle_of(tmp_path / "bad", architecture, large=True)
    assert verify_model(str(bad.path))["ok"]  # every weight is a number
    assert command_line(["models", "verify", str(bad.path)]) == 2
    said = capsys.readouterr().err
    assert f"{bad.id}: its output contains NaN or infinity" in said
    assert len(said.splitlines()) == 1
    kind = CellClassifier if architecture == "timm-classifier" else CellDetector
    with pytest.raises(NotFiniteError, match=bad.id):
        kind(bad, "cpu")


def test_predict_with_such_a_model_leaves_no_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(image)
    bad = bundle_of(tmp_path, "p2p", large=True)
    words = ["predict", str(image), "--detector", str(bad.path), "--mpp", "1", "--runtime", "torch"]
    assert command_line([*words, "--out", str(tmp_path / "p.cyto")]) == 2
    assert bad.id in capsys.readouterr().err
    assert not (tmp_path / "p.cyto").exists()


@pytest.fixture(scope="module")
def namer(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_of(tmp_path_factory.mktemp("namers"), "timm-classifier")


@pytest.mark.parametrize(("runtime", "who"), [("torch", "detector"), ("openvino", "detector"), ("torch", "classifier")])
def test_answers_that_turn_into_nan_on_a_slide_are_not_stored(
    runtime: str, who: str, finder: Path, namer: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the fixed picture all is well, on the slide the first answer is not."""
    image = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(image)
    spoil(monkeypatch, runtime, who)
    request = PredictRequest(
        slide=image, detector=str(finder), mpp=1.0, runtime=runtime, precision="fp32", out=tmp_path / "p.cyto",
        classifier=str(namer.path) if who == "classifier" else None, any_picture=True,
    )  # fmt: skip
    *_, end = run(request)
    assert isinstance(end, Failed)
    assert f"{'finder' if who == 'detector' else namer.id}: its output contains NaN" in end.message
    from napari_cyto.store import Project

    with Project.open(tmp_path / "p.cyto") as project:
        assert list(project.annotations()) == []


def spoil(monkeypatch: pytest.MonkeyPatch, runtime: str, who: str) -> None:
    nan = float("nan")
    if runtime == "openvino":
        kind = runtime_openvino.OpenVinoDetector
    else:
        kind = runtime_torch.TorchDetector if who == "detector" else runtime_torch.TorchCrops
    if who == "classifier":
        result = kind.outputs
        monkeypatch.setattr(kind, "outputs", lambda self, *a: result(self, *a) * nan)
    elif runtime == "torch":
        made = kind.of_bundle.__func__

        def of_bundle(cls: Any, *a: Any) -> Any:
            found = made(cls, *a)
            ran = found.run
            found.run = lambda images: [each * nan for each in ran(images)]
            return found

        monkeypatch.setattr(kind, "of_bundle", classmethod(of_bundle))
    else:
        from contextlib import contextmanager

        shown = runtime_openvino.OpenVinoNetwork.outputs

        @contextmanager
        def outputs(self: Any, *a: Any) -> Any:
            with shown(self, *a) as maps:
                yield [each * nan for each in maps] if self.shape[0] == 1 else maps

        monkeypatch.setattr(runtime_openvino.OpenVinoNetwork, "outputs", outputs)


def test_a_box_detector_does_not_drop_nan_as_if_nothing_were_there(tmp_path: Path) -> None:
    for architecture in ("faster-rcnn", "retinanet"):
        detector = CellDetector(bundle_of(tmp_path, architecture), "cpu")
        with torch.no_grad():
            for parameter in detector.runtime.network.scoring_parts[0].parameters():
                parameter.fill_(float("nan"))
        with pytest.raises(NotFiniteError, match=f"model-{architecture}"):
            detector.runtime.cells(np.full((96, 96, 3), 200, np.uint8), 0.1)


def test_outputs_of_any_packing_are_looked_at() -> None:
    assert is_finite({"a": [torch.zeros(2), (np.zeros(2),)], "n": torch.zeros(2, dtype=torch.int64)})
    assert not is_finite({"a": [torch.zeros(2), (np.array([0, np.inf]),)]})
    assert not is_finite((torch.tensor([float("nan")], dtype=torch.bfloat16),))


def test_another_backbone_than_the_weights_is_refused_before_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gigantic backbone would take gigabytes before its shapes were compared."""
    bundle = bundle_of(tmp_path, "timm-classifier")
    said = json.loads((bundle.path / "model.json").read_text())
    said["settings"] |= {"backbone": "vit_gigantic_patch14_224", "input_px": 224}
    manifest = bundle.manifest.model_copy(update={"settings": said["settings"]})
    monkeypatch.setattr("napari_cyto.models.bundle.build", lambda *_: pytest.fail("it was built"))
    monkeypatch.setattr("napari_cyto.models.bundle._weights_in_memory", lambda *_: pytest.fail("it was read"))
    with pytest.raises(CytoError, match="do not fit the settings"):
        Bundle(bundle.path, manifest).load_network()


@pytest.mark.parametrize("name", ["no-such-net", "hf-hub:timm/resnet18", "local-dir:/tmp", "../resnet18", " resnet18"])
def test_a_backbone_that_timm_does_not_ship_is_refused(name: str, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "timm-classifier")
    manifest = bundle.manifest.model_copy(update={"settings": SETTINGS["timm-classifier"] | {"backbone": name}})
    with pytest.raises(CytoError, match="timm knows no backbone"):
        Bundle(bundle.path, manifest).load_network()


@pytest.mark.parametrize("architecture", list(SETTINGS))
def test_what_is_planned_is_what_is_built(architecture: str) -> None:
    network = build(architecture, SETTINGS[architecture], 6)
    planned = planned_shapes(architecture, SETTINGS[architecture], 6)
    assert planned == {n: tuple(t.shape) for n, t in network.state_dict().items()}


def test_a_whole_bundle_still_loads(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "fcrn")
    assert read_bundle(bundle.path).load_network().n_classes == len(CLASSES)


def test_what_a_checkpoint_holds_that_no_model_reported_is_looked_up_anew() -> None:
    """Its checksum is right whoever wrote it."""
    rows = np.array([[1, 2, np.nan, np.nan, 0.5, 0.25, 0.25]], np.float32)
    assert is_usable(rows, 7, unsized=(2, 3))
    assert not is_usable(rows, 8, unsized=(2, 3))
    for column in (0, 4, 6):
        spoilt = rows.copy()
        spoilt[0, column] = np.nan
        assert not is_usable(spoilt, 7, unsized=(2, 3))
