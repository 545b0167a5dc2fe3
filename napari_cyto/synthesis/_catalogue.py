"""Every sprite that a smear is made of, each drawn once, when first asked for."""

from __future__ import annotations

import zlib

import numpy as np

from napari_cyto.synthesis._cytoplasm import draw_body
from napari_cyto.synthesis._nucleus import draw_nucleus
from napari_cyto.synthesis._small_objects import SMALL
from napari_cyto.synthesis._specs import CellKind
from napari_cyto.synthesis._sprite import Sprite

# One cell in so many lies out of the plane of focus, by this blur.
_DEFOCUSED_EVERY = 11
_DEFOCUS_UM = 0.55
_GOLDEN_ANGLE = 2.399963


class Catalogue:
    """Sprites by kind and number; the same seed gives the same ones in whatever order they are asked for.

    Parameters
    ----------
    mpp : float
        µm per px that they are drawn at.
    seed : int
        Decides their looks.
    """

    def __init__(self, mpp: float, seed: int) -> None:
        self.mpp = mpp
        self._seed = seed
        self._sprites: dict[tuple[str, int], Sprite] = {}

    def nucleus(self, kind: CellKind, number: int) -> Sprite:
        """Return nucleus ``number`` of a kind of cell."""
        key = (f"nucleus {kind.name}", number)
        if key not in self._sprites:
            self._sprites[key] = draw_nucleus(self._rng(*key), kind.nucleus, self.mpp, _tilt(number), _defocus(number))
        return self._sprites[key]

    def body(self, kind: CellKind, number: int) -> Sprite:
        """Return cytoplasm ``number`` of a kind of cell; where the kind is paired it fits that nucleus."""
        key = (f"body {kind.name}", number)
        if key not in self._sprites:
            nucleus_px = self.nucleus(kind, number).area_px if kind.paired else 0.0
            self._sprites[key] = draw_body(
                self._rng(*key), kind.body, self.mpp, nucleus_px, _tilt(number), _defocus(number)
            )
        return self._sprites[key]

    def small(self, name: str, number: int) -> Sprite:
        """Return object ``number`` of those between the cells: polymorph, red cell, rods, debris, granules, mucus."""
        key = (name, number)
        if key not in self._sprites:
            draw, _ = SMALL[name]
            self._sprites[key] = draw(self._rng(*key), self.mpp)
        return self._sprites[key]

    def _rng(self, name: str, number: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, zlib.crc32(name.encode()), number])


def _tilt(number: int) -> float:
    """Return the angle of sprite ``number``: the golden angle spreads them evenly; body and nucleus share it."""
    return number * _GOLDEN_ANGLE


def _defocus(number: int) -> float:
    return _DEFOCUS_UM if number % _DEFOCUSED_EVERY == _DEFOCUSED_EVERY - 1 else 0.0
