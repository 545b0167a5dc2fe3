"""Where the training tiles of a detector lie: round annotated cells, where none are, and where a person said so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.domain.known_area import KnownArea
from napari_cyto.training.config import AugmentConfig

ANYWHERE = 0.3
"""Share of tiles that lie anywhere, so that the empty parts are seen too."""

EMPTY_TILES = 64
"""Tiles an epoch that parts of one slide without cells give at most; all slides together give no more than cells do."""

_REACH = 0.4

Floats = npt.NDArray[np.float64]
TileKind = Literal["cells", "empty", "rejected"]
Tiles = tuple[tuple[int, TileKind], ...]


@dataclass(frozen=True, slots=True)
class TileBudget:
    """How many tiles an epoch takes of a slide.

    Parameters
    ----------
    cells : int
        Round its cells, and anywhere between them where every cell is annotated.
    empty : int
        Anywhere in the parts of which it is known that they hold few cells or none.
    rejected : int
        Round predictions that a person rejected.
    """

    cells: int = 0
    empty: int = 0
    rejected: int = 0


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


@dataclass(frozen=True)
class TilePlace:
    """Where a tile lies and how it is turned.

    Parameters
    ----------
    centre_yx : ndarray, (2,), float64
        Of the tile, px of the model on the slide.
    turn : ndarray, (2, 2), float64
        Takes what is ``(y, x)`` px from the tile's centre to what is so far from ``centre_yx``.
    """

    centre_yx: Floats
    turn: Floats

    def on_slide(self, points_yx: Floats, tile_px: int) -> Floats:
        """Return points of the tile, ``(n, 2)``, in the slide's frame, px of the model."""
        return np.asarray((points_yx - tile_px / 2) @ self.turn.T + self.centre_yx, dtype=np.float64)

    def on_tile(self, points_yx: Floats, tile_px: int) -> Floats:
        """Return points of the slide, ``(n, 2)``, px of the model, in the tile's frame."""
        return np.asarray((points_yx - self.centre_yx) @ np.linalg.inv(self.turn).T + tile_px / 2, dtype=np.float64)

    @property
    def zoom(self) -> float:
        """How much larger things are on the tile than on the slide."""
        return float(1 / math.sqrt(abs(np.linalg.det(self.turn))))


def drawn_turn(config: AugmentConfig, rng: np.random.Generator) -> Floats:
    """Return a random turn, flip and zoom, ``(2, 2)``; both axes are scaled alike."""
    angle = rng.uniform(0, 2 * math.pi)
    if config.rotation == "none":
        angle = 0.0
    elif config.rotation == "quarter":
        angle = math.floor(angle / (math.pi / 2)) * (math.pi / 2)
    elif config.rotation_deg < 180:
        angle = (angle / math.pi - 1) * math.radians(config.rotation_deg)
    low, high = (math.log(z) for z in config.zoom)
    zoom = math.exp(rng.uniform(low, high))
    mirror = -1.0 if config.flips and rng.random() < 0.5 else 1.0
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([1.0, mirror]) / zoom


def drawn_centre(
    slide: TrainingSlide,
    known: KnownArea,
    size_hw: tuple[int, int],
    scale: float,
    tile_px: int,
    rng: np.random.Generator,
    kind: TileKind = "cells",
) -> Floats:
    """Return the centre of a tile of a slide, px of the model.

    Parameters
    ----------
    slide : TrainingSlide
        With what ``kind`` asks for.
    known : KnownArea
        Where on it every cell is annotated.
    size_hw : tuple of int
        Of the slide, px of the model.
    scale : float
        Level-0 px per px of the model.
    tile_px : int
        Side of a tile.
    rng : Generator
        Where chance comes from.
    kind : str
        See `TileBudget`.
    """
    anywhere = bool(known.regions) or known.is_everywhere
    if kind == "rejected":
        return _near(slide.rejected_yx / scale, tile_px, rng)
    if kind == "empty" or not len(slide) or (anywhere and rng.random() < ANYWHERE):
        y0, x0, y1, x1 = (0.0, 0.0, float(size_hw[0]), float(size_hw[1]))
        if known.regions:
            bounds = np.array([region.bounds_yxyx for region in known.regions]) / scale
            extents = np.prod(bounds[:, 2:] - bounds[:, :2], axis=1) + 1e-9
            y0, x0, y1, x1 = bounds[rng.choice(len(bounds), p=extents / extents.sum())].tolist()
        return np.array([_inner(y0, y1, tile_px, rng), _inner(x0, x1, tile_px, rng)])
    return _near(slide.centres_yx / scale, tile_px, rng)


def tiles_worth(slide: TrainingSlide, known: KnownArea, size_hw: tuple[int, int], tile_px: int) -> TileBudget:
    """Return how many tiles of a slide make an epoch.

    Those with cells cover the slide, but are not more than it has cells. A part that is known to hold none, a region
    or a slide of a data set of fields, gives as many as cover it, `EMPTY_TILES` at most.
    """
    covering = math.ceil(size_hw[0] * size_hw[1] / tile_px**2)
    cells = max(1, min(covering, len(slide))) if len(slide) else 0
    empty = 0
    if known.regions:
        share = KnownArea(known.regions).area_px(slide.size_hw) / (slide.size_hw[0] * slide.size_hw[1])
        empty = math.ceil(share * size_hw[0] * size_hw[1] / tile_px**2) - cells
    elif known.is_everywhere and not len(slide):
        empty = covering
    return TileBudget(cells, min(max(empty, 0), EMPTY_TILES), min(len(slide.rejected_yx), EMPTY_TILES))


def _near(places_yx: Floats, tile_px: int, rng: np.random.Generator) -> Floats:
    """Return a centre whose tile holds one of some places, wherever in the tile."""
    place = places_yx[int(rng.integers(len(places_yx)))]
    return np.asarray(place + rng.uniform(-_REACH, _REACH, 2) * tile_px, dtype=np.float64)


def _inner(start: float, stop: float, tile_px: int, rng: np.random.Generator) -> float:
    """Return a place whose tile does not reach far beyond ``start`` to ``stop``."""
    margin = min(0.35 * tile_px, (stop - start) / 2)
    return float(rng.uniform(start + margin, max(stop - margin, start + margin + 1e-9)))
