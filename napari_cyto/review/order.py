"""From a project to the list of cells that a reviewer goes through, control cells among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.decision_rule import NO_MODELS, Costs
from napari_cyto.measurements import TABLE_COLUMNS, CellTable, stored_measurements
from napari_cyto.review.ambiguity import ambiguity_of
from napari_cyto.review.control_cells import ControlCells, chance
from napari_cyto.review.predictions import is_from_model, risk_of, severities
from napari_cyto.review.query import MeasuredCells, ReviewQuery, Sort, model_class, sort_columns
from napari_cyto.store import Project
from napari_cyto.vectors import attention_of, scores_of

# What fits the memory of a laptop beside its slides, about 1 kB a cell. Nobody goes through more in one sitting, and
# of more cells these are the first in the order.
MOST_CELLS = 200_000

Rows: TypeAlias = npt.NDArray[np.intp]


@dataclass(slots=True)
class Tally:
    """How many proposals were made and how many of them are reviewed, by the class that was proposed."""

    total: Counter[str] = field(default_factory=Counter)
    reviewed: Counter[str] = field(default_factory=Counter)
    costs: Mapping[str, Costs] = field(default_factory=dict)

    def count(self, cell: Annotation | None, query: ReviewQuery, by: int = 1) -> None:
        """Count a cell, or with ``by`` -1 count it no longer; what no model proposed does not count."""
        if cell is None or cell.is_region or not (is_from_model(cell) or cell.status is Status.UNREVIEWED):
            return
        predicted_class = model_class(cell, self.costs)
        if query.cell_ids and cell.id not in query.listed:
            return
        slide = not query.slide_ids or cell.slide_id in query.slide_ids
        if slide and (not query.class_ids or predicted_class in query.class_ids):
            self.total[predicted_class] += by
            if cell.status is not Status.UNREVIEWED:
                self.reviewed[predicted_class] += by


@dataclass(frozen=True, slots=True)
class Gathered:
    """The list as it was when it was made.

    Parameters
    ----------
    query : ReviewQuery
        What was asked.
    cells : tuple of Annotation
        In the order of the review.
    controls : frozenset of str
        Ids of those that were drawn at random.
    tally : Tally
        Of all proposals that the query is about, reviewed or not.
    left_out : int
        Cells beyond what a list holds.
    followed : ControlCells or None
        Which cells were read so far; None where nothing is reviewed.
    unscored : int
        In the order of attention, slides of which no model of slides has said what it looked at: their cells come last.
    unmeasured : int
        Where a measurement was asked for, cells that have none: they are left out of its bounds, and last in its order.
    """

    query: ReviewQuery
    cells: tuple[Annotation, ...]
    controls: frozenset[str]
    tally: Tally
    left_out: int = 0
    followed: ControlCells | None = None
    unscored: int = 0
    unmeasured: int = 0


def gather(project: Project, query: ReviewQuery, most: int = MOST_CELLS) -> Gathered:
    """Read what ``query`` asks for and put it in order; safe in any thread.

    Parameters
    ----------
    project : Project
        Where the cells are stored.
    query : ReviewQuery
        Which, and in which order.
    most : int
        How many the list holds; while it is read, no more than twice as many are kept.

    Raises
    ------
    StoreError
        When the project has no such slide, or cannot be read.
    """
    query = replace(query, measured=_measured(project, query))
    if query.cell_ids:
        return _with_sets(project, _listed(project, query, most))
    if query.sort is Sort.AMBIGUOUS or query.ambiguous_only:
        # The order and the filter need the sets of all cells, other lists those of what they show.
        slide_ids = query.slide_ids or tuple(record.id for record in project.slides())
        query = replace(query, ambiguity=ambiguity_of(project, _could_draw(project, query, slide_ids)))
    scheme, slide_place = project.scheme, {record.id: n for n, record in enumerate(project.slides())}
    attention, unscored = None, 0
    if query.sort is Sort.ATTENTION:
        attention, unscored = _attention(project, query.slide_ids or slide_place)
    tally, kept, seen, unmeasured = Tally(costs=project.model_costs()), list[Annotation](), 0, 0
    followed = ControlCells(severities(scheme), query, tally.costs)
    for slide_id in query.slide_ids or slide_place:
        followed.begin(project.review_steps(slide_id))
        for cell in project.annotations(slide_id):
            tally.count(cell, query)
            followed.see(cell)
            if query.could_draw(cell):
                seen += 1
                unmeasured += query.measured is not None and cell.id not in query.measured.values
                kept.append(cell)
                if len(kept) >= 2 * most:
                    kept = _foremost(kept, query, scheme, slide_place, most, tally.costs, attention)
    cells, controls = ordered(kept, query, scheme, slide_place, tally.costs, attention)
    is_filtered = query.score_range != (0.0, 1.0) or query.bounds_measurement or query.ambiguous_only
    cut_by_filter = 0 if is_filtered else seen - len(kept)
    left_out = max(0, len(cells) - most) + cut_by_filter
    cells = cells[:most]
    followed.replay()
    gathered = Gathered(
        query, cells, controls & {cell.id for cell in cells}, tally, left_out, followed, unscored, unmeasured
    )
    return gathered if query.ambiguity is not None else _with_sets(project, gathered)


def _could_draw(project: Project, query: ReviewQuery, slide_ids: Iterable[str]) -> Iterator[Annotation]:
    for slide_id in slide_ids:
        yield from (cell for cell in project.annotations(slide_id) if query.could_draw(cell))


def _with_sets(project: Project, gathered: Gathered) -> Gathered:
    """Return a list with the prediction sets of its cells."""
    return replace(gathered, query=replace(gathered.query, ambiguity=ambiguity_of(project, gathered.cells)))


def _measured(project: Project, query: ReviewQuery) -> MeasuredCells | None:
    """Return the measurement that a query asks for, of all cells that have it."""
    if not query.measurement:
        return None
    table = CellTable(stored_measurements(project))
    values = table.column(query.measurement)
    known = np.isfinite(values)
    title = next(column.short for column in TABLE_COLUMNS if column.name == query.measurement)
    return MeasuredCells(
        title,
        dict(zip(table.ids[known].tolist(), values[known].tolist(), strict=True)),
        frozenset(table.ids[~table.accepted].tolist()),
    )


def _attention(project: Project, slide_ids: Iterable[str]) -> tuple[dict[str, float], int]:
    """Return how much the newest model of slides looked at each cell, times how many it had to look at.

    Of slides with few and with many cells, 1 is what each would have if all were alike. Also returned is of how many
    slides it is not known.
    """
    found: dict[str, float] = {}
    unscored = 0
    for slide_id in slide_ids:
        of_cells = [score for score in scores_of(project, slide_id) if score.bag == "cells"]
        attention = attention_of(project, slide_id, of_cells[-1].sha256) if of_cells else None
        if attention is None:
            unscored += 1
        else:
            found |= zip(attention.ids, (len(attention.ids) * attention.weights).tolist(), strict=True)
    return found, unscored


def _listed(project: Project, query: ReviewQuery, most: int) -> Gathered:
    """Return cells that were named, in the order in which they were."""
    tally = Tally(costs=project.model_costs())
    cells = [cell for cell in project.annotations_by_id(query.cell_ids[:most]) if not cell.is_region]
    for cell in cells:
        tally.count(cell, query)
    return Gathered(query, tuple(cells), frozenset(), tally, max(0, len(query.cell_ids) - most))


def ordered(
    pool: Sequence[Annotation],
    query: ReviewQuery,
    scheme: ClassScheme,
    slide_place: Mapping[str, int],
    costs: Mapping[str, Costs] = NO_MODELS,
    attention: Mapping[str, float] | None = None,
) -> tuple[tuple[Annotation, ...], frozenset[str]]:
    """Return the cells in the order of the review, and the ids of those among them that are controls.

    Controls are drawn from the whole ``pool``, also from what the score range leaves out, and take every so many-th
    place of the list, so that whoever stops early has seen their share of them. ``attention`` on cells, by id, is what
    ``Sort.ATTENTION`` goes by; cells without any come last.
    """
    matching = [cell for cell in pool if query.takes(cell)]
    # In an order by chance each cell is a control cell.
    share = 0.0 if query.sort is Sort.RANDOM else query.control_share
    controls = _drawn(pool, query, round(share * len(matching)))
    plain = [cell for cell in matching if cell.id not in controls]
    ranked = _ranked(plain, query, scheme, slide_place, costs, attention)
    strewn = sorted(controls.values(), key=lambda cell: chance(cell.id, query.seed))
    if not query.by_slide:
        return _mixed(ranked, strewn), frozenset(controls)
    found: list[Annotation] = []
    for slide_id in sorted({cell.slide_id for cell in (*ranked, *strewn)}, key=lambda s: slide_place.get(s, -1)):
        found += _mixed([c for c in ranked if c.slide_id == slide_id], [c for c in strewn if c.slide_id == slide_id])
    return tuple(found), frozenset(controls)


def order_by_likeness(
    values: npt.NDArray[np.float64], is_waiting: npt.NDArray[np.bool_], is_control: npt.NDArray[np.bool_]
) -> Rows:
    """Return the new order of a list as positions in it: the liker first, what was reviewed last.

    Parameters
    ----------
    values : ndarray, float64, (n,)
        How like the class taught each cell of the list is.
    is_waiting : ndarray, bool, (n,)
        Whether nobody has said anything of it yet.
    is_control : ndarray, bool, (n,)
        Whether it was drawn at random: such cells keep being strewn in.
    """
    ranked = np.flatnonzero(is_waiting & ~is_control)
    ranked = ranked[np.argsort(-values[ranked], kind="stable")]
    strewn = np.flatnonzero(is_waiting & is_control)
    total = len(ranked) + len(strewn)
    first = np.empty(total, dtype=np.intp)
    is_strewn = np.zeros(total, dtype=np.bool_)
    is_strewn[_even_places(len(strewn), total)] = True
    first[is_strewn], first[~is_strewn] = strewn, ranked
    return np.concatenate([first, np.flatnonzero(~is_waiting)])


def _ranked(
    cells: Sequence[Annotation],
    query: ReviewQuery,
    scheme: ClassScheme,
    slide_place: Mapping[str, int],
    costs: Mapping[str, Costs],
    attention: Mapping[str, float] | None = None,
) -> list[Annotation]:
    if not cells:
        return []
    if query.sort is Sort.ATTENTION:
        return sorted(cells, key=lambda cell: -(attention or {}).get(cell.id, -1.0))
    if query.sort is Sort.AMBIGUOUS:
        severity, found = severities(scheme), query.ambiguity
        by_risk = sorted(cells, key=lambda cell: -risk_of(cell.scores, str(cell.class_id), severity))
        return by_risk if found is None else sorted(by_risk, key=found.rank)
    if query.sort is Sort.MEASURED:
        values = query.measured.values if query.measured is not None else {}
        return sorted(cells, key=lambda cell: -values.get(cell.id, -np.inf))
    if query.sort is Sort.RANDOM:
        return sorted(cells, key=lambda cell: chance(cell.id, query.seed))
    columns = sort_columns(cells, query.sort, scheme, costs, query.likeness)
    slides = np.array([slide_place.get(cell.slide_id, -1) for cell in cells])
    # Places on two slides cannot be compared; else the slide only breaks ties, so that the view seldom changes it.
    weighty = (slides, *columns) if query.sort is Sort.PLACE or query.by_slide else (*columns, slides)
    rows: Rows = np.lexsort(weighty[::-1])
    return [cells[row] for row in rows]


def _drawn(pool: Iterable[Annotation], query: ReviewQuery, count: int) -> dict[str, Annotation]:
    if not count:
        return {}
    drawn = sorted(pool, key=lambda cell: chance(cell.id, query.seed))[:count]
    return {cell.id: cell for cell in drawn}


def _mixed(ranked: Sequence[Annotation], strewn: Sequence[Annotation]) -> tuple[Annotation, ...]:
    """Return ``ranked`` with ``strewn`` at even distances in it."""
    total = len(ranked) + len(strewn)
    places = set(_even_places(len(strewn), total))
    one, other = iter(ranked), iter(strewn)
    return tuple(next(other) if place in places else next(one) for place in range(total))


def _even_places(count: int, total: int) -> list[int]:
    """Return ``count`` places at even distances among ``total``."""
    return [int((n + 0.5) * total / count) for n in range(count)]


def _foremost(
    cells: list[Annotation],
    query: ReviewQuery,
    scheme: ClassScheme,
    slide_place: Mapping[str, int],
    most: int,
    costs: Mapping[str, Costs],
    attention: Mapping[str, float] | None,
) -> list[Annotation]:
    """Return the first ``most`` cells in the order, and as many more as controls may be drawn."""
    taken = [cell for cell in cells if query.takes(cell)]
    ranked = _ranked(taken, query, scheme, slide_place, costs, attention)[:most]
    here = {cell.id for cell in ranked}
    drawn = _drawn(cells, query, round(query.control_share * most))
    return [*ranked, *(cell for cell in drawn.values() if cell.id not in here)]
