"""Cells of many tiles become the cells of a slide: none twice, none lost; numpy and scipy alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.geometry import pairs_within

Points = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float64]
Kept = npt.NDArray[np.intp]


def surest_apart(points_yx: Points, scores: Scores, apart: float) -> Kept:
    """Return which points stay when of points too near to each other the surest stays.

    Parameters
    ----------
    points_yx : ndarray, (n, 2), float64
        Cells.
    scores : ndarray, (n,), float64
        How sure each is; of equal ones the topmost, then the leftmost goes first.
    apart : float
        Points nearer than this are one cell; 0 for none.

    Returns
    -------
    ndarray, (k,), intp
        Places of those that stay, the surest first.
    """
    points = np.asarray(points_yx, np.float64).reshape(-1, 2)
    order = np.lexsort((points[:, 1], points[:, 0], -np.asarray(scores, np.float64)))
    return surest(order, pairs_within(points, apart))


def surest(order: npt.NDArray[np.intp], pairs: npt.NDArray[np.intp]) -> Kept:
    """Return which cells stay when each that stays drops those it is paired with, walking from the surest on.

    All that have no surer one beside them are taken at once, round by round, which comes to the same.

    Parameters
    ----------
    order : ndarray, (n,), intp
        All cells, the surest first.
    pairs : ndarray, (m, 2), intp
        Cells that are one.

    Returns
    -------
    ndarray, (k,), intp
        Those that stay, the surest first.

    Notes
    -----
    Source: G. Blelloch, J. Fineman and J. Shun, "Greedy sequential maximal independent set and matching are parallel
    on average", SPAA 2012, algorithm 2.
    """
    count = len(order)
    rank = np.empty(count, dtype=np.intp)
    rank[order] = np.arange(count)
    left, kept = np.ones(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    while len(both):
        one, other = both.T
        surest_beside = np.full(count, count)
        np.minimum.at(surest_beside, one, rank[other])
        fresh = left & (rank < surest_beside)
        kept |= fresh
        left &= ~fresh
        left[other[fresh[one]]] = False
        both = both[left[one] & left[other]]
    return np.asarray(order[(kept | left)[order]], np.intp)
