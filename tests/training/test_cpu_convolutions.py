"""Guards that the quick gradients are the true ones, and that a network is itself again afterwards."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from timm.layers import Conv2dSame
from torch import nn

from napari_cyto.training._cpu_convolutions import quicken, restore

pytestmark = pytest.mark.networks


def gradients(layer: nn.Module, pixels: torch.Tensor, bf16: bool) -> tuple[torch.Tensor, ...]:
    pixels = pixels.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = layer(pixels)
    layer.zero_grad()
    (out.float() * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    return out.detach().float(), pixels.grad, layer.weight.grad.clone()


@pytest.mark.parametrize("same", [False, True], ids=["padded alike", "padded as TensorFlow does"])
@pytest.mark.parametrize("size", [12, 13])
@pytest.mark.parametrize(("taps", "stride", "groups"), [(3, 1, 8), (3, 2, 8), (5, 1, 8), (5, 2, 8), (1, 1, 1)])
def test_gradients_are_those_of_the_plain_layer_in_fp32(taps, stride, groups, size, same):
    torch.manual_seed(0)
    make, padding = (Conv2dSame, 0) if same else (nn.Conv2d, taps // 2)
    layer = make(8, 8, taps, stride, padding, groups=groups, bias=False)
    pixels = torch.randn(2, 8, size, size)
    expected = gradients(layer, pixels, bf16=False)
    assert quicken(layer) == 1
    for quick, plain in zip(gradients(layer, pixels, bf16=True), expected, strict=True):
        assert quick.shape == plain.shape
        assert (quick - plain).norm() <= 0.02 * plain.norm()


def test_what_is_not_plain_is_left_alone():
    odd = nn.ModuleList(
        [
            nn.Conv2d(8, 8, 3, bias=True, groups=8),
            nn.Conv2d(8, 8, 3, dilation=2, groups=8, bias=False),
            nn.Conv2d(8, 8, 7, groups=8, bias=False),
            nn.Conv2d(8, 16, 3, groups=8, bias=False),
            nn.Conv2d(8, 8, 3, padding="same", groups=8, bias=False),
            nn.Conv2d(8, 8, 3, bias=False),
        ]
    )
    assert quicken(odd) == 0


def test_a_whole_network_trains_alike_and_is_itself_again():
    torch.manual_seed(0)
    plain = timm.create_model("tf_efficientnet_lite0", num_classes=3).train()
    for layer in plain.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    quick = copy.deepcopy(plain)
    names = list(quick.state_dict())
    assert quicken(quick) > 40
    pixels = torch.randn(2, 3, 64, 64)
    for network in (plain, quick):
        with torch.autocast("cpu", torch.bfloat16):
            network(pixels).float().logsumexp(1).sum().backward()
    for mine, theirs in zip(quick.parameters(), plain.parameters(), strict=True):
        assert torch.nn.functional.cosine_similarity(mine.grad.flatten(), theirs.grad.flatten(), dim=0) > 0.95
    restore(quick)
    assert list(quick.state_dict()) == names
    copied = copy.deepcopy(quick)
    quick.eval(), copied.eval(), plain.eval()
    with torch.no_grad():
        assert torch.equal(quick(pixels), plain(pixels))
        assert torch.equal(copied(pixels), plain(pixels))
