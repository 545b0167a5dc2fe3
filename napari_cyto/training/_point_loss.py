"""The loss of a point detector: hybrid Hungarian matching, classes of all proposals, places of the matched ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from napari_cyto.models.point_detector import Proposals
from napari_cyto.training._point_matching import hungarian, matching_cost


@dataclass(frozen=True)
class TileCells:
    """The labelled cells of one training tile.

    Parameters
    ----------
    points_yx : Tensor, (n, 2), float32
        Centres, px of the tile.
    sizes_hw : Tensor, (n, 2), float32
        Height and width, px of the tile; NaN where only a point is known.
    classes : Tensor, (n,), int64
        Classes.
    counted : Tensor or None, (m,), bool
        Whether an unmatched proposal is background: false where not every cell is marked. None: everywhere.
    """

    points_yx: torch.Tensor
    sizes_hw: torch.Tensor
    classes: torch.Tensor
    counted: torch.Tensor | None = None


@dataclass(frozen=True)
class PointLossWeights:
    """What counts how much.

    Parameters
    ----------
    background, cell : float
        Of a proposal in the class loss. Source: Patherea, section 6.1 (0.5 and 10).
    regression : float
        Of the squared distance. Source: Patherea, section 6.1 (2e-3).
    size : float
        Of height and width, in logarithms; ours.
    many : float
        Of the one-to-many part. Source: Patherea, section 6.1 (0.5).
    beta : int
        Repeats of cells in the one-to-many part. Source: Patherea, section 6.1 (2 at 20x, 6 at 40x).
    tau : float
        Weight of the distance in matching, per px. Source: Patherea, section 6.1 (0.05).
    ignore_above : float
        Unmatched proposals that are this sure to be a cell do not count as background, for data in which not every
        cell is marked; 1: all count.
    hidden : float or None
        Cells that nobody annotated for each that somebody did, where not every cell is annotated: unmatched proposals
        there then count as background less what so many cells would lose by it. None: they do not count.
    unsure_below : float or None
        Where not every cell is annotated, unmatched proposals less sure than this to be a cell count as background; one
        that looks like the annotated cells may be a cell. None: none count.
    """

    background: float = 0.5
    cell: float = 10.0
    regression: float = 2e-3
    size: float = 0.1
    many: float = 0.5
    beta: int = 2
    tau: float = 0.05
    ignore_above: float = 1.0
    hidden: float | None = None
    unsure_below: float | None = None


def hybrid_loss(
    one: Proposals, many: Proposals, cells: Sequence[TileCells], weights: PointLossWeights
) -> dict[str, torch.Tensor]:
    """Return the loss of a batch, ``loss``, with its parts.

    Parameters
    ----------
    one, many : Proposals
        The outputs for one-to-one and for one-to-many matching.
    cells : sequence of TileCells
        The truth, one entry a picture.
    weights : PointLossWeights
        What counts how much.

    Notes
    -----
    Source: Patherea, section 3.2, equation 5.
    """
    first, second = matched_loss(one, cells, weights, 1), matched_loss(many, cells, weights, weights.beta)
    parts = {f"{name}_one": value for name, value in first.items()}
    parts |= {f"{name}_many": value for name, value in second.items()}
    return {"loss": first["loss"] + weights.many * second["loss"], **parts}


def matched_loss(
    proposals: Proposals, cells: Sequence[TileCells], weights: PointLossWeights, repeats: int
) -> dict[str, torch.Tensor]:
    """Match, then return class, place and size losses and their weighted sum.

    Notes
    -----
    Source: Patherea, section 3.1, equations 2 to 4; the mean over cells is over those of the whole batch.
    """
    background = proposals.logits.shape[-1] - 1
    target_classes = torch.full(proposals.logits.shape[:2], background, device=proposals.logits.device)
    image, cell, proposal = _matches(proposals, cells, weights.tau, repeats)
    truth = _joined(cells, image, cell)
    target_classes[image, proposal] = truth.classes
    counts = _weights_of(proposals, target_classes, cells, weights)
    entropy = functional.cross_entropy(proposals.logits.transpose(1, 2), target_classes, reduction="none")
    classes = (counts * entropy).sum() / counts.numel()
    if weights.hidden is not None:
        classes = classes + _unlabelled_risk(proposals, target_classes, cells, weights) / counts.numel()
    total = max(len(image), 1)
    moved = (proposals.points_yx[image, proposal] - truth.points_yx).square().sum()
    known = torch.isfinite(truth.sizes_hw)
    logs = proposals.sizes_hw[image, proposal].log() - torch.where(known, truth.sizes_hw, 1.0).clamp(min=1e-3).log()
    sized = functional.smooth_l1_loss(logs[known], torch.zeros_like(logs[known]), reduction="sum") / max(
        int(known.sum()), 1
    )
    loss = classes + weights.regression * moved / total + weights.size * sized
    return {"loss": loss, "classes": classes, "places": moved / total, "sizes": sized}


def _matches(
    proposals: Proposals, cells: Sequence[TileCells], tau: float, repeats: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return picture, cell and proposal of every pair."""
    scores = proposals.logits.detach().softmax(-1).cpu().numpy().astype(np.float64)
    points = proposals.points_yx.detach().cpu().numpy().astype(np.float64)
    found = []
    for number, truth in enumerate(cells):
        centres = truth.points_yx.cpu().numpy().astype(np.float64).reshape(-1, 2)
        cost = matching_cost(centres, truth.classes.cpu().numpy(), points[number], scores[number], tau)
        cell, proposal = hungarian(cost, repeats)
        found.append(np.stack((np.full_like(cell, number), cell, proposal)))
    pairs = torch.from_numpy(np.concatenate(found, axis=1)).to(proposals.logits.device)
    return pairs[0], pairs[1], pairs[2]


def _joined(cells: Sequence[TileCells], image: torch.Tensor, cell: torch.Tensor) -> TileCells:
    """Return the truth of each pair."""
    starts = torch.tensor([0, *(len(c.classes) for c in cells)], device=image.device).cumsum(0)
    at = starts[image] + cell
    points, sizes, classes = (
        torch.cat([getattr(c, name).to(image.device) for c in cells])[at]
        for name in ("points_yx", "sizes_hw", "classes")
    )
    return TileCells(points, sizes, classes)


def _unlabelled_risk(
    proposals: Proposals, target_classes: torch.Tensor, cells: Sequence[TileCells], weights: PointLossWeights
) -> torch.Tensor:
    """Return the background loss where cells may hide, less that of the cells expected there; never below 0.

    Source: Kiryo et al. 2017, Positive-Unlabeled Learning with Non-Negative Risk Estimator, equation 6, the positive
    part being the loss of the matched proposals.
    """
    background = proposals.logits.shape[-1] - 1
    unlike = -functional.log_softmax(proposals.logits, dim=-1)[..., background]
    matched = target_classes != background
    unlabelled = torch.zeros_like(matched)
    for number, truth in enumerate(cells):
        if truth.counted is not None:
            unlabelled[number] = ~truth.counted.to(matched.device)
    unlabelled &= ~matched
    hidden = unlike[matched].sum() * (weights.hidden or 0.0)
    return weights.background * (unlike[unlabelled].sum() - hidden * unlabelled.any()).clamp(min=0)


def _weights_of(
    proposals: Proposals, target_classes: torch.Tensor, cells: Sequence[TileCells], weights: PointLossWeights
) -> torch.Tensor:
    """Return what each proposal counts in the class loss."""
    background = proposals.logits.shape[-1] - 1
    free = target_classes == background
    counts = torch.where(free, weights.background, weights.cell)
    cell_like = 1 - proposals.logits.detach().softmax(-1)[..., background]
    unsure = cell_like < (weights.unsure_below or 0.0)
    for number, truth in enumerate(cells):
        if truth.counted is not None:
            counts[number] *= ~free[number] | truth.counted.to(counts.device) | unsure[number]
    if weights.ignore_above < 1:
        sure = 1 - proposals.logits.detach().softmax(-1)[..., background] > weights.ignore_above
        counts = counts * ~(free & sure)
    return counts
