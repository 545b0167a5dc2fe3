"""Measurements as features beside a cell's vector: scaled, so that no unit outweighs another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_cyto.domain.counts import counted
from napari_cyto.measurements import COLUMNS, CellTable
from napari_cyto.vectors.teaching._basis import Floats

# How far apart pixels were in focus says nothing of a class; it is a flag.
FEATURES = tuple(column.name for column in COLUMNS if column.name != "focus")
_SIZES = ("_um", "_um2")
_FARTHEST = 3.0
_IQR_OF_SD = 1.349


@dataclass(frozen=True, slots=True)
class MeasuredFeatures:
    """Features of the cells of a lesson.

    Parameters
    ----------
    places : ndarray, float32, (n, len(FEATURES))
        Mean square distance from 0 is 1 over the measured cells, as that of vectors on their directions; 0 where a cell
        has no such number, which is the middle of the others.
    without : int
        Cells without any: no outline, or not measured yet.
    uncertain : int
        Cells whose outline nobody accepted.
    """

    places: Floats
    without: int
    uncertain: int

    @property
    def sentence(self) -> str:
        """What a person should know of them."""
        said = []
        if self.without:
            said.append(
                f"{counted(self.without, 'cell')} without measurements (no outline, or not measured yet): for the head "
                "they are of middling size and shape."
            )
        if self.uncertain:
            said.append(f"{counted(self.uncertain, 'cell')} measured on an outline that nobody accepted.")
        return " ".join(said)


def measured_features(ids: Sequence[str], table: CellTable) -> MeasuredFeatures:
    """Return the measurements of cells, scaled by the middle half of the measured ones.

    Sizes by their logarithm, since they grow by factors; each number by its median and interquartile range, and no
    farther than 3 standard deviations, so that one wrong outline does not outweigh all others.

    Parameters
    ----------
    ids : sequence of str
        The cells of a lesson.
    table : CellTable
        What is measured in the project.
    """
    rows = np.array([table.row_of.get(cell, -1) for cell in ids], dtype=np.intp)
    has_any = rows >= 0
    found = np.full((len(ids), len(FEATURES)), np.nan)
    for column, name in enumerate(FEATURES):
        values = table.column(name)[rows[has_any]]
        found[has_any, column] = np.log1p(values) if name.endswith(_SIZES) else values
    places = np.zeros_like(found)
    if has_any.any():
        for column, values in enumerate(found.T):
            known = values[np.isfinite(values)]
            if len(known):
                low, middle, high = np.percentile(known, (25, 50, 75))
                spread = (high - low) / _IQR_OF_SD or float(known.std()) or 1.0
                places[:, column] = np.nan_to_num((values - middle) / spread, nan=0.0).clip(-_FARTHEST, _FARTHEST)
        places /= np.sqrt((places[has_any] ** 2).sum(1).mean()) or 1.0
    uncertain = int((~table.accepted[rows[has_any]]).sum())
    return MeasuredFeatures(places.astype(np.float32), int((~has_any).sum()), uncertain)
