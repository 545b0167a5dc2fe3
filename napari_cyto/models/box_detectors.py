"""torchvision's Faster R-CNN and RetinaNet on any timm backbone, so that box scores can be compared."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, nms

from napari_cyto.models._box_regions import AnnotatedProposals, AnnotatedRetinaHead, AnnotatedRoiHeads
from napari_cyto.models._pyramid import HALO_PX, MULTIPLE, PyramidSettings, built_maps, padded
from napari_cyto.models.raw_cells import RawCells

MOST_CELLS = 2000
"""Of one tile."""

OVERLAP = 0.5
"""Boxes that overlap more are one cell. Source: torchvision's default, after Ren et al. 2015, section 3."""

SHAPES = (0.5, 1.0, 2.0)
"""Heights over widths of anchors. Source: Ren et al. 2015, section 3.1.1."""


class BoxSettings(PyramidSettings):
    """What a box detector is built from, as ``model.json`` keeps it."""

    architecture: Literal["faster-rcnn", "retinanet"]
    size_px: float = Field(default=40.0, ge=1, le=4096)


class PyramidBackbone(nn.Module):
    """A backbone with torchvision's feature pyramid, as its detectors want it."""

    def __init__(self, body: nn.Module, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.body, self.pyramid = body, FeaturePyramidNetwork(list(channels), width)
        self.out_channels = width

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return maps by name, finest first."""
        named = OrderedDict((str(i), m) for i, m in enumerate(self.body(images)))
        maps: dict[str, torch.Tensor] = self.pyramid(named)
        return maps


class BoxDetector(nn.Module):
    """A detector of torchvision behind the interface that all detectors share.

    Parameters
    ----------
    detector : nn.Module
        ``FasterRCNN`` or ``RetinaNet``; its pictures are normalised and scaled already.
    n_classes : int
        Classes of cells.
    first_label : int
        What torchvision calls class 0: Faster R-CNN counts background first.
    """

    multiple, halo = MULTIPLE, HALO_PX

    def __init__(self, detector: nn.Module, n_classes: int, first_label: int) -> None:
        super().__init__()
        self.detector, self.n_classes, self.first_label = detector, n_classes, first_label

    @property
    def backbone(self) -> nn.Module:
        """What first weights and frozen levels are for."""
        body: nn.Module = self.detector.backbone.body
        return body

    @property
    def scoring_parts(self) -> tuple[nn.Module, ...]:
        """What scores boxes; those whose score is NaN are dropped behind it."""
        heads = (getattr(self.detector, "rpn", None), getattr(self.detector, "roi_heads", None))
        parts = (getattr(heads[0], "head", None), getattr(heads[1], "box_predictor", None))
        return tuple(p for p in (*parts, getattr(self.detector, "head", None)) if p is not None)

    def forward(self, images: torch.Tensor, targets: list[dict[str, torch.Tensor]] | None = None) -> Any:
        """Return losses by name in training, else torchvision's boxes (x first), labels and scores of each picture.

        A target may say by ``counted`` where every cell is marked, see ``box_regions``.
        """
        return self.detector(list(padded(images)), None if targets is None else [_exact(t) for t in targets])

    def decode(self, outputs: list[dict[str, torch.Tensor]], floor: float) -> list[RawCells]:
        """Return the boxes as cells; of boxes that overlap, whatever their classes, the surest stays."""
        return [self._cells(output, floor) for output in outputs]

    def _cells(self, output: dict[str, torch.Tensor], floor: float) -> RawCells:
        boxes, scores, labels = output["boxes"].float(), output["scores"].float(), output["labels"] - self.first_label
        kept = nms(boxes, scores, OVERLAP)
        kept = kept[scores[kept] >= floor]
        boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
        shares = torch.zeros(len(kept), self.n_classes, device=boxes.device)
        shares[torch.arange(len(kept), device=boxes.device), labels] = scores
        centres = (boxes[:, [1, 0]] + boxes[:, [3, 2]]) / 2
        return RawCells(centres, boxes[:, [3, 2]] - boxes[:, [1, 0]], scores, shares)


def as_bits(target: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return a target whose float32 boxes are told by their bits, as int32.

    Mixed precision rounds every float that a network is given to bf16, which would move boxes by up to 2 px.
    """
    return target | {"boxes": target["boxes"].float().contiguous().view(torch.int32)}


def _exact(target: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    boxes = target["boxes"]
    return target if boxes.is_floating_point() else target | {"boxes": boxes.view(torch.float32)}


def build(settings: Mapping[str, Any], n_classes: int, weights: str = "none") -> BoxDetector:
    """Return the detector that settings of ``model.json`` describe; only the backbone can have first weights.

    Raises
    ------
    ValidationError
        When the settings are not those of a box detector.
    CytoError
        When timm does not know the backbone, it gives no maps, or the weights do not fit.
    """
    known = BoxSettings.model_validate(dict(settings))
    body, channels = built_maps(known, weights)
    backbone = PyramidBackbone(body, channels, known.width)
    sizes = tuple((known.size_px * 0.5, known.size_px, known.size_px * 2) for _ in channels)
    anchors = AnchorGenerator(sizes, (SHAPES,) * len(channels))
    # The engine hands over normalised tiles at the model's scale: torchvision shall leave them as they are.
    plain = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3, "_skip_resize": True}
    if known.architecture == "retinanet":
        limits = {"score_thresh": 0.02, "detections_per_img": MOST_CELLS, "topk_candidates": MOST_CELLS}
        head = AnnotatedRetinaHead(known.width, anchors.num_anchors_per_location()[0], n_classes)
        retina = RetinaNet(backbone, n_classes, anchor_generator=anchors, head=head, **limits, **plain)
        return BoxDetector(retina, n_classes, 0)
    pool = MultiScaleRoIAlign([str(i) for i in range(len(channels))], 7, 2)
    detector = FasterRCNN(
        backbone,
        n_classes + 1,
        rpn_anchor_generator=anchors,
        box_roi_pool=pool,
        box_score_thresh=0.02,
        box_detections_per_img=MOST_CELLS,
        rpn_post_nms_top_n_test=MOST_CELLS,
        **plain,
    )
    # torchvision makes these parts itself and takes no others; ours differ in what they are taught, in nothing else.
    detector.rpn.__class__, detector.roi_heads.__class__ = AnnotatedProposals, AnnotatedRoiHeads
    return BoxDetector(detector, n_classes, 1)
