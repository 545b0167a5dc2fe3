"""Guards that a model which is given away as ONNX answers as it does here, and can be brought back as it was."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from made_onnx import mean_classifier

from napari_cyto.cli.entry import run
from napari_cyto.errors import CytoError
from napari_cyto.inference.classify import CellClassifier
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.models import onnx_export
from napari_cyto.models._probe_fields import probe_field
from napari_cyto.models.bundle import read_bundle, write_bundle
from napari_cyto.models.foreign_models import ForeignNetwork, add_foreign
from napari_cyto.models.library import bundle_named
from napari_cyto.models.onnx_export import export_to_onnx
from napari_cyto.models.registry import build

pytestmark = pytest.mark.networks

FILES = {"model.onnx", "card.md", "card.json", "how-to.md", "test_vector.npz"}


@pytest.fixture(autouse=True)
def own_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))


def bring_back(folder: Path) -> str:
    """Run the very command that the guide names, and return the name in the library."""
    [command] = re.findall(r"```bash\nnapari-cyto (.*)\n```", (folder / "how-to.md").read_text(encoding="utf-8"))
    words = shlex.split(command)
    words[words.index("model.onnx")] = str(folder / "model.onnx")
    assert run(words) == 0
    return words[words.index("--name") + 1]


def test_the_built_in_detector_finds_the_same_cells_when_it_comes_back(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(["models", "export", "onnx", "nucleus-detector", "--out", str(out)]) == 0
    assert {p.name for p in out.iterdir()} >= FILES
    assert json.loads((out / "card.json").read_text())["id"] == "nucleus-detector"
    pixels = probe_field(3, 1.0)[0]
    ours = CellDetector(bundle_named("nucleus-detector"), precision="fp32", runtime="torch").runtime.cells(pixels, 0.27)
    ours = ours.at((ours.points_yx < 512).all(axis=1))  # torch tells of some beyond the tile too, which are none of its
    theirs = CellDetector(bundle_named(bring_back(out)), runtime="auto").runtime.cells(pixels, 0.27)
    assert len(ours.scores) > 20
    assert np.allclose(np.sort(ours.scores), np.sort(theirs.scores), atol=1e-3)
    apart = np.abs(ours.points_yx[:, None] - theirs.points_yx[None]).max(axis=2)
    assert apart.min(axis=1).max() < 0.05
    assert (ours.class_scores.argmax(1) == theirs.class_scores[apart.argmin(axis=1)].argmax(1)).mean() > 0.98


def test_the_built_in_classifier_gives_the_same_probabilities(tmp_path: Path) -> None:
    found = export_to_onnx(bundle_named("bethesda-light"), tmp_path / "out")
    assert found.difference is not None
    assert found.difference < 1e-3
    with np.load(tmp_path / "out" / "test_vector.npz") as vector:
        crops, expected = vector["pixels"], vector["probabilities"]
    theirs = CellClassifier(bundle_named(bring_back(tmp_path / "out")), runtime="auto")
    assert np.allclose(theirs.scores(crops), expected, atol=1e-3)


def test_an_encoder_and_a_detector_of_boxes_are_exported(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = {"backbone": "test_efficientnet", "input_px": 32, "length": 256}
    rule = {"windows": [40.0], "unit": "um", "size_px": 32}
    fields = {"kind": "encoder", "architecture": "timm-encoder", "settings": settings, "classes": [], "mpp": 1.25}
    network = build("timm-encoder", settings, 0)
    encoder = write_bundle(tmp_path / "enc", {**fields, "input_px": 32, "crop_rule": rule}, network.state_dict())
    export_to_onnx(encoder, tmp_path / "out-enc")
    assert bundle_named(bring_back(tmp_path / "out-enc")).manifest.vector_length == 256
    boxes = {"architecture": "faster-rcnn", "backbone": "test_efficientnet", "width": 16}
    classes = [{"id": "NILM", "name": "NILM", "colour": "#00aa00"}, {"id": "HSIL", "name": "HSIL", "colour": "#aa0000"}]
    fields = {"kind": "detector", "architecture": "faster-rcnn", "settings": boxes, "classes": classes, "mpp": 0.5}
    detector = write_bundle(tmp_path / "box", {**fields, "input_px": 256}, build("faster-rcnn", boxes, 2).state_dict())
    found = export_to_onnx(detector, tmp_path / "out-box")
    assert set(found.files) == FILES
    assert "`labels` (1 is NILM" in (tmp_path / "out-box" / "how-to.md").read_text(encoding="utf-8")


def test_a_file_that_answers_otherwise_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_back = onnx_export._read_back
    monkeypatch.setattr(
        onnx_export, "_read_back", lambda *given: {n: v[..., ::-1] for n, v in read_back(*given).items()}
    )
    with pytest.raises(CytoError, match="does not answer as the model does"):
        export_to_onnx(bundle_named("bethesda-light"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_network_that_was_brought_is_given_back_as_it_came(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(mean_classifier())
    declared = ForeignNetwork(kind="classifier", classes="NILM,HSIL", mpp=1, input_px=32)
    entry, _ = add_foreign(tmp_path / "mine.onnx", declared)
    found = export_to_onnx(read_bundle(entry.path), tmp_path / "out")
    assert (tmp_path / "out" / "model.onnx").read_bytes() == mean_classifier()
    assert found.words == "the very file that the model was made of"


def test_nothing_is_written_over(tmp_path: Path) -> None:
    with pytest.raises(CytoError, match="expected a new folder"):
        export_to_onnx(bundle_named("bethesda-light"), tmp_path)
    assert run(["models", "export", "pickle", "bethesda-light", "--out", str(tmp_path / "x")]) == 2
