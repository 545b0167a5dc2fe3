"""Where the training tiles of a detector lie: round labelled cells, and anywhere that every cell is marked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.training_slide import TrainingSlide
from napari_cyto.training.config import AugmentConfig

ANYWHERE = 0.3
"""Share of tiles that lie anywhere, so that the empty parts are seen too."""

WHOLE_TILES = 64
"""A picture of at most this many tiles is taken for a field whose cells are marked; a slide is not."""

_REACH = 0.4

Floats = npt.NDArray[np.float64]


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
    low, high = (math.log(z) for z in config.zoom)
    zoom = math.exp(rng.uniform(low, high))
    mirror = -1.0 if config.flips and rng.random() < 0.5 else 1.0
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([1.0, mirror]) / zoom


def drawn_centre(
    slide: TrainingSlide, size_hw: tuple[int, int], scale: float, tile_px: int, rng: np.random.Generator
) -> Floats:
    """Return the centre of a tile of a slide, px of the model.

    Parameters
    ----------
    slide : TrainingSlide
        With at least one cell, or regions.
    size_hw : tuple of int
        Of the slide, px of the model.
    scale : float
        Level-0 px per px of the model.
    tile_px : int
        Side of a tile.
    rng : Generator
        Where chance comes from.
    """
    is_field = size_hw[0] * size_hw[1] <= WHOLE_TILES * tile_px**2
    anywhere = not len(slide) or ((is_field or slide.regions) and rng.random() < ANYWHERE)
    if anywhere:
        y0, x0, y1, x1 = (0.0, 0.0, float(size_hw[0]), float(size_hw[1]))
        if slide.regions:
            region = slide.regions[int(rng.integers(len(slide.regions)))]
            y0, x0, y1, x1 = (v / scale for v in region.bounds_yxyx)
        return np.array([_inner(y0, y1, tile_px, rng), _inner(x0, x1, tile_px, rng)])
    cell = slide.centres_yx[int(rng.integers(len(slide)))] / scale
    return np.asarray(cell + rng.uniform(-_REACH, _REACH, 2) * tile_px, dtype=np.float64)


def tiles_worth(slide: TrainingSlide, size_hw: tuple[int, int], tile_px: int) -> int:
    """Return how many tiles of a slide make an epoch: those that cover it, but not more than it has cells."""
    covering = math.ceil(size_hw[0] * size_hw[1] / tile_px**2)
    return max(1, min(covering, len(slide)))


def _inner(start: float, stop: float, tile_px: int, rng: np.random.Generator) -> float:
    """Return a place whose tile does not reach far beyond ``start`` to ``stop``."""
    margin = min(0.35 * tile_px, (stop - start) / 2)
    return float(rng.uniform(start + margin, max(stop - margin, start + margin + 1e-9)))
