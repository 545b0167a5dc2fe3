"""What of a slide could not be read so far, found by place: at one cost however much of a slide is damaged."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import YXYX, points_in_box
from napari_cyto.slides import UnreadableTile

_PLACE_PX = 1024.0
"""Side of the squares, level-0 px, by which damage is found again."""


class MetDamage:
    """The damaged tiles of a slide, each once, in the order in which they were met.

    Parameters
    ----------
    level : int
        That in which cells are looked for; a coarser one may be damaged where this one is not.
    """

    def __init__(self, level: int) -> None:
        self._level = level
        self.tiles: dict[UnreadableTile, None] = {}
        self._by_place: dict[tuple[int, int], list[YXYX]] = {}

    def add(self, tiles: Iterable[UnreadableTile]) -> list[UnreadableTile]:
        """Take in damaged tiles, and return those that were not known."""
        new = [tile for tile in dict.fromkeys(tiles) if tile not in self.tiles]
        self.tiles.update(dict.fromkeys(new))
        for tile in new:
            if tile.level == self._level:
                y0, x0, y1, x1 = tile.bounds_yxyx
                rows, columns = (range(int(a // _PLACE_PX), int(b // _PLACE_PX) + 1) for a, b in ((y0, y1), (x0, x1)))
                for place in product(rows, columns):
                    self._by_place.setdefault(place, []).append(tile.bounds_yxyx)
        return new

    def readable(self, points_yx: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Return which points ``(n, 2)``, level-0 px, lie on pixels that are the slide's."""
        readable = np.ones(len(points_yx), dtype=np.bool_)
        places = np.floor(points_yx / _PLACE_PX).astype(np.int64)
        for place in np.unique(places, axis=0):
            for bounds in self._by_place.get((int(place[0]), int(place[1])), ()):
                readable[points_in_box(points_yx, bounds)] = False
        return readable
