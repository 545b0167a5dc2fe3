"""What a reading is: who reads what, how, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from napari_cyto.domain.counts import counted
from napari_cyto.domain.json_values import JsonFields


class Mode(StrEnum):
    """What a reader does: name the class of given cells, or find and classify on a bare slide."""

    CLASSIFY = "classify"
    FREE = "free"


class Scope(StrEnum):
    """Of what: whole slides, a rectangle of one, or cells drawn from slides."""

    SLIDE = "slide"
    REGION = "region"
    SAMPLE = "sample"


class State(StrEnum):
    """How far a reading has come."""

    ASSIGNED = "assigned"
    BEGUN = "begun"
    FINISHED = "finished"
    HANDED_BACK = "handed back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(JsonFields):
    """A reading, as the main project keeps it.

    Parameters
    ----------
    id : str
        ``r1``, ``r2`` and so on within its project.
    reader : str
        Who reads.
    mode, scope, state : Mode, Scope, State
        How, of what, and how far.
    slides : tuple of str
        Ids of the slides.
    region_yxyx : tuple of float or None
        The rectangle ``(y0, x0, y1, x1)``, level-0 px, that is read; None for whole slides.
    assigned_by, assigned_at, begun_at, finished_at : str
        Who and when (ISO 8601, UTC); empty before that.
    seed : int
        From which the draw, the order and the ids of the given cells follow.
    cells : int
        How many cells are given; 0 in a free reading.
    strategy : str
        ``all``, ``random`` or ``stratified``.
    population : str
        Which cells are given or were drawn from, such as ``ambiguous cells``; empty for all. Only the lead sees it.
    known_share : float
        Share, 0 to below 1, of the given cells whose class is settled and hidden; only the lead sees it.
    opinion : bool
        Whether the model's class of each cell is on screen. A blind reading has none.
    repeat_of : str
        The reading that this repeats in another order; empty for none.
    due : str
        The day (ISO 8601) from which it may begin; empty for at once.
    turned : bool
        Whether slides are shown upside down (turned by 180°).
    sha256 : str
        Of what the reader said, once that is locked.
    """

    id: str
    reader: str
    mode: Mode
    scope: Scope
    slides: tuple[str, ...]
    region_yxyx: tuple[float, float, float, float] | None = None
    assigned_by: str = ""
    assigned_at: str = ""
    begun_at: str = ""
    finished_at: str = ""
    state: State = State.ASSIGNED
    seed: int = 0
    cells: int = 0
    strategy: str = "all"
    known_share: float = 0.0
    opinion: bool = False
    repeat_of: str = ""
    due: str = ""
    turned: bool = False
    sha256: str = ""
    population: str = ""

    @property
    def words(self) -> str:
        """What a person reads of it: ``200 cells to classify``, ``2 slides, freely``."""
        if self.mode is Mode.CLASSIFY:
            return f"{counted(self.cells, 'cell')} to classify"
        what = "a region" if self.scope is Scope.REGION else counted(len(self.slides), "slide")
        return f"{what}, free reading"


@dataclass(frozen=True, slots=True)
class DrawnCell(JsonFields):
    """A cell that a reading gives, as the main project keeps it; nothing of it but place and ``id`` goes further.

    Parameters
    ----------
    id : str
        What the reading calls it.
    main_id : str
        Which annotation of the main project it is.
    slide_id : str
        Its slide.
    y, x : float
        Its middle, level-0 px.
    stratum : str
        The stratum from which it was drawn; empty for a known cell.
    probability : float
        With which it was drawn; 0 for a known cell, which counts for no estimate.
    truth : str
        The settled class of a known cell; empty for others.
    opinion : tuple of (class id, score)
        What a model says of it, where that will be on screen.
    """

    id: str
    main_id: str
    slide_id: str
    y: float
    x: float
    stratum: str = ""
    probability: float = 0.0
    truth: str = ""
    opinion: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Draw(JsonFields):
    """The cells of a reading in their order, and how many each stratum held, as pairs."""

    cells: tuple[DrawnCell, ...] = ()
    strata: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Standing(JsonFields):
    """How far a reading has come, for who reads: nothing of others, nothing of what is hidden.

    Parameters
    ----------
    id, reader : str
        Which reading, whose.
    mode : Mode
        What is done.
    state : State
        How far.
    place : str
        Folder of its project, once begun.
    cells, classified, skipped : int
        Given cells; those with a class; those of which the reader cannot say. Of a free reading, ``classified`` counts
        the annotated cells.
    due : str
        The day from which it may begin.
    """

    id: str
    reader: str
    mode: Mode
    state: State
    place: str
    cells: int
    classified: int
    skipped: int
    due: str = ""

    @property
    def words(self) -> str:
        """What a person reads: ``12 of 200 cells``."""
        if self.mode is Mode.FREE:
            return f"{self.classified:,} annotated"
        return f"{self.classified + self.skipped:,} of {self.cells:,}"
