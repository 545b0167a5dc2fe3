"""Giving a reader something to read."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from napari_cyto.domain.annotation import Annotation, Status, now_utc
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import YXYX, box_contains_point
from napari_cyto.errors import CytoError
from napari_cyto.files.reader import checked_name
from napari_cyto.readings import _draw, _register
from napari_cyto.readings.reading import Draw, DrawnCell, Mode, Reading, Scope, State
from napari_cyto.store import Project
from napari_cyto.store.reading_gate import BEGUN, READINGS

STRATEGIES = ("all", "random", "stratified")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a reader; the fields are those of `Reading`.

    Parameters
    ----------
    count : int
        How many cells are drawn; 0 for all.
    slides : tuple of str
        Names of slides; all without.
    known_share : float
        Of the given cells, those with a settled class: accepted by a person in the main project.
    seed : int or None
        Another one for each assignment where it is None.
    after_days : int
        A repeat may begin so many days after the first reading was finished.
    of_cells : collection of str or None
        Ids of the cells that are given, or from which is drawn; None for all cells.
    population : str
        What these are: ``ambiguous cells``. Results say it, the reader is not shown it.
    """

    reader: str
    mode: Mode = Mode.CLASSIFY
    slides: tuple[str, ...] = ()
    region_yxyx: YXYX | None = None
    strategy: str = "all"
    count: int = 0
    known_share: float = 0.0
    opinion: bool = False
    seed: int | None = None
    repeat_of: str = ""
    after_days: int = 0
    of_cells: Collection[str] | None = None
    population: str = ""


@dataclass(frozen=True, slots=True)
class Assigned:
    """A reading that was assigned, and sentences on what it lacks or may give away."""

    reading: Reading
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {"reading": self.reading.to_json(), "remarks": list(self.remarks)}


def abnormal_classes(scheme: ClassScheme) -> tuple[str, ...]:
    """Return the classes that are graded above normal."""
    return tuple(c.id for c in scheme.classes if c.severity is not None and c.severity > 0)


def assign(folder: Path, request: Request, by: str) -> Assigned:
    """Assign a reading; what it gives is drawn now.

    Parameters
    ----------
    folder : Path
        Of the main project.
    request : Request
        Who reads what.
    by : str
        Who assigns it; they may open the project, so have no begun reading in it.

    Raises
    ------
    CytoError
        When the request contradicts itself, or there is nothing to read.
    """
    with Project.open(folder, reader=by) as project:
        return assign_in(project, request, by)


def assign_in(project: Project, request: Request, by: str) -> Assigned:
    """Assign a reading of the main project where that is open already."""
    request = replace(request, reader=checked_name(request.reader))
    _check(request)
    seed = secrets.randbelow(2**31) if request.seed is None else request.seed
    first = _register.one(project, request.repeat_of) if request.repeat_of else None
    if first is not None:
        reading, draw, remarks = _repeat(project, first, request, seed)
    else:
        reading, draw, remarks = _new(project, request, seed)
    reading = replace(reading, assigned_by=by, assigned_at=_register.moment())

    def add(values: Any) -> Any:
        nonlocal reading
        reading = replace(reading, id=f"r{len(values) + 1}")
        return [*values, reading.to_json()]

    project.change_setting(READINGS, add, [])
    _register.keep_draw(project, reading.id, draw)
    return Assigned(reading, (*remarks, *_telling_names(project, reading)))


def _check(request: Request) -> None:
    if request.strategy not in STRATEGIES:
        raise CytoError(f"Expected a draw of {', '.join(STRATEGIES)}, got {request.strategy[:40]!r}.")
    gives_cells = request.strategy != "all" or request.known_share or request.opinion or request.of_cells is not None
    if request.mode is Mode.FREE and gives_cells:
        raise CytoError("A free reading is of whole slides or a region: it has no drawn or known cells and no opinion.")
    if request.repeat_of and request.of_cells is not None:
        raise CytoError("A repeat gives the cells of the reading that it repeats, and no others.")
    if (request.strategy == "all") != (request.count == 0):
        raise CytoError("A random or stratified draw needs a number of cells, and a reading of all cells has none.")
    if request.region_yxyx is not None:
        y0, x0, y1, x1 = request.region_yxyx
        if not (y0 < y1 and x0 < x1):
            raise CytoError(f"Expected a region y0,x0,y1,x1 of some height and width, got {y0:g},{x0:g},{y1:g},{x1:g}.")


def _new(project: Project, request: Request, seed: int) -> tuple[Reading, Draw, tuple[str, ...]]:
    slide_ids = slide_ids_of(project, request.slides)
    region = request.region_yxyx
    if region is not None and len(slide_ids) != 1:
        raise CytoError(f"A region lies on one slide, got {counted(len(slide_ids), 'slide')}; name the slide.")
    is_part = request.count or request.of_cells is not None
    scope = Scope.SAMPLE if is_part else Scope.SLIDE if region is None else Scope.REGION
    reading = Reading(
        id="",
        reader=request.reader,
        mode=request.mode,
        scope=scope,
        slides=slide_ids,
        region_yxyx=region,
        seed=seed,
        strategy=request.strategy,
        known_share=request.known_share,
        opinion=request.opinion,
        population=request.population,
    )
    if request.mode is Mode.FREE:
        return reading, Draw(), ()
    every = [a for slide_id in slide_ids for a in project.annotations(slide_id) if not a.is_region]
    within = [a for a in every if region is None or box_contains_point(region, a.geometry.centre_yx)]
    if request.of_cells is not None:
        within = [a for a in within if a.id in request.of_cells]
        if not within:
            raise CytoError(f"There are no {request.population} in the part that would be read.")
    if not within:
        raise CytoError("There are no cells to classify; annotate or predict some first, or assign a free reading.")
    cells, sizes = _draw.drawn(_draw.by_place(within, slide_ids), request.count, request.strategy, seed)
    strewn, remarks = _strewn(project, every, cells, request, seed)
    drawn = _draw.in_order([*cells, *strewn], seed)
    if not request.opinion:
        drawn = tuple(replace(cell, opinion=()) for cell in drawn)
    elif without := sum(not cell.opinion for cell in drawn):
        remarks += (f"{counted(without, 'cell has', 'cells have')} no scores of a model, so no opinion to show.",)
    if request.count > len(cells):
        remarks += (f"Only {counted(len(cells), 'cell is', 'cells are')} there; {request.count:,} were asked for.",)
    return replace(reading, cells=len(drawn)), replace(sizes, cells=drawn), remarks


def _strewn(
    project: Project, every: Sequence[Annotation], drawn: Sequence[DrawnCell], request: Request, seed: int
) -> tuple[list[DrawnCell], tuple[str, ...]]:
    """Return known cells, of those that were not drawn, so that they are the stated share of all that is given."""
    if not request.known_share:
        return [], ()
    due = round(len(drawn) * request.known_share / (1 - request.known_share))
    taken = {cell.main_id for cell in drawn}
    settled = [a for a in every if a.status is Status.ACCEPTED and a.class_id and a.id not in taken]
    slide_ids = [record.id for record in project.slides()]
    found = _draw.known(_draw.by_place(settled, slide_ids), abnormal_classes(project.scheme), due, seed)
    if len(found) == due:
        return found, ()
    return found, (
        f"{counted(len(found), 'known cell')} instead of {due:,}: no more accepted cells are left beside those drawn.",
    )


def _repeat(project: Project, first: Reading, request: Request, seed: int) -> tuple[Reading, Draw, tuple[str, ...]]:
    """Return the repeat of a reading by the same reader: the same cells in another order, upside down."""
    if first.reader != request.reader:
        raise CytoError(f"A repeat is read by the same reader, {first.reader}; got {request.reader}.")
    if first.state is not State.FINISHED:
        raise CytoError(f"The reading {first.id} is {first.state}; a repeat follows a finished one.")
    due = (now_utc() + timedelta(days=request.after_days)).date().isoformat() if request.after_days else ""
    again = replace(
        first,
        id="",
        seed=seed,
        state=State.ASSIGNED,
        begun_at="",
        finished_at="",
        sha256="",
        repeat_of=first.id,
        due=due,
        turned=True,
    )
    before = _register.draw_of(project, first.id)
    remark = "Slides are shown turned by 180° in a repeat, not mirrored: the view can be turned, but not flipped."
    return again, replace(before, cells=_draw.in_order(before.cells, seed)), (remark,)


def slide_ids_of(project: Project, names: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of the slides of these names or ids; of all without.

    Raises
    ------
    CytoError
        When one is none of the project's, or it has none at all.
    """
    records = project.slides()
    unknown = [name for name in names if all(name not in (r.name, r.id) for r in records)]
    if unknown:
        raise CytoError(f"Expected names of slides of this project, got {unknown[0][:80]!r}.")
    found = tuple(r.id for r in records if not names or r.name in names or r.id in names)
    if not found:
        raise CytoError("The project has no slides to read; add some first.")
    return found


def _telling_names(project: Project, reading: Reading) -> tuple[str, ...]:
    """Return a remark when names or paths of slides hold the name of a class, which a reader could see."""
    words = {c.id.lower() for c in project.scheme.classes if len(c.id) > 2}
    chosen = [r for r in project.slides() if r.id in reading.slides]
    telling = [r.name for r in chosen if any(word in f"{r.name} {Path(r.path).parent.name}".lower() for word in words)]
    if not telling:
        return ()
    return (
        f"{counted(len(telling), 'slide has', 'slides have')} the name of a class in name or folder ({telling[0]}): "
        "given cells hide the name of the slide, but a free reading and the file itself do not.",
    )


def withdraw_is_allowed(reading: Reading, by: str) -> bool:
    """Whether somebody may hand a reading back: its reader, or who assigned it while it is not begun."""
    return by == reading.reader or (reading.state != BEGUN and by == reading.assigned_by)
