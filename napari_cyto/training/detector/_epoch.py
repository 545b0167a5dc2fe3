"""Which tiles make an epoch of a detector: those with cells all, those without as many at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_cyto.training.detector._tile_places import TileBudget, TileKind

Tiles = tuple[tuple[int, TileKind], ...]


@dataclass(frozen=True)
class EpochTiles:
    """The tiles of an epoch, each as the number of its slide and what it is drawn around.

    Parameters
    ----------
    cells : tuple
        Shown in each epoch.
    negatives : tuple
        Of parts without cells and of rejected predictions; each epoch shows some, as many as ``cells`` at most.
    """

    cells: Tiles = ()
    negatives: Tiles = ()

    @classmethod
    def of(cls, worth: Mapping[int, TileBudget]) -> EpochTiles:
        """Return what slides, by number, are worth."""
        cells: Tiles = tuple((n, "cells") for n, w in worth.items() for _ in range(w.cells))
        empty: Tiles = tuple((n, "empty") for n, w in worth.items() for _ in range(w.empty))
        rejected: Tiles = tuple((n, "rejected") for n, w in worth.items() for _ in range(w.rejected))
        return cls(cells, empty + rejected)

    def __len__(self) -> int:
        """Return the tiles of an epoch."""
        return len(self.cells) + min(len(self.negatives), len(self.cells))

    def drawn(self, rng: np.random.Generator) -> Tiles:
        """Return the tiles of one epoch in their order; over the epochs every negative has its turn."""
        chosen = rng.permutation(len(self.negatives))[: len(self.cells)].tolist()
        tiles = (*self.cells, *(self.negatives[i] for i in chosen))
        return tuple(tiles[i] for i in rng.permutation(len(tiles)).tolist())

    def sentence(self) -> str:
        """Return how many tiles without cells an epoch shows; empty where there are none."""
        if not self.negatives:
            return ""
        shown = len(self) - len(self.cells)
        empty = sum(kind == "empty" for _, kind in self.negatives)
        parts = ((empty, "of parts without cells"), (len(self.negatives) - empty, "around rejected predictions"))
        have = ", ".join(f"{n:,} {what}" for n, what in parts if n)
        return f"Each epoch shows {len(self.cells):,} tiles with cells and {shown:,} without, out of {have}."
