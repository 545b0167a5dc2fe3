"""Guards the detectors' networks: their frame, any backbone, what they tell, and that what moves moves its cells."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from napari_cyto.errors import CytoError
from napari_cyto.models._pyramid import maps_for_stride
from napari_cyto.models.backbones import make_backbone
from napari_cyto.models.point_detector import PointDetector, Proposals, grid_anchors_yx
from napari_cyto.models.registry import build

pytestmark = pytest.mark.networks

TINY = {"backbone": "test_efficientnet", "stride": 8, "width": 16, "levels": 2, "input_px": 96}


def small(**changes: Any) -> PointDetector:
    torch.manual_seed(1)
    net = build("p2p", TINY | changes, 3)
    assert isinstance(net, PointDetector)
    return net.eval()


def test_proposals_start_two_by_two_in_each_cell_of_the_grid() -> None:
    assert grid_anchors_yx((1, 2), 8).tolist() == [
        [2.0, 2.0],
        [2.0, 6.0],
        [6.0, 2.0],
        [6.0, 6.0],
        [2.0, 10.0],
        [2.0, 14.0],
        [6.0, 10.0],
        [6.0, 14.0],
    ]


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_convnext", "test_vit", "test_resnet"])
@pytest.mark.parametrize("stride", [4, 16])
def test_any_backbone_gives_proposals_for_any_size(backbone: str, stride: int) -> None:
    net = small(backbone=backbone, stride=stride)
    with torch.inference_mode():
        points, sizes, logits = net(torch.rand(2, 3, 96, 70))
    m = 4 * (96 // stride) * -(-70 // stride)
    assert (points.shape, sizes.shape, logits.shape) == ((2, m, 2), (2, m, 2), (2, m, 4))
    assert sizes.min() > 0


def test_untrained_it_tells_the_usual_size_and_no_wild_one() -> None:
    net = small(sizes=True, size_px=30.0)
    with torch.inference_mode():
        both = net(100 * torch.randn(1, 3, 96, 96), both=True)
    for sizes in (both[1], both[4]):
        assert torch.equal(sizes, torch.full_like(sizes, 30.0))


def test_raw_outputs_lie_in_the_order_of_the_anchors() -> None:
    net = small()
    raw = torch.zeros(1, 16, 2, 3)
    # The proposal below right in the grid's second row, third column, is moved half a cell down.
    raw[0, 3 * 4, 1, 2] = 0.5
    answer = net._proposals(raw, torch.zeros(1, 16, 2, 3), (2, 3))
    moved = answer.points_yx[0] - grid_anchors_yx((2, 3), 8)
    assert moved[5 * 4 + 3].tolist() == [4.0, 0.0]
    assert moved.abs().sum() == 4.0


def test_an_image_that_moves_by_the_backbones_stride_moves_its_proposals() -> None:
    net = small(backbone="test_resnet")
    wide = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        here, there = net(wide[..., :192, :192]), net(wide[..., 32:224, 32:224])
    grid = [t.reshape(24, 24, 4, -1) for t in (here[0][0], there[0][0], here[2][0], there[2][0])]
    inner, shifted = slice(12, 16), slice(8, 12)
    assert torch.allclose(grid[0][inner, inner] - 32, grid[1][shifted, shifted], atol=1e-3)
    assert torch.allclose(grid[2][inner, inner], grid[3][shifted, shifted], atol=1e-3)


def test_what_it_tells_adds_up_and_starts_as_background() -> None:
    net = small()
    with torch.inference_mode():
        outputs = net(torch.rand(1, 3, 96, 96))
    cells = net.decode(outputs, 1e-6)[0]
    assert torch.allclose(cells.class_scores.sum(1), cells.scores, atol=1e-6)
    assert 0.002 < float(cells.scores.mean()) < 0.2
    assert bool(cells.sizes_hw.isnan().all())
    assert len(net.decode(outputs, 0.999)[0].scores) == 0
    assert bool(small(sizes=True).decode(outputs, 1e-6)[0].sizes_hw.isfinite().all())


def test_training_gets_both_pairs_of_outputs() -> None:
    net = small()
    with torch.inference_mode():
        both, one = net(torch.rand(1, 3, 64, 64), True), net(torch.rand(1, 3, 64, 64))
    assert len(both) == 6
    assert len(one) == 3
    assert not torch.equal(Proposals(*both[:3]).logits, Proposals(*both[3:]).logits)


def test_stages_that_no_map_needs_are_dropped_and_change_nothing() -> None:
    torch.manual_seed(2)
    maps = make_backbone("test_efficientnet", features_only=True).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        every = maps(images)
        before = sum(p.numel() for p in maps.parameters())
        cut, channels = maps_for_stride(maps, 8, 2)
        kept = cut(images)
    assert sum(p.numel() for p in cut.parameters()) < before
    assert [k.shape[1] for k in kept] == channels
    assert all(torch.equal(a, b) for a, b in zip(every[2:4], kept, strict=True))


def test_settings_of_another_detector_are_refused() -> None:
    with pytest.raises(CytoError, match="settings"):
        build("p2p", TINY | {"radius": 3}, 3)
    with pytest.raises(CytoError, match="settings"):
        build("fcrn", TINY | {"sizes": True}, 3)


def test_peaks_of_a_density_map_are_its_cells() -> None:
    net = build("fcrn", TINY | {"stride": 4}, 2).eval()
    maps = torch.zeros(1, 2, 24, 24)
    maps[0, 1, 10, 5:8] = torch.tensor([0.4, 0.8, 0.6])
    maps[0, 0, 10, 6] = 0.1
    maps[0, 0, 20, 20:22] = 0.5
    cells = net.decode(maps, 0.2)[0]
    assert len(cells.scores) == 2
    assert cells.points_yx[0].tolist() == pytest.approx([42.0, 26.0 + 4 * 0.2 / (2 * 0.8)], abs=1e-4)
    assert cells.class_scores[0].tolist() == pytest.approx([0.1, 0.8])
    assert float(cells.scores[1]) == pytest.approx(0.5)


@pytest.mark.parametrize("architecture", ["faster-rcnn", "retinanet"])
def test_box_detectors_tell_of_cells_with_sizes(architecture: str) -> None:
    torch.manual_seed(4)
    net: nn.Module = build(architecture, TINY | {"architecture": architecture, "size_px": 20.0}, 3).eval()
    with torch.inference_mode():
        cells = net.decode(net(torch.rand(2, 3, 96, 70)), 1e-3)
    assert len(cells) == 2
    for each in cells:
        assert each.class_scores.shape == (len(each.scores), 3)
        assert bool((each.sizes_hw > 0).all())
        assert torch.allclose(each.class_scores.sum(1), each.scores)


def test_boxes_become_centres_with_y_first() -> None:
    net = build("retinanet", TINY | {"architecture": "retinanet"}, 3)
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0], [11.0, 20.0, 30.0, 60.0]])
    answer = {"boxes": boxes, "labels": torch.tensor([2, 0]), "scores": torch.tensor([0.9, 0.8])}
    cells = net.decode([answer], 0.1)[0]
    assert cells.points_yx.tolist() == [[40.0, 20.0]]
    assert cells.sizes_hw.tolist() == [[40.0, 20.0]]
    assert cells.class_scores[0].tolist() == pytest.approx([0.0, 0.0, 0.9])
