"""A slide or picture at a model's µm per px: any rectangle of it, the same pixels whatever is asked beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from napari_cyto.domain.geometry import YXYX
from napari_cyto.errors import CytoError, ScaleUnknownError
from napari_cyto.slides.backend import RGB
from napari_cyto.slides.pixel_source import WHITE, ImagePixels, Pixels, SlidePixels
from napari_cyto.slides.scaled_read import read_scaled

__all__ = ["RGB", "WHITE", "ImagePixels", "ModelView", "Pixels", "SlidePixels", "model_view"]


@dataclass(frozen=True)
class ModelView:
    """Pixels seen at a model's scale.

    Its frame: px of the model, ``(y, x)``, from the same corner as level 0; ``level0 = model * scale``, exactly.

    Parameters
    ----------
    pixels : Pixels
        Where they come from.
    scale : float
        Level-0 px per px of the model.
    """

    pixels: Pixels
    scale: float

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width, px of the model, the last begun ones counted."""
        height, width = self.pixels.size_hw
        return (int(np.ceil(height / self.scale)), int(np.ceil(width / self.scale)))

    @property
    def level(self) -> int:
        """The level that is read: the coarsest that is no coarser than the model's px."""
        return max((n for n, f in enumerate(self.pixels.factors_yx) if max(f) <= self.scale * 1.001), default=0)

    def read(self, y0: int, x0: int, height: int, width: int) -> RGB:
        """Return a rectangle, uint8 RGB ``(height, width, 3)``, resampled once from the nearest finer level."""
        level = self.level
        fy, fx = self.pixels.factors_yx[level]
        step_yx = (self.scale / fy, self.scale / fx)
        return read_scaled(partial(self.pixels.read, level), step_yx, y0, x0, height, width)

    def to_model(self, bounds_yxyx: YXYX) -> YXYX:
        """Return a level-0 box in px of the model."""
        y0, x0, y1, x1 = (v / self.scale for v in bounds_yxyx)
        return (y0, x0, y1, x1)


def model_view(pixels: Pixels, mpp: float | None, model_mpp: float | None, name: str) -> ModelView:
    """Return pixels of ``mpp`` µm per level-0 px as a model of ``model_mpp`` sees them.

    Raises
    ------
    CytoError
        When the slide's scale is unknown, or so coarse that cells would be blown up more than fourfold.
    """
    if model_mpp is None:
        return ModelView(pixels, 1.0)
    if mpp is None or not np.isfinite(mpp) or mpp <= 0:
        images = [pixels.slide.info.path] if isinstance(pixels, SlidePixels) else []
        raise ScaleUnknownError(f"{name}: its µm per px is unknown, and this model needs it; enter it first.", images)
    if mpp > 4 * model_mpp:
        raise CytoError(
            f"{name}: it has {mpp:g} µm per px, but the model sees {model_mpp:g} µm per px; this image is too "
            "coarse for it."
        )
    return ModelView(pixels, model_mpp / mpp)
