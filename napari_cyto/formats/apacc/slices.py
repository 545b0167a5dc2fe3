"""Cells dealt to the slices of a slide, as whole-px boxes within each slice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from napari_cyto.domain.geometry import Box, is_on_image
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats.apacc.label_lines import whole_box
from napari_cyto.formats.apacc.names import SLICE_SIDE

Corner = tuple[int, int]


class BorderRule(StrEnum):
    """What becomes of a cell whose box crosses the border of a slice."""

    CENTRE = "centre"
    """Clipped into the slice that holds its centre, as the collection does it."""
    EVERY = "every"
    """Clipped into each slice that it reaches into, so that it is there more than once."""
    DROP = "drop"
    """Left out."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell to be written: its class as the target knows it, and its box in level-0 px of the slide."""

    class_id: str
    box: Box


@dataclass(frozen=True, slots=True)
class SliceCell:
    """A cell within a slice; ``box`` has whole corners, slice px, and lies within the slice."""

    class_id: str
    box: Box


@dataclass(frozen=True)
class Slices:
    """The cells of each slice by its corner ``(y0, x0)``, level-0 px, in order of appearance, and who found no place.

    Parameters
    ----------
    cells : dict
        Corner to its cells.
    clipped : int
        Boxes that lost a part at the border of a slice.
    dropped : int
        Cells left out by ``BorderRule.DROP``.
    outside : int
        Cells whose centre lies outside the slide; no slice holds them.
    """

    cells: dict[Corner, list[SliceCell]]
    clipped: int = 0
    dropped: int = 0
    outside: int = 0


def is_slice(slide: SlideRecord) -> bool:
    """Whether ``slide`` is a slice that came from an APACC tree, to be written under its own stem."""
    return bool(slide.stem) and slide.size_hw == (SLICE_SIDE, SLICE_SIDE)


def corners(size_hw: tuple[int, int], side: int = SLICE_SIDE) -> Iterator[Corner]:
    """Yield the corner of every slice of a slide of ``size_hw`` level-0 px, row by row; those at the border reach
    over it.
    """
    for y0 in range(0, size_hw[0], side):
        for x0 in range(0, size_hw[1], side):
            yield (y0, x0)


def cut_into_slices(
    cells: Iterable[Cell],
    size_hw: tuple[int, int] | None,
    rule: BorderRule = BorderRule.CENTRE,
    side: int = SLICE_SIDE,
) -> Slices:
    """Return the cells of each slice.

    Parameters
    ----------
    cells : iterable of Cell
        Boxes in level-0 px of the slide.
    size_hw : tuple of int or None
        Height and width of the slide, level-0 px; None where it is unknown and taken to be without end.
    rule : BorderRule
        What becomes of a cell that crosses a border.
    side : int
        Height and width of a slice, level-0 px.
    """
    height, width = size_hw or (math.inf, math.inf)
    placed: dict[Corner, list[SliceCell]] = {}
    clipped = dropped = outside = 0
    for cell in cells:
        y, x = cell.box.centre_yx
        if not is_on_image((y, x), (height, width)):
            outside += 1
            continue
        home = (int(y // side) * side, int(x // side) * side)
        crosses = _crosses(cell.box, home, side)
        clipped += crosses
        if crosses and rule is BorderRule.DROP:
            dropped += 1
            continue
        for y0, x0 in (
            _reached(cell.box, home, (height, width), side) if crosses and rule is BorderRule.EVERY else (home,)
        ):
            box = whole_box(cell.box.translated(-y0, -x0), side)
            if box is not None:
                placed.setdefault((y0, x0), []).append(SliceCell(cell.class_id, box))
    return Slices(placed, clipped, dropped, outside)


def _reached(box: Box, home: Corner, size_hw: tuple[float, float], side: int) -> Iterator[Corner]:
    yield home
    first = [int(max(low, 0) // side) for low in (box.y0, box.x0)]
    last = [int(min(high, size - 1) // side) for high, size in zip((box.y1, box.x1), size_hw, strict=True)]
    for row in range(first[0], last[0] + 1):
        for column in range(first[1], last[1] + 1):
            corner = (row * side, column * side)
            # Rounding to whole px must leave something of the cell in the slice.
            inside = round(box.y1) > corner[0] and round(box.x1) > corner[1]
            if corner != home and inside and round(box.y0) < corner[0] + side and round(box.x0) < corner[1] + side:
                yield corner


def _crosses(box: Box, home: Corner, side: int) -> bool:
    low, high = (round(box.y0) - home[0], round(box.x0) - home[1]), (round(box.y1) - home[0], round(box.x1) - home[1])
    return min(low) < 0 or max(high) > side
