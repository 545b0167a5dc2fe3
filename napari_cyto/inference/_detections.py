"""Cells that a detector found on a slide or picture; numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Detections:
    """Cells found, the surest first; level-0 px.

    Parameters
    ----------
    centres_yx : ndarray, (n, 2), float64
        Centres.
    boxes_yxyx : ndarray, (n, 4), float64
        Boxes: learned ones, else of the usual size of the surest class.
    scores : ndarray, (n,), float64
        How sure each is to be a cell, 0 to 1.
    class_scores : ndarray, (n, classes), float64
        How sure each is to be a cell of each class; they add up to the score.
    """

    centres_yx: Floats
    boxes_yxyx: Floats
    scores: Floats
    class_scores: Floats

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.scores)

    @classmethod
    def none(cls, classes: int) -> Detections:
        """Return no cells, of a model of so many classes."""
        return cls(np.empty((0, 2)), np.empty((0, 4)), np.empty(0), np.empty((0, classes)))

    def from_score(self, threshold: float) -> Detections:
        """Return the cells that score the threshold or more."""
        return self.at(self.scores >= threshold)

    def at(self, places: npt.ArrayLike) -> Detections:
        """Return some of the cells: a bool array, or their places."""
        chosen = np.asarray(places)
        return Detections(
            self.centres_yx[chosen], self.boxes_yxyx[chosen], self.scores[chosen], self.class_scores[chosen]
        )


def boxes_around(centres_yx: Floats, sizes_hw: Floats, usual: Floats) -> Floats:
    """Return boxes ``(n, 4)`` of sizes ``(n, 2)``; where a size is NaN the side is ``usual`` ``(n,)``."""
    sides_px = np.where(np.isfinite(sizes_hw), sizes_hw, usual[:, None])
    return np.concatenate([centres_yx - sides_px / 2, centres_yx + sides_px / 2], axis=1)
