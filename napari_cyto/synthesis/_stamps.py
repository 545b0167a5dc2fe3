"""The list of everything on the glass, and the boxes that truth is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_cyto.domain.geometry import overlapping
from napari_cyto.synthesis._sprite import Sprite, turned
from napari_cyto.synthesis._stains import Coefficients

IntBox = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """One sprite at its place: turned, its dyes coloured.

    Parameters
    ----------
    sprite : Sprite
        Already in its orientation; planes are a view of the catalogue's.
    coefficients : ndarray
        ``(dyes, 3)`` uint16.
    y0, x0 : int
        Top-left corner, level-0 px.
    """

    sprite: Sprite
    coefficients: Coefficients
    y0: int
    x0: int

    @property
    def extent_yxyx(self) -> IntBox:
        """Half-open box of what the sprite shows, level-0 px."""
        a, b, c, d = self.sprite.extent_yxyx
        return (a + self.y0, b + self.x0, c + self.y0, d + self.x0)


def stamp_at(sprite: Sprite, coefficients: Coefficients, centre_yx: tuple[float, float], orientation: int = 0) -> Stamp:
    """Return a stamp whose anchor lies at ``centre_yx`` (level-0 px, to the nearest whole pixel)."""
    shown = turned(sprite, orientation)
    y0, x0 = (round(c - a) for c, a in zip(centre_yx, shown.anchor_yx, strict=True))
    return Stamp(shown, coefficients, y0, x0)


@dataclass(frozen=True, slots=True, eq=False)
class CellStamps:
    """What one cell is made of, in the order of the truth's cells.

    Parameters
    ----------
    body : Stamp
        Its cytoplasm, which lies under the nuclei too.
    nuclei : tuple of Stamp
        One or two.
    """

    body: Stamp
    nuclei: tuple[Stamp, ...]


@dataclass(slots=True, eq=False)
class StampList:
    """Stamps and their boxes, to find those that touch a region at once."""

    stamps: list[Stamp] = field(default_factory=list)
    _boxes: NDArray[np.float64] | None = None

    def add(self, stamp: Stamp) -> None:
        """Put one more thing on the glass."""
        self.stamps.append(stamp)
        self._boxes = None

    def touching(self, y0: int, x0: int, y1: int, x1: int) -> list[Stamp]:
        """Return the stamps whose sprite overlaps the half-open box, level-0 px."""
        if self._boxes is None:
            corners = [(s.y0, s.x0, s.y0 + s.sprite.shape_hw[0], s.x0 + s.sprite.shape_hw[1]) for s in self.stamps]
            self._boxes = np.array(corners, dtype=np.float64).reshape(-1, 4)
        return [self.stamps[i] for i in np.flatnonzero(overlapping(self._boxes, (y0, x0, y1, x1)))]
