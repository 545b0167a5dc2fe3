"""Which proposal answers for which cell: Hungarian matching, one-to-one and one-to-many."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]


def matching_cost(cells_yx: Floats, classes: Indices, points_yx: Floats, scores: Floats, tau: float) -> Floats:
    """Return what it costs to let each proposal answer for each cell.

    Parameters
    ----------
    cells_yx : ndarray, (n, 2), float64
        Labelled centres, input px.
    classes : ndarray, (n,), intp
        Their classes.
    points_yx : ndarray, (m, 2), float64
        Proposals, input px.
    scores : ndarray, (m, classes + 1), float64
        Probabilities; the last is background.
    tau : float
        Weight of the distance, per px.

    Returns
    -------
    ndarray, (n, m), float64

    Notes
    -----
    Source: Patherea, section 3.1, equation 1.
    """
    distances = np.linalg.norm(cells_yx[:, None] - points_yx[None], axis=-1)
    return np.asarray(tau * distances - scores[:, classes].T, dtype=np.float64)


def hungarian(cost: Floats, repeats: int = 1) -> tuple[Indices, Indices]:
    """Assign proposals to cells at the least total cost, each cell ``repeats`` times, each proposal once at most.

    Parameters
    ----------
    cost : ndarray, (n, m), float64
        Of each cell and proposal.
    repeats : int
        Beta: how many proposals answer for a cell; 1 is one-to-one.

    Returns
    -------
    cells, proposals : ndarray, (k,), intp
        The pairs; ``k`` is ``n * repeats``, or ``m`` where there are fewer proposals.

    Notes
    -----
    Source: Patherea, section 3.2 (targets replicated by a factor of beta).
    """
    n_rows = len(cost) * repeats
    columns = np.arange(cost.shape[1])
    if 0 < n_rows < len(columns):
        # So many rows take no more than so many columns: one of a row's cheapest is always left for it.
        columns = np.unique(np.argpartition(cost, n_rows - 1, axis=1)[:, :n_rows])
    rows, chosen = linear_sum_assignment(np.tile(cost[:, columns], (repeats, 1)))
    return np.asarray(rows % max(len(cost), 1), np.intp), np.asarray(columns[chosen], np.intp)
