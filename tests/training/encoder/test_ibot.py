"""Guards the parts of iBOT: masks, views, the teacher's pace, what is frozen, and that a collapse is seen."""

from __future__ import annotations

import random
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import ndimage

from napari_cyto.errors import CytoError
from napari_cyto.models.backbones import make_backbone
from napari_cyto.models.manifest import Normalisation
from napari_cyto.training.config import AugmentConfig, EncoderConfig, MaskConfig, TrainConfig, ViewConfig
from napari_cyto.training.encoder._ibot import IBot
from napari_cyto.training.encoder._spread import COLLAPSED, retrieval, spread_of
from napari_cyto.training.encoder._views import MultiCrop, block_masks
from napari_cyto.training.encoder.encoder_task import heat_at

pytest.importorskip("lightly", reason="needs the [pretraining] extra")
pytestmark = pytest.mark.networks


def network_of(recipe: TrainConfig) -> IBot:
    assert isinstance(recipe.model, EncoderConfig)
    torch.manual_seed(0)
    return IBot(recipe.model)


def views(n: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    masks = block_masks(2 * n, (4, 4), MaskConfig(), 0)
    return torch.randn(2 * n, 3, 64, 64), torch.randn(2 * n, 3, 32, 32), masks


def test_masks_are_blocks_with_the_requested_share() -> None:
    masks = block_masks(200, (14, 14), MaskConfig(images=0.5, share=(0.1, 0.5)), seed=1).numpy()
    shares = masks.mean(axis=(1, 2))
    masked = shares > 0
    assert masked.sum() == 100
    assert 0.26 < shares[masked].mean() < 0.32
    assert shares.max() <= 0.5
    pieces = [ndimage.label(mask)[1] for mask in masks[masked]]
    rng = np.random.default_rng(0)
    scattered = [ndimage.label(rng.permutation(mask.ravel()).reshape(14, 14))[1] for mask in masks[masked]]
    assert np.mean(pieces) < 0.4 * np.mean(scattered)


def test_masks_follow_from_the_seed_and_leave_chance_as_it_was() -> None:
    random.seed(5)
    target = random.random()
    random.seed(5)
    first = block_masks(8, (6, 6), MaskConfig(), 3)
    assert random.random() == target
    assert torch.equal(first, block_masks(8, (6, 6), MaskConfig(), 3))
    assert not torch.equal(first, block_masks(8, (6, 6), MaskConfig(), 4))


def test_the_teacher_moves_as_the_formula_says(encoder_recipe: TrainConfig) -> None:
    net = network_of(encoder_recipe)
    before = {n: t.clone() for n, t in net.teacher.state_dict().items()}
    with torch.no_grad():
        for parameter in net.student.parameters():
            parameter.add_(torch.randn_like(parameter))
    student = net.student.state_dict()
    net.follow(0.9)
    for name, tensor in net.teacher.state_dict().items():
        torch.testing.assert_close(tensor, 0.9 * before[name] + 0.1 * student[name])


def test_only_the_student_learns_and_prototypes_wait(encoder_recipe: TrainConfig) -> None:
    net = network_of(encoder_recipe).train()
    net.prototypes_frozen = True
    images, small, masks = views()
    across, masked = net(images, small, masks, 0.04)
    (across + masked).backward()
    assert all(p.grad is None for part in (net.teacher, net.teacher_head) for p in part.parameters())
    assert float(net.student.vit.patch_embed.proj.weight.grad.abs().sum()) > 0
    assert float(net.student.mask_token.grad.abs().sum()) > 0
    assert float(net.student_head.last_layer.weight_v.grad.abs().sum()) == 0
    net.zero_grad()
    net.prototypes_frozen = False
    across, masked = net(images, small, masks, 0.04)
    (across + masked).backward()
    assert float(net.student_head.last_layer.weight_v.grad.abs().sum()) > 0


def test_what_the_student_does_not_see_does_not_reach_it(encoder_recipe: TrainConfig) -> None:
    net = network_of(encoder_recipe).eval()
    images, _, _ = views(1)
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[:, 1:3, 1:3] = True
    changed = images.clone()
    changed[:, :, 16:48, 16:48] = 5.0
    flat = torch.cat([torch.zeros(2, 1, dtype=torch.bool), masks.flatten(1)], 1)
    with torch.no_grad():
        same = [net.student.encode(each, mask=flat) for each in (images, changed)]
        whole = [net.teacher.encode(each) for each in (images, changed)]
    torch.testing.assert_close(*same)
    assert not torch.allclose(*whole)


def test_without_a_mask_the_masked_loss_is_nothing_and_centres_stay(encoder_recipe: TrainConfig) -> None:
    net = network_of(encoder_recipe).train()
    images, small, masks = views()
    before = net.patch_loss.center.value.clone()
    _, masked = net(images, small, torch.zeros_like(masks), 0.04)
    assert float(masked) == 0
    assert torch.equal(net.patch_loss.center.value, before)


def test_views_show_the_share_and_the_content_that_they_should() -> None:
    ramp = np.zeros((2, 64, 64, 3), np.uint8)
    ramp[..., 0] = np.arange(64)[:, None] * 4
    ramp[..., 1] = np.arange(64)[None] * 4
    plain = AugmentConfig(rotation="none", flips=False, brightness=0, contrast=0, saturation=0, hue=0, blur=0, noise=0)
    crop = MultiCrop(plain, ViewConfig(global_px=32, local_px=16, local_views=3, grey=0, solarised=0), Normalisation())
    content = torch.tensor([[64.0, 64.0], [20.0, 30.0]])
    large, small = crop.both(torch.from_numpy(ramp), content, torch.Generator().manual_seed(0))
    assert tuple(large.shape) == (4, 3, 32, 32)
    assert tuple(small.shape) == (6, 3, 16, 16)
    for view, area in ((large, (0.32, 1.0)), (small, (0.05, 0.32))):
        pixels = (view * 0.5 + 0.5) * 255 / 4
        reach = pixels.flatten(2).amax(2) - pixels.flatten(2).amin(2)
        shares = (reach[:, 0] * reach[:, 1])[::2] / 64**2
        assert area[0] * 0.6 < float(shares.min()) <= float(shares.max()) < area[1] * 1.1
        # Of the small image no view shows what lies beyond it.
        assert float(pixels[1::2, 0].max()) <= 20.5
        assert float(pixels[1::2, 1].max()) <= 30.5


def test_the_teachers_temperature_rises_and_stays() -> None:
    own = EncoderConfig(teacher_heat=(0.04, 0.08), heat_epochs=4)
    assert [round(heat_at(own, e), 3) for e in (0, 2, 4, 9)] == [0.04, 0.06, 0.08, 0.08]


def test_a_collapse_is_seen_and_a_spread_is_not_taken_for_one() -> None:
    rng = np.random.default_rng(0)
    apart = rng.normal(size=(300, 64)).astype(np.float32)
    one = np.ones((300, 64), np.float32) + 0.01 * rng.normal(size=(300, 64)).astype(np.float32)
    assert spread_of(apart).spread > 0.9
    assert spread_of(apart).dimensions > 50
    assert spread_of(one).spread < COLLAPSED
    assert spread_of(np.zeros((10, 4), np.float32)).dimensions == 0
    assert retrieval(apart, apart) == 1
    assert retrieval(apart, rng.permutation(apart)) < 0.05


def test_a_checkpoint_of_ibot_as_published_is_taken_without_its_heads(tmp_path: Path) -> None:
    torch.manual_seed(0)
    own = make_backbone("test_vit").state_dict()
    layout = {f"module.backbone.{name}": tensor + 1 for name, tensor in own.items()}
    layout |= {"module.backbone.masked_embed": torch.zeros(1, 64)}
    layout |= {
        f"module.head.{name}": torch.zeros(4, 4) for name in ("mlp.0.weight", "mlp.2.weight", "last_layer.weight")
    }
    save_file(layout, tmp_path / "ibot.safetensors")
    said: list[str] = []
    net = make_backbone("test_vit", f"file:{tmp_path / 'ibot.safetensors'}", said=said)
    torch.testing.assert_close(net.state_dict()["cls_token"], own["cls_token"] + 1)
    (sentence,) = said
    assert f"{len(own)} of the network's {len(own)} tensors taken" in sentence
    assert "4 left out (module.backbone.masked_embed, module.head." in sentence
    # What names neither a head nor the token of hidden patches is no leftover, but another network.
    save_file(layout | {"module.backbone.extra": torch.zeros(1)}, tmp_path / "ibot.safetensors")
    with pytest.raises(CytoError, match="1 are unknown to the network"):
        make_backbone("test_vit", f"file:{tmp_path / 'ibot.safetensors'}")
    torch.save({"teacher": layout, "args": Namespace(arch="vit_base")}, tmp_path / "checkpoint.pth")
    with pytest.raises(CytoError, match="save its weights as safetensors"):
        make_backbone("test_vit", f"file:{tmp_path / 'checkpoint.pth'}")
