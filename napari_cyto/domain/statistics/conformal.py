"""Thresholds of scores that keep their promise on new groups of cells (patients, images), never on pooled cells."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError

_ROUNDING = 1e-9


def fewest_groups(alpha: float) -> int:
    """Return how many groups a rate of misses ``alpha``, 0 to 1, needs at least.

    With fewer even a threshold that misses nothing is no proof, since the next group could be the first that is missed:
    ``1 / (n + 1) <= alpha``.

    Source: Angelopoulos et al. 2024, Conformal Risk Control, ICLR, equation 4 with ``B = 1`` and no loss at all.
    """
    return max(1, math.ceil(1 / alpha - 1 - _ROUNDING))


def lowest_rate(groups: int) -> float:
    """Return the lowest rate of misses, 0 to 1, that so many groups can promise."""
    return 1 / (groups + 1)


def controlled_threshold(scores: npt.ArrayLike, groups: npt.ArrayLike, alpha: float) -> float:
    """Return the highest threshold under which, on average over new groups, at most ``alpha`` of a group's cells score.

    The loss of a group is the share of its cells that score below the threshold, so that each group weighs the same
    however many cells it has. The groups have to be exchangeable; their cells may resemble each other as they like.

    Parameters
    ----------
    scores : array (n,)
        Of the calibration cells that must not be missed, such as those of one class; higher is safer.
    groups : array (n,)
        The group of each cell, as any values that can be compared.
    alpha : float
        The rate of misses, above 0 and below 1.

    Returns
    -------
    float
        One of ``scores``; a cell is missed if it scores less.

    Raises
    ------
    CytoError
        When there are too few groups for ``alpha``; the sentence says how many it needs.

    Notes
    -----
    For a cell drawn at random from a group drawn at random, the expected share that is missed is the probability of a
    miss, so the threshold of a class is a class-conditional conformal prediction set for grouped data as well. Of the
    valid methods for such data this one uses every cell, does not depend on a draw, and pays no factor: one cell drawn
    from each group is exact as well, but its threshold depends on the draw, and the mean of the p-values of
    repeated draws is only valid when it is doubled.

    Source: Angelopoulos, Bates, Fisch, Lei and Schuster 2024, Conformal Risk Control, ICLR, equation 4 and theorem 1
    (monotone loss of at most 1, averaged in each group); Lee, Barber and Willett 2023, Distribution-free inference with
    hierarchical data, arXiv 2306.06342 (the same quantile, from the weights of the groups); compared with Dunn,
    Wasserman and Ramdas 2022, Distribution-free prediction sets for two-layer hierarchical models, JASA 118(544),
    sections 3 and 4 (one draw a group; repeated draws); Vovk and Wang 2020, Biometrika 107(4) (twice the mean of
    p-values).
    """
    if not 0 < alpha < 1:
        raise CytoError(f"Expected a rate of misses above 0 and below 1, got {alpha:g}.")
    values = np.asarray(scores, np.float64)
    _, group_of, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    n_groups, needed = len(sizes), fewest_groups(alpha)
    if n_groups < needed:
        raise CytoError(
            f"A rate of misses of {alpha:g} needs at least {needed:,} groups, got {n_groups:,}"
            + (f"; {n_groups:,} can promise {lowest_rate(n_groups):.3g}." if n_groups else ".")
        )
    order = np.argsort(values, kind="stable")
    sorted_values = values[order]
    # Weight of all cells below each one: what is missed when its score is the threshold.
    weights = 1 / sizes[group_of.reshape(-1)[order]]
    below = np.concatenate([[0.0], np.cumsum(weights)])[np.searchsorted(sorted_values, sorted_values, side="left")]
    allowed = alpha * (n_groups + 1) - 1
    return float(sorted_values[below <= allowed + _ROUNDING][-1])
