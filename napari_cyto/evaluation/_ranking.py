"""Cells ranked by a score: areas, curves, and what a threshold gives, for any number of copies of each cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.evaluation.detection import ratio

Weights = npt.NDArray[np.int64]
Curve = npt.NDArray[np.float64]


class Ranking:
    """Positive and negative cells in the order of a score, sorted once.

    Parameters
    ----------
    is_positive : bool array (n,)
        Which cells are what is looked for.
    score : float array (n,)
        The higher, the likelier.

    Raises
    ------
    CytoError
        When the lengths differ or a score is not finite.
    """

    def __init__(self, is_positive: npt.ArrayLike, score: npt.ArrayLike) -> None:
        self.is_positive = np.asarray(is_positive, dtype=bool)
        values = np.asarray(score, dtype=np.float64)
        if values.shape != self.is_positive.shape or values.ndim != 1 or not np.isfinite(values).all():
            raise CytoError(
                f"Expected one finite score for each of {self.is_positive.size} cells, got the shape {values.shape}."
            )
        self.values, self._place = np.unique(values, return_inverse=True)

    def auroc(self, weights: Weights | None = None) -> float | None:
        """Return the chance that a positive scores above a negative, ties counted half; None when either is missing.

        Parameters
        ----------
        weights : int64 array (n,), optional
            How often each cell counts; once without it.

        Notes
        -----
        Source: Hanley and McNeil 1982, Radiology 143(1).
        """
        positive, negative = self._counts(weights)
        below = np.cumsum(negative) - negative
        return ratio(float((positive * (below + 0.5 * negative)).sum()), float(positive.sum() * negative.sum()))

    def recall_at_specificity(self, specificity: float, weights: Weights | None = None) -> float | None:
        """Return the share of the positives above the lowest threshold that spares this share of the negatives.

        Parameters
        ----------
        specificity : float
            Above 0, at most 1.
        weights : int64 array (n,), optional
            How often each cell counts; once without it.
        """
        positive, negative = self._counts(weights)
        if not positive.any() or not negative.any():
            return None
        spared = np.cumsum(negative)
        last = int(np.searchsorted(spared, np.ceil(specificity * spared[-1] - 1e-9)))
        return ratio(float(positive[last + 1 :].sum()), float(positive.sum()))

    def roc(self) -> Curve:
        """Return the ROC curve, float64 (p, 2): 1 - specificity and recall, from (0, 0) to (1, 1)."""
        positive, negative = (np.cumsum(c[::-1]) for c in self._counts(None))
        if not len(positive) or not positive[-1] or not negative[-1]:
            return np.empty((0, 2))
        points = np.stack([negative / negative[-1], positive / positive[-1]], axis=1)
        return np.concatenate([np.zeros((1, 2)), points])

    def precision_recall(self) -> Curve:
        """Return the precision-recall curve, float64 (p, 2): recall and precision, recall ascending."""
        positive, negative = (np.cumsum(c[::-1]) for c in self._counts(None))
        if not len(positive) or not positive[-1]:
            return np.empty((0, 2))
        return np.stack([positive / positive[-1], positive / (positive + negative)], axis=1)

    def _counts(self, weights: Weights | None) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return how many positives and negatives have each score, scores ascending."""
        every = np.ones(len(self._place)) if weights is None else np.asarray(weights, dtype=np.float64)
        n = len(self.values)
        positive, total = (
            np.bincount(self._place, weights=w, minlength=n).astype(np.float64)
            for w in (every * self.is_positive, every)
        )
        return positive, total - positive


def thinned(curve: Curve, at_most: int = 400) -> Curve:
    """Return a curve with points left out where they are more than a drawing can show; its ends stay."""
    if len(curve) <= at_most:
        return curve
    return curve[np.unique(np.linspace(0, len(curve) - 1, at_most).round().astype(np.intp))]
