"""Random changes to a batch of cells at once: one resampling and one colour matrix each, so that the cores train."""

from __future__ import annotations

import math

import torch
from torch.nn import functional
from torchvision.transforms import v2

from napari_cyto.models.manifest import Normalisation
from napari_cyto.training.config import AugmentConfig

_GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness. Source: ITU-R BT.601, section 2.5.1."""

_RGB_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""A turn of I and Q is a turn of the hue. Source: NTSC; FCC 47 CFR 73.682 (a) (20)."""

_NOISE = 0.03
"""Largest standard deviation of the noise, of full scale."""
_SOFTEST_PX = 1.5
"""Largest standard deviation of the blur, px."""


class BatchAugment(v2.Transform):
    """Turn, flip, zoom, shift, recolour, blur and roughen a batch, and normalise it.

    All windows of one cell get the same change. The ratio of nucleus to cytoplasm stays: both axes are scaled alike,
    and nothing is cut out.

    Parameters
    ----------
    config : AugmentConfig
        How strong.
    normalisation : Normalisation
        Of the network's input.
    """

    def __init__(self, config: AugmentConfig, normalisation: Normalisation) -> None:
        super().__init__()
        self.config = config
        self.mean = torch.tensor(normalisation.mean).reshape(1, 3, 1)
        self.std = torch.tensor(normalisation.std).reshape(1, 3, 1)

    def forward(self, crops: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the changed batch.

        Parameters
        ----------
        crops : Tensor, uint8, RGB
            (b, w, s, s, 3).
        generator : Generator
            Where chance comes from, on the CPU.

        Returns
        -------
        Tensor, float32
            (b, w, 3, s, s), normalised, with the channels last in memory.
        """
        b, w, s = crops.shape[:3]
        images = crops.flatten(0, 1).permute(0, 3, 1, 2).contiguous().float()
        grid = functional.affine_grid(self._turns(b, s, generator), [b, 3, s, s], align_corners=False)
        turned = functional.grid_sample(
            images, grid.repeat_interleave(w, 0), padding_mode="reflection", align_corners=False
        )
        self._soften(turned, b, generator)
        coloured = self._recoloured(turned.flatten(2), b, generator)
        self._roughen(coloured, b, generator)
        bounded = torch.clamp(coloured, (0 - self.mean) / self.std, (1 - self.mean) / self.std)
        out = bounded.reshape(b * w, 3, s, s).contiguous(memory_format=torch.channels_last)
        return out.unflatten(0, (b, w))

    def _turns(self, b: int, s: int, generator: torch.Generator) -> torch.Tensor:
        """Return the affine maps from places in the result to places in the picture, (b, 2, 3), both -1 to 1."""
        angle = torch.rand(b, generator=generator) * 2 * math.pi
        if self.config.rotation == "none":
            angle = angle * 0
        elif self.config.rotation == "quarter":
            angle = torch.floor(angle / (math.pi / 2)) * (math.pi / 2)
        elif self.config.rotation_deg < 180:
            angle = (angle / math.pi - 1) * math.radians(self.config.rotation_deg)
        low, high = (math.log(z) for z in self.config.zoom)
        scale = torch.exp(-(low + (high - low) * torch.rand(b, generator=generator)))
        mirror = torch.where(torch.rand(b, generator=generator) < 0.5 * self.config.flips, -1.0, 1.0)
        cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
        shift = (2 * torch.rand(b, 2, generator=generator) - 1) * (2 * self.config.shift_px / s)
        rows = (cosine * mirror, -sine, shift[:, 0], sine * mirror, cosine, shift[:, 1])
        return torch.stack(rows, 1).reshape(b, 2, 3)

    def _recoloured(self, images: torch.Tensor, b: int, generator: torch.Generator) -> torch.Tensor:
        """Return 0..255 pictures (b * w, 3, n) with changed brightness, contrast, saturation and hue, normalised.

        Each of the four is linear in RGB, so one matrix and one offset a picture do it all; the order is that of
        torchvision's ColorJitter, with the hue turned in YIQ.
        """
        w = len(images) // b
        config, chance = self.config, 2 * torch.rand(4, b, generator=generator) - 1
        ranges = (config.brightness, config.contrast, config.saturation)
        bright, contrast, saturation = (1 + r * c for r, c in zip(ranges, chance, strict=False))
        grey = torch.tensor(_GREY)
        matrix = _hue_turns(2 * math.pi * config.hue * chance[3])
        matrix = matrix @ (
            saturation[:, None, None] * torch.eye(3) + (1 - saturation)[:, None, None] * grey.expand(3, 3)
        )
        matrix = matrix * (bright * contrast)[:, None, None]
        level = (images.mean(2) @ grey).reshape(b, w) / 255
        offset = ((1 - contrast) * bright)[:, None] * level
        scaled = matrix.repeat_interleave(w, 0) / (255 * self.std)
        shift = (offset.reshape(-1, 1, 1) - self.mean) / self.std
        return torch.baddbmm(shift, scaled, images)

    def _soften(self, images: torch.Tensor, b: int, generator: torch.Generator) -> None:
        """Blur a share of the cells by a small Gaussian, in place."""
        chosen = torch.rand(b, generator=generator) < self.config.blur
        sigmas = 0.3 + (_SOFTEST_PX - 0.3) * torch.rand(b, generator=generator)
        w = len(images) // b
        for cell in torch.nonzero(chosen).flatten().tolist():
            own = slice(cell * w, (cell + 1) * w)
            images[own] = v2.functional.gaussian_blur(images[own], [7, 7], [float(sigmas[cell])])

    def _roughen(self, images: torch.Tensor, b: int, generator: torch.Generator) -> None:
        """Add a camera's noise to a share of the cells, in place; (b * w, 3, n), normalised."""
        chosen = torch.rand(b, generator=generator) < self.config.noise
        strength = _NOISE * torch.rand(b, generator=generator)
        w = len(images) // b
        for cell in torch.nonzero(chosen).flatten().tolist():
            own = slice(cell * w, (cell + 1) * w)
            noise = torch.randn(images[own].shape, generator=generator)
            images[own] += noise * strength[cell] / self.std


def mixed(
    crops: torch.Tensor, targets: torch.Tensor, alpha: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch in which each cell is blended with another one, and its target likewise.

    Parameters
    ----------
    crops : Tensor, float32
        (b, w, 3, s, s).
    targets : Tensor, float32
        (b, C), share of each class.
    alpha : float
        Of the Beta distribution; 0 for no change.
    generator : Generator
        Where chance comes from.

    Notes
    -----
    Source: Zhang et al. 2018, mixup, equation 1.
    """
    if alpha <= 0:
        return crops, targets
    pair = torch._standard_gamma(torch.full((2,), alpha), generator=generator)
    share = float(pair[0] / pair.sum().clamp_min(1e-12))
    other = torch.randperm(len(crops), generator=generator)
    return torch.lerp(crops[other], crops, share), torch.lerp(targets[other], targets, share)


def _hue_turns(angles: torch.Tensor) -> torch.Tensor:
    """Return the RGB matrices (b, 3, 3) that turn the hue by ``angles``, radians."""
    to_yiq = torch.tensor(_RGB_TO_YIQ)
    turn = torch.eye(3).repeat(len(angles), 1, 1)
    turn[:, 1, 1] = turn[:, 2, 2] = torch.cos(angles)
    turn[:, 2, 1] = torch.sin(angles)
    turn[:, 1, 2] = -turn[:, 2, 1]
    return torch.linalg.inv(to_yiq) @ turn @ to_yiq
