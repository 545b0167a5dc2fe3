"""One slide of a training set with its labelled cells."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import Polygon


@dataclass(frozen=True, eq=False)
class TrainingSlide:
    """One slide or picture with its labelled cells.

    Parameters
    ----------
    key : str
        Names it within the training set; made of its pixels, so that it is the same wherever the file lies.
    path : str
        The pixel file.
    name : str
        What people call it.
    mpp : float or None
        µm per level-0 px; None while unknown.
    patient, smear : str
        Whose it is and what it was cut from; empty while unknown.
    source : str
        Where it comes from, as `training_sources.parse_source` reads it.
    centres_yx : ndarray, (n, 2), float64
        Cell centres, level-0 px.
    boxes_yxyx : ndarray, (n, 4), float64
        Boxes, level-0 px; NaN where only a point is known.
    class_index : ndarray, (n,), intp
        Class of each cell, counted in ``TrainingSet.classes``.
    size_hw : tuple of int
        Height and width of level 0, px.
    regions : tuple of Polygon
        Inside them every cell is marked; level-0 px.
    centred : bool
        Whether the whole picture is one cell, as in class folders.
    side : str
        ``train``, ``validation`` or ``test`` when it came with one.
    fingerprint : str
        Of the pixel file.
    rejected_yx : ndarray, (r, 2), float64
        Centres of predictions that a person rejected: no cell is there; level-0 px.
    """

    key: str
    path: str
    name: str
    mpp: float | None
    patient: str
    smear: str
    source: str
    centres_yx: npt.NDArray[np.float64]
    boxes_yxyx: npt.NDArray[np.float64]
    class_index: npt.NDArray[np.intp]
    size_hw: tuple[int, int]
    regions: tuple[Polygon, ...] = ()
    centred: bool = False
    side: str = ""
    fingerprint: str = ""
    rejected_yx: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 2)))

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.class_index)
