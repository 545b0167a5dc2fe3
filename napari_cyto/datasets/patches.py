"""Patches for learning without labels: slides, fields and crops cut into squares of one size and scale.

Source: Ivezić et al., CytoFM, section 2.2: patches of 256 x 256 px at 40x that do not overlap, padded with zeros at the
edges of an image, or dropped when more than half of one would be padding; of a whole slide the 1,500 that most likely
hold relevant cells.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from napari_cyto.datasets._pixel_room import pixel_room
from napari_cyto.datasets.crop_rule import resampled_window
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import boxes_overlap
from napari_cyto.errors import CytoError, SlideError
from napari_cyto.jobs.events import Advanced, Noted, Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.slides import Slide, open_slide
from napari_cyto.slides.pixel_source import SlidePixels
from napari_cyto.slides.stain import stain_of

RGB = npt.NDArray[np.uint8]
Ranker = Callable[[Slide, float, npt.NDArray[np.float64]], npt.NDArray[np.float64]]
"""Takes a slide, its µm per px and the upper left corners (n, 2) of patches, level-0 px; returns a score for each."""

MOST_PADDING = 0.5
"""Share of a patch. Source: CytoFM, section 2.2."""
SLIDE_FROM_PX = 8192
"""An image with a longer side is a slide: plain glass is left out, and the best patches are chosen."""

_AT_ONCE = 64
_EDGE = 1e-6


class PatchRule(BaseModel):
    """How images become patches."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    side_px: int = Field(default=256, ge=32, le=1024, title="Patch, px", description="Side of a patch.")
    mpp: float = Field(default=0.25, ge=0.05, le=20, title="µm per px", description="Of a patch; 0.25 is 40x.")
    small_images: Literal["dropped", "kept"] = Field(
        default="dropped",
        title="Small images",
        description="Images of which every patch would be padding for more than half: dropped, as published, or kept "
        "as one patch each.",
    )
    per_slide: int = Field(
        default=1500, ge=0, le=1_000_000, title="Patches a slide", description="At most, of a whole slide; 0: all."
    )


@dataclass(frozen=True, eq=False)
class PatchGrid:
    """Where the patches of an image lie.

    Parameters
    ----------
    corners_yx : ndarray, (n, 2), float64
        Upper left corners of the patches that are kept, level-0 px.
    side_px : float
        Their side, level-0 px.
    content_hw : ndarray, (n, 2), float64
        Share of each one's height and width that lies on the image, 0 to 1; the rest is padding.
    padded_away : int
        Patches dropped, being more than half padding.
    """

    corners_yx: npt.NDArray[np.float64]
    side_px: float
    content_hw: npt.NDArray[np.float64]
    padded_away: int


def patch_grid(size_hw: tuple[int, int], mpp: float, rule: PatchRule) -> PatchGrid:
    """Return the patches of an image, row by row from its upper left corner, none over another.

    Parameters
    ----------
    size_hw : tuple of int
        Height and width of level 0, px.
    mpp : float
        µm per level-0 px.
    rule : PatchRule
        Size and scale.
    """
    side = rule.side_px * rule.mpp / mpp
    # An image of a whole number of patches has no further one of a rounding error's width.
    rows, columns = (max(int(np.ceil(length / side - _EDGE)), 1) for length in size_hw)
    y, x = (np.arange(n) * side for n in (rows, columns))
    corners = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    content = np.minimum((np.array(size_hw) - corners) / side, 1.0)
    padding = 1 - content.prod(axis=1)
    kept = padding <= MOST_PADDING
    if not kept.any() and rule.small_images == "kept":
        kept[int(padding.argmin())] = True
    return PatchGrid(corners[kept], side, content[kept], int((~kept).sum()))


@dataclass
class PatchCounts:
    """What became of the patches of all images."""

    kept: int = 0
    padded_away: int = 0
    plain: int = 0
    not_chosen: int = 0
    unreadable: int = 0
    images_without: int = 0
    images_unread: int = 0

    def sentences(self, rule: PatchRule, how_chosen: str) -> list[str]:
        """Return what was kept and what was dropped, in sentences."""
        said = [f"{counted(self.kept, 'patch', 'patches')} of {rule.side_px} px at {rule.mpp:g} µm per px."]
        for n, why in (
            (self.padded_away, "more than half of each would be padding beyond the image's edge"),
            (self.plain, "nothing but plain glass on them"),
            (self.not_chosen, f"beyond the {rule.per_slide:,} of a slide that are taken, {how_chosen}"),
            (self.unreadable, "on damaged parts of their file"),
        ):
            if n:
                said.append(f"{counted(n, 'patch', 'patches')} dropped: {why}.")
        if self.images_without:
            said.append(f"{counted(self.images_without, 'image')} gave no patch at all.")
        if self.images_unread:
            said.append(f"{counted(self.images_unread, 'image')} could not be read.")
        return said


@dataclass(frozen=True, eq=False)
class PatchSet:
    """Patches, ready to be drawn from.

    Parameters
    ----------
    patches : ndarray, (n, side_px, side_px, 3), uint8, RGB
        Zero where there is no image. In memory, or on the disk where they are many. Not to be written to.
    content_hw : ndarray, (n, 2), intp
        Height and width of each one's upper left part that is image, px.
    slide_number : ndarray, (n,), intp
        The slide of each, counted in ``slides``.
    corners_yx : ndarray, (n, 2), float64
        Upper left corners, level-0 px of that slide.
    slides : tuple of TrainingSlide
        All that were asked for.
    counts : PatchCounts
        What was dropped.
    """

    patches: RGB
    content_hw: npt.NDArray[np.intp]
    slide_number: npt.NDArray[np.intp]
    corners_yx: npt.NDArray[np.float64]
    slides: tuple[TrainingSlide, ...]
    counts: PatchCounts

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.content_hw)


def cut_patch(
    slide: Slide, corner_yx: tuple[float, float], side_px: float, rule: PatchRule, size_px: int | None = None
) -> tuple[RGB, tuple[int, int]]:
    """Return one patch, and the height and width of its part that is image; the rest is zero.

    Parameters
    ----------
    slide : Slide
        Where it lies.
    corner_yx : tuple of float
        Upper left corner, level-0 px, on the slide.
    side_px : float
        Its side, level-0 px.
    rule : PatchRule
        Its size.
    size_px : int, optional
        Another size than the rule's.
    """
    size = size_px or rule.side_px
    y, x = corner_yx
    patch = resampled_window(slide, (y + side_px / 2, x + side_px / 2), side_px, size).copy()
    height, width = slide.info.size_hw
    rows = min(max(round((height - y) / side_px * size), 1), size)
    columns = min(max(round((width - x) / side_px * size), 1), size)
    patch[rows:] = 0
    patch[:, columns:] = 0
    return patch, (rows, columns)


def cut_patches(
    slides: Iterable[TrainingSlide],
    rule: PatchRule,
    token: Token | None = None,
    rank: Ranker | None = None,
    seed: int = 0,
) -> Generator[Advanced | Noted, None, PatchSet]:
    """Cut images into patches, as a part of a job that says ``yield from`` and gets them.

    Parameters
    ----------
    slides : iterable of TrainingSlide
        The images; each with its µm per px.
    rule : PatchRule
        How.
    token : Token, optional
        Asks for a stop.
    rank : callable, optional
        Which patches of a whole slide are taken, the highest first; drawn by chance without.
    seed : int
        Of that chance.

    Yields
    ------
    Advanced | Noted
        Images that are cut; those that cannot be read.

    Raises
    ------
    CytoError
        When no patch is left, or the disk is too small.
    JobCancelled
        When the user asked for it.
    """
    chosen = tuple(slides)
    counts = PatchCounts()
    grids: list[PatchGrid] = []
    for done, slide in enumerate(chosen):
        stop_if_cancelled(token)
        grid = patch_grid(slide.size_hw, _mpp_of(slide), rule)
        counts.padded_away += grid.padded_away
        if max(slide.size_hw) >= SLIDE_FROM_PX and len(grid.corners_yx):
            chance = np.random.default_rng([seed, done])
            grid = yield from _of_slide(slide, grid, rule, rank, chance, counts, token)
        else:
            counts.images_without += not len(grid.corners_yx)
        grids.append(grid)
    total = sum(len(grid.corners_yx) for grid in grids)
    if not total:
        raise CytoError("Expected patches to learn from, got none. " + " ".join(counts.sentences(rule, "by chance")))
    shape = (total, rule.side_px, rule.side_px, 3)
    room = pixel_room(shape, f"{total:,} patches", "take fewer patches a slide")
    content = np.zeros((total, 2), dtype=np.intp)
    of_slide, corners = np.zeros(total, dtype=np.intp), np.zeros((total, 2))
    filled = 0
    some = [number for number, grid in enumerate(grids) if len(grid.corners_yx)]
    for number in some:
        slide, grid = chosen[number], grids[number]
        before, tried = filled, 0
        try:
            with open_slide(slide.path) as opened:
                for tried, corner in enumerate(grid.corners_yx.tolist()):
                    if not tried % _AT_ONCE:
                        stop_if_cancelled(token)
                        yield Advanced(number, len(chosen), "Cutting out patches")
                    patch, part = cut_patch(opened, (corner[0], corner[1]), grid.side_px, rule)
                    if _is_damaged(opened, corner, grid.side_px):
                        counts.unreadable += 1
                        continue
                    room[filled], content[filled], of_slide[filled], corners[filled] = patch, part, number, corner
                    filled += 1
        except SlideError as error:
            yield _lost(error, len(grid.corners_yx) - tried, filled > before, counts)
    if not filled:
        raise CytoError("None of the images could be read.")
    counts.kept = filled
    return PatchSet(room[:filled], content[:filled], of_slide[:filled], corners[:filled], chosen, counts)


def _of_slide(
    slide: TrainingSlide,
    grid: PatchGrid,
    rule: PatchRule,
    rank: Ranker | None,
    rng: np.random.Generator,
    counts: PatchCounts,
    token: Token | None,
) -> Generator[Advanced | Noted, None, PatchGrid]:
    """Return the patches of a whole slide that are taken: none of plain glass, the best or some by chance."""
    yield Advanced(0, 0, f"Looking over {slide.name}")
    mpp = _mpp_of(slide)
    try:
        with open_slide(slide.path) as opened:
            stain = stain_of(SlidePixels(opened), mpp)
            corners = grid.corners_yx
            holds = stain.each_within(np.hstack([corners, corners + grid.side_px]))
            counts.plain += int((~holds).sum())
            left = np.flatnonzero(holds)
            if rule.per_slide and len(left) > rule.per_slide:
                if rank is None:
                    scores = rng.random(len(left))
                else:
                    scores = yield from _ranked(opened, mpp, corners[left], rank, slide.name, token)
                best = np.sort(np.argsort(-scores, kind="stable")[: rule.per_slide])
                counts.not_chosen += len(left) - len(best)
                left = left[best]
            counts.images_without += not len(left)
    except SlideError as error:
        yield Noted(f"{error} The image was left out.")
        counts.images_unread += 1
        left = np.empty(0, dtype=np.intp)
    return PatchGrid(corners[left] if len(left) else np.empty((0, 2)), grid.side_px, grid.content_hw[left], 0)


def _lost(error: SlideError, patches: int, is_begun: bool, counts: PatchCounts) -> Noted:
    """Count what could not be read of an image, and return the sentence on it."""
    if is_begun:
        counts.unreadable += patches
        return Noted(f"{error} What was read of the image before was kept.")
    counts.images_unread += 1
    return Noted(f"{error} The image was left out.")


def _ranked(
    slide: Slide,
    mpp: float,
    corners_yx: npt.NDArray[np.float64],
    rank: Ranker,
    name: str,
    token: Token | None,
) -> Generator[Advanced, None, npt.NDArray[np.float64]]:
    """Return the score of each patch; a slide can have tens of thousands, which takes minutes."""
    scores = []
    for start in range(0, len(corners_yx), _AT_ONCE):
        stop_if_cancelled(token)
        yield Advanced(start, len(corners_yx), f"Ranking the patches of {name}")
        scores.append(rank(slide, mpp, corners_yx[start : start + _AT_ONCE]))
    return np.concatenate(scores)


def _mpp_of(slide: TrainingSlide) -> float:
    if slide.mpp is None:
        raise AssertionError("images without a scale are left out before")
    return slide.mpp


def _is_damaged(slide: Slide, corner_yx: list[float], side_px: float) -> bool:
    y, x = corner_yx
    patch_yxyx = (y, x, y + side_px, x + side_px)
    return any(boxes_overlap(tile.bounds_yxyx, patch_yxyx) for tile in slide.unreadable)
