"""The vectors of a project: where they lie, of which encoders there are any, and those of its cells as they are now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.files.user_folders import user_cache_dir
from napari_cyto.store import Project
from napari_cyto.vectors._vector_file import ABOUT_NAME, VectorFile, VectorFileError, VectorKind, Vectors, read_kind

FOLDER = "vectors"


@dataclass(frozen=True, slots=True)
class CellPlaces:
    """Where the cells of a slide lie: what a vector is of.

    Parameters
    ----------
    ids : tuple of str
        The annotations that are cells, not regions.
    centres_yx : ndarray, float64 (n, 2)
        Level-0 px; of an outline the middle of its bounds.
    """

    ids: tuple[str, ...]
    centres_yx: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CellVectors:
    """The vectors of a project's cells by one encoder.

    Parameters
    ----------
    kind : VectorKind
        Whose they are.
    ids, slide_ids : tuple of str
        The cells that have a vector of where they lie now, and the slide of each.
    centres_yx : ndarray, float64 (n, 2)
        Where they lie, level-0 px.
    vectors : ndarray, float16 (n, length)
        Read-only, a row for each of ``ids``; not normalised.
    without : int
        Cells of the project that have none.
    """

    kind: VectorKind
    ids: tuple[str, ...]
    slide_ids: tuple[str, ...]
    centres_yx: npt.NDArray[np.float64]
    vectors: Vectors
    without: int


def vectors_folder(project: Project) -> Path:
    """Return where a project's vectors lie: in its folder, or in the user's cache for one at a database's address."""
    if Project.stands_for_database(project.folder):
        return user_cache_dir() / FOLDER / project.identity
    return project.folder / FOLDER


def vector_kinds(project: Project) -> tuple[VectorKind, ...]:
    """Return of which encoders and crop rules a project has vectors, the newest first.

    What cannot be read is left out here; opening it says so.
    """
    folder = vectors_folder(project)
    try:
        found = [(path.stat().st_mtime_ns, path.parent) for path in folder.glob(f"*/{ABOUT_NAME}")]
    except OSError:
        return ()
    kinds = []
    for _, place in sorted(found, reverse=True):
        try:
            kinds.append(read_kind(place))
        except CytoError:
            continue
    return tuple(kinds)


def open_vectors(project: Project, kind: VectorKind) -> VectorFile:
    """Return the file of a project's vectors of one kind, which may be empty.

    Raises
    ------
    CytoError
        When it cannot be read, or is of another kind.
    """
    return VectorFile(vectors_folder(project), kind)


def cell_places(project: Project, slide_id: str) -> CellPlaces:
    """Return where the cells of a slide lie."""
    rows = [(cell[0], cell[1], cell[2]) for part in project.cell_rows(slide_id) for cell in part]
    centres = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 2)
    return CellPlaces(tuple(row[0] for row in rows), centres)


def cell_vectors(project: Project, kind: VectorKind, slide_id: str | None = None) -> CellVectors:
    """Return the vectors of the cells of a project, or of one slide of it, that lie where they were taken.

    Raises
    ------
    VectorFileError
        When there are none of this kind.
    CytoError
        When they cannot be read.
    """
    file = open_vectors(project, kind)
    if not len(file):
        raise VectorFileError(
            f"Expected vectors of the project's cells by {kind.encoder}, got none; make them with: napari-cyto embed "
            f"PROJECT --encoder {kind.encoder}."
        )
    parts = list(_parts(project, file, slide_id))
    ids = tuple(i for part in parts for i in part.places.ids)
    return CellVectors(
        kind,
        ids,
        tuple(part.slide_id for part in parts for _ in part.places.ids),
        np.concatenate([part.places.centres_yx for part in parts] + [np.empty((0, 2))]),
        file.vectors(file.rows_of(ids)),
        sum(part.without for part in parts),
    )


def cells_with_vectors(project: Project, kind: VectorKind) -> tuple[tuple[str, ...], int]:
    """Return the cells that `cell_vectors` would return, and how many have none, without reading the vectors.

    Raises
    ------
    CytoError
        When they cannot be read.
    """
    parts = list(_parts(project, open_vectors(project, kind), None))
    return tuple(i for part in parts for i in part.places.ids), sum(part.without for part in parts)


@dataclass(frozen=True, slots=True)
class _Part:
    """The cells of a slide that have a vector, and how many have none."""

    slide_id: str
    places: CellPlaces
    without: int


def _parts(project: Project, file: VectorFile, slide_id: str | None) -> Iterator[_Part]:
    for slide in [slide_id] if slide_id is not None else [s.id for s in project.slides()]:
        places = cell_places(project, slide)
        has_one = np.ones(len(places.ids), dtype=bool)
        has_one[file.lacking(places.ids, [slide] * len(places.ids), places.centres_yx).positions] = False
        ids = tuple(places.ids[n] for n in np.flatnonzero(has_one).tolist())
        yield _Part(slide, CellPlaces(ids, places.centres_yx[has_one]), int((~has_one).sum()))
