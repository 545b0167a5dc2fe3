"""Tiny torch networks with the shapes that other makers' exports have; they really find dark squares on glass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SIDE_PX = 24
"""Of a cell as it is drawn."""

COLOURS = {0: (60, 60, 170), 1: (170, 60, 60)}
GLASS = (240, 240, 240)
STRIDES = (8, 16, 32)


class TinyYolo(nn.Module):
    """Boxes of one size where it is dark, on three grids; class 0 is blue, class 1 red. Input RGB 0 to 1."""

    def __init__(self, layout: str, n_classes: int = 2, anchors: int = 1) -> None:
        super().__init__()
        self.layout, self.n_classes, self.anchors = layout, n_classes, anchors

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows = torch.cat([self._level(images, stride) for stride in STRIDES], 1)
        if self.layout == "v8":
            return torch.cat([rows[..., :4], rows[..., 5:] * rows[..., 4:5]], -1).transpose(1, 2)
        if self.layout == "end-to-end":
            score, number = (rows[..., 5:] * rows[..., 4:5]).max(-1, keepdim=True)
            half = rows[..., 2:4] / 2
            table = torch.cat([rows[..., :2] - half, rows[..., :2] + half, score, number.float()], -1)
            best = score[..., 0].topk(20, dim=1).indices
            return table.gather(1, best.unsqueeze(-1).expand(-1, -1, 6))
        return rows

    def _level(self, images: torch.Tensor, stride: int) -> torch.Tensor:
        seen = max(SIDE_PX, stride)
        pooled = functional.avg_pool2d(images, seen, stride, (seen - stride) // 2, count_include_pad=False)
        height, width = pooled.shape[-2:]
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        red, blue = pooled[:, 0], pooled[:, 2]
        dark = torch.sigmoid(12 * (0.62 - pooled[:, 1]))
        kinds = [torch.sigmoid(20 * (blue - red)), torch.sigmoid(20 * (red - blue))]
        kinds += [torch.zeros_like(dark)] * (self.n_classes - 2)
        side = torch.full_like(dark, float(SIDE_PX))
        one = torch.stack([x * stride + 0 * dark, y * stride + 0 * dark, side, side, dark, *kinds], -1)
        return one.reshape(1, -1, 5 + self.n_classes).repeat_interleave(self.anchors, 1)


class Points(nn.Module):
    """The same as points with logits, background last, and sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.yolo = TinyYolo("v5")

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        rows = self.yolo(images)
        shares = torch.cat([rows[..., 5:] * rows[..., 4:5], 1 - rows[..., 4:5]], -1).clamp(1e-6, 1)
        return rows[..., :2], shares.log(), rows[..., 2:4]


class ScoreMaps(nn.Module):
    """The same as a map for each class, of stride 8."""

    def __init__(self) -> None:
        super().__init__()
        self.yolo = TinyYolo("v5")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        side = images.shape[-1] // STRIDES[0]
        rows = self.yolo._level(images, STRIDES[0])
        return (rows[..., 5:] * rows[..., 4:5]).reshape(1, side, side, 2).permute(0, 3, 1, 2)


def field(height: int, width: int, cells: list[tuple[int, int, int]]) -> np.ndarray:
    """Return glass with cells ``(y, x, class)``, uint8 RGB."""
    image = np.full((height, width, 3), GLASS, np.uint8)
    half = SIDE_PX // 2
    for y, x, kind in cells:
        image[max(y - half, 0) : y + half, max(x - half, 0) : x + half] = COLOURS[kind]
    return image


def exported(network: nn.Module, path: Path, *inputs: Any, **options: Any) -> Path:
    """Export a network as its maker would, and return the file."""
    with torch.no_grad():
        torch.onnx.export(network.eval(), inputs, str(path), **{"dynamo": False, "opset_version": 17, **options})
    return path
