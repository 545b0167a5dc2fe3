"""How sure a detector's scores are, over whole pictures (or smears, patients)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.statistics.bootstrap import (
    RESAMPLING,
    SHARE_LIKE,
    Bounds,
    Estimate,
    Resampling,
    counted_estimate,
    group_numbers,
    weighted_estimate,
)
from napari_cyto.evaluation.classification import mean_known
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.detection import Counts, Detection, ratio
from napari_cyto.evaluation.scores import DetectionIntervals

Times = npt.NDArray[np.int64]


def detection_intervals(
    fields: Sequence[DetectedField],
    scored: Sequence[Detection],
    resampling: Resampling = RESAMPLING,
    radius_um: float = 0.0,
) -> DetectionIntervals:
    """Return the intervals of what detections are worth; that of recall is told where recall is.

    Parameters
    ----------
    fields : sequence of DetectedField
        Pictures with the detections that count.
    scored : sequence of Detection
        Of each of these pictures.
    resampling : Resampling
        How the intervals are drawn, whole patients (else smears, else pictures) at a time.
    radius_um : float
        Furthest distance at which a detection is the cell, µm.

    Notes
    -----
    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 8 and 13.
    """
    group_of, n_groups = group_numbers([f.group for f in fields], len(fields))
    names = sorted({name for one in scored for name in one.per_class})
    counts = np.zeros((n_groups, 1 + len(names), 3), np.int64)
    spent = np.zeros((n_groups, 2), np.int64)
    for group, f, one in zip(group_of, fields, scored, strict=True):
        counts[group] += [_plain(c) for c in (one.overall, *(one.per_class.get(n, Counts()) for n in names))]
        area = f.counted(radius_um)
        spent[group] += len(area.scores), len(area.truth_classes)

    tp, _, fn = counts.sum(axis=0).T.tolist()
    true_counts = [found + missed for found, missed in zip(tp, fn, strict=True)]

    def drawn(
        statistic: Callable[[Times], float | None], n: int, holds: npt.NDArray[np.int64], bounds: Bounds | None = None
    ) -> Estimate:
        # The estimate counts what was drawn, and that is groups.
        informative = int((holds > 0).sum())
        found = weighted_estimate(statistic, range(n_groups), resampling, bounds, informative)
        return replace(found, n=n)

    def f1_of(place: int) -> Callable[[Times], float | None]:
        return lambda times: _of(times, counts[:, place]).f1

    every = range(1, 1 + len(names))
    cells, found, called = counts[:, :, 0] + counts[:, :, 2], counts[:, 0, 0], counts[:, 0, 0] + counts[:, 0, 1]
    of_classes = [cells[:, place] for place in every if true_counts[place]]
    rarest = min(of_classes, key=lambda c: (c > 0).sum(), default=cells[:, 0])
    return DetectionIntervals(
        precision=counted_estimate(found, called, resampling),
        f1=drawn(f1_of(0), true_counts[0], cells[:, 0], SHARE_LIKE),
        macro_f1=drawn(
            lambda times: mean_known([_of(times, counts[:, c]).f1 for c in every]),
            sum(true_counts[1:]),
            rarest,
            SHARE_LIKE,
        ),
        detections_per_cell=drawn(lambda times: ratio(*(times @ spent).tolist()), int(spent[:, 1].sum()), spent[:, 1]),
        median_error_um=drawn(_median_error(fields, scored, group_of), tp[0], found),
        per_class_f1={
            name: drawn(f1_of(place), true_counts[place], cells[:, place], SHARE_LIKE)
            for place, name in zip(every, names, strict=True)
        },
    )


def _median_error(
    fields: Sequence[DetectedField], scored: Sequence[Detection], group_of: npt.NDArray[np.intp]
) -> Callable[[Times], float | None]:
    """Return the median distance of found cells when each group counts some number of times, µm."""
    errors = np.concatenate([np.empty(0), *(s.distances_px * f.mpp for f, s in zip(fields, scored, strict=True))])
    order = np.argsort(errors, kind="stable")
    owner = np.repeat(group_of, [len(s.distances_px) for s in scored])[order]
    errors = errors[order]

    def median(times: Times) -> float | None:
        upto = np.cumsum(times[owner])
        if not len(upto) or not upto[-1]:
            return None
        middle = np.searchsorted(upto, [(upto[-1] - 1) // 2, upto[-1] // 2], side="right")
        return float(errors[middle].mean())

    return median


def _plain(counts: Counts) -> tuple[int, int, int]:
    return counts.tp, counts.fp, counts.fn


def _of(times: Times, counts: npt.NDArray[np.int64]) -> Counts:
    return Counts(*(times @ counts).tolist())
