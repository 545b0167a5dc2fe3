"""The head: a logistic regression on the cells' vectors, fitted on the examples alone."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_cyto.vectors.teaching._basis import Floats
from napari_cyto.vectors.teaching.examples import Examples

INVERSE_PENALTY = 10.0
"""Scikit-learn's ``C`` on places whose mean square is 1; chosen on CRIC and SIPaKMeD (see the teaching benchmark)."""

BALANCE = 0.5
"""Examples of a class of n weigh ``n ** -BALANCE``: between as they come (0) and every class alike (1)."""

MOST_STEPS = 500
_TOLERANCE = 1e-4
_ROUNDS = 2
"""How often cells of which only is known what they are not are shared out among the classes that are left."""


@dataclass(frozen=True, slots=True)
class Head:
    """What tells classes apart on places ``(n, d)``: softmax of ``places @ weights.T + offsets``.

    Parameters
    ----------
    classes : tuple of str
        In the order of its outputs; ``NONE_OF_THEM`` last, if it has it.
    weights : ndarray, float64, (classes, d)
        On places as `Basis.project` returns them.
    offsets : ndarray, float64, (classes,)
        Added to each.
    is_likeness : bool
        Whether there was one class alone to learn from, and nothing against it: it then tells how near cells are to
        the mean of the examples, -1 to 1, which orders them and is no probability.
    """

    classes: tuple[str, ...]
    weights: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    is_likeness: bool = False

    def scores(self, places: Floats) -> Floats:
        """Return the probability of each class ``(n, classes)``, float32; of a likeness the cosine, ``(n, 1)``."""
        # A row for each class: sums and maxima over few classes are several times as fast along the long axis.
        outputs = self.weights.astype(np.float32) @ places.T + self.offsets.astype(np.float32)[:, None]
        if self.is_likeness:
            lengths = np.sqrt(np.einsum("ij,ij->i", places, places))
            near: Floats = outputs / np.maximum(lengths, 1e-6)
            return near.T
        outputs -= outputs.max(axis=0)
        np.exp(outputs, out=outputs)
        outputs /= outputs.sum(axis=0)
        shares: Floats = outputs.T
        return shares


def fit_head(places: Floats, examples: Examples, before: Head | None = None) -> Head | None:
    """Return the head that examples teach; None without any of a class.

    Parameters
    ----------
    places : ndarray, float32, (n, d)
        Of the examples, in their order.
    examples : Examples
        At least one of a class.
    before : Head, optional
        From which to set out: the same head is found, sooner.

    Notes
    -----
    A cell of which only is known what it is not stands for each class that is left, in shares: even ones first, then
    those of the head so fitted. Source: expectation and maximisation over the unknown label, Dempster et al. 1977; one
    round of it.
    """
    if not examples.taught:
        return None
    if len(examples.classes) == 1:
        return _likeness(places, examples)
    shares = examples.permitted / examples.permitted.sum(axis=1, keepdims=True)
    head = _fitted(places, examples.classes, shares, before)
    if bool(examples.is_known.all()) or len(examples.classes) == 2:
        return head
    for _ in range(_ROUNDS - 1):
        found = np.where(examples.permitted, head.scores(places), 0.0) + 1e-9 * examples.permitted
        head = _fitted(places, examples.classes, found / found.sum(axis=1, keepdims=True), head)
    return head


def _likeness(places: Floats, examples: Examples) -> Head:
    middle = places.astype(np.float64).mean(axis=0)
    length = float(np.linalg.norm(middle))
    return Head(examples.classes, (middle / max(length, 1e-9))[None, :], np.zeros(1), is_likeness=True)


def _fitted(places: Floats, classes: tuple[str, ...], shares: npt.NDArray[np.float64], before: Head | None) -> Head:
    """Fit on examples that are of each class by some share ``(n, classes)``."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rows, labels = np.nonzero(shares > 1e-6)
    parts = shares[rows, labels]
    sizes = np.bincount(labels, parts, minlength=len(classes))
    weights = parts * np.maximum(sizes, 1e-9)[labels] ** -BALANCE
    weights *= len(places) / weights.sum()
    # One that stops before it is at the very optimum is as good a head, so scikit-learn's warning of it is noise.
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=MOST_STEPS, tol=_TOLERANCE, warm_start=True)
    if before is not None and before.classes == classes and not before.is_likeness:
        model.classes_ = np.arange(len(classes))
        model.coef_, model.intercept_ = _as_kept(before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(places[rows].astype(np.float64), labels, sample_weight=weights)
    if len(model.coef_) == 1:
        # Of two classes scikit-learn keeps the second one's outputs alone.
        return Head(classes, np.vstack([-model.coef_, model.coef_]) / 2, np.array([-0.5, 0.5]) * model.intercept_)
    return Head(classes, model.coef_.copy(), model.intercept_.copy())


def _as_kept(head: Head) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if len(head.classes) == 2:
        return head.weights[1:] * 2, head.offsets[1:] * 2
    return head.weights.copy(), head.offsets.copy()
