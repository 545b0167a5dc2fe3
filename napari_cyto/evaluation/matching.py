"""Which detection is which cell: one-to-one, within a radius, as many as possible.

Source: Stepec et al., Patherea, section 5: the Hungarian algorithm on the Boolean matrix ``distance <= r``. The
optimum of a Boolean assignment is a maximum matching of the graph of pairs within reach, and that graph falls apart
into clusters of cells that lie close together, so the whole matrix is never written down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_matrix
from scipy.sparse.csgraph import connected_components, maximum_flow
from scipy.spatial import KDTree

from napari_cyto.domain.geometry import distances
from napari_cyto.errors import CytoError

Points = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

ROUNDING = 1e-9
"""Share of the radius within which a distance counts as equal to it: µm / mpp is rarely exact."""

MAX_PAIRS = 20_000_000
"""Most pairs within reach that are looked at, about 1 GB; beyond it the radius spans crowds, not a cell."""

NEAREST_LIMIT = 256
"""Most cells, or detections, of a cluster whose pairs are chosen by distance; in larger ones any pairs will do."""


@dataclass(frozen=True)
class Matching:
    """A one-to-one matching of cells and detections.

    Parameters
    ----------
    truth_index, pred_index : intp array (k,)
        The matched pairs, by the place of the cell and of the detection; ascending in the cell.
    distances_px : float64 array (k,)
        How far apart each pair is, px.
    n_truth, n_pred : int
        How many cells and detections there were.
    """

    truth_index: Indices
    pred_index: Indices
    distances_px: npt.NDArray[np.float64]
    n_truth: int
    n_pred: int

    @property
    def tp(self) -> int:
        """Cells that were found."""
        return len(self.truth_index)

    @property
    def fp(self) -> int:
        """Detections that are no cell, or one that another detection has found already."""
        return self.n_pred - self.tp

    @property
    def fn(self) -> int:
        """Cells that were missed."""
        return self.n_truth - self.tp


def match_points(truth_yx: npt.ArrayLike, pred_yx: npt.ArrayLike, radius_px: float) -> Matching:
    """Match detections to cells: one-to-one, none further apart than the radius, as many pairs as possible.

    How many pairs there are is exact. Which ones is free in the paper; here the nearest are taken wherever no more
    than `NEAREST_LIMIT` cells hang together, so that a localisation error can be told.

    Parameters
    ----------
    truth_yx, pred_yx : float array (n, 2), (m, 2)
        Centres of cells and of detections, px of one image; either may be empty.
    radius_px : float
        Furthest distance of a pair, px, itself included.

    Returns
    -------
    Matching
        Empty when either side is.

    Raises
    ------
    CytoError
        When the points are no finite ``(n, 2)`` arrays, or the radius is not above 0 or spans crowds of points.

    Notes
    -----
    Source: Patherea, section 5 (the Boolean matrix).
    """
    truth, pred = _points(truth_yx, "cells"), _points(pred_yx, "detections")
    if not (np.isfinite(radius_px) and radius_px > 0):
        raise CytoError(f"Expected a matching radius above 0 px, got {radius_px}.")
    rows, columns, apart = _pairs_within(truth, pred, radius_px)
    partner = _maximum_matching(rows, columns, apart, len(truth), len(pred))
    matched = np.flatnonzero(partner >= 0)
    found = partner[matched]
    return Matching(matched, found, distances(truth[matched], pred[found]), len(truth), len(pred))


def _points(values: npt.ArrayLike, what: str) -> Points:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return np.empty((0, 2))
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise CytoError(f"Expected finite centres of the {what}, shape (n, 2), got the shape {array.shape}.")
    return array


def _pairs_within(truth: Points, pred: Points, radius_px: float) -> tuple[Indices, Indices, npt.NDArray[np.float64]]:
    """Return cell, detection and distance of each pair within reach."""
    if not len(truth) or not len(pred):
        return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)
    reach = radius_px * (1 + ROUNDING)
    cells, detections = KDTree(truth), KDTree(pred)
    # The tree compares squares; asked a little further, the distance itself decides who is within.
    further = reach * (1 + ROUNDING)
    count = int(cells.count_neighbors(detections, further))
    if count > MAX_PAIRS:
        raise CytoError(
            f"Expected at most {MAX_PAIRS:,} pairs of a cell and a detection within a radius of {radius_px:g} px, "
            f"got {count:,}; choose a radius of about that of a nucleus."
        )
    found = cells.sparse_distance_matrix(detections, further, output_type="ndarray")
    rows, columns = found["i"].astype(np.intp), found["j"].astype(np.intp)
    apart = distances(truth[rows], pred[columns])
    near = apart <= reach
    return rows[near], columns[near], apart[near]


def _maximum_matching(
    rows: Indices, columns: Indices, apart: npt.NDArray[np.float64], n_truth: int, n_pred: int
) -> Indices:
    """Return the detection of each cell, -1 for none: as many as possible, cluster by cluster."""
    partner = np.full(n_truth, -1, dtype=np.intp)
    n = n_truth + n_pred
    ends = coo_array((np.ones(len(rows), np.int8), (rows, columns + n_truth)), shape=(n, n))
    cluster_of = connected_components(ends, directed=False)[1][rows] if len(rows) else rows
    sizes = np.bincount(cluster_of, minlength=1)[cluster_of]
    alone = sizes == 1  # a cell and a detection that know only each other
    partner[rows[alone]] = columns[alone]
    rest = np.flatnonzero(~alone)
    order = rest[np.argsort(cluster_of[rest], kind="stable")]
    starts = np.flatnonzero(np.diff(cluster_of[order]))
    for edges in np.split(order, starts + 1) if len(order) else ():
        cells, at_row = np.unique(rows[edges], return_inverse=True)
        detections, at_column = np.unique(columns[edges], return_inverse=True)
        if max(len(cells), len(detections)) <= NEAREST_LIMIT:
            chosen = _nearest_pairs(at_row, at_column, apart[edges])
        else:
            chosen = _any_pairs(at_row, at_column)
        partner[cells[chosen[0]]] = detections[chosen[1]]
    return partner


def _nearest_pairs(rows: Indices, columns: Indices, apart: npt.NDArray[np.float64]) -> tuple[Indices, Indices]:
    """Return the maximum matching of one cluster whose distances sum to the least."""
    shape = (rows.max() + 1, columns.max() + 1)
    # Dearer than all pairs of the cluster together, so that no pair is given up for nearness.
    no_pair = (apart.max() + 1) * (min(shape) + 1)
    cost = np.full(shape, no_pair)
    cost[rows, columns] = apart
    chosen = linear_sum_assignment(cost)
    real = cost[chosen] < no_pair
    return chosen[0][real], chosen[1][real]


def _any_pairs(rows: Indices, columns: Indices) -> tuple[Indices, Indices]:
    """Return a maximum matching of one cluster, as the largest flow from its cells to its detections.

    SciPy's ``maximum_bipartite_matching`` takes exponential time on points that are sorted by place (SciPy issue
    26147: 35 s for 5,000 cells); its flow by Dinic's algorithm takes milliseconds on the same.
    """
    n, m = int(rows.max()) + 1, int(columns.max()) + 1
    source, sink = n + m, n + m + 1
    tails = np.concatenate([np.full(n, source), rows, n + np.arange(m)])
    heads = np.concatenate([np.arange(n), n + columns, np.full(m, sink)])
    network = csr_matrix((np.ones(len(tails), np.int32), (tails, heads)), shape=(n + m + 2, n + m + 2))
    flow = coo_array(maximum_flow(network, source, sink, method="dinic").flow)
    used = (flow.data > 0) & (flow.row < n) & (flow.col >= n) & (flow.col < n + m)
    return flow.row[used].astype(np.intp), flow.col[used].astype(np.intp) - n
