"""The outline network: a crop round a click in, nucleus and whole cell under the click out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.nn import functional

OUTPUTS = ("nucleus", "cell")
"""What the two maps are of; the cytoplasm is the cell without its nucleus, and the background what is left."""


class OutlineSettings(BaseModel):
    """What an outline network is built from, as ``model.json`` keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    widths: tuple[int, ...] = Field(
        default=(16, 32, 64, 96, 128),
        min_length=2,
        max_length=6,
        description="Channels at a half, a quarter ... of the crop's size.",
    )


class OutlineNetwork(nn.Module):
    """A small U-Net whose finest maps have half the crop's size; its answer is brought to the crop's own.

    Parameters
    ----------
    widths : sequence of int
        Channels at a half, a quarter ... of the crop's size.

    Source
    ------
    Ronneberger et al. 2015 (U-Net); a click as a Gaussian beside the image: Maninis et al. 2018 (Deep Extreme Cut).
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        before = (4, *widths[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(_layer(low, width, 2, 3 if number else 5), _layer(width, width))
            for number, (low, width) in enumerate(zip(before, widths, strict=True))
        )
        self.squeeze = nn.ModuleList(nn.Conv2d(below, width, 1) for width, below in pairwise(widths))
        self.up = nn.ModuleList(nn.Sequential(_layer(2 * width, width), _layer(width, width)) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], len(OUTPUTS), 1)
        # Inputs are halved so often that a side which is no multiple would not come back to its size.
        self.multiple = 2 ** len(widths)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits ``(b, 2, n, n)`` of nucleus and cell for ``(b, 4, n, n)``: normalised RGB, and the click."""
        maps, x = [], inputs
        for down in self.down:
            x = down(x)
            maps.append(x)
        maps.pop()
        for squeeze, up in zip(reversed(self.squeeze), reversed(self.up), strict=True):
            beside = maps.pop()
            below = functional.interpolate(squeeze(x), scale_factor=2.0, mode="bilinear", align_corners=False)
            x = up(torch.cat([below, beside], dim=1))
        return functional.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)


def _layer(before: int, width: int, stride: int = 1, side: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, side, stride, side // 2, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
    )


def build(settings: Mapping[str, Any], _n_classes: int, weights: str = "none") -> OutlineNetwork:
    """Return the network that settings of ``model.json`` describe; it names no cell.

    Raises
    ------
    ValidationError
        When the settings are not those of an outline network.
    """
    del weights  # it has no backbone that others have trained
    return OutlineNetwork(OutlineSettings.model_validate(dict(settings)).widths)
