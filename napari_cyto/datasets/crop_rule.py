"""How a cell becomes a network's input: the written rule that a model keeps, for training and inference alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.datasets._crops import APACC_CROP_PX
from napari_cyto.errors import CytoError, ScaleUnknownError
from napari_cyto.slides import Slide

if TYPE_CHECKING:  # a rule is read where no px is looked at
    from napari_cyto.datasets.colour_match import ColourMatch

Crops = npt.NDArray[np.uint8]
Centres = npt.NDArray[np.float64]

MAX_SIZE_PX = 1024
"""Largest side of an input, px."""


class CropRule(BaseModel):
    """Square windows centred on a cell, each resampled to one input size; outside the slide is the slide's white."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: tuple[Annotated[float, Field(gt=0, le=10_000)], ...] = Field(
        default=(51.2,),
        min_length=1,
        max_length=4,
        title="Windows",
        description="Side of each window around the cell, one to four; the first is the cell's, further ones show its "
        "surroundings. A model sees more detail in a smaller window.",
    )
    unit: Literal["um", "px"] = Field(
        default="um", title="Unit", description="Of the windows: µm, or level-0 px where a slide's scale is unknown."
    )
    size_px: int = Field(
        default=APACC_CROP_PX, ge=16, le=MAX_SIZE_PX, title="Input, px", description="Side of what the network sees."
    )
    icc: bool = Field(default=False, title="ICC", description="Bring colours to sRGB by the slide's ICC profile.")

    def mpp_of(self, window: int) -> float | None:
        """Return µm per px of the network's input for one window; None where windows are counted in px."""
        return self.windows[window] / self.size_px if self.unit == "um" else None

    def widened(self, margin_px: int) -> CropRule:
        """Return this rule with ``margin_px`` more input px on each side at the same scale, to turn and shift within.

        Raises
        ------
        CytoError
            When the input would be larger than any rule may have.
        """
        size_px = self.size_px + 2 * margin_px
        if size_px > MAX_SIZE_PX:
            raise CytoError(f"Expected an input of at most {MAX_SIZE_PX} px, got {size_px} px; choose a smaller one.")
        windows = tuple(window * size_px / self.size_px for window in self.windows)
        return self.model_copy(update={"windows": windows, "size_px": size_px})

    def cut(
        self, slide: Slide, centres_yx: npt.ArrayLike, mpp: float | None, colour: ColourMatch | None = None
    ) -> Crops:
        """Cut cells out of a slide; what training and inference both call.

        Parameters
        ----------
        slide : Slide
            Where the cells lie.
        centres_yx : array-like, (n, 2), float64
            Cell centres, level-0 px.
        mpp : float or None
            µm per level-0 px of the slide.
        colour : ColourMatch, optional
            What brings the slide's colours to those of a model's target (`colour_match.match_for`).

        Returns
        -------
        ndarray, uint8, RGB
            (n, windows, size_px, size_px, 3).

        Raises
        ------
        CytoError
            When the rule is in µm and the slide's scale is unknown.
        SlideError
            When the slide cannot be read.
        """
        centres = np.asarray(centres_yx, dtype=np.float64).reshape(-1, 2)
        crops = np.empty((len(centres), len(self.windows), self.size_px, self.size_px, 3), dtype=np.uint8)
        sides_px = self.sides_px(mpp, slide.info.name, [slide.info.path])
        for out, centre in zip(crops, centres, strict=True):
            for view, side_px in zip(out, sides_px, strict=True):
                crop = resampled_window(slide, (float(centre[0]), float(centre[1])), side_px, self.size_px, self.icc)
                view[:] = crop if colour is None else colour(crop)
        return crops

    def sides_px(self, mpp: float | None, name: str = "The slide", images: Iterable[object] = ()) -> tuple[float, ...]:
        """Return the side of each window, level-0 px, on a slide called ``name`` of ``mpp`` µm per px.

        ``images`` are the paths of its pixel files, for the refusal.

        Raises
        ------
        ScaleUnknownError
            When the rule is in µm and the slide's scale is unknown.
        """
        if self.unit == "px":
            return self.windows
        if mpp is None:
            raise ScaleUnknownError(
                f"Expected the µm per px of {name}, since this model cuts cells out in µm, got none; enter it first.",
                images,
            )
        return tuple(window / mpp for window in self.windows)


def resampled_window(
    slide: Slide, centre_yx: tuple[float, float], side_px: float, size_px: int, icc: bool = False
) -> Crops:
    """Return one window, resampled once from the nearest level that is not coarser than what is wanted.

    The filter is PIL's bilinear one, which widens with the reduction and so does not alias.

    Parameters
    ----------
    slide : Slide
        Where it lies; beyond its edges is its white.
    centre_yx : tuple of float
        Its centre, level-0 px.
    side_px : float
        Its side, level-0 px.
    size_px : int
        Side of the result, px.
    icc : bool
        Whether colours are brought to sRGB by the slide's profile.
    """
    needed_px = side_px / size_px
    level = max((n for n, down in enumerate(slide.info.downsamples) if down <= needed_px * 1.001), default=0)
    factor_y, factor_x = slide.info.factors_yx[level]
    y0, x0 = (centre_yx[0] - side_px / 2) / factor_y, (centre_yx[1] - side_px / 2) / factor_x
    height, width = side_px / factor_y, side_px / factor_x
    # One filter's support more on each side, so that the window's edge is made of true pixels too.
    margin = int(np.ceil(max(needed_px / min(factor_y, factor_x), 1.0))) + 1
    top, left = int(np.floor(y0)) - margin, int(np.floor(x0)) - margin
    rows, columns = int(np.ceil(y0 + height)) + margin - top, int(np.ceil(x0 + width)) + margin - left
    pixels = Image.fromarray(slide.read_region(level, top, left, rows, columns, icc))
    box = (x0 - left, y0 - top, x0 - left + width, y0 - top + height)
    return np.asarray(pixels.resize((size_px, size_px), Image.Resampling.BILINEAR, box=box))
