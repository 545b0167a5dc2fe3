"""The pictures of a result: best cells, and the slide with what of it was looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.domain.coverage import Coverage
from napari_cyto.domain.geometry import YX
from napari_cyto.evaluation.report import Example
from napari_cyto.reporting.slide_summary import BestCell
from napari_cyto.slides import Slide, thumbnail

AROUND_UM, AROUND_PX = 51.2, 205.0
MAP_PX = 480
LOOKED_RGB = (38, 166, 91)
_TINT = 0.30

RGB = npt.NDArray[np.uint8]


def cell_examples(slide: Slide, mpp: float | None, best: Sequence[BestCell], most: int) -> tuple[Example, ...]:
    """Return pictures of the best cells of a slide, 51 µm wide (205 px where the scale is not known).

    Raises
    ------
    SlideError
        When the slide cannot be read.
    """
    return place_examples(slide, mpp, [(best_words(cell), cell.centre_yx) for cell in best[:most]])


def place_examples(slide: Slide, mpp: float | None, places: Sequence[tuple[str, YX]]) -> tuple[Example, ...]:
    """Return pictures of places of a slide, each with its words and its centre (level-0 px), as of its best cells.

    Raises
    ------
    SlideError
        When the slide cannot be read.
    """
    rule = CropRule(windows=(AROUND_UM,)) if mpp else CropRule(windows=(AROUND_PX,), unit="px")
    crops = rule.cut(slide, [centre for _, centre in places], mpp)
    return tuple(
        Example(crop[0], words, f"y {y:.0f}, x {x:.0f}") for crop, (words, (y, x)) in zip(crops, places, strict=True)
    )


def best_words(cell: BestCell) -> str:
    """Return what stands under a best cell."""
    score = "" if cell.score is None else f" {cell.score:.2f}"
    state = "corrected" if cell.is_corrected else "accepted" if cell.is_accepted else "predicted"
    return f"{cell.class_id}{score}, {state}"


def map_image(slide: Slide, seen: Coverage | None, magnification: float) -> RGB:
    """Return the slide, uint8 RGB ``(h, w, 3)``, tinted green where it was looked at."""
    return tinted(thumbnail(slide, MAP_PX), seen, magnification)


def tinted(rgb: RGB, seen: Coverage | None, magnification: float) -> RGB:
    """Return a picture of the whole slide, uint8 RGB ``(h, w, 3)``, tinted green where it was looked at."""
    if seen is None:
        return rgb
    looked = seen.as_mask(magnification, rgb.shape[:2])
    made = rgb.astype(np.float32)
    made[looked] = (1 - _TINT) * made[looked] + _TINT * np.array(LOOKED_RGB, np.float32)
    return made.round().astype(np.uint8)
