"""Promise: torchvision's reference for training detectors runs over a COCO export as it lies there.

Source: ``references/detection`` of torchvision (``coco_utils.py``, ``engine.py``), which pip does not install; what of
it touches the data is repeated here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from image_set_samples import make_project_to_export
from pycocotools import mask as coco_mask
from torch.utils.data import DataLoader, Subset
from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.transforms.v2 import functional as pixels_of

from napari_cyto.datasets import ImageExportOptions, export
from napari_cyto.jobs.events import Done

pytestmark = pytest.mark.networks
# Of pycocotools with the newest numpy.
NO_COPY = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"

Target = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("coco")
    options = ImageExportOptions(images="tiles", tile_px=128, empty_share=0.2, twins=False)
    *_, last = export("coco", make_project_to_export(place), place / "out", options)
    assert isinstance(last, Done), last
    return place / "out"


def convert(image: Any, target: list[dict[str, Any]], image_id: int) -> Target:
    """``ConvertCocoPolysToMask`` of the reference: takes a segmentation of every cell for granted."""
    width, height = image.size
    boxes = torch.as_tensor([obj["bbox"] for obj in target], dtype=torch.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes[:, 0::2].clamp_(min=0, max=width)
    boxes[:, 1::2].clamp_(min=0, max=height)
    masks = [coco_mask.decode(coco_mask.frPyObjects(obj["segmentation"], height, width)) for obj in target]
    stacked = torch.stack([torch.as_tensor(mask, dtype=torch.uint8).any(dim=2) for mask in masks])
    keep = (boxes[:, 3] > boxes[:, 1]) & (boxes[:, 2] > boxes[:, 0])
    assert keep.all()
    labels = torch.tensor([obj["category_id"] for obj in target], dtype=torch.int64)
    return {"boxes": boxes[keep], "labels": labels[keep], "masks": stacked[keep], "image_id": torch.tensor(image_id)}


def with_annotations(dataset: CocoDetection) -> list[int]:
    """``_coco_remove_images_without_annotations`` of the reference."""
    listed = []
    for place, image_id in enumerate(dataset.ids):
        found = dataset.coco.loadAnns(dataset.coco.getAnnIds(imgIds=image_id, iscrowd=None))
        if found and not all(any(side <= 1 for side in obj["bbox"][2:]) for obj in found):
            listed.append(place)
    return listed


def by_reference(folder: Path, split: str) -> Iterator[tuple[torch.Tensor, Target]]:
    dataset = CocoDetection(str(folder / "images" / split), str(folder / "annotations" / f"instances_{split}.json"))
    for place in with_annotations(dataset):
        image, target = dataset[place]
        yield pixels_of.to_dtype(pixels_of.pil_to_tensor(image), scale=True), convert(image, target, dataset.ids[place])


def by_wrapper(folder: Path, split: str) -> Iterator[tuple[torch.Tensor, Target]]:
    plain = CocoDetection(str(folder / "images" / split), str(folder / "annotations" / f"instances_{split}.json"))
    dataset = wrap_dataset_for_transforms_v2(plain, target_keys=("boxes", "labels", "image_id"))
    for image, target in Subset(dataset, with_annotations(plain)):
        yield pixels_of.to_dtype(pixels_of.pil_to_tensor(image), scale=True), target


def together(batch: list[tuple[torch.Tensor, Target]]) -> tuple[tuple[Any, ...], ...]:
    """``collate_fn`` of the reference: images differ in size, and targets in length."""
    return tuple(zip(*batch, strict=True))


def tiny_detector(classes: int) -> FasterRCNN:
    layers: list[torch.nn.Module] = []
    for before, after in ((3, 8), (8, 16), (16, 32)):
        layers += [torch.nn.Conv2d(before, after, 3, stride=2, padding=1), torch.nn.ReLU()]
    backbone = torch.nn.Sequential(*layers)
    backbone.out_channels = 32
    anchors = AnchorGenerator(sizes=((16, 32, 64),), aspect_ratios=((0.5, 1.0, 2.0),))
    few = {"rpn_pre_nms_top_n_train": 100, "rpn_post_nms_top_n_train": 50, "box_batch_size_per_image": 32}
    return FasterRCNN(backbone, classes, rpn_anchor_generator=anchors, min_size=128, max_size=128, **few)


@pytest.mark.filterwarnings(NO_COPY)
@pytest.mark.parametrize("read", [by_reference, by_wrapper])
def test_an_epoch(coco: Path, read: Callable[[Path, str], Iterator[tuple[torch.Tensor, Target]]]) -> None:
    torch.manual_seed(0)
    rows = list(read(coco, "train"))
    assert len(rows) > 10
    assert {tuple(image.shape) for image, _ in rows} == {(3, 128, 128)}
    numbers = {int(n) for _, target in rows for n in target["labels"]}
    assert 0 not in numbers, "0 is the background"
    model = tiny_detector(max(numbers) + 1)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9, weight_decay=1e-4)
    model.train()
    for images, targets in DataLoader(rows, batch_size=2, shuffle=True, collate_fn=together):
        losses = model(list(images), list(targets))
        loss = sum(losses.values())
        assert math.isfinite(loss.item()), losses
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    model.eval()
    with torch.inference_mode():
        [found] = model([next(read(coco, "val"))[0]])
    assert set(found) == {"boxes", "labels", "scores"}
