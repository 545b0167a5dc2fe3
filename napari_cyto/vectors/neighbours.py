"""Cells like a cell: the nearest by cosine among the vectors of a project, exactly, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.jobs.progress import progressed
from napari_cyto.vectors._project_vectors import CellVectors

Rows = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]

COUNT = 60
_ROWS_AT_ONCE = 16_384
_QUERIES_AT_ONCE = 512


class Scope(StrEnum):
    """Where cells like a cell are looked for."""

    SLIDE = "slide"
    ALL = "all"
    OTHER_PATIENTS = "other-patients"


@dataclass(frozen=True, slots=True)
class Similar:
    """The cells nearest to a cell.

    Parameters
    ----------
    cell_id : str
        The cell that was asked about.
    scope : Scope
        Where they were looked for.
    ids : tuple of str
        The nearest first; the cell itself is not among them.
    similarities : tuple of float
        Cosine of the vectors, -1 to 1.
    searched : int
        Cells that were compared.
    without : int
        Cells of the project that have no vector and were not.
    unknown_patients : int
        Slides searched whose patient is unknown, while other patients were asked for.
    own_patient_unknown : bool
        Whether the patient of the cell itself is unknown, while other patients were asked for.
    """

    cell_id: str
    scope: Scope
    ids: tuple[str, ...]
    similarities: tuple[float, ...]
    searched: int
    without: int = 0
    unknown_patients: int = 0
    own_patient_unknown: bool = False

    @property
    def sentence(self) -> str:
        """What a reader must know of this list."""
        where = {
            Scope.SLIDE: "of this slide",
            Scope.ALL: "of all slides",
            Scope.OTHER_PATIENTS: "of other patients",
        }[self.scope]
        words = [f"The {len(self.ids):,} nearest of {counted(self.searched, 'cell')} {where}."]
        if self.without:
            words.append(f"{counted(self.without, 'cell')} without a vector not compared.")
        if self.own_patient_unknown:
            words.append("The patient of this cell is unknown: its smear, or else its slide, counts as one.")
        if self.unknown_patients:
            words.append(
                f"{counted(self.unknown_patients, 'slide')} without a patient count by smear or slide, "
                "so that cells of the same patient may be among them."
            )
        return " ".join(words)

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON-able ones."""
        return {
            "cell": self.cell_id,
            "of": str(self.scope),
            "cells": [{"id": i, "cosine": s} for i, s in zip(self.ids, self.similarities, strict=True)],
            "searched": self.searched,
            "without_vector": self.without,
            "slides_of_unknown_patient": self.unknown_patients,
            "own_patient_unknown": self.own_patient_unknown,
            "sentence": self.sentence,
        }


def unit_rows(vectors: npt.ArrayLike) -> Floats:
    """Return vectors ``(n, length)`` as float32 of length 1; one of zeros stays as it is."""
    rows = np.asarray(vectors, dtype=np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    scaled: Floats = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
    return scaled


def nearest(
    vectors: npt.NDArray[np.float16] | Floats, queries: npt.ArrayLike, count: int, among: Rows | None = None
) -> tuple[Rows, Floats]:
    """Return the rows of the vectors nearest to each query, and their cosines; the nearest first.

    Memory is bounded by blocks of rows and of queries; says how far it is by `progressed`.

    Parameters
    ----------
    vectors : ndarray, (n, length)
        Not normalised; may be memory-mapped.
    queries : array-like, (q, length)
        Not normalised.
    count : int
        How many of each; fewer where there are not as many.
    among : ndarray of intp, optional
        The rows that are searched, ascending; all unless given.

    Returns
    -------
    rows : ndarray, intp (q, count)
    cosines : ndarray, float32 (q, count)
    """
    sought = unit_rows(queries)
    size = len(vectors) if among is None else len(among)
    count = max(0, min(count, size))
    rows = np.zeros((len(sought), count), dtype=np.intp)
    cosines = np.full((len(sought), count), -np.inf, dtype=np.float32)
    if not count:
        return rows, cosines
    for start in range(0, size, _ROWS_AT_ONCE):
        progressed(start, size, "Comparing cells")
        stop = min(start + _ROWS_AT_ONCE, size)
        places = np.arange(start, stop) if among is None else among[start:stop]
        block = unit_rows(vectors[start:stop] if among is None else vectors[places]).T
        for first in range(0, len(sought), _QUERIES_AT_ONCE):
            part = slice(first, first + _QUERIES_AT_ONCE)
            _keep_best(rows[part], cosines[part], places, sought[part] @ block)
    progressed(size, size, "Comparing cells")
    return rows, np.clip(cosines, -1, 1)


def _keep_best(rows: Rows, cosines: Floats, places: Rows, found: Floats) -> None:
    """Take what is better than the best so far into ``rows`` and ``cosines``, in place; of equals the earlier row."""
    count = rows.shape[1]
    if found.shape[1] > count:
        chosen = np.sort(np.argpartition(-found, count - 1, axis=1)[:, :count], axis=1)
        found, where = np.take_along_axis(found, chosen, 1), places[chosen]
    else:
        where = np.broadcast_to(places, found.shape)
    merged, merged_rows = np.concatenate([cosines, found], 1), np.concatenate([rows, where], 1)
    order = np.argsort(-merged, axis=1, kind="stable")[:, :count]
    cosines[:] = np.take_along_axis(merged, order, 1)
    rows[:] = np.take_along_axis(merged_rows, order, 1)


def similar(
    found: CellVectors, slides: Sequence[SlideRecord], cell_id: str, scope: Scope = Scope.ALL, count: int = COUNT
) -> Similar:
    """Return the cells nearest to a cell.

    Parameters
    ----------
    found : CellVectors
        Of the project.
    slides : sequence of SlideRecord
        Of the project. Patients are distinguished as splits do: by patient, else by smear, else by slide.
    cell_id : str
        The cell.
    scope : Scope
        Where to look.
    count : int
        How many.

    Raises
    ------
    CytoError
        When the cell has no vector, or there is no other cell to compare it with.
    """
    row = row_of(found, cell_id)
    record = {slide.id: slide for slide in slides}
    own = record[found.slide_ids[row]]
    if scope is Scope.SLIDE:
        searched_ids = {own.id}
    elif scope is Scope.ALL:
        searched_ids = set(record)
    else:
        searched_ids = {slide.id for slide in slides if slide.group != own.group}
    is_searched = np.fromiter((of in searched_ids for of in found.slide_ids), dtype=bool, count=len(found.slide_ids))
    is_searched[row] = False
    among = np.flatnonzero(is_searched)
    if not len(among):
        raise CytoError(_nothing_there(scope, own))
    rows, cosines = nearest(found.vectors, found.vectors[row : row + 1], count, among)
    others = scope is Scope.OTHER_PATIENTS
    searched_slides = {found.slide_ids[n] for n in among.tolist()} if others else set()
    return Similar(
        cell_id,
        scope,
        tuple(found.ids[n] for n in rows[0].tolist()),
        tuple(round(float(c), 4) for c in cosines[0]),
        len(among),
        found.without,
        sum(not record[s].patient for s in searched_slides),
        others and not own.patient,
    )


def _nothing_there(scope: Scope, own: SlideRecord) -> str:
    if scope is Scope.OTHER_PATIENTS:
        of = f"patient {own.patient}" if own.patient else f"{own.name}, whose patient is unknown"
        return f"Expected cells of other patients than {of}, got none with a vector; add slides, or look in all slides."
    where = "on this slide" if scope is Scope.SLIDE else "in the project"
    return f"Expected another cell with a vector {where}, got none; make vectors with: napari-cyto embed PROJECT."


def row_of(found: CellVectors, cell_id: str) -> int:
    """Return the row of a cell.

    Raises
    ------
    CytoError
        When it has no vector.
    """
    try:
        return found.ids.index(cell_id)
    except ValueError:
        raise CytoError(
            f"Expected a cell with a vector by {found.kind.encoder}, got {cell_id[:64]}, which has none where it lies "
            f"now; make it with: napari-cyto embed PROJECT --encoder {found.kind.encoder}."
        ) from None


@dataclass(frozen=True, slots=True)
class GradeNeighbours:
    """The accepted cells nearest to a cell among those one grade lower and one grade higher; empty where none is."""

    lower: str = ""
    higher: str = ""


def grade_neighbours(
    found: CellVectors, cell_id: str, class_id: str, accepted: Sequence[str], severity: Mapping[str, float]
) -> GradeNeighbours:
    """Return the nearest accepted cells one grade lower and one grade higher than a cell's class.

    Parameters
    ----------
    found : CellVectors
        Of the project.
    cell_id, class_id : str
        The cell under review, and its class now.
    accepted : sequence of str
        The class of each cell of ``found`` that a person accepted; empty for the others.
    severity : mapping of class id to number
        Of the graded classes. One grade lower is the next lower number that a class has.

    Raises
    ------
    CytoError
        When the cell has no vector.
    """
    if class_id not in severity:
        return GradeNeighbours()
    row, own = row_of(found, cell_id), severity[class_id]
    grades = sorted(set(severity.values()))
    place = grades.index(own)
    next_grades = {step: grades[place + step] for step in (-1, 1) if 0 <= place + step < len(grades)}
    named = {}
    for step, grade in next_grades.items():
        of = {name for name, value in severity.items() if value == grade}
        among = np.array([n for n, name in enumerate(accepted) if name in of and n != row], dtype=np.intp)
        rows, _ = nearest(found.vectors, found.vectors[row : row + 1], 1, among)
        named[step] = found.ids[int(rows[0, 0])] if rows.size else ""
    return GradeNeighbours(named.get(-1, ""), named.get(1, ""))
