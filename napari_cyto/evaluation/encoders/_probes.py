"""Simple classifiers on frozen vectors: a linear head, nearest neighbours, and a head that learned from a few cells.

Each cell is classified by what learned from other groups (patients, else smears, else images) than its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.statistics.bootstrap import (
    SHARE_LIKE,
    Estimate,
    Resampling,
    group_numbers,
    share_estimate,
    weighted_estimate,
)
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.encoders.encoder_table_config import EncoderTableConfig
from napari_cyto.vectors.neighbours import unit_rows

Vectors = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.intp]
Pulse = Callable[[], None]

STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""Inverse strengths of the linear head's penalty to choose from, for vectors whose mean squared length is 1."""
FEW_STRENGTH = 100.0
"""The same of the head that learns from a few cells, which has none to spare for the choice."""
WIDER = 1.3
"""How much wider an interval is than that of fixed heads: these heads would differ had they learned from other groups.

Source: Bates, Hastie and Tibshirani 2024, Journal of the American Statistical Association 119(546), on why intervals of
cross-validation are too narrow; the factor is this program's, what it gives is simulated in the tests of this module.
"""
_STEPS = 200
_INNER_FOLDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeScores(JsonFields):
    """How well simple heads on an encoder's vectors tell classes apart.

    Parameters
    ----------
    linear, linear_balanced : Estimate
        Share of the cells that a linear head classifies right, and the mean of these shares over classes.
    neighbours, neighbours_balanced : Estimate
        The same of nearest neighbours by cosine.
    few, few_balanced : Estimate
        The same of a linear head that learned from a few cells of each class, over repeated draws of them.
    """

    linear: Estimate
    linear_balanced: Estimate
    neighbours: Estimate
    neighbours_balanced: Estimate
    few: Estimate
    few_balanced: Estimate


def probe(
    vectors: Vectors,
    class_index: Numbers,
    groups: Sequence[str],
    config: EncoderTableConfig,
    pulse: Pulse = lambda: None,
) -> ProbeScores:
    """Score vectors by simple heads.

    Parameters
    ----------
    vectors : ndarray, (n, length), float32
        Of cells.
    class_index : ndarray, (n,), intp
        Their classes.
    groups : sequence of str (n,)
        Whose they are: what folds and intervals take as a whole.
    config : EncoderTableConfig
        Folds, neighbours, examples, draws, seed.
    pulse : callable
        Called between fits; what it raises ends the work.

    Raises
    ------
    CytoError
        When there are fewer than two classes, or fewer than two groups.
    """
    folds = group_folds(class_index, groups, config.folds, config.seed)
    resampling = Resampling(seed=config.seed, pulse=pulse)
    linear = linear_calls(vectors, class_index, groups, folds, config.seed, pulse) == class_index
    near = neighbour_calls(vectors, class_index, folds, config.neighbours, pulse) == class_index
    few = few_shot_shares(vectors, class_index, folds, config.shots, config.draws, config.seed, pulse)
    everyone = np.ones(len(class_index), dtype=bool)

    def balanced(right: npt.NDArray[np.float64]) -> Estimate:
        return mean_share(right, class_index, groups, resampling)

    return ProbeScores(
        linear=widened(share_estimate(linear, everyone, groups, resampling)),
        linear_balanced=balanced(linear.astype(np.float64)),
        neighbours=widened(share_estimate(near, everyone, groups, resampling)),
        neighbours_balanced=balanced(near.astype(np.float64)),
        few=mean_share(few, np.zeros_like(class_index), groups, resampling),
        few_balanced=balanced(few),
    )


def group_folds(class_index: Numbers, groups: Sequence[str], folds: int, seed: int = 0) -> Numbers:
    """Return the fold of each cell, intp (n,): no group in two, classes spread as evenly as groups allow.

    Raises
    ------
    CytoError
        When there are fewer than two classes or two groups.
    """
    number, count = group_numbers(groups, len(class_index))
    if len(np.unique(class_index)) < 2:
        raise CytoError("Expected cells of two classes or more to tell apart, got one class.")
    if count < 2:
        raise CytoError("Expected cells from two patients, smears or images or more, got one; no fold can be kept out.")
    fold = np.empty(len(class_index), dtype=np.intp)
    splitter = StratifiedGroupKFold(min(folds, count), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes with fewer cells than folds
        for place, (_, test) in enumerate(splitter.split(np.empty((len(number), 1)), class_index, number)):
            fold[test] = place
    return fold


def linear_calls(
    vectors: Vectors,
    class_index: Numbers,
    groups: Sequence[str],
    folds: Numbers,
    seed: int = 0,
    pulse: Pulse = lambda: None,
) -> Numbers:
    """Return the class that a linear head from the other folds gives each cell, intp (n,).

    Classes weigh the same. The penalty of each head is the one that does best on a quarter of its own groups.
    """
    calls = np.empty(len(class_index), dtype=np.intp)
    of = np.asarray(groups, dtype=object)
    for fold in np.unique(folds):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        strength = _chosen_strength(vectors[train], class_index[train], of[train].tolist(), seed, pulse)
        calls[test] = _fitted_calls(vectors[train], class_index[train], vectors[test], strength)
        pulse()
    return calls


def neighbour_calls(
    vectors: Vectors, class_index: Numbers, folds: Numbers, neighbours: int, pulse: Pulse = lambda: None
) -> Numbers:
    """Return the class that the nearest cells of other folds give each cell, by cosine, intp (n,).

    A neighbour's vote weighs ``exp(cosine / 0.07)`` (Wu et al. 2018, Unsupervised Feature Learning via Non-Parametric
    Instance Discrimination, section 3.4; so does Caron et al. 2021, DINO).
    """
    directions = unit_rows(vectors)
    calls = np.empty(len(class_index), dtype=np.intp)
    classes = int(class_index.max()) + 1
    for fold in np.unique(folds):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        k = min(neighbours, len(train))
        for start in range(0, len(test), 512):
            part = test[start : start + 512]
            cosine = directions[part] @ directions[train].T
            nearest = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
            votes = np.zeros((len(part), classes))
            weight = np.exp((np.take_along_axis(cosine, nearest, axis=1).astype(np.float64) - 1) / 0.07)
            np.add.at(votes, (np.arange(len(part))[:, None], class_index[train][nearest]), weight)
            calls[part] = votes.argmax(axis=1)
            pulse()
    return calls


def few_shot_shares(
    vectors: Vectors,
    class_index: Numbers,
    folds: Numbers,
    shots: int,
    draws: int,
    seed: int = 0,
    pulse: Pulse = lambda: None,
) -> npt.NDArray[np.float64]:
    """Return how often, 0 to 1, heads that learned from ``shots`` cells of each class are right, float64 (n,).

    Each draw takes its cells from all folds but one, the folds in turn, and classifies the cells of that one. A class
    with fewer cells there gives all of them.
    """
    rng = np.random.default_rng(seed)
    right, attempts = np.zeros(len(class_index)), np.zeros(len(class_index))
    names = np.unique(folds)
    for draw in range(max(draws, len(names))):
        fold = names[draw % len(names)]
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        chosen = [rng.permutation(train[class_index[train] == each])[:shots] for each in np.unique(class_index[train])]
        cells = np.concatenate(chosen)
        calls = _fitted_calls(vectors[cells], class_index[cells], vectors[test], FEW_STRENGTH)
        right[test] += calls == class_index[test]
        attempts[test] += 1
        pulse()
    return right / attempts


def mean_share(
    right: npt.NDArray[np.float64], class_index: Numbers, groups: Sequence[str], resampling: Resampling
) -> Estimate:
    """Estimate the mean over classes of the share of a class that is right, 0 to 1 a cell, groups taken as a whole."""
    of_class = np.eye(int(class_index.max()) + 1)[class_index]
    of_class = of_class[:, of_class.any(axis=0)]
    right_of_class = of_class * right[:, None]

    def statistic(weights: npt.NDArray[np.int64]) -> float | None:
        cells = weights @ of_class
        known = cells > 0
        return float(((weights @ right_of_class)[known] / cells[known]).mean()) if known.any() else None

    return widened(weighted_estimate(statistic, groups, resampling, bounds=SHARE_LIKE))


def widened(found: Estimate) -> Estimate:
    """Return a share whose interval holds what heads that learned from other groups would score too.

    Both sides are `WIDER` times as long on the scale of log odds, so that they stay between 0 and 1.
    """
    if found.value is None or found.low is None or found.high is None:
        return found
    middle, low, high = (float(logit(np.clip(each, 1e-6, 1 - 1e-6))) for each in (found.value, found.low, found.high))
    low, high = (float(expit(middle + WIDER * (end - middle))) for end in (low, high))
    return replace(found, low=low, high=high)


def _chosen_strength(vectors: Vectors, class_index: Numbers, groups: list[str], seed: int, pulse: Pulse) -> float:
    if len(set(groups)) < 2 or len(np.unique(class_index)) < 2:
        return STRENGTHS[1]
    inner = group_folds(class_index, groups, _INNER_FOLDS, seed)
    train, test = inner != 0, inner == 0
    if len(np.unique(class_index[train])) < 2:
        return STRENGTHS[1]
    scores = []
    for strength in STRENGTHS:
        right = _fitted_calls(vectors[train], class_index[train], vectors[test], strength) == class_index[test]
        scores.append(np.mean([right[class_index[test] == each].mean() for each in np.unique(class_index[test])]))
        pulse()
    return STRENGTHS[int(np.argmax(scores))]


def _fitted_calls(train: Vectors, class_index: Numbers, test: Vectors, strength: float) -> Numbers:
    """Return what a logistic head calls ``test``; vectors are centred and brought to one mean length, never turned."""
    if len(np.unique(class_index)) < 2:
        return np.full(len(test), class_index[0], dtype=np.intp)
    mean = train.mean(axis=0, dtype=np.float64)
    centred = train - mean
    scale = float(np.sqrt((centred**2).sum(axis=1).mean())) or 1.0
    head = LogisticRegression(C=strength, class_weight="balanced", max_iter=_STEPS, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        head.fit(centred / scale, class_index)
    return np.asarray(head.predict((test - mean) / scale), dtype=np.intp)
