"""FCRN: a map that is highest at the cells' centres, one channel a class; its peaks are the cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional

from napari_cyto.models._pyramid import HALO_PX, MULTIPLE, FeaturePyramid, PyramidSettings, built_maps, grid_feature
from napari_cyto.models.raw_cells import RawCells


class FcrnSettings(PyramidSettings):
    """What a density detector is built from, as ``model.json`` keeps it: a finer grid, fewer channels."""

    stride: int = Field(default=4, ge=1, le=32)
    width: int = Field(default=64, ge=8, le=2048)
    levels: int = Field(default=4, ge=1, le=5)


class DensityDetector(nn.Module):
    """Encoder, top-down decoder, and one map a class.

    Parameters
    ----------
    backbone : nn.Module
        Gives a list of maps ``(b, c, h, w)``, finest first.
    channels : sequence of int
        Of those maps.
    n_classes : int
        Classes of cells.
    stride : int
        Input px a px of the map.
    width : int
        Channels of the decoder.

    Notes
    -----
    Source: Xie et al. 2018, Efficient and robust cell detection: a structured regression approach; modernised with a
    ResNet-34 and a channel a class after Patherea, section 6.
    """

    multiple = MULTIPLE

    def __init__(
        self, backbone: nn.Module, channels: Sequence[int], n_classes: int, stride: int = 4, width: int = 64
    ) -> None:
        super().__init__()
        self.backbone, self.pyramid = backbone, FeaturePyramid(channels, width)
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, n_classes, 1),
        )
        self.n_classes, self.stride, self.halo = n_classes, stride, HALO_PX

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the maps, float32, ``(b, classes, h / stride, w / stride)``, of pictures ``(b, 3, h, w)``."""
        maps: torch.Tensor = self.head(grid_feature(self.backbone, self.pyramid, images, self.stride))
        return maps.float()

    def decode(self, outputs: torch.Tensor, floor: float) -> list[RawCells]:
        """Return the peaks of the classes' sum; a plateau is one peak or none."""
        maps = outputs.clamp(min=0)
        total = maps.sum(1, keepdim=True)
        # Rounding makes plateaus; the slightest slope towards the origin leaves one peak of each.
        tilt = torch.arange(total.numel() // len(total), device=total.device).reshape(1, 1, *total.shape[-2:])
        sloped = total.double() - 1e-9 * tilt
        peaks = (functional.max_pool2d(sloped, 3, 1, 1) == sloped) & (total >= floor)
        return [self._cells(m, t[0], p[0]) for m, t, p in zip(maps, total, peaks, strict=True)]

    def _cells(self, maps: torch.Tensor, total: torch.Tensor, peaks: torch.Tensor) -> RawCells:
        rows, columns = torch.nonzero(peaks, as_tuple=True)
        offset = torch.stack([_vertex(total, rows, columns, axis) for axis in (0, 1)], 1)
        points = (torch.stack((rows, columns), 1) + 0.5 + offset) * self.stride
        scores = total[rows, columns].clamp(max=1)
        shares = maps[:, rows, columns].T
        shares = shares / shares.sum(1, keepdim=True).clamp(min=1e-9) * scores[:, None]
        return RawCells(points.float(), torch.full_like(points, float("nan")).float(), scores, shares)


def _vertex(total: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, axis: int) -> torch.Tensor:
    """Return how far a peak's parabola through three px tops from its px, -0.5 to 0.5."""
    length = total.shape[axis]
    at = rows if axis == 0 else columns

    def beside(step: int) -> torch.Tensor:
        moved = (at + step).clamp(0, length - 1)
        return total[moved, columns] if axis == 0 else total[rows, moved]

    before, here, after = beside(-1), beside(0), beside(1)
    bend = (2 * here - before - after).clamp(min=1e-6)
    inside = (at > 0) & (at < length - 1)
    return torch.where(inside, ((after - before) / (2 * bend)).clamp(-0.5, 0.5), torch.zeros_like(here))


def build(settings: Mapping[str, Any], n_classes: int, weights: str = "none") -> DensityDetector:
    """Return the detector that settings of ``model.json`` describe; only the backbone can have first weights.

    Raises
    ------
    ValidationError
        When the settings are not those of a density detector.
    CytoError
        When timm does not know the backbone, it gives no maps, or the weights do not fit.
    """
    known = FcrnSettings.model_validate(dict(settings))
    backbone, channels = built_maps(known, weights)
    return DensityDetector(backbone, channels, n_classes, known.stride, known.width)
