"""Likely label errors: cells whose label the cells most like them contradict, as an order of review.

Of each cell the nearest are taken from other patients (or, where there is one only, from other parts of the cells), so
that a field labelled wrongly as a whole does not confirm itself. How their labels fall for a cell of each class, and
how often a label is wrong, is learnt from the labels together; from it follows how likely each label is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, logsumexp

from napari_cyto.domain.counts import counted
from napari_cyto.domain.statistics import share_interval
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Advanced, Done, Events, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.store import Project
from napari_cyto.vectors._project_vectors import CellVectors, cell_vectors
from napari_cyto.vectors.cell_facts import accepted_classes
from napari_cyto.vectors.cell_map import chosen_kind
from napari_cyto.vectors.neighbours import nearest

NEIGHBOURS = 15
FOLDS = 5
LEAST_CELLS = 40
_ROUNDS = 30
PLANTED_SHARE = 0.05
TRIALS = 4
MOST_NAMED = 2_000
_CONCENTRATIONS = (1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
_PRIOR_ERRORS, _PRIOR_CELLS = 1.0, 40.0

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A cell whose label may be wrong.

    Parameters
    ----------
    id, label : str
        The cell, and the class that it has.
    likelier : str
        The class that the cells most like it speak for.
    agree, neighbours : int
        How many of how many nearest cells have its label.
    chance : float
        That the label is wrong, 0 to 1, as estimated from all labels together.
    """

    id: str
    label: str
    likelier: str
    agree: int
    neighbours: int
    chance: float

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON-able ones."""
        return {
            "id": self.id,
            "label": self.label,
            "neighbours_say": self.likelier,
            "neighbours_with_this_label": self.agree,
            "neighbours": self.neighbours,
            "chance_wrong": round(self.chance, 4),
        }


@dataclass(frozen=True, slots=True)
class PlantedCheck:
    """How many labels that were changed on purpose the order brings to its top.

    Parameters
    ----------
    cells : int
        Cells of each trial.
    planted, found : int
        Labels changed in all trials, and how many of them came among the first.
    first : int
        How many cells of the order count as the first: twice as many as were changed in a trial.
    """

    cells: int
    planted: int
    found: int
    first: int

    @property
    def at_least(self) -> float:
        """Least share of wrong labels among the first, 95 %: those that are wrong already take places in the trials."""
        interval = share_interval(self.found, self.planted)
        return 0.0 if interval is None else interval[0]


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """The cells in the order in which their labels are worth a second look, the likeliest error first.

    Parameters
    ----------
    suspects : tuple of Suspect
        Every cell that was compared.
    by : str
        From which cells the neighbours were taken: ``patient`` or ``cell``.
    groups : int
        Patients, smears or slides that they came from.
    check : PlantedCheck
        What the order finds on these cells.
    left_out : int
        Accepted cells without a vector.
    """

    suspects: tuple[Suspect, ...]
    by: str
    groups: int
    check: PlantedCheck
    left_out: int = 0

    def at_most_wrong(self, first: int) -> int:
        """Return how many of the first labels are wrong at most: an upper limit of 95 %.

        Where classes overlap it is far too high, for a rare cell of the one class among those of the other looks like
        an error; that it is never too low is simulated.

        Source
        ------
        The sum of independent events; normal approximation with continuity correction.
        """
        chances = np.array([each.chance for each in self.suspects[:first]])
        above = 1.645 * float(np.sqrt((chances * (1 - chances)).sum())) + 0.5
        return min(len(chances), int(np.ceil(float(chances.sum()) + above)))

    def sentence(self, first: int = 20) -> str:
        """Return what the order is worth: how many of its first cells may be labelled wrong, and which it finds."""
        first = min(first, len(self.suspects))
        words = [
            f"At most {self.at_most_wrong(first):,} of the first {first:,} labels are wrong (95 %). Of labels that are "
            f"wrong at random at least {100 * self.check.at_least:.0f} % are among the first {self.check.first:,} of "
            f"{self.check.cells:,} (95 %; {self.check.found:,} of {self.check.planted:,} changed in trials on these "
            "cells were). Errors that are not random, such as a habit of a reader, are found less often."
        ]
        if self.by == "cell":
            words.append("One patient or slide only: neighbours may be of the same field and share its errors.")
        if self.left_out:
            words.append(f"{counted(self.left_out, 'accepted cell')} without a vector left out.")
        return " ".join(words)

    def to_json(self, first: int = 20) -> dict[str, Any]:
        """Return the first suspects and what they are worth as JSON-able values."""
        return {
            "cells": self.check.cells,
            "left_out": self.left_out,
            "neighbours_from_other": self.by,
            "groups": self.groups,
            "at_most_wrong_among_first": self.at_most_wrong(first),
            "check": {
                "cells": self.check.cells,
                "planted": self.check.planted,
                "found": self.check.found,
                "among_first": self.check.first,
                "at_least": self.check.at_least,
            },
            "sentence": self.sentence(first),
            "suspects": [each.to_json() for each in self.suspects[:first]],
        }


def label_errors(
    ids: Sequence[str],
    labels: Sequence[str],
    groups: Sequence[str],
    vectors: npt.NDArray[np.float16] | npt.NDArray[np.float32],
    left_out: int = 0,
    seed: int = 0,
) -> LabelErrors:
    """Return cells in the order in which their labels are contradicted by the cells most like them.

    Parameters
    ----------
    ids, labels, groups : sequence of str
        The accepted cells, the class of each, and whose it is: patient, smear or slide, as splits see it.
    vectors : ndarray, (n, length)
        A row each, not normalised.
    left_out : int
        Accepted cells without a vector, to be said.
    seed : int
        Of the folds.

    Raises
    ------
    CytoError
        When there are fewer than 40 cells or only one class.

    Source
    ------
    A class's votes are Dirichlet-multinomial (Minka 2000, Estimating a Dirichlet distribution); labels are flipped at
    random to any other class; the unknown true class by expectation maximisation as in Dawid and Skene 1979.
    """
    names = sorted(set(labels))
    if len(ids) < LEAST_CELLS or len(names) < 2:
        raise CytoError(
            f"Expected at least {LEAST_CELLS} accepted cells of two classes with a vector, got {len(ids)} of "
            f"{counted(len(names), 'class', 'classes')}; accept more cells, or make vectors with: napari-cyto embed."
        )
    codes = np.array([names.index(each) for each in labels], dtype=np.intp)
    folds, by, count = _folds(groups, seed)
    near = _neighbours(vectors, folds)
    votes = _votes(near, codes, len(names))
    chance, likelier = _chances(votes, codes)
    total, order = votes.sum(1), _order(votes, codes, chance)
    return LabelErrors(
        tuple(
            Suspect(ids[n], labels[n], names[likelier[n]], int(votes[n, codes[n]]), int(total[n]), float(chance[n]))
            for n in order.tolist()
        ),
        by,
        count,
        _planted_check(near, codes, len(names), seed),
        left_out,
    )


def _order(votes: Ints, codes: Ints, chance: Floats) -> Ints:
    """Return the rows, the likeliest error first; of equals those with the fewest votes for their label."""
    rows = np.arange(len(codes))
    order: Ints = np.lexsort((rows, votes[rows, codes], -chance))
    return order


def _planted_check(near: Ints, codes: Ints, classes: int, seed: int) -> PlantedCheck:
    """Change some labels at random, put all in order, and count how many of those changed come first."""
    rng = np.random.default_rng(seed + 1)
    count = max(1, round(PLANTED_SHARE * len(codes)))
    found = 0
    for _ in range(TRIALS):
        changed = rng.permutation(len(codes))[:count]
        planted = codes.copy()
        planted[changed] = (codes[changed] + rng.integers(1, classes, count)) % classes
        votes = _votes(near, planted, classes)
        first = _order(votes, planted, _chances(votes, planted)[0])[: 2 * count]
        found += int(np.isin(changed, first).sum())
    return PlantedCheck(len(codes), TRIALS * count, found, min(2 * count, len(codes)))


def _folds(groups: Sequence[str], seed: int) -> tuple[Ints, str, int]:
    """Return the fold of each cell: those of a group in one, where there are two groups or more."""
    rng = np.random.default_rng(seed)
    known, code, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    if len(known) < 2 or sizes.max() > 0.8 * len(groups):
        return rng.permutation(len(groups)) % FOLDS, "cell", len(known)
    fold_of = np.zeros(len(known), dtype=np.intp)
    filled = np.zeros(min(FOLDS, len(known)))
    for group in np.argsort(-sizes, kind="stable").tolist():
        fold_of[group] = int(np.argmin(filled))
        filled[fold_of[group]] += sizes[group]
    return fold_of[code], "patient", len(known)


def _neighbours(vectors: npt.NDArray[Any], folds: Ints) -> Ints:
    """Return the nearest cells of other folds, ``(n, neighbours)``; -1 where there are fewer."""
    near = np.full((len(folds), NEIGHBOURS), -1, dtype=np.intp)
    for fold in np.unique(folds).tolist():
        rows = np.flatnonzero(folds == fold)
        found, _ = nearest(vectors, vectors[rows], NEIGHBOURS, np.flatnonzero(folds != fold))
        near[rows, : found.shape[1]] = found
    return near


def _votes(near: Ints, codes: Ints, classes: int) -> Ints:
    """Return how many of the nearest cells have each class, ``(n, classes)``."""
    said = np.where(near >= 0, codes[near], classes)
    votes = np.stack([(said == code).sum(1) for code in range(classes)], axis=1)
    return votes.astype(np.intp)


def _chances(votes: Ints, codes: Ints) -> tuple[Floats, Ints]:
    """Return of each cell the chance that its label is wrong, and the likeliest other class."""
    n, classes = votes.shape
    here = np.arange(n)
    true: Floats = np.full((n, classes), 0.02 / max(1, classes - 1))
    true[here, codes] = 0.98
    for _ in range(_ROUNDS):
        before = true
        share = true.sum(0)
        profile: Floats = true.T @ votes + 0.5
        profile = profile / profile.sum(1, keepdims=True)
        wrong = (_PRIOR_ERRORS + (1 - true[here, codes]).sum()) / (_PRIOR_CELLS + n)
        wrong = min(wrong, 0.45)
        flips = np.full((n, classes), np.log(wrong / (classes - 1)))
        flips[here, codes] = np.log1p(-wrong)
        log = _votes_log(votes, profile, true) + flips + np.log(np.maximum(share, 1e-9) / n)
        true = np.exp(log - logsumexp(log, axis=1, keepdims=True))
        if np.abs(true - before).max() < 1e-4:
            break
    others = true.copy()
    others[here, codes] = -1
    return 1 - true[here, codes], others.argmax(1)


def _votes_log(votes: Ints, profile: Floats, true: Floats) -> Floats:
    """Return the log-likelihood of each cell's votes under each class, each with its likeliest concentration."""
    total, steps = votes.sum(1), np.arange(NEIGHBOURS + 1)[:, None]
    places = np.arange(votes.shape[1])
    best = np.empty_like(true)
    for code in range(profile.shape[0]):
        highest = -np.inf
        for concentration in _CONCENTRATIONS:
            alpha = concentration * profile[code]
            # Votes are few whole numbers: their gamma functions are looked up.
            terms = gammaln(steps + alpha) - gammaln(alpha)
            log = gammaln(concentration) - gammaln(total + concentration) + terms[votes, places].sum(1)
            if (fit := float((true[:, code] * log).sum())) > highest:
                highest, best[:, code] = fit, log
    return best


def find_label_errors(place: Path, encoder: str = "", token: Token | None = None) -> Events:
    """Find likely label errors of a project; a job.

    Parameters
    ----------
    place : Path
        The project.
    encoder : str
        Whose vectors; the newest unless given.
    token : Token, optional
        Asks to stop.

    Yields
    ------
    Event
        The last is a `Done` with a `LabelErrors`, of which the first 2,000 cells are named.
    """
    return ending_once(_steps(place, encoder, token))


def _steps(place: Path, encoder: str, token: Token | None) -> Steps:
    yield Advanced(0, 0, "Reading the vectors.")
    with Project.open(place) as project:
        found = cell_vectors(project, chosen_kind(project, encoder))
        stop_if_cancelled(token)
        yield Advanced(0, 0, "Comparing the labels of cells alike.")
        made = project_label_errors(project, found)
    stop_if_cancelled(token)
    yield Done(replace(made, suspects=made.suspects[:MOST_NAMED]))


def project_label_errors(project: Project, found: CellVectors, seed: int = 0) -> LabelErrors:
    """Return the accepted cells of a project in the order in which their labels are worth a second look.

    Parameters
    ----------
    project : Project
        Whose cells they are.
    found : CellVectors
        Of the project.
    seed : int
        Of the folds.

    Raises
    ------
    CytoError
        When there are too few accepted cells.
    """
    accepted = accepted_classes(project)
    rows = np.array([row for row, cell in enumerate(found.ids) if cell in accepted], dtype=np.intp)
    group = {slide.id: slide.group for slide in project.slides()}
    ids = [found.ids[row] for row in rows.tolist()]
    return label_errors(
        ids,
        [accepted[cell] for cell in ids],
        [group[found.slide_ids[row]] for row in rows.tolist()],
        found.vectors[rows],
        len(accepted) - len(ids),
        seed,
    )
