"""What a classifier said of labelled cells, with all that its scores are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.evaluation.classification import Scores
from napari_cyto.evaluation.views import ClassView, Graded

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class ScoredCells:
    """Labelled cells with a classifier's probabilities.

    Parameters
    ----------
    classes : sequence of Graded (k,)
        The model's classes, in the order of its outputs.
    truth : intp array (n,)
        The place of each cell's true class among ``classes``.
    probabilities : float64 array (n, k)
        Of each class; each row sums to 1.
    groups : tuple of str (n,)
        The patient, else the smear, else the image of each cell.
    slides : tuple of str (n,)
        The picture that each cell lies on, a path.
    centres_yx : float64 array (n, 2)
        Where, level-0 px of that picture.
    costs : float64 array (n, k), optional
        What it costs to miss each class, by the model that answered for the cell; the same for all when not given.
    """

    classes: Sequence[Graded]
    truth: Indices
    probabilities: Scores
    groups: tuple[str, ...]
    slides: tuple[str, ...]
    centres_yx: npt.NDArray[np.float64]
    costs: Scores | None = None

    def __post_init__(self) -> None:
        n = len(self.truth)
        shapes = (self.probabilities.shape, (len(self.groups), len(self.slides)), self.centres_yx.shape)
        if shapes != ((n, len(self.classes)), (n, n), (n, 2)):
            raise CytoError(
                f"Expected scores, a group, an image and a centre for each of the {n} cells, got the shapes {shapes}."
            )
        if self.costs is not None and self.costs.shape != self.probabilities.shape:
            raise CytoError(f"Expected costs of shape {self.probabilities.shape}, got {self.costs.shape}.")

    @property
    def ids(self) -> tuple[str, ...]:
        """The classes' ids."""
        return tuple(c.id for c in self.classes)

    @property
    def answers(self) -> Indices:
        """The place of the class that each cell is called, intp (n,)."""
        return _largest(self.weighed)

    @property
    def weighed(self) -> Scores:
        """Probabilities times the cost of missing each class, float64 (n, k)."""
        return self.probabilities if self.costs is None else self.probabilities * self.costs

    def chosen(self, keep: npt.ArrayLike) -> ScoredCells:
        """Return some of the cells: a bool array (n,), or their places."""
        places = np.arange(len(self.truth))[np.asarray(keep)]
        return replace(
            self,
            truth=self.truth[places],
            probabilities=self.probabilities[places],
            groups=tuple(self.groups[i] for i in places),
            slides=tuple(self.slides[i] for i in places),
            centres_yx=self.centres_yx[places],
            costs=None if self.costs is None else self.costs[places],
        )


@dataclass(frozen=True)
class Labelled:
    """True and predicted classes as places among ``classes``, with scores and groups: what scores are made of.

    ``severities`` are the grades of the classes, None for one without.
    """

    classes: tuple[str, ...]
    severities: tuple[int | None, ...]
    truth: Indices
    answers: Indices
    scores: Scores
    groups: tuple[str, ...]

    @property
    def truth_ids(self) -> list[str]:
        """The true class of each cell."""
        return [self.classes[i] for i in self.truth]

    @property
    def answer_ids(self) -> list[str]:
        """The predicted class of each cell."""
        return [self.classes[i] for i in self.answers]


def as_labelled(cells: ScoredCells) -> Labelled:
    """Return the cells in the model's own classes."""
    grades = tuple(c.severity for c in cells.classes)
    return Labelled(cells.ids, grades, cells.truth, cells.answers, cells.probabilities, cells.groups)


def through(view: ClassView, cells: ScoredCells) -> Labelled:
    """Return the cells as a view shows them; those whose true class has no grade are left out.

    Probabilities of classes that fall together add up, and are made to sum to 1 again where classes without a grade
    took a share. A cell is called the class of the view that it costs most to miss: the sum of each class's
    probability times its cost, since a call within the same class of the view is no miss.
    """
    truth = np.asarray(view.place, dtype=np.intp)[cells.truth] if len(cells.truth) else np.empty(0, np.intp)
    keep = truth >= 0
    kept = cells.chosen(keep)
    scores = view.scores(kept.probabilities)
    total = scores.sum(axis=1, keepdims=True)
    scores = np.divide(scores, total, out=np.full_like(scores, 1 / len(view.classes)), where=total > 0)
    grades = tuple(range(len(view.classes)))
    return Labelled(view.classes, grades, truth[keep], _largest(view.scores(kept.weighed)), scores, kept.groups)


def _largest(scores: Scores) -> Indices:
    return scores.argmax(axis=1) if len(scores) else np.empty(0, np.intp)
