"""One picture's marked cells and what a detector found on it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import Polygon
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.proliferation import is_inside

Points = npt.NDArray[np.float64]


def _none(columns: int) -> Points:
    return np.empty((0, columns))


@dataclass(frozen=True)
class DetectedField:
    """Marked cells and detections of one picture, level-0 px.

    Parameters
    ----------
    name : str
        The picture, a path.
    mpp : float
        µm per level-0 px.
    group : str
        The patient, else the smear, else the picture: what intervals draw as a whole.
    truth_yx : float64 array (n, 2)
        Centres of the marked cells.
    truth_classes : tuple of str (n,)
        Their classes.
    truth_boxes_yxyx : float64 array (n, 4)
        Their boxes; NaN for a cell of which only the centre is known.
    found_yx, found_boxes_yxyx : float64 array (m, 2), (m, 4)
        Centres and boxes (NaN: none) of the detections.
    scores : float64 array (m,)
        How sure each is of being a cell.
    class_scores : float64 array (m, k)
        The score of each of the detector's classes; k 0 for a detector without any.
    regions : tuple of Polygon
        Inside these every cell is marked; none: nobody says so of any part.
    """

    name: str
    mpp: float
    group: str
    truth_yx: Points
    truth_classes: tuple[str, ...]
    truth_boxes_yxyx: Points
    found_yx: Points = field(default_factory=lambda: _none(2))
    found_boxes_yxyx: Points = field(default_factory=lambda: _none(4))
    scores: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    class_scores: Points = field(default_factory=lambda: _none(0))
    regions: tuple[Polygon, ...] = ()

    def __post_init__(self) -> None:
        n, m = len(self.truth_classes), len(self.scores)
        shapes = (self.truth_yx.shape, self.truth_boxes_yxyx.shape, self.found_yx.shape, self.found_boxes_yxyx.shape)
        if shapes != ((n, 2), (n, 4), (m, 2), (m, 4)) or len(self.class_scores) != m:
            raise CytoError(
                f"{self.name}: {n} cells and {m} detections need as many centres and boxes, but {shapes} came."
            )

    @property
    def is_judged(self) -> npt.NDArray[np.bool_]:
        """Which detections lie where every cell is marked, bool (m,); all, where no region says otherwise."""
        return judged(self.found_yx, self.regions)

    def from_score(self, threshold: float) -> DetectedField:
        """Return the field with the detections that score the threshold or more."""
        return self.keeping(self.scores >= threshold)

    def keeping(self, keep: npt.ArrayLike) -> DetectedField:
        """Return the field with some of its detections: a bool array (m,), or their places."""
        kept = np.asarray(keep)
        return replace(
            self,
            found_yx=self.found_yx[kept],
            found_boxes_yxyx=self.found_boxes_yxyx[kept],
            scores=self.scores[kept],
            class_scores=self.class_scores[kept],
        )


def judged(centres_yx: Points, regions: tuple[Polygon, ...]) -> npt.NDArray[np.bool_]:
    """Return which points lie where every cell is marked, bool (n,): in any region, or anywhere where there is none.

    Parameters
    ----------
    centres_yx : float64 array (n, 2)
        Level-0 px.
    regions : tuple of Polygon
        Level-0 px.
    """
    inside = np.full(len(centres_yx), not regions)
    for region in regions:
        inside |= is_inside(centres_yx, region)
    return inside
