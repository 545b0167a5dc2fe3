"""What every detector's outputs become: cells of one picture, in px of the network's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch


@dataclass(frozen=True)
class RawCells:
    """Cells found on one picture.

    Parameters
    ----------
    points_yx : Tensor, (n, 2), float32
        Centres, input px.
    sizes_hw : Tensor, (n, 2), float32
        Height and width, input px; NaN from a detector that has learned none.
    scores : Tensor, (n,), float32
        How sure each is to be a cell, 0 to 1.
    class_scores : Tensor, (n, classes), float32
        How sure each is to be a cell of each class; they add up to the score.
    """

    points_yx: torch.Tensor
    sizes_hw: torch.Tensor
    scores: torch.Tensor
    class_scores: torch.Tensor


class DetectorNetwork(Protocol):
    """What detectors have in common: a network, and a pure function that reads its outputs."""

    multiple: int
    """Tiles start at multiples of this many input px, so that every tile sees the same grid."""
    halo: int
    """How far a cell's surroundings reach that have a say in it, input px; a multiple of ``multiple``."""

    def __call__(self, images: torch.Tensor) -> Any:
        """Return raw outputs for pictures ``(b, 3, h, w)``, normalised RGB."""
        ...

    def decode(self, outputs: Any, floor: float) -> list[RawCells]:
        """Return the cells that score ``floor`` or more, of each picture; floor is above 0."""
        ...
