"""One picture's marked cells and what a detector found on it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import Polygon
from napari_cyto.domain.known_area import KnownArea
from napari_cyto.errors import CytoError

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
    known_yx : float64 array (r, 2)
        Of a slide that nobody annotated whole: places with known surroundings, see `KnownArea`.
    reach_px : float
        How far around these it is known what is a cell, level-0 px; 0: there is no such limit.
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
    known_yx: Points = field(default_factory=lambda: _none(2))
    reach_px: float = 0.0

    def __post_init__(self) -> None:
        n, m = len(self.truth_classes), len(self.scores)
        shapes = (self.truth_yx.shape, self.truth_boxes_yxyx.shape, self.found_yx.shape, self.found_boxes_yxyx.shape)
        if shapes != ((n, 2), (n, 4), (m, 2), (m, 4)) or len(self.class_scores) != m:
            raise CytoError(
                f"{self.name}: expected a centre and a box for each of {n} cells and {m} detections, got {shapes}."
            )

    @property
    def known(self) -> KnownArea:
        """Where it is known which objects are cells."""
        return KnownArea(self.regions, self.known_yx, self.reach_px)

    @property
    def is_scored(self) -> npt.NDArray[np.bool_]:
        """Which detections lie where it is known what is a cell, bool (m,); all, where nothing says otherwise."""
        return self.known.contains(self.found_yx)

    def counted(self, radius_um: float) -> DetectedField:
        """Return the field less what a number of detections a cell cannot be counted of.

        The cells outside the known area go, and the detections there: nobody knows how many other cells they find. A
        detection within the radius of a cell that counts stays wherever it lies.

        Parameters
        ----------
        radius_um : float
            Furthest distance at which a detection is the cell, µm.
        """
        known = self.known
        if known.is_everywhere:
            return self
        cells = known.contains(self.truth_yx)
        near = KnownArea((), self.truth_yx[cells], radius_um / self.mpp)
        found = known.contains(self.found_yx) | near.contains(self.found_yx)
        kept = replace(
            self,
            truth_yx=self.truth_yx[cells],
            truth_classes=tuple(name for name, inside in zip(self.truth_classes, cells, strict=True) if inside),
            truth_boxes_yxyx=self.truth_boxes_yxyx[cells],
        )
        return kept.keeping(found)

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


def is_known_area(centres_yx: Points, regions: tuple[Polygon, ...]) -> npt.NDArray[np.bool_]:
    """Return which points lie where every cell is marked, bool (n,): in any region, or anywhere where there is none.

    Parameters
    ----------
    centres_yx : float64 array (n, 2)
        Level-0 px.
    regions : tuple of Polygon
        Level-0 px.
    """
    return KnownArea(regions).contains(centres_yx)
