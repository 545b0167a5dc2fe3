"""A slide in a napari window: one multiscale image, in µm, every level exactly where its pixels lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from napari.layers import Image

from napari_cyto.domain.geometry import YXYX
from napari_cyto.slides import LevelArray, Slide, tissue_bounds_yxyx
from napari_cyto.widgets.canvas.window import canvas_size_px, look_at

if TYPE_CHECKING:
    from napari import Viewer

_MARGIN = 1.05


class ShownLevel(LevelArray):
    """A level in a window, which may draw once more after the slide was closed: background then, not an error."""

    def _read(self, y0: int, x0: int, height: int, width: int) -> npt.NDArray[np.uint8]:
        if self.slide.closed:
            return np.full((height, width, 3), np.array(self.slide.info.background_rgb, np.uint8))
        return super()._read(y0, x0, height, width)


def shown_levels(slide: Slide, icc: bool) -> list[ShownLevel]:
    """Return all levels of a slide, for a window."""
    return [ShownLevel(slide, level, icc) for level in range(slide.info.levels)]


class SlideImage(Image):
    """napari's image layer, with the levels of a slide placed to the pixel.

    napari takes a level's scale from the ratio of the sizes, which drifts towards the far end where sizes are
    truncated to whole px. Here a level's px ``i`` covers level-0 px ``i * factor`` to ``(i + 1) * factor``.
    """

    def __init__(self, slide: Slide, mpp: float | None, icc: bool = False) -> None:
        self.slide = slide
        self._factors: npt.NDArray[np.float64] = np.array(slide.info.factors_yx, dtype=np.float64)
        super().__init__(
            shown_levels(slide, icc),
            multiscale=True,
            rgb=True,
            name=slide.info.name,
            scale=(mpp or 1.0,) * 2,
            units=("um",) * 2 if mpp else ("pixel",) * 2,
            metadata={"slide": str(slide.info.path), "vendor": slide.info.vendor, "mpp": mpp},
        )

    @property
    def _type_string(self) -> str:
        # napari picks icons and writers by this.
        return "image"

    @property
    def downsample_factors(self) -> npt.NDArray[np.float64]:
        """How many level-0 px one px of each level covers, ``(levels, 2)``, y and x."""
        return self._factors

    @property
    def icc(self) -> bool:
        """Whether the colours are brought to sRGB."""
        return bool(self.data[0].icc)

    def show_icc(self, icc: bool) -> None:
        """Bring the colours to sRGB, or show them as they are stored."""
        if icc != self.icc:
            self.data = shown_levels(self.slide, icc)


def add_slide_layer(viewer: Viewer, slide: Slide, mpp: float | None, icc: bool = False) -> SlideImage:
    """Show a slide at the bottom of a viewer: in µm, with the scale bar on and the camera on the tissue.

    Parameters
    ----------
    viewer : napari.Viewer
        Where to show it.
    slide : Slide
        An open slide; it must stay open as long as the layer lives.
    mpp : float or None
        µm per level-0 px. None shows it in px, and no µm are claimed.
    icc : bool
        Whether to bring the colours to sRGB by the slide's ICC profile.

    Returns
    -------
    SlideImage
        The layer. World coordinates are ``(level-0 px - 0.5) * mpp``, as napari counts from pixel centres.
    """
    layer = SlideImage(slide, mpp, icc)
    viewer.add_layer(layer)
    viewer.layers.move(viewer.layers.index(layer), 0)
    bar = viewer.canvas.overlays.scale_bar if hasattr(viewer, "canvas") else viewer.scale_bar
    bar.visible = True
    show_box(viewer, home_yxyx(slide), mpp)
    return layer


def home_yxyx(slide: Slide) -> YXYX:
    """Return what to look at first, level-0 px: the tissue, else the scanned part, else all."""
    info = slide.info
    return tissue_bounds_yxyx(slide) or info.bounds_yxyx or (0, 0, info.height, info.width)


def show_box(viewer: Viewer, box_yxyx: YXYX, mpp: float | None) -> None:
    """Fit a level-0 box into the canvas; ``mpp`` is the scale of the slide's layer."""
    y0, x0, y1, x1 = box_yxyx
    scale = mpp or 1.0
    height, width = canvas_size_px(viewer)
    zoom = min(height / max(y1 - y0, 1.0), width / max(x1 - x0, 1.0)) / scale / _MARGIN
    look_at(viewer, ((y0 + y1) / 2, (x0 + x1) / 2), scale, zoom)
