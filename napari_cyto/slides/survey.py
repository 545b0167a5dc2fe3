"""A slide looked over by spot checks: focus and cover on tiles spread evenly over its tissue."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import ScaleUnknownError
from napari_cyto.slides.pixel_source import SlidePixels
from napari_cyto.slides.sharpness import (
    MPP_UM,
    OUT_OF_FOCUS_BELOW,
    TILE_PX,
    TileQuality,
    glass_of,
    quality_of,
    tile_at,
)
from napari_cyto.slides.slide import Slide
from napari_cyto.slides.stain import Stain, look_over
from napari_cyto.slides.tissue import thumbnail, with_lone_cells

MASK_PX = 1024
SPOTS = 400

Places = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Survey:
    """What the spot checks came to.

    Parameters
    ----------
    tiles : int
        How many tiles were looked at.
    focus : float or None
        Their median focus; None when none could be judged.
    checked, out_of_focus : int
        How many tiles had enough stain for their focus to be judged, and how many of these are out of focus.
    obscured : float or None
        Share of the stained area that is obscured, 0 to 1.
    tissue : ndarray, bool (h, w)
        Where stained material lies, over the whole slide; a px counts when a lone cell lies anywhere in it, so that the
        share that was looked at counts the places of lone cells too. Surveys made before that know only of what is
        seen at low power.
    """

    tiles: int
    focus: float | None
    checked: int
    out_of_focus: int
    obscured: float | None
    tissue: npt.NDArray[np.bool_]


def survey(slide: Slide, mpp: float | None, spots: int = SPOTS) -> Iterator[tuple[int, int] | Survey]:
    """Judge a slide by spot checks; yield (done, total) after each, and last the result.

    First the slide is read once at 2 µm per px or finer, to find where anything lies, lone cells among it; that has
    steps of its own, each told as (done, total).

    Parameters
    ----------
    slide : Slide
        An open slide.
    mpp : float or None
        µm per level-0 px.
    spots : int
        At most so many tiles of 128 µm, on a regular grid over the tissue.

    Raises
    ------
    ScaleUnknownError
        When the scale is not known.
    SlideError
        When the slide cannot be read.
    """
    if mpp is None:
        raise ScaleUnknownError(
            f"{slide.info.name}: the pixel size in µm is unknown, and focus is measured at 0.5 µm per pixel; "
            "enter it in the Slide dock first.",
            [slide.info.path],
        )
    image = thumbnail(slide, MASK_PX)
    for said in look_over(SlidePixels(slide), mpp):
        if isinstance(said, Stain):
            stain = said
        else:
            yield said
    tissue, glass = with_lone_cells(image, stain, slide.info.size_hw), glass_of(image)
    places = spots_in(tissue, slide.info.size_hw, spots, TILE_PX * MPP_UM / mpp)
    checked = []
    for number, (y, x) in enumerate(places.tolist()):
        yield (number, len(places))
        checked.append(quality_of(tile_at(slide, (y, x), mpp), glass))
    yield summed_up(checked, tissue)


def spots_in(tissue: npt.NDArray[np.bool_], size_hw: tuple[int, int], spots: int, apart_px: float = 0.0) -> Places:
    """Return places on the tissue, float64 ``(n, 2)``, level-0 px, n at most ``spots``, on a regular grid.

    Parameters
    ----------
    tissue : ndarray, bool (h, w)
        Over the whole slide.
    size_hw : tuple of int
        The slide's height and width, level-0 px.
    spots : int
        How many are enough.
    apart_px : float
        How far from each other they are at least, level-0 px.
    """
    scale = np.array(size_hw) / tissue.shape
    step_px = max(apart_px, float(scale.max()), math.sqrt(float(tissue.sum()) * float(scale.prod()) / spots))
    while True:
        found = _on_tissue(tissue, scale, step_px)
        if len(found) <= spots:
            break
        step_px *= 1.05
    if not len(found) and tissue.any():
        found = np.argwhere(tissue)[:1]
    return np.asarray((found + 0.5) * scale)


def _on_tissue(tissue: npt.NDArray[np.bool_], scale: Places, step_px: float) -> npt.NDArray[np.intp]:
    """Return the rows and columns ``(n, 2)`` of the mask's px at the points of a grid that lie on tissue."""
    ys, xs = (
        np.arange(step_px / 2 / s, length, step_px / s).astype(np.intp)
        for s, length in zip(scale, tissue.shape, strict=True)
    )
    rows, columns = np.nonzero(tissue[np.ix_(ys, xs)])
    return np.stack([ys[rows], xs[columns]], axis=1)


def summed_up(checked: Sequence[TileQuality], tissue: npt.NDArray[np.bool_]) -> Survey:
    """Return what judged tiles come to."""
    focus = [tile.focus for tile in checked if tile.focus is not None]
    stained = sum(tile.stained for tile in checked)
    return Survey(
        tiles=len(checked),
        focus=float(np.median(focus)) if focus else None,
        checked=len(focus),
        out_of_focus=sum(f < OUT_OF_FOCUS_BELOW for f in focus),
        obscured=min(1.0, sum(tile.obscured for tile in checked) / stained) if stained else None,
        tissue=tissue,
    )
