"""What a model's proposals are worth, what a person makes of them, and which marks are shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme

FROM_MODEL = "model:"


class Heat(StrEnum):
    """What the map tells that takes the place of cells too many to draw."""

    DENSITY = "density"
    RISK = "risk"


@dataclass(frozen=True, slots=True)
class ShownFilter:
    """Which marks are drawn, selected by a sweep, and counted; regions always are.

    Parameters
    ----------
    threshold : float
        The least score, 0 to 1, of a mark that a model gave scores; a person's own marks have none and pass.
    hidden_classes : frozenset of str
        Classes that are left out.
    statuses : frozenset of Status
        Statuses that are shown.
    blind : bool
        Whether what the model says of its proposals, scores and class, is hidden from who reads.
    heat : Heat
        What the map of too many cells tells.
    map_always : bool
        Whether the map takes the place of proposals however few they are.
    """

    threshold: float = 0.0
    hidden_classes: frozenset[str] = frozenset()
    statuses: frozenset[Status] = frozenset(Status)
    blind: bool = False
    heat: Heat = Heat.RISK
    map_always: bool = False

    def passes(self, annotation: Annotation) -> bool:
        """Whether an annotation is shown."""
        if annotation.is_region:
            return True
        if annotation.status not in self.statuses or annotation.class_id in self.hidden_classes:
            return False
        score = score_of(annotation)
        return score is None or score >= self.threshold

    @property
    def hides_nothing(self) -> bool:
        """Whether every mark passes."""
        return self.threshold <= 0 and not self.hidden_classes and self.statuses == frozenset(Status)


def score_of(annotation: Annotation) -> float | None:
    """Return how sure a model is that there is a cell, 0 to 1: its scores of all classes; None for a person's own."""
    return total_score(annotation.scores) if annotation.scores else None


def total_score(scores: Iterable[tuple[str, float]]) -> float:
    """Return what the scores of all classes add up to, at most 1."""
    return min(1.0, sum(score for _, score in scores))


def is_from_model(annotation: Annotation) -> bool:
    """Whether a model proposed it, whatever a person said of it since."""
    return annotation.origin.startswith(FROM_MODEL)


def severities(scheme: ClassScheme) -> dict[str, float]:
    """Return how severe each class is, from 0 for normal to 1 for the worst; classes without a grade are left out."""
    graded = {c.id: c.severity for c in scheme.classes if c.severity is not None}
    worst = max(graded.values(), default=0)
    return {class_id: grade / worst for class_id, grade in graded.items()} if worst else {}


def risk_of(scores: tuple[tuple[str, float], ...], class_id: str, severity: dict[str, float]) -> float:
    """Return the severity that is to be expected of a cell, 0 to 1.

    Parameters
    ----------
    scores : tuple of (class id, score)
        As a model gave them; without any, the cell is of its class.
    class_id : str
        The class that it is marked as.
    severity : dict
        As `severities` returns it.

    Source
    ------
    Expectation of an ordinal grade under the model's probabilities.
    """
    if not scores:
        return severity.get(class_id, 0.0)
    return min(1.0, sum(score * severity.get(name, 0.0) for name, score in scores))


def with_review(annotation: Annotation, author: str, status: Status, class_id: str | None = None) -> Annotation:
    """Return what becomes of an annotation that a person accepts, rejects or corrects.

    Parameters
    ----------
    annotation : Annotation
        As it stands. Its origin stays, and with it the model that proposed it.
    author : str
        Who judges: the author of what a model proposed from then on.
    status : Status
        The verdict.
    class_id : str, optional
        Another class, if it is corrected.
    """
    is_first = is_from_model(annotation) and annotation.status is Status.UNREVIEWED and status is not Status.UNREVIEWED
    return replace(
        annotation,
        status=status,
        class_id=annotation.class_id if class_id is None else class_id,
        author=author if is_first else annotation.author,
    )
