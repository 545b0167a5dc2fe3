"""Guards that a network comes back from its bundle as it went in, and that settings and weights belong together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_cyto.cli.entry import run
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.models import bundle as bundles
from napari_cyto.models._state_dicts import backbone_part, without_wrappers
from napari_cyto.models._tensor_file import stored_tensors
from napari_cyto.models.backbones import make_backbone, normalisation_of
from napari_cyto.models.bundle import Bundle, read_bundle, write_bundle
from napari_cyto.models.manifest import ModelClass, Parent
from napari_cyto.models.registry import build

pytestmark = pytest.mark.networks

SETTINGS = {"backbone": "test_efficientnet", "head": 8}
IDS = preset("bethesda").ids


def fields(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "classifier",
        "architecture": "timm-classifier",
        "settings": SETTINGS,
        "classes": [ModelClass.of(c) for c in preset("bethesda").classes],
        "mpp": 0.8,
        "input_px": 64,
        "crop_rule": {"windows": [51.2], "size_px": 64},
        **changes,
    }


def small(settings: dict[str, Any] = SETTINGS, classes: int = len(IDS)) -> Any:
    torch.manual_seed(2)
    return build("timm-classifier", settings, classes).eval()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny", fields(), small().state_dict())


def logits(net: Any) -> torch.Tensor:
    with torch.inference_mode():
        return net(torch.linspace(0, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64))


def test_a_network_comes_back_to_the_bit(written: Bundle) -> None:
    net = read_bundle(written.path).load_network()
    assert torch.equal(logits(net), logits(small()))
    assert not net.training
    assert written.id == "tiny"
    assert written.manifest.made_by.startswith("napari-cyto")
    assert sorted(p.suffix for p in written.path.iterdir()) == [".json", ".json", ".safetensors"]


def test_half_precision_halves_the_file_and_keeps_the_norms(written: Bundle, tmp_path: Path) -> None:
    half = write_bundle(tmp_path / "half", fields(), small().state_dict(), "fp16")
    assert half.manifest.weights_bytes < 0.6 * written.manifest.weights_bytes
    net = half.load_network()
    assert {t.dtype for t in net.state_dict().values()} == {torch.float32, torch.int64}
    assert torch.allclose(logits(net), logits(small()), atol=1e-3)
    own = small().state_dict()
    assert all(torch.equal(t, own[n]) for n, t in half.state_dict().items() if t.ndim < 2)


def test_what_is_not_finite_is_not_written(tmp_path: Path) -> None:
    state = small().state_dict()
    state["head.0.weight"][0, 0] = float("nan")
    with pytest.raises(CytoError, match=r"head\.0\.weight.*NaN"):
        write_bundle(tmp_path / "m", fields(), state)
    state["head.0.weight"][0, 0] = 1e6
    with pytest.raises(CytoError, match="in fp16"):
        write_bundle(tmp_path / "m", fields(), state, "fp16")
    assert list(tmp_path.iterdir()) == []
    assert write_bundle(tmp_path / "m", fields(), state).id == "m"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"classes": []}, "classes"),
        ({"architecture": "gpt"}, "unknown"),
        ({"kind": "detector"}, "is not"),
        ({"wings": 2}, "wings"),
        ({"id": "a/b"}, "id"),
        ({"input_px": 224}, "input_px"),
    ],
)
def test_wrong_fields_write_nothing(changes: dict[str, Any], word: str, tmp_path: Path) -> None:
    with pytest.raises(CytoError, match=word):
        write_bundle(tmp_path / "m", fields(**changes), small().state_dict())
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_bundle_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    first = write_bundle(tmp_path / "m", fields(id="one"), small().state_dict())
    second = write_bundle(
        tmp_path / "m", fields(id="two", card={"metrics": {"f1": np.float32(0.5)}}), small().state_dict()
    )
    assert read_bundle(first.path).id == second.id == "two"
    (tmp_path / "m" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CytoError, match="put there later"):
        write_bundle(tmp_path / "m", fields(), small().state_dict())
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CytoError, match="not empty"):
        write_bundle(tmp_path / "thesis", fields(), small().state_dict())


def test_a_full_disk_leaves_the_earlier_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path / "m", fields(id="one"), small().state_dict())
    plain = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == bundles.WEIGHTS_NAME:
            raise OSError(28, "No space left on device", str(self))
        return plain(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CytoError, match="disk is full"):
        write_bundle(tmp_path / "m", fields(id="two"), small().state_dict())
    assert read_bundle(tmp_path / "m").id == "one"


def test_tied_weights_are_stored_twice_rather_than_refused(tmp_path: Path) -> None:
    state = small().state_dict()
    state["head.0.bias"] = state["head.3.weight"].flatten()[:8]
    assert write_bundle(tmp_path / "m", fields(), state).load_network()


def test_what_is_read_is_what_safetensors_wrote(tmp_path: Path) -> None:
    kinds = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    state = {str(kind): torch.ones(3, 2).to(kind) for kind in kinds} | {
        "empty": torch.zeros(0),
        "one": torch.tensor(1.0),
    }
    save_file(state, tmp_path / "w.safetensors")
    found = {t.name: t.shape for t in stored_tensors((tmp_path / "w.safetensors").read_bytes(), tmp_path)}
    assert found == {name: tuple(t.shape) for name, t in state.items()}


def altered(written: Bundle, folder: Path, **changes: Any) -> Bundle:
    """The bundle of another program, which left no word in the weights, with other settings."""
    state = written.state_dict()
    folder.mkdir()
    save_file(state, folder / "model.safetensors")
    content = (folder / "model.safetensors").read_bytes()
    said = json.loads((written.path / "model.json").read_text("utf-8")) | changes
    said |= {"weights_sha256": bundles.hashlib.sha256(content).hexdigest(), "weights_bytes": len(content)}
    (folder / "model.json").write_text(json.dumps(said), encoding="utf-8")
    return read_bundle(folder)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({**SETTINGS, "head": 16}, "another shape"),
        ({**SETTINGS, "head": 0}, "unknown to the network"),
        ({**SETTINGS, "backbone": "test_resnet"}, "missing"),
        ({**SETTINGS, "backbone": "nosuch"}, "no backbone"),
        ({**SETTINGS, "wings": 1}, "wings"),
        ({}, "backbone"),
    ],
)
def test_settings_that_do_not_fit_the_weights(
    settings: dict[str, Any], word: str, written: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = altered(written, tmp_path / "m", settings=settings)
    with pytest.raises(CytoError, match=word):
        bundle.load_network()
    assert run(["models", "verify", str(bundle.path)]) == 2
    assert word in capsys.readouterr().err


def test_verify_builds_the_network(written: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "verify", str(written.path), "--json"]) == 0
    assert "network" in json.loads(capsys.readouterr().out)["checked"]


def test_weights_exchanged_after_reading_are_noticed(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "m", fields(), small().state_dict())
    content = bytearray((bundle.path / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (bundle.path / "model.safetensors").write_bytes(bytes(content))
    with pytest.raises(CytoError, match="SHA-256"):
        bundle.load_network()


def test_a_bundle_gives_first_weights_to_either_kind_of_backbone(written: Bundle) -> None:
    own = small().backbone.state_dict()
    source = f"bundle:{written.path}"
    assert all(torch.equal(t, own[n]) for n, t in make_backbone("test_efficientnet", source).state_dict().items())
    maps = make_backbone("test_efficientnet", source, features_only=True)
    assert torch.equal(maps.net.conv_stem.weight, own["conv_stem.weight"])
    assert normalisation_of("test_efficientnet", source) == written.manifest.normalisation
    with pytest.raises(CytoError, match="another backbone"):
        make_backbone("test_resnet", source)


def test_a_parent_is_recorded(written: Bundle, tmp_path: Path) -> None:
    child = write_bundle(tmp_path / "child", fields(parents=(written.as_parent("12 cells"),)), small().state_dict())
    assert child.manifest.parents == (Parent(id="tiny", sha256=written.sha256, added="12 cells"),)


@pytest.mark.parametrize("wrapping", ["backbone.", "detector.backbone.body.net.", "module.backbone.net.model."])
def test_a_backbone_is_found_under_any_wrapping(wrapping: str) -> None:
    own = {"stages.0.weight": 1, "stem.1.bias": 2}
    state = {f"{wrapping}{name.replace('stages.', 'stages_').replace('stem.', 'stem_')}": t for name, t in own.items()}
    assert backbone_part(state | {"head.0.weight": 3, "net.fpn.backbone.x": 4}) == own


def test_a_detector_gives_its_backbone_to_a_classifier_and_back(written: Bundle, tmp_path: Path) -> None:
    settings = {"backbone": "test_efficientnet"}
    detector = build("p2p", settings, 2)
    said = fields(kind="detector", architecture="p2p", settings=settings, crop_rule=None)
    said["classes"] = said["classes"][:2]
    bundle = write_bundle(tmp_path / "detector", said, detector.state_dict())
    taken = make_backbone("test_efficientnet", f"bundle:{bundle.path}")
    own = without_wrappers(detector.backbone.state_dict())
    assert all(torch.equal(taken.state_dict()[n], t) for n, t in own.items())
    maps = make_backbone("test_efficientnet", f"bundle:{bundle.path}", features_only=True)
    assert all(torch.equal(t, own[n]) for n, t in without_wrappers(maps.state_dict()).items())
