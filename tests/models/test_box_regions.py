"""Guards that box detectors learn background only where every cell is marked, as point detectors do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_cyto.datasets.splits.training_split import split_training_set
from napari_cyto.datasets.training.training_set import read_training_set
from napari_cyto.domain.geometry import Polygon
from napari_cyto.models._box_regions import AnnotatedRoiHeads, in_annotated
from napari_cyto.models.box_detectors import as_bits
from napari_cyto.models.registry import build
from napari_cyto.training._task import Share
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.run import make_task

pytestmark = pytest.mark.networks

SIDE_PX = 96
SETTINGS = {"backbone": "test_resnet", "stride": 8, "width": 16, "levels": 2, "size_px": 16.0}
CELL = {"boxes": torch.tensor([[8.0, 8.0, 24.0, 24.0]]), "labels": torch.tensor([1])}
NO_CELL = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
LEFT = torch.zeros(SIDE_PX, SIDE_PX, dtype=torch.bool)
LEFT[:, : SIDE_PX // 2] = True


def detector(architecture: str) -> Any:
    torch.manual_seed(0)
    return build(architecture, SETTINGS | {"architecture": architecture}, 2).train()


def taught(architecture: str, target: dict[str, torch.Tensor]) -> torch.Tensor:
    """Which px of the finest map some anchor is taught anything at, bool (h, w)."""
    net = detector(architecture)
    part = net.detector.head.classification_head if architecture == "retinanet" else net.detector.rpn.head
    outputs: list[torch.Tensor] = []
    last = part.cls_logits

    def keep(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        outputs.append(output)

    last.register_forward_hook(keep)
    losses = net(torch.rand(1, 3, SIDE_PX, SIDE_PX), [as_bits(target)])
    torch.stack(list(losses.values())).sum().backward()
    assert outputs[0].grad is not None
    return (outputs[0].grad[0] != 0).any(0)


@pytest.mark.parametrize("target", [CELL, NO_CELL], ids=["a cell", "no cell"])
@pytest.mark.parametrize("architecture", ["faster-rcnn", "retinanet"])
def test_nothing_is_taught_beyond_the_regions(architecture: str, target: dict[str, torch.Tensor]) -> None:
    everywhere, inside = taught(architecture, target), taught(architecture, target | {"counted": LEFT})
    half = everywhere.shape[1] // 2
    assert bool(everywhere[:, half:].any())
    assert not bool(inside[:, half:].any())
    assert bool(inside[:, :half].any())


def test_a_labelled_cell_beyond_the_regions_is_still_a_cell() -> None:
    box = torch.tensor([[64.0, 8.0, 80.0, 24.0]])
    inside = taught("retinanet", {"boxes": box, "labels": torch.tensor([0]), "counted": LEFT})
    half = inside.shape[1] // 2
    assert bool(inside[:, half:].any())


def test_proposals_beyond_the_regions_teach_only_where_they_are_a_cell() -> None:
    heads = detector("faster-rcnn").detector.roi_heads
    assert isinstance(heads, AnnotatedRoiHeads)
    boxes = torch.tensor([[4.0, 40.0, 20.0, 56.0], [64.0, 40.0, 80.0, 56.0], [64.0, 9.0, 80.0, 25.0]])
    target = {"boxes": torch.tensor([[64.0, 8.0, 80.0, 24.0]]), "labels": torch.tensor([1]), "counted": LEFT}
    proposals, _, labels, _ = heads.select_training_samples([boxes], [target])
    outputs = {(tuple(b), n) for b, n in zip(proposals[0].tolist(), labels[0].tolist(), strict=True)}
    assert outputs == {(tuple(boxes[0].tolist()), 0), (tuple(boxes[2].tolist()), 1), ((64.0, 8.0, 80.0, 24.0), 1)}


def test_a_box_belongs_where_its_centre_is() -> None:
    boxes = torch.tensor(
        [[0.0, 0.0, 95.9, 4.0], [0.0, 0.0, 96.1, 4.0], [-40.0, -9.0, 0.0, 0.0], [90.0, 90.0, 150.0, 99.0]]
    )
    assert in_annotated(boxes, {"counted": LEFT}).tolist() == [True, False, True, False]
    assert in_annotated(boxes, {}).all()


@pytest.mark.parametrize("architecture", ["faster-rcnn", "retinanet"])
def test_regions_of_the_slides_reach_the_loss(tiny_fields: Path, tiny_detector: TrainConfig, architecture: str) -> None:
    """Unmarked cells outside the regions cost nothing; with regions too small to hold a box the loss stays finite."""
    data = read_training_set((f"cric:{tiny_fields}",))
    config = tiny_detector.with_values({"model": {"architecture": architecture}})
    split = split_training_set(data, config.split)

    def batch_with(*corners_yx: tuple[float, float]) -> tuple[Any, Any]:
        slides = tuple(replace(s, regions=(Polygon(corners_yx),)) for s in data.slides)
        own = replace(data, slides=slides)
        task = make_task(config, own, replace(split, slides={s.key: s for s in slides}))
        list(task.prepare(None))
        task.train_mode(config.phases[0])
        return task, next(iter(task.batches(0, 4, Share())))

    task, batch = batch_with((0, 0), (0, 64), (128, 64), (128, 0))
    marked = [task._annotated_area(c)["counted"] for c in batch["counted"]]
    assert {m.shape for m in marked} == {(SIDE_PX, SIDE_PX)}
    assert 0 < np.mean([float(m.float().mean()) for m in marked]) < 1
    assert bool(task.loss(task.network, batch).isfinite())
    task, batch = batch_with((1, 1), (1, 1.1), (1.1, 1.1), (1.1, 1))
    for name in ("points", "sizes", "classes"):
        batch[name] = [each[:0] for each in batch[name]]
    loss = task.loss(task.network, batch)
    loss.backward()
    assert bool(loss.isfinite())
    assert all(bool(p.grad.isfinite().all()) for p in task.network.parameters() if p.grad is not None)
