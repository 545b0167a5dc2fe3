"""What pixels are read from, a slide or a picture in memory, for code that treats both alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from napari_cyto.domain.geometry import YXYX
from napari_cyto.errors import CytoError
from napari_cyto.slides.backend import RGB
from napari_cyto.slides.slide import Slide

WHITE = 255


class Pixels(Protocol):
    """Levels with their factors, and any box of a level."""

    factors_yx: Sequence[tuple[float, float]]
    level_sizes_hw: Sequence[tuple[int, int]]
    size_hw: tuple[int, int]

    def read(self, level: int, y0: int, x0: int, height: int, width: int) -> RGB:
        """Return uint8 RGB ``(height, width, 3)``, px of that level; white beyond it."""
        ...

    def damage(self, level: int, bounds_yxyx: YXYX) -> list[YXYX]:
        """Return what of a level was met in a box and could not be read, boxes too; level-0 px."""
        ...


class SlidePixels:
    """The pixels of an open slide."""

    def __init__(self, slide: Slide, icc: bool = False) -> None:
        self.slide, self.icc = slide, icc
        self.factors_yx: Sequence[tuple[float, float]] = slide.info.factors_yx
        self.level_sizes_hw: Sequence[tuple[int, int]] = slide.info.level_sizes_hw
        self.size_hw = slide.info.size_hw

    def read(self, level: int, y0: int, x0: int, height: int, width: int) -> RGB:
        """Return uint8 RGB ``(height, width, 3)``, px of that level; the slide's white beyond it."""
        return self.slide.read_region(level, y0, x0, height, width, self.icc)

    def damage(self, level: int, bounds_yxyx: YXYX) -> list[YXYX]:
        """Return what of a level was met in a box and could not be read, boxes too; level-0 px."""
        return [tile.bounds_yxyx for tile in self.slide.unreadable_in(bounds_yxyx, level)]


class ImagePixels:
    """The pixels of a picture in memory, uint8 RGB ``(h, w, 3)``."""

    factors_yx: Sequence[tuple[float, float]] = ((1.0, 1.0),)

    def __init__(self, image: RGB) -> None:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise CytoError(f"Expected an image in uint8 RGB (h, w, 3), got {image.dtype} {image.shape}.")
        self.image = image
        self.size_hw = (image.shape[0], image.shape[1])
        self.level_sizes_hw: Sequence[tuple[int, int]] = (self.size_hw,)

    def read(self, level: int, y0: int, x0: int, height: int, width: int) -> RGB:
        """Return uint8 RGB ``(height, width, 3)``; white beyond the picture."""
        del level  # there is one only
        out = np.full((height, width, 3), WHITE, np.uint8)
        top, left = max(y0, 0), max(x0, 0)
        inside = self.image[top : max(y0 + height, 0), left : max(x0 + width, 0)]
        out[top - y0 :, left - x0 :][: inside.shape[0], : inside.shape[1]] = inside
        return out

    def damage(self, level: int, bounds_yxyx: YXYX) -> list[YXYX]:  # noqa: ARG002 - what is in memory was read
        """Return nothing: what is in memory was read."""
        return []
