"""Training torchvision's box detectors; a cell of which only the centre is known gets its class's usual size."""

from __future__ import annotations

from typing import Any

import torch

from napari_cyto.models.box_detectors import as_bits
from napari_cyto.training._task import Batch, Network, Tensor
from napari_cyto.training.detector.detector_task import DetectorTask

_SMALLEST_PX = 1.0


class BoxTask(DetectorTask):
    """Faster R-CNN or RetinaNet; see ``DetectorTask``."""

    def own_settings(self) -> dict[str, Any]:
        """Return which of the two it is, and the size that anchors are made for."""
        return {"architecture": self.architecture, "size_px": self.usual_px()}

    def loss(self, network: Network, batch: Batch) -> Tensor:
        """Return the sum of torchvision's losses."""
        usual = torch.tensor([c.box_um / self.model.mpp for c in self.classes])
        shift = 0 if self.model.architecture == "retinanet" else 1
        rows = zip(batch["points"], batch["sizes"], batch["classes"], batch["counted"], strict=True)
        targets = []
        for points, sizes, classes, counted in rows:
            boxes = box_targets(points, sizes, classes, usual, self.model.tile_px, shift)
            targets.append(as_bits(boxes | self._annotated_area(counted)))
        total = torch.stack(list(network(batch["images"], targets).values())).sum()
        teaches = any(len(t["boxes"]) or "counted" not in t for t in targets)
        # A mean over nothing, where the regions of all tiles are too small to hold a box.
        return total if teaches else total.nan_to_num()

    def _annotated_area(self, counted: Tensor) -> dict[str, Tensor]:
        """Return where every cell of a tile is marked, for each of its px; nothing where that is everywhere."""
        if not len(counted):
            return {}
        cells, tile_px = -(-self.model.tile_px // self.model.stride), self.model.tile_px
        of_grid = counted.reshape(cells, cells)
        wide = of_grid.repeat_interleave(self.model.stride, 0).repeat_interleave(self.model.stride, 1)
        return {"counted": wide[:tile_px, :tile_px]}


def box_targets(
    points_yx: torch.Tensor,
    sizes_hw: torch.Tensor,
    classes: torch.Tensor,
    usual_px: torch.Tensor,
    tile_px: int,
    first_label: int,
) -> dict[str, torch.Tensor]:
    """Return the cells of a tile as torchvision's detectors want them: boxes with x first, inside the tile."""
    sides_px = torch.where(torch.isfinite(sizes_hw), sizes_hw, usual_px.to(sizes_hw.device)[classes][:, None])
    low, high = (points_yx - sides_px / 2).clamp(0, tile_px), (points_yx + sides_px / 2).clamp(0, tile_px)
    boxes = torch.cat((low.flip(1), high.flip(1)), dim=1)
    seen = (high - low).amin(1) >= _SMALLEST_PX if len(boxes) else torch.zeros(0, dtype=torch.bool)
    return {"boxes": boxes[seen], "labels": classes[seen] + first_label}
