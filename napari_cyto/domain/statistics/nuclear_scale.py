"""How many µm a pixel is, from how many pixels nuclei are wide, with an interval that says how little that tells.

Nuclei of mature squamous cells are of about one size in everybody, but not of the very same: what a smear holds, how it
was fixed and how it was stained moves their mean. So the interval has three parts: that of a mean over so many nuclei,
which is drawn again; that of fields, which differ; and that of collections, which differ however many nuclei are seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted
from napari_cyto.domain.quantities import MPP

NUCLEUS_UM2 = 35.0
"""Area of the nucleus of an intermediate squamous cell. Source: Nayar and Wilbur 2015, The Bethesda System for
Reporting Cervical Cytology, 3rd ed., chapter 2."""
NUCLEUS_UM = float(2 * np.sqrt(NUCLEUS_UM2 / np.pi))

OF_COLLECTIONS = 0.08
"""Standard deviation of the logarithm of the mean diameter between collections of smears: superficial nuclei have about
20 µm² and parabasal ones 50 (ibid.), diameters of 5.0 and 8.0 µm, between which a collection's mean lies."""
OF_FIELDS = 0.12
"""The same between fields of 0.3 mm by 0.2 mm of one collection; measured on 35 fields of CRIC: 0.15 with, 0.13 without
what comes of a field's few nuclei."""

LEAST_NUCLEI = 15
"""Of fewer nuclei a few pieces of debris would be half of all."""
DEBRIS = 0.6
"""Round things of a diameter below this share of that which half of the area lies above are hardly nuclei."""
LIKE_OTHERS = 1.5
"""How many times larger or smaller than the median of the rest a nucleus may be; both ways, so that the mean stays."""

DRAWS = 2000
_CONFIDENCE = 0.95

Diameters = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScaleEstimate:
    """What the size of nuclei says of the scale.

    Parameters
    ----------
    mpp : float or None
        µm per px; None where there are too few nuclei, or what came out can be no microscope's.
    low, high : float or None
        95 % interval.
    nuclei, fields : int
        How many nuclei it rests on, and of how many fields.
    """

    mpp: float | None
    low: float | None
    high: float | None
    nuclei: int
    fields: int

    @property
    def sentence(self) -> str:
        """``About 0.23 µm per px, from 148 nuclei in 12 fields; 95 % 0.20 to 0.26.``, or why there is no estimate."""
        where = f"{counted(self.nuclei, 'nucleus', 'nuclei')} in {counted(self.fields, 'field')}"
        if self.mpp is not None and self.low is not None and self.high is not None:
            return f"About {self.mpp:.2g} µm per px, from {where}; 95 % {self.low:.2g} to {self.high:.2g}."
        if self.nuclei < LEAST_NUCLEI:
            return (
                f"Expected at least {LEAST_NUCLEI} nuclei of mature cells to estimate the µm per px from, got {where}; "
                "measure it with a stage micrometer, or ask whoever took the images."
            )
        return (
            f"The {where} would be of no microscope's scale ({MPP.words}), so what was found is hardly nuclei; state "
            "the µm per px instead."
        )

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as JSON-able values."""
        ends = {"mpp": self.mpp, "low": self.low, "high": self.high}
        return ends | {"nuclei": self.nuclei, "fields": self.fields, "sentence": self.sentence}


def scale_from_nuclei(fields: Sequence[npt.ArrayLike], seed: int = 0) -> ScaleEstimate:
    """Return the µm per px at which nuclei have their usual size.

    Parameters
    ----------
    fields : sequence of array-like (n,)
        Diameters of the nuclei of each field, px of one scale.
    seed : int
        Of the draws.

    Notes
    -----
    Source: Ivezić et al., CytoFM, section 2.2, for the ratio of mean sizes; Efron and Tibshirani 1993, An Introduction
    to the Bootstrap, chapter 13, for the percentile interval, here of the geometric mean.
    """
    diameters = [np.asarray(field, dtype=np.float64).ravel() for field in fields]
    logs = [np.log(kept) for field in without_debris(diameters) if len(kept := field)]
    n = sum(len(field) for field in logs)
    if n < LEAST_NUCLEI:
        return ScaleEstimate(None, None, None, n, len(fields))
    mean = float(np.concatenate(logs).mean())
    rng = np.random.default_rng(seed)
    drawn = np.zeros(DRAWS)
    for field in logs:
        drawn += field[rng.integers(len(field), size=(DRAWS, len(field)))].sum(axis=1)
    # Fields with many nuclei have the more to say, so there are not as many as are counted.
    weights = np.array([len(field) for field in logs]) / n
    apart = np.sqrt(OF_COLLECTIONS**2 + OF_FIELDS**2 * float((weights**2).sum()))
    low, high = np.quantile(drawn / n + rng.normal(0, apart, DRAWS), [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    mpp = NUCLEUS_UM / np.exp(mean)
    if not MPP.holds(mpp):
        return ScaleEstimate(None, None, None, n, len(fields))
    return ScaleEstimate(float(mpp), float(NUCLEUS_UM / np.exp(high)), float(NUCLEUS_UM / np.exp(low)), n, len(fields))


def without_debris(fields: Sequence[Diameters]) -> list[Diameters]:
    """Return the diameters of each field without those of what is too small or too large beside the others."""
    every = np.sort(np.concatenate([np.empty(0), *fields]))
    if not len(every):
        return [field[:0] for field in fields]
    area = np.cumsum(every**2)
    half = every[int(np.searchsorted(area, area[-1] / 2))]
    middle = float(np.median(every[every > DEBRIS * half]))
    return [field[(field > middle / LIKE_OTHERS) & (field < middle * LIKE_OTHERS)] for field in fields]
