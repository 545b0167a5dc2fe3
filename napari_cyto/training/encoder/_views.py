"""The views of a patch: two large and some small ones, cut, turned and recoloured by chance; and masks of blocks."""

from __future__ import annotations

import math
import random

import torch
from torch.nn import functional

from napari_cyto.models.manifest import Normalisation
from napari_cyto.training._augmentation import BatchAugment
from napari_cyto.training.config import AugmentConfig, MaskConfig, ViewConfig

_GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness. Source: ITU-R BT.601, section 2.5.1."""
_BRIGHT = 128.0
"""Lights from here on are inverted where a view is solarised. Source: Grill et al. 2020 (BYOL), appendix B."""

_LEAST_BLOCK = 4
"""Patches of a block, at least. Source: Bao et al. 2022 (BEiT), which has 16 of 196; lightly takes 4."""


class MultiCrop(BatchAugment):
    """Cuts views out of patches; each is a part of a patch, resampled once to the view's size.

    Parameters
    ----------
    config : AugmentConfig
        How views are turned, flipped and recoloured; its zoom has no meaning here, where each view has its own area.
    views : ViewConfig
        How many and how large.
    normalisation : Normalisation
        Of the network's input.

    Notes
    -----
    Source: Caron et al. 2020 (SwAV), section 3.3; Zhou et al. 2022 (iBOT), section 4.1.
    """

    def __init__(self, config: AugmentConfig, views: ViewConfig, normalisation: Normalisation) -> None:
        super().__init__(config.model_copy(update={"zoom": (1.0, 1.0), "shift_px": 0.0}), normalisation)
        self.views = views

    def both(
        self, patches: torch.Tensor, content_hw: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the large views (2 b, 3, g, g) and the small ones (n b, 3, l, l), view after view.

        Parameters
        ----------
        patches : Tensor, uint8, RGB
            (b, s, s, 3).
        content_hw : Tensor
            (b, 2), height and width of the upper left part that views are cut out of, px.
        generator : Generator
            Where chance comes from, on the CPU.
        """
        own = self.views
        images = patches.permute(0, 3, 1, 2).contiguous().float()
        large = [
            self._view(images, content_hw, own.global_area, own.global_px, generator, solarised)
            for solarised in (0.0, own.solarised)
        ]
        small = [
            self._view(images, content_hw, own.local_area, own.local_px, generator, 0.0) for _ in range(own.local_views)
        ]
        none = torch.empty(0, 3, own.local_px, own.local_px)
        return torch.cat(large), torch.cat(small) if small else none

    def _view(
        self,
        images: torch.Tensor,
        content_hw: torch.Tensor,
        area: tuple[float, float],
        size: int,
        generator: torch.Generator,
        solarised: float,
    ) -> torch.Tensor:
        b, s = len(images), images.shape[-1]
        windows = self._windows(content_hw / s, area, generator) @ _homogeneous(self._turns(b, size, generator))
        grid = functional.affine_grid(windows[:, :2], [b, 3, size, size], align_corners=False)
        view = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
        self._soften(view, b, generator)
        self._without_colour(view, generator)
        self._invert_lights(view, solarised, generator)
        coloured = self._recoloured(view.flatten(2), b, generator)
        self._roughen(coloured, b, generator)
        bounded = torch.clamp(coloured, (0 - self.mean) / self.std, (1 - self.mean) / self.std)
        return bounded.reshape(b, 3, size, size).contiguous(memory_format=torch.channels_last)

    def _windows(self, content: torch.Tensor, area: tuple[float, float], generator: torch.Generator) -> torch.Tensor:
        """Return affine maps (b, 3, 3) from a view to the part of a patch that it shows, both -1 to 1.

        Area and aspect are drawn as in torchvision's RandomResizedCrop; where a side would be longer than the
        content's it is as long.
        """
        b = len(content)
        chance = torch.rand(4, b, generator=generator)
        share = area[0] + (area[1] - area[0]) * chance[0]
        aspect = torch.exp((2 * chance[1] - 1) * math.log(self.views.aspect))
        side = torch.sqrt(share * content.prod(1))
        height = torch.minimum(side / torch.sqrt(aspect), content[:, 0])
        width = torch.minimum(side * torch.sqrt(aspect), content[:, 1])
        top, left = chance[2] * (content[:, 0] - height), chance[3] * (content[:, 1] - width)
        maps = torch.eye(3).repeat(b, 1, 1)
        maps[:, 0, 0], maps[:, 1, 1] = width, height
        maps[:, 0, 2], maps[:, 1, 2] = 2 * left + width - 1, 2 * top + height - 1
        return maps

    def _without_colour(self, view: torch.Tensor, generator: torch.Generator) -> None:
        chosen = torch.rand(len(view), generator=generator) < self.views.grey
        if chosen.any():
            grey = (view[chosen] * torch.tensor(_GREY).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
            view[chosen] = grey.expand(-1, 3, -1, -1)

    def _invert_lights(self, view: torch.Tensor, share: float, generator: torch.Generator) -> None:
        chosen = torch.rand(len(view), generator=generator) < share
        if chosen.any():
            lit = view[chosen]
            view[chosen] = torch.where(lit >= _BRIGHT, 255 - lit, lit)


def _homogeneous(maps: torch.Tensor) -> torch.Tensor:
    """Return affine maps (b, 2, 3) as (b, 3, 3)."""
    last = torch.tensor([0.0, 0.0, 1.0]).expand(len(maps), 1, 3)
    return torch.cat([maps, last], 1)


def block_masks(views: int, grid_hw: tuple[int, int], config: MaskConfig, seed: int) -> torch.Tensor:
    """Return which patches of each large view the student does not see, bool (views, rows, columns).

    Parameters
    ----------
    views : int
        How many; ``config.images`` of them are masked.
    grid_hw : tuple of int
        Rows and columns of the network's patches.
    config : MaskConfig
        How much.
    seed : int
        The same gives the same masks.

    Notes
    -----
    Source: Bao et al. 2022 (BEiT), algorithm 1, as lightly has it.
    """
    from lightly.models.utils import random_block_mask

    state = random.getstate()
    random.seed(seed)
    try:
        low, high = config.share
        masks: torch.Tensor = random_block_mask(
            (views, *grid_hw),
            batch_mask_ratio=config.images,
            min_image_mask_ratio=low,
            max_image_mask_ratio=high,
            # Of a small view the least share may be less than the four patches that a block has otherwise.
            min_num_masks_per_block=max(1, min(_LEAST_BLOCK, int(low * grid_hw[0] * grid_hw[1]))),
        )
    finally:
        random.setstate(state)
    return masks
