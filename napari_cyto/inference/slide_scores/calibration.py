"""What a score of a slide comes to among slides that were held out from the training of its model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from napari_cyto.domain.json_values import JsonFields


@dataclass(frozen=True, slots=True)
class Calibration(JsonFields):
    """What brings a mean logit to the share of held-out slides with such a score that were positive."""

    slope: float
    intercept: float

    def __call__(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the share, 0 to 1, for mean logits."""
        shares: npt.NDArray[np.float64] = expit(self.slope * np.asarray(logits, np.float64) + self.intercept)
        return shares
