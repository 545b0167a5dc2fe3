"""Guards the classifier: its shapes, what is frozen stays as it was, and what it is built from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from napari_cyto.errors import CytoError
from napari_cyto.models.backbones import backbone_features, make_backbone
from napari_cyto.models.classifier import TimmClassifier, top_stage
from napari_cyto.models.registry import ARCHITECTURES, build

pytestmark = pytest.mark.networks


def small(name: str = "test_resnet", **settings: Any) -> TimmClassifier:
    torch.manual_seed(3)
    net = build("timm-classifier", {"backbone": name, "head": 8, **settings}, 6)
    assert isinstance(net, TimmClassifier)
    return net


def test_one_window_may_come_without_its_axis() -> None:
    net = small().eval()
    crops = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert net(crops).shape == (2, 6)
        assert torch.equal(net(crops), net(crops[:, None]))


def test_windows_share_the_backbone_and_their_features_are_joined() -> None:
    net = small(windows=2).eval()
    crops = torch.rand(3, 2, 3, 64, 64)
    with torch.inference_mode():
        features = net.features(crops)
        length = backbone_features(net.backbone)
        assert features.shape == (3, 2 * length)
        assert torch.allclose(features[:, length:], net.backbone(crops[:, 1]), atol=1e-5)
    with pytest.raises(ValueError, match=r"expected crops \(b, 2, 3, s, s\)"):
        net(crops[:, :1])


def test_the_head_is_what_the_papers_say() -> None:
    kinds = [type(layer) for layer in small(dropout=0.3).head]
    assert kinds == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert [type(layer) for layer in small(head=0).head] == [nn.Dropout, nn.Linear]


def step(net: TimmClassifier) -> None:
    """One step of training with a large rate, on pictures that move every norm's statistics."""
    groups = net.parameter_groups(0.1, 0.05, 0.01)
    optimiser = torch.optim.SGD(groups)
    net.train()
    net(torch.rand(4, 3, 64, 64) * 5).square().sum().backward()
    optimiser.step()


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"])
@pytest.mark.parametrize("trained", ["head", "top", "all"])
def test_what_is_frozen_stays_with_its_statistics(name: str, trained: str) -> None:
    net = small(name)
    net.train_only(trained)  # type: ignore[arg-type]
    before = {n: t.clone() for n, t in net.state_dict().items()}
    step(net)
    changed = {n for n, t in net.state_dict().items() if not torch.equal(t, before[n])}
    backbone = {n for n in changed if n.startswith("backbone.")}
    assert {n for n in changed if n.startswith("head.")}
    if trained == "head":
        assert backbone == set()
        return
    assert backbone
    if trained == "top":
        stages = {n.removeprefix("backbone.").rpartition(".")[0] for n in backbone}
        allowed = {n.rpartition(".")[0] for n in top_stage(net.backbone)}
        assert stages <= allowed


def test_everything_trains_again_after_it_was_frozen() -> None:
    net = small()
    net.train_only("head")
    net.train_only("all")
    net.train()
    assert all(p.requires_grad for p in net.parameters())
    assert all(m.training for m in net.modules())


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "test_vit", "test_maxvit"])
def test_the_top_stage_is_a_part_worth_training(name: str) -> None:
    net = make_backbone(name)
    sizes = {n: p.numel() for n, p in net.named_parameters()}
    share = sum(sizes[n] for n in top_stage(net)) / sum(sizes.values())
    assert 0.1 <= share < 0.9


def test_groups_leave_vectors_undecayed_and_give_the_backbone_its_rate() -> None:
    net = small()
    groups = net.parameter_groups(1e-3, 1e-4, 0.05)
    assert {(g["lr"], g["weight_decay"]) for g in groups} == {(r, d) for r in (1e-3, 1e-4) for d in (0.05, 0.0)}
    assert all((p.ndim >= 2) == (g["weight_decay"] > 0) for g in groups for p in g["params"])
    assert sum(len(g["params"]) for g in groups) == len(list(net.parameters()))
    undecayed = net.parameter_groups(1e-3, None, 0.0)
    assert sum(len(g["params"]) for g in undecayed) == len(list(net.parameters()))
    net.train_only("head")
    assert {g["lr"] for g in net.parameter_groups(1e-3, 1e-4, 0.0)} == {1e-3}


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({}, "backbone"),
        ({"backbone": "test_resnet", "wings": 2}, "wings"),
        ({"backbone": "test_resnet", "head": 10**12}, "head"),
        ({"backbone": "hf-hub:a/b"}, "no backbone"),
        ({"backbone": 7}, "backbone"),
    ],
)
def test_settings_that_are_none(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(CytoError, match=word):
        build("timm-classifier", settings, 6)


def test_an_unknown_architecture_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(CytoError, match="timm-classifier, timm-encoder, "):
        build("gpt", {}, 6)
    assert {a.kind for a in ARCHITECTURES.values()} == {"classifier", "detector", "encoder", "slide", "outline"}
