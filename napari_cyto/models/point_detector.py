"""Patherea-P2P: point proposals on a grid, moved onto cells, classified, and given a size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from napari_cyto.models._pyramid import HALO_PX, MULTIPLE, FeaturePyramid, PyramidSettings, built_maps, grid_feature
from napari_cyto.models.raw_cells import RawCells

PROPOSALS = 2
"""Proposals along each side of a cell of the grid. Source: Patherea, section 6.1 (K = [2, 2])."""

PRIOR = 0.02
"""Share of proposals that the first step takes for cells."""

_BLOCKS = 2
LONGEST_LOG = 4.0


class PointSettings(PyramidSettings):
    """What a point detector is built from, as ``model.json`` keeps it."""

    size_px: float = Field(default=40.0, ge=1, le=4096)
    sizes: bool = False


class Proposals(NamedTuple):
    """What the network says of a batch: ``m`` proposals a picture, in the order of the grid.

    Parameters
    ----------
    points_yx : Tensor, (b, m, 2), float32
        Where each proposal has been moved to, input px.
    sizes_hw : Tensor, (b, m, 2), float32
        Height and width of the cell, input px.
    logits : Tensor, (b, m, classes + 1), float32
        Class scores; the last is background.
    """

    points_yx: torch.Tensor
    sizes_hw: torch.Tensor
    logits: torch.Tensor


class PointDetector(nn.Module):
    """Backbone, pyramid, and two heads of two residual blocks; one pair of outputs each way of matching.

    Parameters
    ----------
    backbone : nn.Module
        Gives a list of maps ``(b, c, h, w)``, finest first.
    channels : sequence of int
        Of those maps.
    n_classes : int
        Classes of cells, background not counted.
    stride : int
        Side of a cell of the grid, input px.
    width : int
        Channels of pyramid and heads.
    size_px : float
        Side of a usual cell, input px: what a size is told relative to.
    sizes : bool
        Whether it has learned sizes, from data with boxes.
    multiple : int
        The input is padded to a multiple of this many px, for backbones that insist on it.

    Notes
    -----
    Source: Patherea, sections 3.1 to 3.3 and 6.1; sizes are ours, for data that has boxes.
    """

    def __init__(
        self,
        backbone: nn.Module,
        channels: Sequence[int],
        n_classes: int,
        stride: int = 8,
        width: int = 256,
        size_px: float = 40.0,
        sizes: bool = True,
        multiple: int = MULTIPLE,
    ) -> None:
        super().__init__()
        self.backbone, self.pyramid = backbone, FeaturePyramid(channels, width)
        self.n_classes, self.stride, self.size_px, self.sizes = n_classes, stride, size_px, sizes
        self.multiple, self.halo = multiple, -(-HALO_PX // multiple) * multiple
        per_cell = PROPOSALS**2
        self.place = _Head(width, per_cell * 4)
        self.sort = _Head(width, per_cell * (n_classes + 1))
        self.sort.expect_background(n_classes)
        self.place.expect_usual_size()

    def forward(self, images: torch.Tensor, both: bool = False) -> tuple[torch.Tensor, ...]:
        """Return the fields of `Proposals` for pictures ``(b, 3, h, w)``, normalised RGB.

        Those of one-to-one matching; with ``both``, what training needs, those of one-to-many matching after them.
        """
        feature = grid_feature(self.backbone, self.pyramid, images, self.stride, self.multiple)
        grid_hw = (int(feature.shape[-2]), int(feature.shape[-1]))
        placed, sorted_ = self.place(feature), self.sort(feature)
        one = self._proposals(self.place.one(placed), self.sort.one(sorted_), grid_hw)
        if not both:
            return tuple(one)
        return (*one, *self._proposals(self.place.many(placed), self.sort.many(sorted_), grid_hw))

    def decode(self, outputs: Sequence[torch.Tensor], floor: float) -> list[RawCells]:
        """Return the proposals that are a cell with ``floor`` or more; nothing is merged."""
        found = []
        for points, sizes, logits in zip(*outputs, strict=True):
            shares = logits.softmax(-1)
            scores = 1 - shares[:, -1]
            keep = scores >= floor
            known = sizes[keep] if self.sizes else torch.full_like(sizes[keep], float("nan"))
            found.append(RawCells(points[keep], known, scores[keep], shares[keep, :-1]))
        return found

    def _proposals(self, placed: torch.Tensor, sorted_: torch.Tensor, grid_hw: tuple[int, int]) -> Proposals:
        """Lay raw maps out as proposals; offsets are in cells of the grid, sizes in logarithms."""
        placed, logits = _per_proposal(placed.float(), 4), _per_proposal(sorted_.float(), self.n_classes + 1)
        anchors = grid_anchors_yx(grid_hw, self.stride, placed.device)
        sizes = self.size_px * placed[..., 2:].clamp(-LONGEST_LOG, LONGEST_LOG).exp()
        return Proposals(anchors + placed[..., :2] * self.stride, sizes, logits)


def build(settings: Mapping[str, Any], n_classes: int, weights: str = "none") -> PointDetector:
    """Return the detector that settings of ``model.json`` describe; only the backbone can have first weights.

    Raises
    ------
    ValidationError
        When the settings are not those of a point detector.
    CytoError
        When timm does not know the backbone, it gives no maps, or the weights do not fit.
    """
    known = PointSettings.model_validate(dict(settings))
    backbone, channels = built_maps(known, weights)
    multiple = max(MULTIPLE, known.stride)
    return PointDetector(backbone, channels, n_classes, known.stride, known.width, known.size_px, known.sizes, multiple)


def grid_anchors_yx(grid_hw: tuple[int, int], stride: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return where proposals start, ``(m, 2)`` float32 input px: evenly in each cell of the grid, row by row."""
    inside = (torch.arange(PROPOSALS, device=device, dtype=torch.float32) + 0.5) / PROPOSALS
    rows = torch.arange(grid_hw[0], device=device, dtype=torch.float32)
    columns = torch.arange(grid_hw[1], device=device, dtype=torch.float32)
    y = rows[:, None, None, None] + inside[None, None, :, None]
    x = columns[None, :, None, None] + inside[None, None, None, :]
    y, x = torch.broadcast_tensors(y, x)
    return torch.stack((y, x), dim=-1).reshape(-1, 2) * stride


def _per_proposal(raw: torch.Tensor, values: int) -> torch.Tensor:
    """Turn ``(b, k * values, h, w)`` into ``(b, h * w * k, values)``."""
    return raw.permute(0, 2, 3, 1).reshape(raw.shape[0], -1, values)


class _Head(nn.Module):
    """Two residual blocks, and a 3 x 3 convolution for each way of matching."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_Residual(width) for _ in range(_BLOCKS)))
        self.one = nn.Conv2d(width, outputs, 3, padding=1)
        self.many = nn.Conv2d(width, outputs, 3, padding=1)
        for last in (self.one, self.many):
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)

    def expect_usual_size(self) -> None:
        """Start from the usual size everywhere: what a short training has not reached tells no wild one."""
        for last in (self.one, self.many):
            with torch.no_grad():
                last.weight.view(-1, 4, *last.weight.shape[1:])[:, 2:] = 0.0

    def expect_background(self, n_classes: int) -> None:
        """Start from the belief that nearly every proposal is background. Source: Lin et al. 2017 (RetinaNet), 4.1."""
        for last in (self.one, self.many):
            with torch.no_grad():
                last.bias.view(-1, n_classes + 1)[:, -1] = math.log(n_classes * (1 - PRIOR) / PRIOR)

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.blocks(feature)
        return result


class _Residual(nn.Module):
    """Source: He et al. 2016, figure 2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        inner = functional.relu(self.first_norm(self.first(feature)))
        return functional.relu(feature + self.second_norm(self.second(inner)))
