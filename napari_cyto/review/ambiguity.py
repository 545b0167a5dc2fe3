"""Which cells of a project a model should not decide alone, by the prediction sets that hold on their slides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.counts import counted
from napari_cyto.domain.high_grade import high_grade_of
from napari_cyto.errors import CytoError
from napari_cyto.review.predictions import is_from_model
from napari_cyto.review.query import score_table
from napari_cyto.store import Project
from napari_cyto.store.kept_sets import KeptSets, kept_sets, looks_of

NO_SETS = "No model of these cells has prediction sets; calibrate them with `napari-cyto models calibrate-sets`."
_AT_ONCE = 20_000
AMBIGUOUS = "ambiguous cells"
"""What these cells are called where they are given to a reader."""


@dataclass(frozen=True, slots=True)
class CellSet:
    """The classes that cannot be excluded of a cell.

    Parameters
    ----------
    classes : tuple of str
        In the order of the scheme; empty when no class is likely enough.
    spans : bool
        Whether normal and high-grade classes are both among them.
    """

    classes: tuple[str, ...]
    spans: bool = False

    @property
    def is_ambiguous(self) -> bool:
        """Whether the model should not decide alone: more than one class, or none."""
        return len(self.classes) != 1

    @property
    def words(self) -> str:
        """What is written at the cell: ``NILM, HSIL``."""
        return ", ".join(self.classes) or "no class"


@dataclass(frozen=True)
class Ambiguity:
    """The sets of a project's cells.

    Parameters
    ----------
    sets : mapping of cell id to CellSet
        Of the cells whose sets hold; others are missing.
    void : mapping of str to int
        Why sets were not used, as a sentence, and of how many cells.
    without : int
        Predictions of models that have no sets.
    maker : SetMaker, optional
        Makes the sets of cells that come later.
    """

    sets: Mapping[str, CellSet]
    void: Mapping[str, int] = field(default_factory=dict)
    without: int = 0
    maker: SetMaker | None = field(default=None, repr=False, compare=False)

    @cached_property
    def ambiguous(self) -> tuple[str, ...]:
        """Ids of the ambiguous cells, those first that span normal and high grade, then the largest sets."""
        found = [(cell_id, each) for cell_id, each in self.sets.items() if each.is_ambiguous]
        found.sort(key=lambda pair: (not pair[1].spans, -len(pair[1].classes)))
        return tuple(cell_id for cell_id, _ in found)

    @cached_property
    def spanning(self) -> int:
        """How many sets span normal and high grade."""
        return sum(each.spans for each in self.sets.values())

    def of(self, cell: Annotation) -> CellSet | None:
        """Return the set of a cell, also of one that was predicted since; None where none holds."""
        known = self.sets.get(cell.id)
        if known is not None or self.maker is None or not _is_predicted(cell):
            return known
        if self.maker.lacks(cell) or self.maker.void_reason(cell):
            return None
        return self.maker.sets([cell])[cell.id]

    def is_ambiguous(self, cell: Annotation) -> bool:
        """Whether a cell has a set that holds and is ambiguous."""
        found = self.of(cell)
        return found is not None and found.is_ambiguous

    def rank(self, cell: Annotation) -> tuple[bool, bool, int]:
        """Return by what cells are ordered, the least first: spanning ones, other ambiguous ones, the larger sets."""
        found = self.of(cell)
        if found is None:
            return (True, True, 0)
        return (not found.spans, not found.is_ambiguous, -len(found.classes))

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is not used, and why, a sentence each."""
        found = [f"{why} ({counted(n, 'cell')} without a set.)" for why, n in self.void.items()]
        if self.without:
            found.append(NO_SETS if not self.sets and not self.void else f"{counted(self.without, 'cell')}: {NO_SETS}")
        return tuple(found)


def ambiguity_of(project: Project, cells: Iterable[Annotation]) -> Ambiguity:
    """Return the prediction sets of cells, where they hold.

    Parameters
    ----------
    project : Project
        Whose cells they are.
    cells : iterable of Annotation
        Any; what no model predicted has no set.
    """
    maker = SetMaker(project)
    made, void, without = dict[str, CellSet](), Counter[str](), 0
    batch = list[Annotation]()

    def flush() -> None:
        made.update(maker.sets(batch))
        batch.clear()

    for cell in cells:
        if not _is_predicted(cell):
            continue
        if maker.lacks(cell):
            without += 1
        elif why := maker.void_reason(cell):
            void[why] += 1
        else:
            batch.append(cell)
            if len(batch) >= _AT_ONCE:
                flush()
    flush()
    return Ambiguity(made, dict(void), without, maker)


def _is_predicted(cell: Annotation) -> bool:
    return not cell.is_region and is_from_model(cell) and bool(cell.scores)


class SetMaker:
    """Makes the sets of cells by what is kept with a project.

    Parameters
    ----------
    project : Project
        Read once: what is calibrated later needs another one.
    """

    def __init__(self, project: Project) -> None:
        self._scheme = project.scheme
        self._kept = kept_sets(project)
        self._looks = looks_of(project) if self._kept else {}
        self._reasons: dict[tuple[str, str], str] = {}
        self._normal, self._high = normal_and_high(project.scheme)

    def lacks(self, cell: Annotation) -> bool:
        """Whether the model of a cell has no sets."""
        return cell.origin not in self._kept

    def void_reason(self, cell: Annotation) -> str:
        """Return why the sets of a cell's model do not hold on its slide; empty where they do."""
        key = (cell.origin, cell.slide_id)
        if key not in self._reasons:
            kept = self._kept[cell.origin]
            unknown = [class_id for class_id in kept.sets.class_ids if class_id not in self._scheme]
            why = kept.sets.void_reason(self._looks.get(cell.slide_id), is_local=kept.is_local)
            self._reasons[key] = f"The project has no class {unknown[0]}, which the sets have." if unknown else why
        return self._reasons[key]

    def sets(self, cells: Sequence[Annotation]) -> dict[str, CellSet]:
        """Return the sets of cells, by id, all of models whose sets hold."""
        found: dict[str, CellSet] = {}
        for origin in {cell.origin for cell in cells}:
            kept = self._kept[origin]
            mine = [cell for cell in cells if cell.origin == origin]
            found |= dict(zip((cell.id for cell in mine), self._of(kept, mine), strict=True))
        return found

    def _of(self, kept: KeptSets, cells: Sequence[Annotation]) -> list[CellSet]:
        ids = self._scheme.ids
        columns = [ids.index(class_id) for class_id in kept.sets.class_ids]
        table = np.zeros((len(cells), len(ids)), np.bool_)
        table[:, columns] = kept.sets.sets(score_table(cells, self._scheme)[:, columns])
        # Few different sets are shared by many cells.
        known: dict[bytes, CellSet] = {}
        made = []
        for row in table:
            key = row.tobytes()
            if key not in known:
                classes = tuple(ids[place] for place in np.flatnonzero(row))
                known[key] = CellSet(classes, bool(self._normal & {*classes} and self._high & {*classes}))
            made.append(known[key])
        return made


def normal_and_high(scheme: ClassScheme) -> tuple[frozenset[str], frozenset[str]]:
    """Return the normal and the high-grade classes of a scheme."""
    return frozenset(c.id for c in scheme.classes if c.severity == 0), frozenset(high_grade_of(scheme.classes))


def ambiguous_ids(project: Project, slide_ids: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the unreviewed cells that the model should not decide alone: a sample for a second reader.

    Parameters
    ----------
    project : Project
        Open.
    slide_ids : iterable of str
        Of these slides; of all without.

    Returns
    -------
    tuple of str
        Ids, those first whose sets span normal and high grade. Cells whose sets are void are not among them.

    Raises
    ------
    CytoError
        When there are none: because no set holds, and why, or because every set has one class.
    """
    chosen = tuple(slide_ids) or tuple(record.id for record in project.slides())
    cells = (cell for slide_id in chosen for cell in project.annotations(slide_id))
    found = ambiguity_of(project, (cell for cell in cells if cell.status is Status.UNREVIEWED))
    if not found.ambiguous:
        why = found.sentences or ("Of every cell that has a set and is not reviewed, the set has one class.",)
        raise CytoError(" ".join(("There are no ambiguous cells to read.", *why)))
    return found.ambiguous
