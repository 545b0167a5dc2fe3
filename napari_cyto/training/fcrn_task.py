"""Training FCRN: maps that fall off exponentially from each cell's centre, regressed."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from napari_cyto.training.detector_task import DetectorTask
from napari_cyto.training.task import Batch, Network, Tensor

ALPHA = 3.0
"""How steeply the map falls. Source: Xie et al. 2018, structured regression (proximity map)."""

EMPTY_WEIGHT = 0.3
"""What a px without a cell weighs beside one at a centre. Source: Xie et al. 2015, structured regression."""


class FcrnTask(DetectorTask):
    """Density regression; see ``DetectorTask``."""

    def anchors_yx(self) -> npt.NDArray[np.float64]:
        """Return the centres of the map's px, px of the tile."""
        cells = -(-self.model.tile_px // self.model.stride)
        at = (np.arange(cells) + 0.5) * self.model.stride
        return np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """Return the weighted square loss of a batch."""
        told = network(batch["images"])
        radius_px = self.model.radius_um / self.model.mpp
        losses = []
        rows = zip(told, batch["points"], batch["classes"], batch["counted"], strict=True)
        for maps, points, classes, counted in rows:
            wanted = proximity_maps(points, classes, maps.shape, self.model.stride, radius_px)
            weight = wanted + EMPTY_WEIGHT
            if len(counted):
                weight = weight * (counted.reshape(1, *maps.shape[1:]) | (wanted > 0))
            losses.append((weight * (maps - wanted).square()).sum((1, 2)).mean())
        return torch.stack(losses).mean() / (self.model.tile_px / self.model.stride)


def proximity_maps(
    points_yx: torch.Tensor, classes: torch.Tensor, shape: torch.Size, stride: int, radius_px: float
) -> torch.Tensor:
    """Return maps that are 1 at a cell's centre and 0 from ``radius_px`` on, ``shape`` ``(classes, h, w)``.

    Notes
    -----
    Source: Xie et al. 2018, structured regression: ``(exp(a (1 - d / r)) - 1) / (exp(a) - 1)``, the nearest cell's.
    """
    maps = torch.zeros(tuple(shape), device=points_yx.device)
    y = (torch.arange(shape[1], device=points_yx.device) + 0.5) * stride
    x = (torch.arange(shape[2], device=points_yx.device) + 0.5) * stride
    for point, kind in zip(points_yx, classes.tolist(), strict=True):
        distance = torch.hypot(*torch.meshgrid(y - point[0], x - point[1], indexing="ij"))
        near = torch.expm1(ALPHA * (1 - distance / radius_px)) / math.expm1(ALPHA)
        maps[kind] = torch.maximum(maps[kind], near.clamp(min=0))
    return maps
