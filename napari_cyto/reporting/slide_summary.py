"""What the marks and proposals of a slide come to: counts, highest grade, best cells, excess. Not a diagnosis."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from napari_cyto.domain.adequacy import Cellularity, Preparation, cellularity
from napari_cyto.domain.annotation import Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.decision_rule import NO_COSTS, Costs, called_class
from napari_cyto.domain.geometry import YX
from napari_cyto.domain.high_grade import high_grade_of
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.statistics.excess import FalseRate
from napari_cyto.models.false_calls import false_rates
from napari_cyto.review.predictions import severities
from napari_cyto.review.slide_risk import SlideRisk, slide_risk
from napari_cyto.store import Project
from napari_cyto.store.columns import CellRow

DECISION_SUPPORT = "Decision support, not a diagnosis"

BEST_CELLS = 6


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many cells of a class there are: ``corrected`` are those accepted ones that a model had called otherwise."""

    class_id: str
    accepted: int = 0
    corrected: int = 0
    proposed: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class BestCell(JsonFields):
    """A cell worth a picture: its class, whether a person accepted it, the model's score of the class, level-0 px.

    A class that a person gave against the model has no score: what the model thought of it is no measure of it.
    """

    id: str
    class_id: str
    is_accepted: bool
    score: float | None
    centre_yx: YX
    is_corrected: bool = False


@dataclass(frozen=True, slots=True)
class Grade(JsonFields):
    """The most severe class found, how many cells have it, the highest score among them, whether it is abnormal."""

    class_id: str
    cells: int
    score: float | None = None
    is_abnormal: bool = True


@dataclass(frozen=True, slots=True)
class SlideResult:
    """What one slide comes to.

    Parameters
    ----------
    counts : tuple of ClassCount
        One for each class of the scheme, the most severe first.
    cells, proposed_cells, graded_cells : int
        How many are accepted or proposed, how many of these only proposed, and how many have a grade, which debris
        has not.
    accepted, proposed : Grade or None
        The highest grade that a person accepted, and that a model only proposed.
    best : tuple of BestCell
        The best cells of these two grades, accepted before proposed, high scores first.
    risk : SlideRisk or None
        What models predict beyond their errors, by which slides are ordered; None where the classes have no grades.
    origins : dict
        How many cells came from where.
    is_blind : bool
        Whether what models say is left out.
    """

    counts: tuple[ClassCount, ...]
    cells: int
    proposed_cells: int
    graded_cells: int
    accepted: Grade | None = None
    proposed: Grade | None = None
    best: tuple[BestCell, ...] = ()
    risk: SlideRisk | None = None
    origins: dict[str, int] = field(default_factory=dict)
    is_blind: bool = False

    @property
    def order_key(self) -> tuple[float, float, float]:
        """What slides are sorted by, the most urgent first; in a blind reading by what persons accepted alone."""
        if self.risk is None:
            return 0.0, 0.0, 0.0
        return (self.risk.accepted_severity * -1, 0.0, 0.0) if self.is_blind else self.risk.key

    @property
    def corrected(self) -> Counter[str]:
        """How many accepted cells a model had called otherwise, by class."""
        return Counter({count.class_id: count.corrected for count in self.counts})

    def cellularity(self, preparation: Preparation | None) -> Cellularity:
        """Compare the cells with the Bethesda thresholds."""
        has_abnormal = self.accepted is not None and self.accepted.is_abnormal
        return cellularity(self.graded_cells, preparation, has_abnormal)

    def blinded(self) -> SlideResult:
        """Return the same without what models say: of the proposals only their number is left."""
        counts = tuple(replace(count, corrected=0, proposed=0) for count in self.counts)
        best = tuple(replace(cell, score=None, is_corrected=False) for cell in self.best if cell.is_accepted)
        accepted = None if self.accepted is None else replace(self.accepted, score=None)
        return replace(self, counts=counts, accepted=accepted, proposed=None, best=best, is_blind=True)


class _Tally:
    """Takes in cells one after the other, and keeps no more of them than are shown."""

    def __init__(self, scheme: ClassScheme, costs: Mapping[str, Costs]) -> None:
        self._costs = costs
        self.severity = severities(scheme)
        self.statuses: Counter[tuple[str, str]] = Counter()
        self.corrected: Counter[str] = Counter()
        self.high_grade = frozenset(high_grade_of(scheme.classes))
        self.predicted: Counter[str] = Counter()
        self.predicted_high: Counter[str] = Counter()
        self.best: dict[tuple[str, bool], list[tuple[float, str, BestCell]]] = {}

    def take(self, cell: CellRow) -> None:
        cell_id, y, x, class_id, status, scores, origin = cell
        self.statuses[class_id, status] += 1
        if status == Status.UNREVIEWED or origin.startswith("model:"):
            self.predicted[origin] += 1
            self.predicted_high[origin] += status == Status.UNREVIEWED and class_id in self.high_grade
        if status == Status.REJECTED:
            return
        is_accepted = status == Status.ACCEPTED
        costs = self._costs.get(origin, NO_COSTS)
        is_corrected = is_accepted and bool(scores) and called_class(scores, costs) != class_id
        self.corrected[class_id] += is_corrected
        if class_id in self.severity:
            score = dict(scores).get(class_id) if scores and not is_corrected else None
            shown = BestCell(cell_id, class_id, is_accepted, score, (y, x), is_corrected)
            kept = self.best.setdefault((class_id, is_accepted), [])
            # What a person drew or corrected has no score, and is as sure as can be.
            _keep_largest(kept, (1.0 if score is None else score, cell_id, shown), BEST_CELLS)


def _keep_largest(kept: list[Any], new: Any, most: int) -> None:
    if len(kept) < most:
        heapq.heappush(kept, new)
    else:
        heapq.heappushpop(kept, new)


def gather_result(project: Project, slide_id: str, may_go_on: Callable[[], bool] = lambda: True) -> SlideResult | None:
    """Read the cells of a slide and return what they come to; None when it was asked to stop. Safe in any thread.

    Raises
    ------
    StoreError
        When the project has no such slide, or cannot be read.
    """
    tally = _Tally(project.scheme, project.model_costs())
    for rows in project.cell_rows(slide_id):
        if not may_go_on():
            return None
        for row in rows:
            tally.take(row)
    rates = false_rates(project, tally.predicted)
    return _result(tally, project.scheme, project.origins(slide_id), rates)


def _result(tally: _Tally, scheme: ClassScheme, origins: dict[str, int], rates: Mapping[str, FalseRate]) -> SlideResult:
    accepted, proposed = (_highest(tally, scheme, status) for status in (Status.ACCEPTED, Status.UNREVIEWED))
    examples = [(grade.class_id, flag) for grade, flag in ((accepted, True), (proposed, False)) if grade is not None]
    examples.sort(key=lambda key: (-tally.severity[key[0]], not key[1]))
    best = [cell for key in examples for _, _, cell in sorted(tally.best.get(key, ()), reverse=True)]
    counts = class_counts(scheme, tally.statuses, tally.corrected)
    severity = tally.severity[accepted.class_id] if accepted is not None else 0.0
    cells, proposed_cells = sum(c.accepted + c.proposed for c in counts), sum(c.proposed for c in counts)
    graded = [c for c in counts if c.class_id in tally.severity or not tally.severity]
    return SlideResult(
        counts=counts,
        cells=cells,
        proposed_cells=proposed_cells,
        graded_cells=sum(c.accepted + c.proposed for c in graded),
        accepted=accepted,
        proposed=proposed,
        best=tuple(best),
        risk=slide_risk(severity, tally.predicted_high, tally.predicted, rates) if tally.severity else None,
        origins=origins,
    )


def _highest(tally: _Tally, scheme: ClassScheme, status: Status) -> Grade | None:
    for class_id in by_severity(scheme):
        if class_id in tally.severity and (n := tally.statuses[class_id, status]):
            cells = tally.best.get((class_id, status is Status.ACCEPTED), [])
            scores = [cell.score for _, _, cell in cells if cell.score is not None]
            return Grade(class_id, n, max(scores, default=None), tally.severity[class_id] > 0)
    return None


def by_severity(scheme: ClassScheme) -> list[str]:
    """Return the classes of a scheme, the most severe first, those without a grade last."""
    severity = severities(scheme)
    return sorted(scheme.ids, key=lambda class_id: -severity.get(class_id, -1.0))


def class_counts(
    scheme: ClassScheme, statuses: Counter[tuple[str, str]], corrected: Counter[str] | None = None
) -> tuple[ClassCount, ...]:
    """Return the counts of each class of a scheme, the most severe first.

    Parameters
    ----------
    scheme : ClassScheme
        The project's.
    statuses : Counter
        How many cells there are, by class and status.
    corrected : Counter, optional
        How many accepted cells a model had called otherwise, by class.
    """
    return tuple(
        ClassCount(
            class_id,
            accepted=statuses[class_id, Status.ACCEPTED],
            corrected=0 if corrected is None else corrected[class_id],
            proposed=statuses[class_id, Status.UNREVIEWED],
            rejected=statuses[class_id, Status.REJECTED],
        )
        for class_id in by_severity(scheme)
    )


def quick_counts(project: Project, slide_id: str, corrected: Counter[str] | None = None) -> tuple[ClassCount, ...]:
    """Return the counts of each class as the store keeps them, at once however many cells there are.

    How many were ``corrected`` the store does not count; it is told as it comes.
    """
    statuses: Counter[tuple[str, str]] = Counter()
    for status in Status:
        for class_id, n in project.counts(slide_id, (status,)).items():
            if class_id is not None:
                statuses[class_id, status] = n
    return class_counts(project.scheme, statuses, corrected)
