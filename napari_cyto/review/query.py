"""What a reviewer asks to see, and the numbers by which cells are put in order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.decision_rule import NO_COSTS, NO_MODELS, Costs, called_class
from napari_cyto.review.predictions import risk_of, severities

if TYPE_CHECKING:
    from napari_cyto.review.ambiguity import Ambiguity

Floats = npt.NDArray[np.float64]

# Bands as high as a few cells: who goes through them by place never travels far between two.
BAND_PX = 1000.0
_LAST = np.inf


class Sort(StrEnum):
    """By what cells are put in order, the most urgent first."""

    RISK = "risk"
    ENTROPY = "entropy"
    MARGIN = "margin"
    DISAGREEMENT = "disagreement"
    AMBIGUOUS = "ambiguous"
    ATTENTION = "attention"
    CLASS = "class"
    TAUGHT = "taught"
    PLACE = "place"
    MEASURED = "measured"
    RANDOM = "random"


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """How like a class that is being taught cells are.

    Parameters
    ----------
    class_id : str
        The class.
    rows : mapping of cell id to int
        Where in ``values`` a cell stands; cells without a vector are missing.
    values : ndarray, float32, (n,)
        The more, the liker.
    """

    class_id: str
    rows: Mapping[str, int]
    values: npt.NDArray[np.float32]

    def of(self, cells: Sequence[Annotation]) -> Floats:
        """Return the likeness of cells ``(n,)``; minus infinity for those without a vector."""
        return self.at(self.places_of(cells))

    def places_of(self, cells: Sequence[Annotation]) -> npt.NDArray[np.intp]:
        """Return where in ``values`` cells stand ``(n,)``; -1 for those without a vector."""
        return np.fromiter((self.rows.get(cell.id, -1) for cell in cells), dtype=np.intp, count=len(cells))

    def at(self, places: npt.NDArray[np.intp]) -> Floats:
        """Return the likeness of the cells at places, as ``places_of`` returns them."""
        found = np.full(len(places), -np.inf)
        found[places >= 0] = self.values[places[places >= 0]]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredCells:
    """One measurement of the cells of a project.

    Parameters
    ----------
    title : str
        What it is, with its unit.
    values : mapping of cell id to float
        Cells without an outline, or not measured yet, are missing.
    uncertain : frozenset of str
        Cells whose outline nobody accepted.
    """

    title: str
    values: Mapping[str, float]
    uncertain: frozenset[str]

    def words(self, cell_id: str) -> str:
        """Return the number of a cell in words, and whether it is certain; empty where there is none."""
        value = self.values.get(cell_id)
        if value is None:
            return ""
        if cell_id in self.uncertain:
            return f"{self.title} ≈ {value:.3g} (outline not accepted)"
        return f"{self.title} {value:.3g}"


@dataclass(frozen=True, slots=True)
class ReviewQuery:
    """Which cells are reviewed, and in which order.

    Parameters
    ----------
    statuses : tuple of Status
        Those that are wanted.
    class_ids : tuple of str
        Those that are wanted; empty for every class.
    slide_ids : tuple of str
        Those that are wanted; empty for all slides of the project.
    score_range : tuple of float
        Least and largest score, 0 to 1, of the class that the model finds likeliest. A cell without scores passes
        only the full range.
    sort : Sort
        The order.
    by_slide : bool
        Whether the cells of a slide stay together.
    control_share : float
        Share of the list, 0 to 0.5, that is drawn at random and strewn in evenly, to estimate what the order misses.
    seed : int
        Of that draw: the same cells are drawn each time.
    likeness : Likeness, optional
        By which ``Sort.TAUGHT`` orders; without one the cells stay in the order of their slides.
    measurement : str
        By which ``Sort.MEASURED`` orders, the largest first, and what ``measured_range`` bounds: a name of
        ``measurements.TABLE_COLUMNS``; empty for none.
    measured_range : tuple of float or None
        Least and largest measurement, both in; None is no bound. With any, cells without that measurement do not pass.
    measured : MeasuredCells, optional
        The numbers, which `review.order.gather` reads.
    ambiguous_only : bool
        Whether only cells pass whose prediction set has more than one class, or none.
    ambiguity : Ambiguity, optional
        The prediction sets, which `review.order.gather` makes.
    cell_ids : tuple of str
        Exactly these cells are wanted, in this order, and nothing else counts; empty for what the rest says.
    listed : frozenset of str
        The same cells, to be met at once.
    """

    statuses: tuple[Status, ...] = (Status.UNREVIEWED,)
    class_ids: tuple[str, ...] = ()
    slide_ids: tuple[str, ...] = ()
    score_range: tuple[float, float] = (0.0, 1.0)
    sort: Sort = Sort.RISK
    by_slide: bool = False
    control_share: float = 0.05
    seed: int = 0
    likeness: Likeness | None = None
    measurement: str = ""
    measured_range: tuple[float | None, float | None] = (None, None)
    measured: MeasuredCells | None = field(repr=False, compare=False, default=None)
    ambiguous_only: bool = False
    ambiguity: Ambiguity | None = field(repr=False, compare=False, default=None)
    cell_ids: tuple[str, ...] = ()
    listed: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())

    def __post_init__(self) -> None:
        object.__setattr__(self, "listed", frozenset(self.cell_ids))
        low, high = self.score_range
        if not 0 <= low <= high <= 1:
            raise ValueError(f"Expected a range of scores from low to high within 0 to 1, got {self.score_range}.")
        if not 0 <= self.control_share <= 0.5:
            raise ValueError(f"Expected a share of control cells from 0 to 0.5, got {self.control_share}.")

    def is_about(self, cell: Annotation) -> bool:
        """Whether the slide and the class of a cell are wanted, whatever its score and status."""
        if self.cell_ids:
            return cell.id in self.listed
        slide = not self.slide_ids or cell.slide_id in self.slide_ids
        return slide and (not self.class_ids or cell.class_id in self.class_ids)

    def could_draw(self, cell: Annotation) -> bool:
        """Whether a cell is wanted but for its score: from these the control cells are drawn."""
        if self.cell_ids:
            return cell.id in self.listed and not cell.is_region
        return not cell.is_region and cell.status in self.statuses and self.is_about(cell)

    def takes(self, cell: Annotation) -> bool:
        """Whether a cell is wanted."""
        if not self.could_draw(cell):
            return False
        if self.cell_ids:
            return True
        score = max((score for _, score in cell.scores), default=None)
        low, high = self.score_range
        if not ((low, high) == (0.0, 1.0) if score is None else low <= score <= high):
            return False
        return self._is_measured_so(cell) and self._is_ambiguous_so(cell)

    @property
    def bounds_measurement(self) -> bool:
        """Whether cells are left out by a measurement."""
        return bool(self.measurement) and self.measured_range != (None, None)

    def _is_ambiguous_so(self, cell: Annotation) -> bool:
        return not self.ambiguous_only or (self.ambiguity is not None and self.ambiguity.is_ambiguous(cell))

    def _is_measured_so(self, cell: Annotation) -> bool:
        if not self.bounds_measurement:
            return True
        value = None if self.measured is None else self.measured.values.get(cell.id)
        low, high = self.measured_range
        return value is not None and (low is None or value >= low) and (high is None or value <= high)


def model_class(cell: Annotation, costs: Mapping[str, Costs] = NO_MODELS) -> str:
    """Return what a model called a cell; the cell's class when no model said anything.

    Parameters
    ----------
    cell : Annotation
        Whatever a person made of it since.
    costs : mapping of origin to costs
        As `Project.model_costs` returns them.
    """
    if not cell.scores:
        return str(cell.class_id)
    return called_class(cell.scores, costs.get(cell.origin, NO_COSTS))


def label_score(cell: Annotation) -> float | None:
    """Return the score, 0 to 1, that a model gave the class that the cell has; None when it gave none."""
    return dict(cell.scores).get(str(cell.class_id))


def score_table(cells: Sequence[Annotation], scheme: ClassScheme) -> Floats:
    """Return the scores of cells as rows ``(n, classes of the scheme)``, each with sum 1; NaN without scores."""
    column = {class_id: number for number, class_id in enumerate(scheme.ids)}
    table = np.zeros((len(cells), len(column)))
    for row, cell in enumerate(cells):
        for class_id, score in cell.scores:
            if class_id in column:
                table[row, column[class_id]] = score
    sums = table.sum(axis=1, keepdims=True)
    shares: Floats = np.divide(table, sums, out=np.full_like(table, np.nan), where=sums > 0)
    return shares


def entropies(shares: Floats) -> Floats:
    """Return how undecided each row ``(n, classes)`` is: 0 for sure, 1 for all classes alike; NaN stays.

    Source
    ------
    Shannon 1948, section 6, over its largest value; as a measure for review: Settles 2009, Active Learning
    Literature Survey, section 3.1.
    """
    logs = np.log(np.where(shares > 0, shares, 1.0))
    summed: Floats = -(shares * logs).sum(axis=1) / math.log(max(2, shares.shape[1]))
    return summed


def margins(shares: Floats) -> Floats:
    """Return by how much the likeliest class of each row ``(n, classes)`` leads the next; NaN stays.

    Source
    ------
    Scheffer et al. 2001, margin sampling, as in Settles 2009, section 3.1.
    """
    if shares.shape[1] < 2:
        return np.where(np.isnan(shares[:, 0]), np.nan, 1.0)
    highest = np.sort(shares, axis=1)
    lead: Floats = highest[:, -1] - highest[:, -2]
    return lead


def disagreements(
    cells: Sequence[Annotation], shares: Floats, scheme: ClassScheme, costs: Mapping[str, Costs] = NO_MODELS
) -> Floats:
    """Return how far what a model called a cell is ahead of its label, ``(n,)``: 0 where they agree or it is silent.

    Ahead is the share of probability times cost, by which a model calls a class.
    """
    column = {class_id: number for number, class_id in enumerate(scheme.ids)}
    if costs:
        weights = [[costs.get(c.origin, NO_COSTS).get(class_id, 1.0) for class_id in scheme.ids] for c in cells]
        shares = shares * np.array(weights).reshape(shares.shape)
        shares = shares / shares.sum(axis=1, keepdims=True)
    of_label = shares[np.arange(len(cells)), [column.get(str(cell.class_id), 0) for cell in cells]]
    lead: Floats = np.nan_to_num(shares.max(axis=1, initial=0.0) - of_label)
    return lead


def sort_columns(
    cells: Sequence[Annotation],
    sort: Sort,
    scheme: ClassScheme,
    costs: Mapping[str, Costs] = NO_MODELS,
    likeness: Likeness | None = None,
) -> tuple[Floats, ...]:
    """Return what the cells are sorted by, the weightiest column first, each ascending, ``(n,)``.

    Risk is the expected severity: each class's severity times its score, added up. What a model said nothing of
    comes last where its opinion counts.
    """
    severity = severities(scheme)
    if sort is Sort.RISK:
        return (-np.array([risk_of(cell.scores, str(cell.class_id), severity) for cell in cells]),)
    if sort is Sort.CLASS:
        grade = [severity.get(str(cell.class_id), -1.0) for cell in cells]
        place = [scheme.ids.index(str(cell.class_id)) if cell.class_id in scheme else -1 for cell in cells]
        scores = [label_score(cell) or 0.0 for cell in cells]
        return (-np.array(grade), np.array(place, float), -np.array(scores))
    if sort is Sort.TAUGHT:
        return (np.zeros(len(cells)) if likeness is None else -likeness.of(cells),)
    if sort is Sort.PLACE:
        y, x = np.array([cell.geometry.centre_yx for cell in cells], float).reshape(-1, 2).T
        band = np.floor(y / BAND_PX)
        return (band, np.where(band % 2 == 0, x, -x))
    shares = score_table(cells, scheme)
    if sort is Sort.ENTROPY:
        return (np.nan_to_num(-entropies(shares), nan=_LAST),)
    if sort is Sort.MARGIN:
        return (np.nan_to_num(margins(shares), nan=_LAST),)
    return (-disagreements(cells, shares, scheme, costs),)
