"""The nucleus of this slide's own intermediate cells, which the Bethesda System grades by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted
from napari_cyto.domain.json_values import JsonFields

FEWEST = 20
"""Below this many nuclei the median says too little."""

CONFIDENT = 0.9
"""Score from which on a prediction that nobody reviewed counts."""

INTERMEDIATE = ("superficial_intermediate", "intermediate", "NILM")
"""Classes whose nuclei are taken, the first that the scheme has."""


@dataclass(frozen=True, slots=True)
class Reference(JsonFields):
    """The median nucleus of a slide's intermediate cells.

    Parameters
    ----------
    area_um2 : float or None
        None where it cannot be said.
    nuclei : int
        How many it rests on.
    class_id : str
        Their class.
    """

    area_um2: float | None
    nuclei: int
    class_id: str

    @property
    def sentence(self) -> str:
        """What a person reads."""
        of = f"{counted(self.nuclei, 'nucleus', 'nuclei')} of {self.class_id}"
        if self.area_um2 is None:
            return f"The size of this slide's intermediate nuclei cannot be said: {of} in focus, {FEWEST} are needed."
        return f"Median nucleus of {self.class_id}: {self.area_um2:.0f} µm², of {of}."


def reference_nucleus(
    areas_um2: npt.NDArray[np.float64], counts: npt.NDArray[np.bool_], class_id: str = "NILM"
) -> Reference:
    """Return the median of the nuclei that count.

    Parameters
    ----------
    areas_um2 : ndarray, float64 (n,)
        Of one slide's nuclei.
    counts : ndarray, bool (n,)
        Whether each is of an intermediate cell, accepted or predicted with confidence, in focus, whole, and alone.
    class_id : str
        The class they have.

    Source
    ------
    Nayar and Wilbur, The Bethesda System for Reporting Cervical Cytology, 3rd edition (2015): ASC-US 2.5 to 3 times
    the nucleus of a normal intermediate cell (about 35 µm²), LSIL more than three times.
    """
    taken = areas_um2[counts & np.isfinite(areas_um2)]
    area = float(np.median(taken)) if len(taken) >= FEWEST else None
    return Reference(area, len(taken), class_id)
