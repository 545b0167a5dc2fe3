"""Which images a slide gives, and what lies on each; no pixel is read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from napari_cyto.datasets.export.image_sets._slide_cells import SlideCells
from napari_cyto.datasets.export.image_sets._tile_plan import TilePlan, plan_tiles
from napari_cyto.datasets.export.image_sets.image_options import ImageExportOptions
from napari_cyto.datasets.training.annotated_area import FIELD_MM2
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import Polygon, boxes_inside, outline_within
from napari_cyto.domain.image_header import read_image_header
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, FormatError, ScaleUnknownError
from napari_cyto.formats.image_sets import LabelledCell

How = Literal["copy", "link", "cut"]
FIELD_PX = 4096
"""Where the scale is unknown: an image is a field of view up to this side, level-0 px; cameras have fewer."""
_AS_THEY_ARE = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
"""Files that every trainer reads; of other fields of view the pixels are written anew."""
_FINEST = 4.0
"""A slide this many times coarser than the tiles does not show what they are for."""
_UPRIGHT = (None, 1)


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """One image to be written.

    Parameters
    ----------
    name : str
        The name of its file.
    how : str
        ``copy`` or ``link`` of the slide's own file, or ``cut`` out of it.
    corner_yx, size_hw : tuple of int
        What it shows, px of the image that is written.
    scale : float
        Level-0 px per px of the image.
    cells : tuple of LabelledCell
        What lies on it, px of the image.
    padding_hw : tuple of int
        How many px at its bottom and right lie beyond the slide and show its background.
    shared : int
        Cells of it that another image holds, too.
    """

    name: str
    how: How
    corner_yx: tuple[int, int]
    size_hw: tuple[int, int]
    scale: float
    cells: tuple[LabelledCell, ...]
    padding_hw: tuple[int, int] = (0, 0)
    shared: int = 0

    @property
    def bounds_yxyx(self) -> tuple[float, float, float, float]:
        """Where it lies on the slide, and as far as it is padded beyond it; level-0 px."""
        (y, x), (height, width) = self.corner_yx, self.size_hw
        return (y * self.scale, x * self.scale, (y + height) * self.scale, (x + width) * self.scale)


@dataclass
class Tally:
    """What was written and left out, over all slides."""

    counts: Counter[str] = field(default_factory=Counter)

    _SENTENCES = {
        "copied": ("image is copied whole.", "images are copied whole."),
        "linked": (
            "image is a symbolic link to its original, which must stay where it is.",
            "images are symbolic links to the originals, which must stay where they are.",
        ),
        "anew": (
            "image of a kind that not every trainer reads is written anew as PNG.",
            "images of a kind that not every trainer reads are written anew as PNG.",
        ),
        "tiles": ("tile is cut out of {slides}.", "tiles are cut out of {slides}; they do not overlap."),
        "padded": (
            "tile reaches beyond the end of its slide and shows its background there.",
            "tiles reach beyond the end of their slide and show its background there.",
        ),
        "empty": (
            "tile shows no cell, of {empty_possible} inside regions to choose from.",
            "tiles show no cell, of {empty_possible} inside regions to choose from.",
        ),
        "empty_whole": ("image is without cells.", "images are without cells."),
        "unknown": (
            "image without cells is left out, since no region covers it (--unannotated takes it).",
            "images without cells are left out, since no region covers them (--unannotated takes them).",
        ),
        "no_tiles": (
            "slide gives no tile, for nothing is annotated on it.",
            "slides give no tile, for nothing is annotated on them.",
        ),
        "clipped": ("box is clipped at the border of an image.", "boxes are clipped at the border of an image."),
        "repeated": (
            "box is of a cell that another tile holds as well.",
            "boxes are of cells that another tile holds as well.",
        ),
        "unlabelled": (
            "part of a cell that reaches into a tile is not labelled on it, by the rule for borders.",
            "parts of cells that reach into a tile are not labelled on it, by the rule for borders.",
        ),
        "dropped": (
            "cell lies in no tile by the rule for borders, and is not written.",
            "cells lie in no tile by the rule for borders, and are not written.",
        ),
        "outside": (
            "cell lies outside its slide and is not written.",
            "cells lie outside their slide and are not written.",
        ),
        "beyond_regions": (
            "tile does not lie wholly inside regions: cells there that nobody annotated count as background to whoever "
            "trains on it.",
            "tiles do not lie wholly inside regions: cells there that nobody annotated count as background to whoever "
            "trains on them.",
        ),
    }

    def add(self, **more: int) -> None:
        """Count more of each kind."""
        self.counts.update(more)

    def sentences(self) -> tuple[str, ...]:
        """Return one sentence for each kind that occurred."""
        beside = {
            "slides": counted(self.counts["slides"], "slide"),
            "empty_possible": f"{self.counts['empty_possible']:,}",
        }
        return tuple(
            counted(self.counts[kind], *words).format(**beside)
            for kind, words in self._SENTENCES.items()
            if self.counts[kind]
        )


@dataclass(frozen=True)
class SlideImages:
    """The images of one slide.

    Parameters
    ----------
    slide : SlideRecord
        With its size.
    path : Path
        Its file.
    stem : str
        What the names of its images begin with.
    cells : SlideCells
        What is annotated on it.
    options : ImageExportOptions
        What is wanted.
    classes : sequence of str
        By their numbers.
    """

    slide: SlideRecord
    path: Path
    stem: str
    cells: SlideCells
    options: ImageExportOptions
    classes: Sequence[str]

    @cached_property
    def how(self) -> How:
        """How its images are made."""
        mode = self.options.images
        if mode == "tiles" or (mode == "auto" and not is_field(self.slide)):
            return "cut"
        if mode != "auto" and not is_field(self.slide) and self.path.suffix.lower() not in _AS_THEY_ARE:
            raise CytoError(
                f"Expected fields of view for images that are copied or linked, got the whole slide "
                f"{self.slide.name!r}, which no trainer reads; choose auto or tiles."
            )
        return "link" if mode == "link" else "copy"

    @cached_property
    def scale(self) -> float:
        """Level-0 px per px of the images."""
        if self.how != "cut" or self.options.tile_unit == "px" or not len(self.cells.boxes_yxyx):
            return 1.0
        if self.slide.mpp is None:
            raise ScaleUnknownError(
                f"Expected the µm per px of {self.slide.name!r} to cut it into tiles of {self.options.tile_mpp:g} µm "
                "per px, got none; enter it for the slide, or have the tiles cut in px (--tile-unit px).",
                [self.slide.path],
            )
        if self.slide.mpp > _FINEST * self.options.tile_mpp:
            raise CytoError(
                f"Expected tiles of at least {self.slide.mpp / _FINEST:g} µm per px of {self.slide.name!r}, which has "
                f"{self.slide.mpp:g}, got {self.options.tile_mpp:g}; so fine a tile would show nothing more."
            )
        return self.options.tile_mpp / self.slide.mpp

    @property
    def mpp(self) -> float | None:
        """µm per px of the images."""
        return None if self.slide.mpp is None else self.slide.mpp * self.scale

    @cached_property
    def plan(self) -> TilePlan:
        """Its tiles; an image that is written whole is one tile."""
        assert self.slide.size_hw is not None
        height, width = (math.ceil(side / self.scale - 1e-9) for side in self.slide.size_hw)
        whole = self.how != "cut"
        return plan_tiles(
            (height, width),
            (height, width) if whole else (self.options.tile_px, self.options.tile_px),
            self.cells.boxes_yxyx / self.scale,
            keep="half" if whole else self.options.keep,
            regions=[Polygon(tuple((y / self.scale, x / self.scale) for y, x in r.vertices_yx)) for r in self._regions],
            doubtful_yx=self.cells.doubtful_yx / self.scale,
            empty_share=self.options.empty_share,
            seed=self.options.seed,
            name=self.slide.name,
        )

    @property
    def _regions(self) -> tuple[Polygon, ...]:
        return self.cells.regions if self.how == "cut" else ()

    def __len__(self) -> int:
        """Return the number of images."""
        return int(self._is_known) if self.how != "cut" else len(self.plan.origins_yx)

    @cached_property
    def _is_known(self) -> bool:
        """Whether cells are on an image that is written whole, or it is known, or said, that there are none."""
        if len(self.plan.origins_yx) or self.options.unannotated:
            return True
        assert self.slide.size_hw is not None
        whole = np.array([[0, 0, *self.slide.size_hw]], dtype=np.float64)
        return not len(self.cells.doubtful_yx) and bool(boxes_inside(whole, self.cells.regions, slack_px=1.0).all())

    def count(self, tally: Tally) -> None:
        """Add what these images are to a tally."""
        plan = self.plan
        tally.add(clipped=plan.clipped, outside=plan.outside)
        if self.how != "cut":
            if not self._is_known:
                tally.add(unknown=1)
                return
            tally.add(**{"anew" if self._anew else "copied" if self.how == "copy" else "linked": 1})
            tally.add(empty_whole=int(not len(plan.origins_yx)))
            return
        tally.add(tiles=len(self), slides=int(bool(len(self))), no_tiles=int(not len(self)))
        tally.add(padded=int(plan.padding_hw.any(axis=1).sum()))
        tally.add(empty=plan.empty, empty_possible=plan.empty_possible, beyond_regions=plan.beyond_regions)
        tally.add(repeated=plan.repeated, unlabelled=plan.unlabelled, dropped=plan.dropped)

    def class_counts(self) -> Counter[str]:
        """Return the boxes of each class that are written, on whichever image."""
        members = self.plan.members
        numbers = np.concatenate(members) if members else np.empty(0, np.intp)
        found = np.bincount(self.cells.classes[numbers], minlength=len(self.classes))
        return Counter({name: int(n) for name, n in zip(self.classes, found, strict=True) if n})

    def cell_count(self) -> int:
        """Return how many cells these boxes are of."""
        return sum(map(len, self.plan.members)) - self.plan.repeated

    def images(self) -> Iterator[PlannedImage]:
        """Yield the images, row by row."""
        plan = self.plan
        if self.how != "cut":
            if not self._is_known:
                return
            how: How = "cut" if self._anew else self.how
            suffix = ".png" if self._anew else self.path.suffix.lower()
            cells = self._cells(0) if len(plan.members) else ()
            yield PlannedImage(f"{self.stem}{suffix}", how, (0, 0), plan.size_hw, 1.0, cells)
            return
        suffix = ".png" if self.options.tile_type == "png" else ".jpg"
        for number, (y, x) in enumerate(plan.origins_yx.tolist()):
            name = f"{self.stem}_x{round(x * self.scale)}_y{round(y * self.scale)}{suffix}"
            bottom, right = plan.padding_hw[number].tolist()
            shared = int(plan.shared[number].sum())
            cells = self._cells(number)
            yield PlannedImage(name, "cut", (y, x), plan.size_hw, self.scale, cells, (bottom, right), shared)

    @cached_property
    def _anew(self) -> bool:
        """Whether the pixels of a field are written anew, since trainers would not read its file, or turn it."""
        if self.path.suffix.lower() not in _AS_THEY_ARE:
            return True
        try:
            header = read_image_header(self.path)
        except (FormatError, OSError, ValueError):
            return True
        return header is None or header.orientation not in _UPRIGHT

    def _cells(self, number: int) -> tuple[LabelledCell, ...]:
        corner = self.plan.origins_yx[number].tolist()
        size = self.plan.size_hw
        found = []
        listed = (of[number].tolist() for of in (self.plan.members, self.plan.boxes, self.plan.cut))
        for place, bounds, cut in zip(*listed, strict=True):
            outline = self.cells.outline(place)
            if outline is not None:
                outline = clipped_outline(outline, self.scale, (corner[0], corner[1]), size)
            found.append(LabelledCell(self.classes[self.cells.classes[place]], tuple(bounds), outline, cut))
        return tuple(found)


def is_field(slide: SlideRecord) -> bool:
    """Whether an image is a field of view rather than a whole slide, by its area, else by its size in px."""
    assert slide.size_hw is not None
    height, width = slide.size_hw
    if slide.mpp is not None:
        return height * width * (slide.mpp / 1000) ** 2 <= FIELD_MM2
    return max(height, width) <= FIELD_PX


def clipped_outline(
    outline: Polygon, scale: float, corner_yx: tuple[float, float], size_hw: tuple[int, int]
) -> Polygon | None:
    """Return what of an outline (level-0 px) lies on an image, px of it; None where that is not one plain outline."""
    (y, x), (height, width) = corner_yx, size_hw
    moved = Polygon(tuple((vy / scale - y, vx / scale - x) for vy, vx in outline.vertices_yx))
    return outline_within(moved, (0, 0, height, width))
