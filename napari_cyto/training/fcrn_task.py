"""Training FCRN: maps that fall off exponentially from each cell's centre, regressed."""

from __future__ import annotations

import math

import torch

from napari_cyto.training._task import Batch, Network, Tensor
from napari_cyto.training.detector.detector_task import DetectorTask

ALPHA = 3.0
"""How steeply the map falls. Ours: Patherea names Xie et al. 2018 for the method, but neither it nor any paper that we
could read gives the number; with 3 the map is at a fifth half-way to its edge. Not tuned."""

EMPTY_WEIGHT = 0.3
"""What a px without a cell weighs beside the 1.3 of one at a centre. Ours, not tuned; that the weight grows with the
map is the idea of Xie et al. 2015, whose numbers Patherea does not repeat."""


class FcrnTask(DetectorTask):
    """Density regression; see ``DetectorTask``."""

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """Return the weighted square loss of a batch."""
        outputs = network(batch["images"])
        radius_px = self.model.radius_um / self.model.mpp
        losses = []
        rows = zip(outputs, batch["points"], batch["classes"], batch["counted"], strict=True)
        for maps, points, classes, counted in rows:
            target_maps = proximity_maps(points, classes, maps.shape, self.model.stride, radius_px)
            weight = target_maps + EMPTY_WEIGHT
            if len(counted):
                weight = weight * (counted.reshape(1, *maps.shape[1:]) | (target_maps > 0))
            losses.append((weight * (maps - target_maps).square()).sum((1, 2)).mean())
        return torch.stack(losses).mean() / (self.model.tile_px / self.model.stride)


def proximity_maps(
    points_yx: torch.Tensor, classes: torch.Tensor, shape: torch.Size, stride: int, radius_px: float
) -> torch.Tensor:
    """Return maps that are 1 at a cell's centre and 0 from ``radius_px`` on, ``shape`` ``(classes, h, w)``.

    Notes
    -----
    Source: the proximity map of Xie et al. 2018, which Patherea, section 6, takes over by name only; written here as
    ``(exp(a (1 - d / r)) - 1) / (exp(a) - 1)`` of the nearest cell, with ``ALPHA`` for a.
    """
    maps = torch.zeros(tuple(shape), device=points_yx.device)
    y = (torch.arange(shape[1], device=points_yx.device) + 0.5) * stride
    x = (torch.arange(shape[2], device=points_yx.device) + 0.5) * stride
    for point, kind in zip(points_yx, classes.tolist(), strict=True):
        distance = torch.hypot(*torch.meshgrid(y - point[0], x - point[1], indexing="ij"))
        near = torch.expm1(ALPHA * (1 - distance / radius_px)) / math.expm1(ALPHA)
        maps[kind] = torch.maximum(maps[kind], near.clamp(min=0))
    return maps
