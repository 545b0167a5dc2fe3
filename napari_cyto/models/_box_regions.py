"""Parts of torchvision's detectors that can be taught from fields of which only regions are marked completely.

Elsewhere a box that no label matches is neither a cell nor background. A target says where by ``counted``, bool
``(height, width)`` px, true where every cell is marked; without it all of the picture counts.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.ops import box_iou

Target: TypeAlias = dict[str, torch.Tensor]

_BACKGROUND, _IGNORED = 0.0, -1.0


class AnnotatedProposals(RegionProposalNetwork):
    """The first stage of Faster R-CNN, which takes no anchor for background where cells may be unmarked."""

    def assign_targets_to_anchors(
        self, anchors: list[torch.Tensor], targets: list[Target]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return a label for each anchor, -1 where it teaches nothing, and the box that it stands for."""
        labels, boxes = super().assign_targets_to_anchors(anchors, targets)
        known = [
            torch.where((label == _BACKGROUND) & ~in_annotated(anchor, target), _IGNORED, label)
            for label, anchor, target in zip(labels, anchors, targets, strict=True)
        ]
        return known, boxes


class AnnotatedRoiHeads(RoIHeads):
    """The second stage of Faster R-CNN, which learns from no proposal where cells may be unmarked but from labels."""

    def select_training_samples(self, proposals: list[torch.Tensor], targets: list[Target]) -> Any:
        """Return what torchvision's own does of the proposals that are a labelled cell, or lie where all are marked."""
        known = []
        for boxes, target in zip(proposals, targets, strict=True):
            kept = in_annotated(boxes, target)
            if len(target["boxes"]):
                overlap = box_iou(target["boxes"].to(boxes), boxes).amax(0)
                kept = kept | (overlap >= self.proposal_matcher.high_threshold)
            known.append(boxes[kept])
        return super().select_training_samples(known, targets)


class AnnotatedRetinaHead(RetinaNetHead):
    """RetinaNet's head, which takes no anchor for background where cells may be unmarked."""

    def compute_loss(
        self, targets: list[Target], head_outputs: Any, anchors: list[torch.Tensor], matched_idxs: list[torch.Tensor]
    ) -> Any:
        """Return the losses by name."""
        known = [
            torch.where(
                (match == Matcher.BELOW_LOW_THRESHOLD) & ~in_annotated(anchor, target),
                Matcher.BETWEEN_THRESHOLDS,
                match,
            )
            for match, anchor, target in zip(matched_idxs, anchors, targets, strict=True)
        ]
        return super().compute_loss(targets, head_outputs, anchors, known)


def in_annotated(boxes: torch.Tensor, target: Target) -> torch.Tensor:
    """Return which boxes, ``(n, 4)`` px with x first, have their centre where every cell is marked; bool ``(n,)``."""
    counted = target.get("counted")
    if counted is None:
        return torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    x, y = ((boxes[:, :2] + boxes[:, 2:]) / 2).long().unbind(1)
    return counted[y.clamp(0, counted.shape[0] - 1), x.clamp(0, counted.shape[1] - 1)]
