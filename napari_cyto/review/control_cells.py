"""The control cells of a review: which cells were read one by one, and what that says of those that were not.

What counts as a reading follows from the history alone, so it is the same after a restart: a step that judged a cell
alone or with a few others. "Accept all" and the like accept cells that nobody looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.counts import counted
from napari_cyto.domain.decision_rule import NO_MODELS, Costs
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.statistics.unreviewed_bound import ControlDraws, Unread, by_rank
from napari_cyto.errors import CytoError
from napari_cyto.review.predictions import is_from_model, risk_of, severities
from napari_cyto.review.query import ReviewQuery, model_class
from napari_cyto.store import HistoryEntry, Project
from napari_cyto.store.step_origin import ReviewStep

FEW_AT_ONCE = 4
"""A step that judges more cells than these is no reading of each."""

ACCEPT_ALL = "Accept all: "
"""How the label of a step begins that accepted whatever was left, however few these were."""

LIMIT = 0.01
"""Share of abnormal cells among the unread that a reader accepts, where nobody chose another."""

CONFIDENCE = 0.95
METHOD = (
    "Control cells come in random order. A control cell counts when it was reviewed alone or with at most "
    f"{FEW_AT_ONCE - 1} others, was the next in that order, and nothing was predicted or accepted in bulk "
    "since. The bound holds whenever you stop: a betting confidence sequence for draws without replacement "
    "(Waudby-Smith and Ramdas 2020; docs/statistics.md)."
)
_LIMIT = "review.limit"


def limit_of(project: Project) -> float:
    """Return the share of abnormal cells among the unread, 0 to 1, under which one may stop in this project."""
    return float(project.setting(_LIMIT, LIMIT))


def keep_limit(project: Project, share: float) -> None:
    """Keep that share.

    Raises
    ------
    CytoError
        When it is not above 0 and at most 0.5.
    """
    project.set_setting(_LIMIT, checked_limit(share))


def checked_limit(share: float) -> float:
    """Return a limit as it came.

    Raises
    ------
    CytoError
        When it is not above 0 and at most 0.5.
    """
    if not 0 < share <= 0.5:
        raise CytoError(f"Expected a limit above 0 and at most 0.5 (50 %) of the unreviewed cells, got {share:g}.")
    return share


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the control cells say of the cells that nobody read.

    Parameters
    ----------
    bound : Unread
        Cells that wait, control cells that were read and were abnormal, and how many abnormal cells may be left.
    missed : int
        Control cells that were abnormal although the model had called them normal.
    corrected : int
        Control cells that were rejected or got another class.
    bulk : int
        Cells accepted or rejected in bulk, which nobody read: the bound says nothing of them.
    limit : float
        Share under which one may stop, 0 to 1.
    is_graded : bool
        Whether the classes have grades; without any, "abnormal" is what needed correcting.
    """

    bound: Unread
    missed: int = 0
    corrected: int = 0
    bulk: int = 0
    limit: float = LIMIT
    is_graded: bool = True

    @property
    def may_stop(self) -> bool:
        """Whether the bound is at or under the limit."""
        return self.bound.drawn > 0 and self.bound.more == 0

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as JSON-able values."""
        bound = self.bound
        return {
            "unreviewed": bound.unread,
            "control_cells_read": bound.drawn,
            "abnormal": bound.abnormal,
            "missed": self.missed,
            "corrected": self.corrected,
            "at_most_abnormal": bound.most if bound.drawn else None,
            "at_most_share": bound.share if bound.drawn else None,
            "confidence": CONFIDENCE,
            "limit": self.limit,
            "may_stop": self.may_stop,
            "control_cells_to_go": bound.more if bound.drawn else None,
            "accepted_in_bulk": self.bulk,
            "abnormal_is": "graded above normal" if self.is_graded else "rejected or given another class",
        }


@dataclass(frozen=True, slots=True)
class RankBand(JsonFields):
    """A band of cells of like risk: how many there are, were read, and of those read are abnormal."""

    cells: int
    read: int
    abnormal: int


@dataclass(slots=True)
class _Cell:
    risk: float
    called: str
    is_abnormal: bool = False
    is_corrected: bool = False
    is_read: bool = False


@dataclass(slots=True)
class _Frame:
    """The cells of one review, and its draws."""

    draws: ControlDraws = field(default_factory=ControlDraws)
    cells: dict[str, _Cell] = field(default_factory=dict)
    drawn: list[str] = field(default_factory=list)
    passed_over: set[str] = field(default_factory=set)
    to_come: dict[int, tuple[list[str], list[str], list[str]]] = field(default_factory=dict)


class ControlCells:
    """Follows which cells are read, over all chosen slides or for each slide of its own."""

    def __init__(
        self, severity: Mapping[str, float], query: ReviewQuery, costs: Mapping[str, Costs] = NO_MODELS
    ) -> None:
        self.query = query
        self.costs = costs
        self.severity = dict(severity)
        self._frames: dict[str, _Frame] = {}
        self._steps: dict[str, list[ReviewStep]] = {}

    def begin(self, steps: Iterable[ReviewStep]) -> None:
        """Take in the steps that made and judged the cells that are seen next."""
        self._steps = {}
        for step in steps:
            self._steps.setdefault(step.annotation_id, []).append(step)

    def see(self, cell: Annotation) -> None:
        """Take in a cell as it is now."""
        passed = self._steps.get(cell.id, [])
        if self._is_in(cell, passed):
            frame = self._frames.setdefault(self._key(cell), _Frame())
            frame.cells[cell.id] = self._drawn_cell(cell)
            for seq, kind in _events(cell, passed):
                frame.to_come.setdefault(seq, ([], [], []))[kind].append(cell.id)

    def replay(self) -> None:
        """Go through all that happened to the cells that were seen, in its order."""
        self._steps = {}
        for frame in self._frames.values():
            for seq in sorted(frame.to_come):
                self._follow(frame, *frame.to_come[seq])
            frame.to_come.clear()

    def take(self, entry: HistoryEntry) -> bool:
        """Follow a step that was just done; return whether that was possible, else all is to be built anew."""
        changes = entry.edit.changes
        if entry.kind != "edit" or is_bulk(len(changes), entry.label):
            return False
        read: dict[str, list[str]] = {}
        for change in changes:
            if change.before is None or change.after is None or change.after.status is Status.UNREVIEWED:
                return False
            frame = self._frames.get(self._key(change.after))
            if frame is not None and change.after.id in frame.cells:
                if frame.cells[change.after.id].is_read:
                    # Another word on a cell that was read before changes what the draws found.
                    return False
                frame.cells[change.after.id] = self._drawn_cell(change.after)
                read.setdefault(self._key(change.after), []).append(change.after.id)
        for key, ids in read.items():
            self._follow(self._frames[key], [], [], ids)
        return True

    def estimate(self, slide_id: str = "", limit: float = LIMIT) -> Estimate:
        """Return what the control cells say; of one slide where each has its own."""
        frame = self._frames.get(slide_id if self.query.by_slide else "", _Frame())
        drawn = [frame.cells[cell] for cell in frame.drawn]
        return Estimate(
            bound=frame.draws.bound(limit, CONFIDENCE),
            missed=sum(c.is_abnormal and self._is_normal(c.called) for c in drawn),
            corrected=sum(c.is_corrected for c in drawn),
            bulk=sum(not frame.cells[cell].is_read for cell in frame.passed_over),
            limit=limit,
            is_graded=bool(self.severity),
        )

    def bands(self, slide_id: str = "") -> tuple[RankBand, ...]:
        """Return four bands of rank, the riskiest first."""
        frame = self._frames.get(slide_id if self.query.by_slide else "", _Frame())
        ranked = sorted(frame.cells.values(), key=lambda c: -c.risk)
        found = by_rank([c.is_read for c in ranked], [c.is_abnormal for c in ranked])
        return tuple(RankBand(*band) for band in found)

    def _follow(self, frame: _Frame, added: list[str], lost: list[str], read: list[str]) -> None:
        if added:
            frame.draws.add((cell, int.from_bytes(chance(cell, self.query.seed), "big")) for cell in added)
        if lost:
            frame.draws.lose(lost)
            frame.passed_over.update(lost)
        if not frame.draws.outcomes:
            frame.drawn.clear()
        for cell_id in sorted(read, key=lambda cell: chance(cell, self.query.seed)):
            cell = frame.cells[cell_id]
            cell.is_read = True
            if frame.draws.read(cell_id, cell.is_abnormal):
                frame.drawn.append(cell_id)

    def _is_in(self, cell: Annotation, passed: list[ReviewStep]) -> bool:
        """Whether a model predicted the cell, and it is of a class that is reviewed."""
        if cell.is_region:
            return False
        waits = cell.status is Status.UNREVIEWED
        predicted = waits or is_from_model(cell) or any(step.before is Status.UNREVIEWED for step in passed)
        return predicted and (not self.query.class_ids or model_class(cell, self.costs) in self.query.class_ids)

    def _drawn_cell(self, cell: Annotation) -> _Cell:
        called = model_class(cell, self.costs)
        corrected = cell.status is Status.REJECTED or cell.class_id != called
        is_abnormal = corrected
        if self.severity:
            is_abnormal = cell.status is Status.ACCEPTED and self.severity.get(str(cell.class_id), 0.0) > 0
        return _Cell(risk_of(cell.scores, called, self.severity), called, is_abnormal, corrected)

    def _is_normal(self, class_id: str) -> bool:
        return self.severity.get(class_id, 0.0) <= 0

    def _key(self, cell: Annotation) -> str:
        return cell.slide_id if self.query.by_slide else ""


def control_cells(project: Project, query: ReviewQuery) -> ControlCells:
    """Return the control cells of a review as the history tells them; safe in any thread.

    Raises
    ------
    StoreError
        When the project has no such slide, or cannot be read.
    """
    found = ControlCells(severities(project.scheme), query, project.model_costs())
    for slide_id in query.slide_ids or tuple(record.id for record in project.slides()):
        found.begin(project.review_steps(slide_id))
        for cell in project.annotations(slide_id):
            found.see(cell)
    found.replay()
    return found


def chance(cell_id: str, seed: int) -> bytes:
    """Return what decides whether a cell is drawn: it does not change when other cells come or go."""
    return hashlib.blake2b(f"{seed}/{cell_id}".encode(), digest_size=8).digest()


def is_bulk(amount: int, label: str) -> bool:
    """Whether a step judged cells without a reading of each."""
    return amount > FEW_AT_ONCE or label.startswith(ACCEPT_ALL)


def _events(cell: Annotation, passed: list[ReviewStep]) -> Iterator[tuple[int, int]]:
    """Yield when a cell came (0), was judged unread (1), was read (2)."""
    born = next((step.seq for step in passed if step.before is None), 0)
    yield born, 0
    if cell.status is Status.UNREVIEWED:
        return
    reviewed_steps = [step for step in passed if step.before is not None and step.after is not Status.UNREVIEWED]
    reading = next((step for step in reviewed_steps if not is_bulk(step.amount, step.label)), None)
    unread = next((step for step in reviewed_steps if is_bulk(step.amount, step.label)), None)
    if reading is None:
        yield (unread.seq if unread is not None else born), 1
    else:
        if unread is not None and unread.seq < reading.seq:
            yield unread.seq, 1
        yield reading.seq, 2


def estimate_words(estimate: Estimate, is_blind: bool = False) -> str:
    """Return the estimate as sentences; empty where no cell waits or was passed over unread.

    A blind reader is not told what the model had missed.
    """
    bound, words = estimate.bound, []
    kind = "abnormal" if estimate.is_graded else "to be corrected"
    if bound.drawn:
        tells_missed = estimate.is_graded and bound.abnormal > 0 and not is_blind
        missed = f" ({estimate.missed:,} missed by the model)" if tells_missed else ""
        words.append(f"{counted(bound.drawn, 'control cell')} reviewed: {bound.abnormal:,} {kind}{missed}.")
        if bound.unread:
            words.append(
                f"At most {bound.most:,} {kind} ({100 * (bound.share or 0):.1f} %) among {bound.unread:,} unreviewed "
                "(95 %, whenever you stop)."
            )
    elif bound.unread:
        words.append(f"No control cell reviewed yet: nothing is known about {bound.unread:,} unreviewed cells.")
    if estimate.bulk:
        words.append(f"{counted(estimate.bulk, 'cell')} accepted or rejected in bulk: no figure covers them.")
    return " ".join(words)


def stop_words(estimate: Estimate) -> str:
    """Return whether one may stop, as a sentence; empty where nothing waits."""
    bound = estimate.bound
    if not bound.unread:
        return ""
    limit = f"{100 * estimate.limit:g} %"
    if estimate.may_stop:
        return f"You may stop: within your limit of {limit}."
    if not bound.drawn or bound.more is None:
        return ""
    return f"Limit of {limit} not reached: about {counted(bound.more, 'more control cell')}."
