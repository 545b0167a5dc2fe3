"""Whether vectors still tell patches apart: spread, effective dimensions, and whether two views find each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

COLLAPSED = 0.05
"""Of a spread below it all vectors are one, but for rounding and noise."""


@dataclass(frozen=True)
class Spread:
    """How far apart vectors are.

    Parameters
    ----------
    spread : float
        Standard deviation of the vectors at length 1, averaged over their numbers, times the root of how many there
        are: 0 where all are the same, 1 where they point in all directions alike.
    dimensions : float
        How many directions they use: the exponential of the entropy of their singular values.
    """

    spread: float
    dimensions: float


def spread_of(vectors: Vectors) -> Spread:
    """Return how far apart vectors (n, d) are.

    Notes
    -----
    Source: Chen and He 2021 (SimSiam), section 4.1, for the standard deviation; Garrido et al. 2023 (RankMe),
    equation 1, for the dimensions, here of vectors less their mean.
    """
    unit = _unit(vectors)
    spread = float(unit.std(axis=0).mean() * np.sqrt(vectors.shape[1]))
    values = np.linalg.svd(unit - unit.mean(axis=0), compute_uv=False)
    total = float(values.sum())
    if total <= 0:
        return Spread(spread, 0.0)
    shares = values[values > 0] / total
    return Spread(spread, float(np.exp(-(shares * np.log(shares)).sum())))


def retrieval(first: Vectors, second: Vectors) -> float:
    """Return for which share of the rows of ``first`` the row of ``second`` with the largest cosine is the same."""
    nearest = (_unit(first) @ _unit(second).T).argmax(axis=1)
    return float((nearest == np.arange(len(first))).mean())


def _unit(vectors: Vectors) -> npt.NDArray[np.float64]:
    rows = vectors.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: npt.NDArray[np.float64] = rows / np.maximum(lengths, 1e-12)
    return unit
