"""Feature pyramids over any timm backbone: what all detectors are made of, and the one map that most of them read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn
from torch.nn import functional

from napari_cyto.models.backbones import FeatureMaps, make_backbone

MULTIPLE = 32
"""Pictures are padded to a multiple of this many px: what a backbone's coarsest map has to a px."""

HALO_PX = 64
"""Context beyond a tile, input px. What lies further off changes scores a little, and more in backbones that see the
whole tile (squeeze-excite, transformers): 3 of 153 cells crossed the threshold between two sizes of tiles."""


class PyramidSettings(BaseModel):
    """What every detector is built from, as ``model.json`` keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str = Field(min_length=1, max_length=200)
    stride: int = Field(default=8, ge=2, le=32)
    width: int = Field(default=256, ge=8, le=2048)
    levels: int = Field(default=3, ge=1, le=5)
    input_px: int = Field(default=256, ge=32, le=4096)


class ChosenMaps(nn.Module):
    """A backbone that gives only some of its maps.

    Parameters
    ----------
    maps : FeatureMaps
        The backbone.
    first, last : int
        The first and the last of its maps that are given, counted from the finest.
    """

    def __init__(self, maps: FeatureMaps, first: int, last: int) -> None:
        super().__init__()
        self.maps, self.first, self.last = maps, first, last

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return maps ``(b, c, h, w)``, finest first, of pictures ``(b, 3, H, W)``."""
        chosen: list[torch.Tensor] = self.maps(images)[self.first : self.last + 1]
        return chosen


def built_maps(settings: PyramidSettings, weights: str) -> tuple[ChosenMaps, list[int]]:
    """Return the backbone that settings describe, with its first weights, and the channels of its maps.

    Raises
    ------
    CytoError
        When timm does not know the backbone, it gives no maps, or the weights do not fit.
    """
    maps = make_backbone(settings.backbone, weights, features_only=True, input_px=settings.input_px)
    return maps_for_stride(maps, settings.stride, settings.levels)


def maps_for_stride(maps: FeatureMaps, stride: int, levels: int) -> tuple[ChosenMaps, list[int]]:
    """Return a backbone cut to the maps that a grid of ``stride`` px is made from, and their channels.

    Parameters
    ----------
    maps : FeatureMaps
        The backbone.
    stride : int
        Side of a cell of the grid, input px; the finest map is the coarsest that is no coarser than it, else the
        finest there is (a plain transformer's, which is then resized to the grid).
    levels : int
        Maps of the pyramid, at most.
    """
    reductions = maps.reductions
    first = max((i for i, r in enumerate(reductions) if r <= stride), default=0)
    if len(set(reductions)) == 1:
        first = max(0, len(reductions) - levels)
    last = min(first + levels, len(reductions)) - 1
    _drop_after(maps, last)
    return ChosenMaps(maps, first, last), maps.channels[first : last + 1]


def _drop_after(maps: FeatureMaps, last: int) -> None:
    """Drop the stages that only coarser maps than number ``last`` need, where they stand in one row."""
    names = [str(name) for name in maps.net.feature_info.module_name()]
    row, _, place = names[last].partition(".")
    stages = getattr(maps.net, row, None)
    # Only timm's networks of inverted residuals walk over whatever stages there are.
    if not isinstance(stages, nn.Sequential) or type(maps.net).__name__ != "EfficientNetFeatures":
        return
    setattr(maps.net, row, stages[: int(place) + 1])
    maps.channels, maps.reductions = maps.channels[: last + 1], maps.reductions[: last + 1]


class FeaturePyramid(nn.Module):
    """Top-down pyramid whose finest level is the only one that is given back.

    Parameters
    ----------
    channels : sequence of int
        Of the backbone's maps, finest first.
    width : int
        Channels of the pyramid.

    Notes
    -----
    A plain transformer gives maps of one size only: they are added up at that size and then brought to the grid.

    Source: Lin et al. 2017, section 3, after Patherea, section 6.1 (only the finest level feeds the heads).
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, maps: Sequence[torch.Tensor], size_hw: tuple[int, int]) -> torch.Tensor:
        """Return the finest level, float, ``(b, width, *size_hw)``, of maps ``(b, c, h, w)``, finest first."""
        top = self.lateral[-1](maps[-1])
        for lateral, each in zip(reversed(self.lateral[:-1]), reversed(maps[:-1]), strict=True):
            top = lateral(each) + _resized(top, (int(each.shape[-2]), int(each.shape[-1])))
        smooth: torch.Tensor = self.smooth(_resized(top, size_hw))
        return smooth


def padded(images: torch.Tensor, multiple: int = MULTIPLE) -> torch.Tensor:
    """Return pictures ``(b, c, h, w)`` with last rows and columns repeated up to a multiple of ``multiple`` px."""
    pad_h, pad_w = -int(images.shape[-2]) % multiple, -int(images.shape[-1]) % multiple
    return functional.pad(images, (0, pad_w, 0, pad_h), mode="replicate") if pad_h or pad_w else images


def grid_feature(
    backbone: nn.Module, pyramid: FeaturePyramid, images: torch.Tensor, stride: int, multiple: int = MULTIPLE
) -> torch.Tensor:
    """Return the pyramid's map on the grid of ``stride`` px that covers pictures ``(b, 3, h, w)``.

    Returns
    -------
    Tensor
        (b, width, ceil(h / stride), ceil(w / stride)).
    """
    height, width = int(images.shape[-2]), int(images.shape[-1])
    whole = padded(images, multiple)
    full = (int(whole.shape[-2]) // stride, int(whole.shape[-1]) // stride)
    feature: torch.Tensor = pyramid(backbone(whole), full)
    grid_hw = (-(-height // stride), -(-width // stride))
    # An exported network takes pictures of any size only when nothing is cut that need not be.
    return feature if full == grid_hw else feature[..., : grid_hw[0], : grid_hw[1]]


def _resized(feature: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    had_hw = (int(feature.shape[-2]), int(feature.shape[-1]))
    if had_hw == size_hw:
        return feature
    # The same either way, but a whole factor holds for pictures of any size when the network is exported.
    if all(size % had == 0 for size, had in zip(size_hw, had_hw, strict=True)):
        factors = [size / had for size, had in zip(size_hw, had_hw, strict=True)]
        return functional.interpolate(feature, scale_factor=factors, mode="bilinear", align_corners=False)
    return functional.interpolate(feature, size=size_hw, mode="bilinear", align_corners=False)
