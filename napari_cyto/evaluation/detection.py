"""Detection scores: found, false and missed cells, of each class and of all, over any number of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.evaluation.matching import match_points


def ratio(numerator: float, denominator: float) -> float | None:
    """Return the quotient, or None where there was nothing to divide by: unknown is neither 0 nor 1."""
    return float(numerator / denominator) if denominator else None


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, false positives and false negatives, and what follows from them.

    Nothing to find and nothing found (all 0) says nothing: all three scores are None. Cells but no detections:
    recall and F1 are 0, precision is None. Detections but no cells: precision and F1 are 0, recall is None.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of both together."""
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float | None:
        """Share of the detections that are cells."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Share of the cells that were found."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """``tp / (tp + (fp + fn) / 2)``. Source: Patherea, section 5, equation 6."""
        return ratio(self.tp, self.tp + 0.5 * (self.fp + self.fn))

    def to_json(self) -> dict[str, Any]:
        """Return counts and scores as JSON-able values."""
        return {
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


@dataclass(frozen=True)
class Detection:
    """Detection scores of one or several images.

    Parameters
    ----------
    overall : Counts
        Whatever the class says: cells found as cells.
    per_class : mapping of class id to Counts
        Cells of a class matched to detections of that class alone; each class that either side names.
    distances_px : float64 array (tp,)
        How far each found cell's detection lies from it, px; from the matching without classes.
    """

    overall: Counts = Counts()
    per_class: Mapping[str, Counts] = field(default_factory=dict)
    distances_px: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __add__(self, other: Detection) -> Detection:
        """Return the scores of both sets of images together: counts are summed, never scores averaged."""
        names = sorted({*self.per_class, *other.per_class})
        per_class = {n: self.per_class.get(n, Counts()) + other.per_class.get(n, Counts()) for n in names}
        distances = np.concatenate([self.distances_px, other.distances_px])
        return Detection(self.overall + other.overall, per_class, distances)

    @property
    def macro_f1(self) -> float | None:
        """Mean F1 of the classes that have one."""
        scores = [c.f1 for c in self.per_class.values() if c.f1 is not None]
        return ratio(sum(scores), len(scores))


def score_detections(
    truth_yx: npt.ArrayLike,
    truth_classes: Sequence[str],
    pred_yx: npt.ArrayLike,
    pred_classes: Sequence[str],
    radius_px: float,
    is_scored: npt.ArrayLike | None = None,
) -> Detection:
    """Score the detections of one image.

    Where only some regions of an image have every cell marked, a detection outside them that finds no marked cell may
    be a cell that nobody marked: it does not count. One that finds a marked cell counts anywhere, in its class's
    scores too, for there the truth is known.

    Parameters
    ----------
    truth_yx, pred_yx : float array (n, 2), (m, 2)
        Centres of cells and of detections, px.
    truth_classes, pred_classes : sequence of str
        The class of each.
    radius_px : float
        Furthest distance at which a detection is the cell, px.
    is_scored : bool array (m,), optional
        Detections that lie where every cell is marked; without it, all do.

    Raises
    ------
    CytoError
        When points and classes differ in number, or as `match_points` says.

    Notes
    -----
    Source: Patherea, section 5 (per-class matching and F1).
    """
    truth, pred = np.asarray(truth_yx, np.float64).reshape(-1, 2), np.asarray(pred_yx, np.float64).reshape(-1, 2)
    if len(truth) != len(truth_classes) or len(pred) != len(pred_classes):
        raise CytoError(
            f"Expected a class for each point, got {len(truth_classes)} for {len(truth)} cells and "
            f"{len(pred_classes)} for {len(pred)} detections."
        )
    overall = match_points(truth, pred, radius_px)
    counts = np.ones(len(pred), dtype=bool) if is_scored is None else np.array(is_scored, dtype=bool).reshape(-1)
    if len(counts) != len(pred):
        raise CytoError(f"Expected {len(pred)} values, whether each detection counts, got {len(counts)}.")
    counts[overall.pred_index] = True
    of_truth, of_pred = np.asarray(truth_classes, dtype=object), np.asarray(pred_classes, dtype=object)
    per_class = {}
    for name in sorted({*truth_classes, *pred_classes}):
        match = match_points(truth[of_truth == name], pred[of_pred == name], radius_px)
        false = counts[of_pred == name]
        false[match.pred_index] = False
        per_class[name] = Counts(match.tp, int(false.sum()), match.fn)
    return Detection(Counts(overall.tp, int(counts.sum()) - overall.tp, overall.fn), per_class, overall.distances_px)
