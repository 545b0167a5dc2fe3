"""Which cells a report shows, and their pictures: the worst mistakes and the surest right answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.matching import match_points
from napari_cyto.evaluation.report import Example
from napari_cyto.evaluation.scored_cells import ScoredCells
from napari_cyto.slides import open_slide

AROUND_UM = 51.2
Scales = dict[str, float | None]


def worst_and_best(
    cells: ScoredCells, rule: CropRule, mpp: Scales, n: int
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Return pictures of the cells that a classifier gets most wrong, and of those that it is sure of and right.

    Parameters
    ----------
    cells : ScoredCells
        What it said.
    rule : CropRule
        How it sees cells; its first window is shown.
    mpp : dict
        µm per level-0 px of each slide, by path.
    n : int
        How many of each.
    """
    worst = [_classified(cells, rule, mpp, i) for i in worst_places(cells, n)]
    best = [_classified(cells, rule, mpp, i) for i in best_places(cells, n)]
    return tuple(e for e in worst if e), tuple(e for e in best if e)


def worst_places(cells: ScoredCells, n: int) -> list[int]:
    """Return the places of wrong cells, those first that are off by most grades and of which the model is surest."""
    if not len(cells.truth):
        return []
    grade = np.asarray([-1 if c.severity is None else c.severity for c in cells.classes])
    answers = cells.answers
    off = np.abs(grade[cells.truth] - grade[answers])
    off[(grade[cells.truth] < 0) | (grade[answers] < 0)] = 1
    cost = np.where(answers == cells.truth, -1.0, off * cells.probabilities.max(axis=1))
    order = np.argsort(-cost, kind="stable")
    return [int(i) for i in order[:n] if cost[i] > 0]


def best_places(cells: ScoredCells, n: int) -> list[int]:
    """Return the places of right cells, the surest of each class in turn."""
    if not len(cells.truth):
        return []
    right = cells.answers == cells.truth
    sure = cells.probabilities.max(axis=1)
    of_class = []
    for c in range(len(cells.classes)):
        places = np.flatnonzero(right & (cells.truth == c))
        of_class.append(places[np.argsort(-sure[places], kind="stable")].tolist())
    rounds = max((len(places) for places in of_class), default=0)
    turns = [places[i] for i in range(min(rounds, n)) for places in of_class if i < len(places)]
    return sorted(turns[:n], key=lambda i: int(cells.truth[i]))


def _classified(cells: ScoredCells, rule: CropRule, mpp: Scales, place: int) -> Example | None:
    truth, answer = cells.ids[cells.truth[place]], cells.ids[cells.answers[place]]
    share = f"{100 * cells.probabilities[place].max():.0f} %"
    caption = f"{truth}, {share}" if truth == answer else f"{truth} called {answer}, {share}"
    return _example(cells.slides[place], cells.centres_yx[place], mpp, rule, caption)


def _example(
    slide: str, centre_yx: npt.NDArray[np.float64], mpp: Scales, rule: CropRule, caption: str
) -> Example | None:
    """Return a cell's picture, None when the slide cannot be read any more."""
    y, x = (float(v) for v in centre_yx)
    try:
        with open_slide(slide) as opened:
            image = rule.cut(opened, [[y, x]], mpp[slide])[0, 0]
    except CytoError:
        return None
    return Example(image, caption, f"{Path(slide).name}, y {y:.0f}, x {x:.0f}")


def missed_and_false(
    fields: Sequence[DetectedField], radius_um: float, n: int
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Return pictures of cells that a detector missed, and of its surest detections where no cell is marked.

    Parameters
    ----------
    fields : sequence of DetectedField
        With the detections that count.
    radius_um : float
        Furthest distance at which a detection is the cell, µm.
    n : int
        How many of each.
    """
    rule = CropRule(windows=(AROUND_UM,))
    missed: list[tuple[float, DetectedField, npt.NDArray[np.float64], str]] = []
    false: list[tuple[float, DetectedField, npt.NDArray[np.float64], str]] = []
    for f in fields:
        match = match_points(f.truth_yx, f.found_yx, radius_um / f.mpp)
        gone = sorted({*range(len(f.truth_yx))} - {*match.truth_index.tolist()})
        # One of each picture first, so that the few that are shown come from many.
        missed += [(turn, f, f.truth_yx[i], f"missed: {f.truth_classes[i]}") for turn, i in enumerate(gone)]
        extra = sorted({*np.flatnonzero(f.is_scored).tolist()} - {*match.pred_index.tolist()})
        false += [(-f.scores[i], f, f.found_yx[i], f"nothing annotated here, {f.scores[i]:.2f}") for i in extra]
    return _images(missed, rule, n), _images(false, rule, n)


def _images(
    rows: list[tuple[float, DetectedField, npt.NDArray[np.float64], str]], rule: CropRule, n: int
) -> tuple[Example, ...]:
    chosen = sorted(rows, key=lambda row: row[0])[:n]
    made = [_example(f.name, centre, {f.name: f.mpp}, rule, caption) for _, f, centre, caption in chosen]
    return tuple(e for e in made if e)
