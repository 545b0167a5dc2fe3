"""What ``width`` and ``height`` of a table of points mean: the cell's size or the image's, and where its box lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import Box
from napari_cyto.formats.text import Fault

Position = Literal["auto", "centre", "corner"]
SizeOf = Literal["auto", "cell", "image"]
SizeFinder = Callable[[str], tuple[int, int] | None]
"""Gives height and width, px, of the image of a name, or None where it is not there."""

_SLACK_PX = 1.0  # what rounding may put beyond the border


@dataclass(slots=True)
class _OfImage:
    """What the rows of one image have in common."""

    size_wh: tuple[float, float]
    one_size: bool = True
    all_inside: bool = True
    low: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])
    high: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])


@dataclass
class SizeSurvey:
    """Collects positions and sizes of a table, to tell what they mean before any row becomes a cell.

    Parameters
    ----------
    size_of : callable
        Gives the true size of an image, where it is known.
    """

    size_of: SizeFinder
    images: dict[str, _OfImage] = field(default_factory=dict)

    def add(self, image: str, x: float, y: float, width: float, height: float) -> None:
        """Take a row with a size into account; px."""
        found = self.images.get(image)
        if found is None:
            found = self.images[image] = _OfImage((width, height))
        found.one_size = found.one_size and (width, height) == found.size_wh
        found.all_inside = found.all_inside and 0 <= x <= width and 0 <= y <= height
        # As middles, then as corners: how far the boxes reach, x first.
        low = (x - width / 2, y - height / 2, x, y)
        high = (x + width / 2, y + height / 2, x + width, y + height)
        found.low = [min(a, b) for a, b in zip(found.low, low, strict=True)]
        found.high = [max(a, b) for a, b in zip(found.high, high, strict=True)]

    def is_of_image(self, fault: Fault) -> bool:
        """Return whether the sizes are those of the images, in which their cells are points.

        They are where all rows of an image have the image's own size and boxes of it would not lie within it. A size
        of which that is not known, but which could be the image's, is asked about.

        Raises
        ------
        FormatError
            When it cannot be told; made by ``fault``.
        """
        units = {name: self._unit_of(name, found) for name, found in self.images.items()}
        if "image" in units.values():
            if "cell" in units.values():
                one, other = (next(n for n, v in units.items() if v == kind) for kind in ("image", "cell"))
                raise fault(
                    f"width and height are the image's for {one!r:.80}, but not for {other!r:.80}; choose with "
                    "--size-of cell or --size-of image."
                )
            return True
        if "cell" in units.values() or "unclear" not in units.values():
            return False
        name = next(name for name, unit in units.items() if unit == "unclear")
        found = self.images[name]
        width, height = found.size_wh
        raise fault(
            f"width and height, {width:g} x {height:g} in all rows of {name!r:.80}, can be the image's size or the "
            "cells'; give the images (--images or --slide), or choose with --size-of cell or --size-of image."
        )

    def _unit_of(self, name: str, found: _OfImage) -> Literal["image", "cell", "unclear", "fits"]:
        if not (found.one_size and found.all_inside):
            return "cell"
        known_hw = self.size_of(name)
        if known_hw is None:
            return "unclear"
        fits = not self._out(found, known_hw, 0)
        if found.size_wh == (known_hw[1], known_hw[0]):
            return "fits" if fits else "image"
        # Of another size, it can still be that of the same image at another resolution.
        return "unclear" if not fits and _alike(found.size_wh, known_hw) else "cell"

    def is_corner(self, position: Position, fault: Fault) -> bool:
        """Return whether ``x, y`` is the top-left corner of each box.

        Raises
        ------
        FormatError
            When boxes round ``x, y`` would reach beyond their images and boxes from it would not; made by ``fault``.
        """
        if position != "auto":
            return position == "corner"
        sizes = {name: self.size_of(name) for name in self.images}
        beyond = [sum(self._out(found, sizes[name], k) for name, found in self.images.items()) for k in (0, 2)]
        if beyond[0] and not beyond[1]:
            raise fault(
                f"boxes with x, y as their middle reach beyond {beyond[0]} of {counted(len(self.images), 'image')}, "
                "with x, y as their top-left corner beyond none; choose with --position corner or --position centre."
            )
        return False

    @staticmethod
    def _out(found: _OfImage, size_hw: tuple[int, int] | None, first: int) -> int:
        """Return 1 when boxes reach beyond the image: as middles (``first`` 0) or corners (2)."""
        height, width = size_hw or (float("inf"), float("inf"))
        low, high = min(found.low[first : first + 2]), found.high[first : first + 2]
        return int(low < -_SLACK_PX or high[0] > width + _SLACK_PX or high[1] > height + _SLACK_PX)


def _alike(size_wh: tuple[float, float], known_hw: tuple[int, int]) -> bool:
    """Whether two sizes are in proportion, give or take a pixel."""
    return abs(size_wh[0] * known_hw[0] - size_wh[1] * known_hw[1]) <= max(known_hw)


def box_at(x: float, y: float, width: float, height: float, is_corner: bool, fault: Fault) -> Box:
    """Return the box of a row, level-0 px.

    Raises
    ------
    FormatError
        When it has no area; made by ``fault``.
    """
    if is_corner:
        edges = (y, x, y + height, x + width)
    else:
        edges = (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
    if edges[2] <= edges[0] or edges[3] <= edges[1]:
        raise fault(f"expected a box with width and height above 0, got {width:g} x {height:g}.")
    return Box(*edges)
