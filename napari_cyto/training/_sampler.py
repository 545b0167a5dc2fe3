"""Which cells an epoch shows, in which order, and how much each class weighs: from the seed and the epoch alone."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Sampling = Literal["natural", "sqrt", "balanced"]
Weighting = Literal["none", "sqrt", "inverse"]
Places = npt.NDArray[np.intp]

SAMPLING_POWER = {"natural": 1.0, "sqrt": 0.5, "balanced": 0.0}
"""A class of n cells is shown in proportion to n to this power."""
_WEIGHT_POWER = {"none": 0.0, "sqrt": 0.5, "inverse": 1.0}


def epoch_order(class_index: npt.ArrayLike, sampling: Sampling, seed: int, epoch: int) -> Places:
    """Return the cells of an epoch, as many as there are, in their order.

    A class of n cells is shown in proportion to n (natural), to its root, or as often as any other; all cells of a
    class come before one of them comes again, so that no epoch leaves a rare cell out.

    Parameters
    ----------
    class_index : intp array (n,)
        Class of each cell.
    sampling : str
        How often rare classes are shown. Source of the root: Mikolov et al. 2013 for words; Mahajan et al. 2018 for
        pictures, section 2.2.
    seed, epoch : int
        The same two give the same order.

    Returns
    -------
    ndarray, intp (n,)
        Places in ``class_index``.
    """
    labels = np.asarray(class_index, dtype=np.intp)
    rng = np.random.default_rng([seed, epoch])
    counts = np.bincount(labels)
    shares = np.where(counts > 0, counts.astype(np.float64) ** SAMPLING_POWER[sampling], 0.0)
    quotas = _rounded(shares / shares.sum() * len(labels), len(labels))
    drawn = [_drawn(np.flatnonzero(labels == c), int(quota), rng) for c, quota in enumerate(quotas) if quota]
    order: Places = rng.permutation(np.concatenate(drawn))
    return order


def class_weights(counts: npt.ArrayLike, weighting: Weighting) -> npt.NDArray[np.float64]:
    """Return the weight of each class in the loss, float64 (C,), 1 on average over the cells.

    Parameters
    ----------
    counts : int array (C,)
        Training cells of each class.
    weighting : str
        ``inverse``: each class weighs the same in all; ``sqrt``: half the way there, in the logarithm.
    """
    n = np.asarray(counts, dtype=np.float64)
    weights = np.where(n > 0, np.maximum(n, 1) ** -_WEIGHT_POWER[weighting], 0.0)
    scaled: npt.NDArray[np.float64] = weights * n.sum() / (weights * n).sum()
    return scaled


def _rounded(exact: npt.NDArray[np.float64], total: int) -> Places:
    """Return whole numbers near ``exact`` that add up to ``total``: the largest remainders are rounded up."""
    whole = np.floor(exact).astype(np.intp)
    left = total - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:left]] += 1
    return whole


def _drawn(cells: Places, quota: int, rng: np.random.Generator) -> Places:
    """Return ``quota`` of ``cells``: each as often as any other, or once more."""
    rounds = -(-quota // len(cells))
    return np.concatenate([rng.permutation(cells) for _ in range(rounds)])[:quota]
