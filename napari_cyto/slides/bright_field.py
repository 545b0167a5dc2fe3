"""Whether a picture can be a stained smear in bright field: what may be told from its pixels, and what may not.

In bright field glass is bright and cells are darker than what surrounds them; in dark field, fluorescence and inverted
pictures it is the other way round. That a picture has no colour can be told too. Stains of bright field are hard to
tell apart: what is purple and pink all over a large area is more likely haematoxylin and eosin than Papanicolaou's
stain, whose cells are blue and green as well; of a single field nothing of the kind can be said.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_cyto.slides.pixel_source import Pixels
from napari_cyto.slides.stain import BLOCK_PX, LowView, Stain

Floats = npt.NDArray[np.float32]

DARK_TOP = 150.0
"""The brightest 2 % of what was scanned are brighter in bright field: 212 or more in parts of CRIC's fields."""

DARK_TOP_OF_CELL = 70.0
"""The same for pictures smaller than a field: crops of single cells, all nucleus, reach 79 and more in SIPaKMeD."""

MIDDLE = 155.0
INVERTED_SKEW = 0.29
"""Brightness against its surroundings is skewed to the dark in bright field: at most 0.27 in fields of CRIC that are as
dark as `MIDDLE` (median -1.8), at least 0.30 in the same fields inverted (median 1.7)."""

GREY_CHROMA = 8.0
PINK_SHARE = 0.97
_BLACK = 32
_COLOURED = 24
_STAINED = 20
_ISLAND_UM, _BLACK_SHARE = 60.0, 0.3
_ENOUGH_MM2, _LARGE_MM2 = 0.03, 0.35
_USUAL_MPP = 0.25
_FLAT_PX, _FLAT, _DARK_GROUND, _BRIGHT_GROUND = 4, 12, 100, 140
_WINDOWS, _WINDOW_BLOCKS = 36, 16
_SURROUNDINGS_UM = 16.0


@dataclass(frozen=True)
class Look:
    """What a picture looks like.

    Parameters
    ----------
    refusal : str
        Why it cannot be a stained smear in bright field, a sentence without its end; empty when it can.
    remark : str
        What to know of it, a sentence; empty where there is nothing.
    """

    refusal: str = ""
    remark: str = ""


def look_of(pixels: Pixels, mpp: float | None, stain: Stain, name: str) -> Look:
    """Return what a picture looks like, by windows spread over what stands out on it; a few MP are read at most.

    Parameters
    ----------
    pixels : Pixels
        Of a slide or picture.
    mpp : float or None
        µm per level-0 px.
    stain : Stain
        What `look_over` found on it.
    name : str
        What to call it.

    Raises
    ------
    SlideError
        When the slide cannot be read.
    """
    view = LowView.of(pixels, mpp)
    windows = [view.read(y, x, h, w) for y, x, h, w in _windows(stain, view.size_hw)]
    um = view.step_yx[0] * (_USUAL_MPP if mpp is None else mpp)
    return look_of_windows([w for w in windows if w.size], um, name)


def look_of_windows(windows: list[npt.NDArray[np.uint8]], um: float, name: str) -> Look:
    """Return what windows of a picture look like, uint8 RGB ``(h, w, 3)`` each, of ``um`` µm per px."""
    scanned = [w.max(-1) >= _BLACK for w in windows]
    seen = [w[s] for w, s in zip(windows, scanned, strict=True)]
    values = np.concatenate([np.empty((0, 3), np.uint8), *seen])
    if not len(values):
        return Look()
    brightness = values.mean(1)
    top, middle = (float(v) for v in np.quantile(brightness, (0.98, 0.5)))
    area_mm2 = sum(w.shape[0] * w.shape[1] for w in windows) * um * um / 1e6
    beginning = f"{name} does not look like a stained smear in bright field: "
    dark = f"it is dark all over (its brightest parts reach {top:.0f} of 255), as fluorescence and dark field are"
    if area_mm2 < _ENOUGH_MM2:
        remark = f"{beginning}{dark}; expect wrong predictions." if top < DARK_TOP_OF_CELL else ""
        return Look(remark=remark or _colour_remark(values, area_mm2, name))
    if top < DARK_TOP:
        return Look(refusal=beginning + dark)
    if _is_islands(scanned, um):
        return Look(
            refusal=f"{beginning}bright spots no larger than cells lie on black, as in fluorescence and dark field"
        )
    if middle < MIDDLE and _ground_is_dark(windows) and _skewness(windows, scanned, um) > INVERTED_SKEW:
        return Look(refusal=f"{beginning}what stands out is brighter than its dark background, as in an inverted image")
    return Look(remark=_colour_remark(values, area_mm2, name))


def _is_islands(scanned: list[npt.NDArray[np.bool_]], um: float) -> bool:
    """Whether black lies all around what is not black: a scanned part in black is wider than a few cells."""
    side = max(3, round(_ISLAND_UM / um))
    black, there, wide = 0, 0, 0.0
    for each in scanned:
        black, there = black + int((~each).sum()), there + int(each.sum())
        wide += float((ndimage.uniform_filter(each.astype(np.float32), side, mode="nearest") > 0.95).sum())
    return black > _BLACK_SHARE * (black + there) and wide < there / 20


def _ground_is_dark(windows: list[npt.NDArray[np.uint8]]) -> bool:
    """Whether of the places without texture more are dark than bright."""
    dark = bright = 0
    for window in windows:
        rows, columns = (length // _FLAT_PX for length in window.shape[:2])
        blocks = window[: rows * _FLAT_PX, : columns * _FLAT_PX].reshape(rows, _FLAT_PX, columns, _FLAT_PX, 3)
        flat = (blocks.max((1, 3)) - blocks.min((1, 3))).max(-1) < _FLAT
        brightness = blocks.mean((1, 3, 4))
        dark += int((flat & (brightness < _DARK_GROUND)).sum())
        bright += int((flat & (brightness > _BRIGHT_GROUND)).sum())
    return dark > bright


def _colour_remark(values: npt.NDArray[np.uint8], area_mm2: float, name: str) -> str:
    brightness = values.mean(1)
    # On a sparse smear nearly all is glass, which has no colour anywhere.
    stained = values[brightness < np.quantile(brightness, 0.98) - _STAINED]
    if not len(stained):
        return ""
    chroma = stained.max(1).astype(np.int16) - stained.min(1)
    if float(np.quantile(chroma, 0.95)) < GREY_CHROMA:
        return (
            f"{name} has no colour, and the models were trained on stained smears in colour; expect wrong predictions."
        )
    coloured = stained[chroma > _COLOURED]
    if area_mm2 >= _LARGE_MM2 and len(coloured) >= len(values) / 50:
        pink = float((coloured.argmin(1) == 1).mean())
        if pink >= PINK_SHARE:
            return (
                f"{name} is purple and pink all over, like tissue in haematoxylin and eosin and unlike Papanicolaou "
                "smears, on which the models were trained."
            )
    return ""


def _skewness(windows: list[npt.NDArray[np.uint8]], scanned: list[npt.NDArray[np.bool_]], um: float) -> float:
    """Return how brightness against its surroundings is skewed; what is black and what borders on it left out."""
    against: list[Floats] = []
    for window, there in zip(windows, scanned, strict=True):
        bright, weight = window.mean(-1, dtype=np.float32), there.astype(np.float32)
        sigma = _SURROUNDINGS_UM / um
        shares = np.maximum(ndimage.gaussian_filter(weight, sigma), 1e-3)
        inner = ndimage.binary_erosion(there, iterations=2, border_value=1)
        against.append((bright - ndimage.gaussian_filter(bright * weight, sigma) / shares)[inner])
    all_of = np.concatenate(against)
    spread = max(float(all_of.std()), 1.0) if len(all_of) else 1.0
    return float((all_of**3).mean()) / spread**3 if len(all_of) else 0.0


def _windows(stain: Stain, size_hw: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Return y, x, height and width of windows, px that are looked at: all of a small picture, else a sample."""
    rows, columns = stain.blocks.shape
    side = _WINDOW_BLOCKS
    places = [
        (y, x)
        for y in range(0, rows, side)
        for x in range(0, columns, side)
        if stain.blocks[y : y + side, x : x + side].any()
    ]
    if len(places) > _WINDOWS:
        # The fullest in each run of them: evenly spread, and not glass with a speck of dust.
        runs = np.array_split(np.arange(len(places)), _WINDOWS)
        full = [stain.blocks[y : y + side, x : x + side].sum() for y, x in places]
        places = [places[max(run.tolist(), key=full.__getitem__)] for run in runs]
    px = BLOCK_PX
    return [
        (y * px, x * px, min(side * px, size_hw[0] - y * px), min(side * px, size_hw[1] - x * px)) for y, x in places
    ]
