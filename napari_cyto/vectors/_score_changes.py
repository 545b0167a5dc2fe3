"""What has changed on a slide since a model of slides scored it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.counts import counted
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project
from napari_cyto.vectors._project_vectors import CellVectors, cell_places, cell_vectors, vector_kinds
from napari_cyto.vectors._slide_scores import Attention, SlideScore
from napari_cyto.vectors._vector_file import VectorFileError


def digest_of(ids: Sequence[str], vectors: npt.NDArray[np.floating]) -> str:
    """Return what tells the vectors (n, length) of cells from others, whatever the order of the cells."""
    order = np.argsort(np.array(ids, dtype="U64"), kind="stable")
    return f"{zlib.crc32(np.ascontiguousarray(vectors[order], dtype=np.float16).tobytes()):08x}"


def changes_since(project: Project, record: SlideRecord, score: SlideScore, kept: Attention | None) -> tuple[str, ...]:
    """Return what has changed on a slide since it was scored, as parts of a sentence; empty where nothing has.

    Parameters
    ----------
    project : Project
        Whose slide it is.
    record : SlideRecord
        The slide as it is now.
    score : SlideScore
        What was said of it.
    kept : Attention or None
        What was looked at then, as `attention_of` reads it.

    Raises
    ------
    CytoError
        When what is kept beside the project is damaged.
    """
    found = []
    if score.mpp is not None and record.mpp != score.mpp:
        now_is = "unknown" if record.mpp is None else f"{record.mpp:g}"
        found.append(f"its µm per px was {score.mpp:g}, and is {now_is}")
    if score.bag == "cells" and score.vectors:
        vectors = _vectors_now(project, record, score)
        if vectors is None:
            found.append("the vectors of its cells are gone")
        elif kept is not None:
            found += _of_cells(kept, set(cell_places(project, record.id).ids), vectors, score)
    return tuple(found)


def _vectors_now(project: Project, record: SlideRecord, score: SlideScore) -> CellVectors | None:
    kind = next((kind for kind in vector_kinds(project) if kind.folder_name == score.vectors), None)
    try:
        return None if kind is None else cell_vectors(project, kind, record.id)
    except VectorFileError:
        return None


def _of_cells(kept: Attention, cells: set[str], now: CellVectors, score: SlideScore) -> list[str]:
    before, after = set(kept.ids), set(now.ids)
    place = dict(zip(now.ids, now.centres_yx.tolist(), strict=True))
    was = zip(kept.ids, kept.centres_yx.tolist(), strict=True)
    changes = (
        (max(len(after - before), len(cells - before) - score.without), "added"),
        (len(before - cells), "removed"),
        # A cell that was moved has no vector of its new place before the next embed.
        (sum(cell in cells and place.get(cell) != centre for cell, centre in was), "moved"),
    )
    found = [f"{counted(n, 'cell')} {words}" for n, words in changes if n > 0]
    if not found and score.digest and digest_of(now.ids, now.vectors) != score.digest:
        found.append("the vectors of its cells are others")
    return found
