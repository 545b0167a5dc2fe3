"""Report cells as soon as no tile to come can change them: the same answer as when all tiles are merged at the end.

Of cells that are too near to each other the surest stays, walking from the surest on. A cell is final when the tile
that it was found on and all tiles around are done, and no surer cell nearby is still open. What waits is therefore only
what lies along the edge of the tiles that are done, however large the slide is.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_cyto.domain.geometry import overlapping, pairs_within, points_in_box
from napari_cyto.inference.engine._merge import surest
from napari_cyto.inference.engine.tile_grid import Tile

Table = npt.NDArray[np.float64]
"""Cells of a tile, a row each: y, x, height, width (px of the model), score, a score for each class."""

Key = tuple[int, int]
"""Number of the tile, row in its table."""

_Rank = tuple[float, float, float, int, int]


class IncrementalMerge:
    """Cells of tiles that come in any order.

    Parameters
    ----------
    tiles : sequence of Tile
        All that will come.
    apart : float
        Cells nearer than this are one, px of the model.
    seam : float
        Cells of two tiles nearer than this are one, told of twice.
    slack : float
        How far beyond its core a tile tells of cells.
    """

    def __init__(self, tiles: Sequence[Tile], apart: float, seam: float, slack: float) -> None:
        self._cores = np.array([t.core_yxyx for t in tiles], dtype=np.float64).reshape(-1, 4)
        self._apart, self._seam, self._reach = apart, seam, max(apart, seam, 1e-6)
        self._margin = self._reach + 2 * slack
        self._done = np.zeros(len(tiles), dtype=np.bool_)
        self._open: dict[Key, _Rank] = {}
        # Only cells that another tile may tell of too are looked up by place; those of one tile are known at once.
        self._bins: dict[tuple[int, int], set[Key]] = defaultdict(set)
        self._beside: dict[Key, list[Key]] = {}
        self._of_tile: dict[int, set[Key]] = defaultdict(set)
        self._closed: set[int] = set()
        self._around: dict[int, list[int]] = {}

    @property
    def waiting(self) -> int:
        """How many cells are not final yet."""
        return len(self._open)

    def holds(self, number: int) -> bool:
        """Whether a tile's table is still needed."""
        return number in self._of_tile

    def add(self, number: int, table: Table) -> list[Key]:
        """Take what was found on tile ``number``, and return the cells that are final now, the surest first."""
        self._done[number] = True
        if len(table):
            self._meet(number, table)
        fresh = [n for n in (number, *self._neighbours(number)) if n not in self._closed and self._is_closed(n)]
        self._closed.update(fresh)
        final = self._keep([self._open[k] for n in fresh for k in self._of_tile.get(n, ())])
        for n in fresh:
            self._around.pop(n, None)
        return final

    def finish(self) -> list[Key]:
        """Return what stays of all that waits, as if no tile came any more."""
        self._closed.update(self._of_tile)
        return self._keep(list(self._open.values()))

    def _neighbours(self, number: int) -> list[int]:
        if number not in self._around:
            near = overlapping(self._cores, self._cores[number], self._margin)
            self._around[number] = [n for n in np.flatnonzero(near).tolist() if n != number]
        return self._around[number]

    def _is_closed(self, number: int) -> bool:
        return bool(self._done[number] and self._done[self._neighbours(number)].all())

    def _keep(self, ranks: list[_Rank]) -> list[Key]:
        beside = self._beside
        # Most cells have none beside them, and are kept without a walk.
        kept = [rank for rank in ranks if rank[3:] not in beside]
        for rank in kept:
            self._forget(rank)
        ranks = [rank for rank in ranks if rank[3:] in beside]
        heapq.heapify(ranks)
        while ranks:
            rank = heapq.heappop(ranks)
            key = rank[3:]
            if key not in self._open or key[0] not in self._closed:
                continue
            near = self._near(rank)
            if any(other < rank for other in near):
                continue  # the surer one is decided first, and then this one comes again
            kept.append(rank)
            self._forget(rank)
            for other in near:
                self._forget(other)
            for other in near:
                for freed in self._near(other):
                    heapq.heappush(ranks, freed)
            for gone in (rank, *near):
                beside.pop(gone[3:], None)
        return [rank[3:] for rank in sorted(kept)]

    def _meet(self, number: int, table: Table) -> None:
        """Find which cells are one with a new tile's: of its own, and of tiles that are done."""
        points_yx = table[:, :2]
        edge = np.flatnonzero(~points_in_box(points_yx, self._cores[number], -self._margin))
        stay, pairs = self._thinned(table, edge)
        values = table[stay][:, (4, 0, 1)].tolist()
        self._open.update({(number, row): (-s, y, x, number, row) for row, (s, y, x) in zip(stay, values, strict=True)})
        self._of_tile[number].update((number, row) for row in stay)
        for one, other in pairs:
            self._are_one((number, one), (number, other))
        for row in edge.tolist():
            key, (y, x) = (number, row), points_yx[row].tolist()
            by, bx = self._bin(y, x)
            for met in [k for dy in (-1, 0, 1) for dx in (-1, 0, 1) for k in self._bins.get((by + dy, bx + dx), ())]:
                _, met_y, met_x, *_ = self._open[met]
                if met[0] != number and math.hypot(met_y - y, met_x - x) < self._reach:
                    self._are_one(key, met)
            self._bins[by, bx].add(key)

    def _thinned(self, table: Table, edge: npt.NDArray[np.intp]) -> tuple[list[int], list[list[int]]]:
        """Return the rows of a tile that stay open, and which pairs of them are one.

        What hangs together without a cell at the ``edge``, which other tiles may tell of too, is decided right away.
        """
        count, points_yx = len(table), table[:, :2]
        if self._apart <= 0:
            return list(range(count)), []
        pairs = pairs_within(points_yx, self._apart)
        links = coo_array((np.ones(len(pairs), dtype=np.bool_), pairs.T), shape=(count, count))
        groups, group = connected_components(links, directed=False)
        reaches_edge = np.zeros(groups, dtype=np.bool_)
        reaches_edge[group[edge]] = True
        is_open = reaches_edge[group][pairs[:, 0]]
        order = np.lexsort((table[:, 1], table[:, 0], -table[:, 4]))
        stay = np.sort(surest(order, pairs[~is_open])).tolist()
        return stay, pairs[is_open].tolist()

    def _are_one(self, one: Key, other: Key) -> None:
        self._beside.setdefault(one, []).append(other)
        self._beside.setdefault(other, []).append(one)

    def _near(self, rank: _Rank) -> list[_Rank]:
        """Return the open cells that are one with this one."""
        return [self._open[key] for key in self._beside.get(rank[3:], ()) if key in self._open]

    def _forget(self, rank: _Rank) -> None:
        key = rank[3:]
        if self._open.pop(key, None) is None:
            return
        place = self._bin(rank[1], rank[2])
        if place in self._bins:
            self._bins[place].discard(key)
            if not self._bins[place]:
                del self._bins[place]
        self._of_tile[key[0]].discard(key)
        if not self._of_tile[key[0]]:
            del self._of_tile[key[0]]

    def _bin(self, y: float, x: float) -> tuple[int, int]:
        return (int(y // self._reach), int(x // self._reach))
