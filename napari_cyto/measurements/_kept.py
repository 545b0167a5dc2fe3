"""Measurements kept beside the project: a file a slide, in which each shape has its numbers.

A row is found by the shape that it was measured on, not by the cell: an outline that is changed has no numbers until it
is measured, and has its own again when the change is undone. The file is written whole, under another name first, so
that a program that is killed costs what it measured since, never what was there. Numbers of another file of the slide,
another µm per px or other formulas do not count.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, system_sentence
from napari_cyto.files.atomic import beside, drop_leftovers
from napari_cyto.files.lock import in_turn
from napari_cyto.files.user_folders import user_cache_dir
from napari_cyto.measurements._columns import COLUMNS
from napari_cyto.measurements._outlined_cells import SHAPE_BYTES
from napari_cyto.store import Project

FOLDER = "measurements"
FORMAT = 1
REVISION = 1
"""Counted up when the numbers change though their formulas read the same."""

_MOST_BYTES = 1 << 31
_SPARE_ROWS = 1_000
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def _formulas() -> str:
    said = repr((REVISION, [(column.name, column.formula) for column in COLUMNS]))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Kept:
    """The numbers of a slide's shapes.

    Parameters
    ----------
    mpp : float
        µm per level-0 px by which they were measured.
    size_hw : tuple of int
        Of the slide, level-0 px.
    shapes : ndarray, uint8 (n, SHAPE_BYTES)
        Their names.
    values : ndarray, float64 (n, len(COLUMNS))
        NaN where there is none.
    is_read : ndarray, bool (n,)
        False of shapes whose pixels could not be read, or that cover none.
    neighbourhood : bytes
        For which cells, in their order, the next two count.
    touches : ndarray, bool (m,)
        Whether a nucleus touches another one.
    inside : ndarray, float64 (m,)
        Nuclei inside its cytoplasm.
    """

    mpp: float
    size_hw: tuple[int, int]
    shapes: npt.NDArray[np.uint8]
    values: Floats
    is_read: Flags
    neighbourhood: bytes
    touches: Flags
    inside: Floats

    @classmethod
    def nothing(cls, mpp: float = 0.0, size_hw: tuple[int, int] = (0, 0)) -> Kept:
        """Return what is kept of a slide before anything was measured."""
        none, flags = np.zeros((0, len(COLUMNS))), np.zeros(0, bool)
        return cls(mpp, size_hw, np.zeros((0, SHAPE_BYTES), np.uint8), none, flags, b"", flags, np.zeros(0))

    @cached_property
    def _row_of(self) -> dict[bytes, int]:
        content = self.shapes.tobytes()
        return {content[n * SHAPE_BYTES : (n + 1) * SHAPE_BYTES]: n for n in range(len(self.shapes))}

    def rows_of(self, shapes: Sequence[bytes]) -> npt.NDArray[np.intp]:
        """Return the row of each shape, -1 where it was not measured."""
        row_of = self._row_of
        return np.fromiter((row_of.get(shape, -1) for shape in shapes), dtype=np.intp, count=len(shapes))

    def with_rows(self, shapes: Sequence[bytes], values: Floats, is_read: Flags, needed: Sequence[bytes]) -> Kept:
        """Return these and others, which take the place of those of the same shapes.

        ``needed`` are the shapes of now. Some others stay, for whoever undoes a change.
        """
        new, now = set(shapes), set(needed)
        old = [(shape, row) for shape, row in self._row_of.items() if shape not in new]
        spare = [row for shape, row in old if shape not in now][-_SPARE_ROWS:]
        stay = sorted([*(row for shape, row in old if shape in now), *spare])
        added = np.frombuffer(b"".join(shapes), np.uint8).reshape(-1, SHAPE_BYTES)
        return replace(
            self,
            shapes=np.concatenate([self.shapes[stay], added]),
            values=np.concatenate([self.values[stay], values]),
            is_read=np.concatenate([self.is_read[stay], is_read]),
        )


def measurements_folder(project: Project) -> Path:
    """Return where a project's measurements lie: in its folder, or in the user's cache for one at an address."""
    if Project.stands_for_database(project.folder):
        return user_cache_dir() / FOLDER / project.identity
    return project.folder / FOLDER


def kept_measurements(project: Project, record: SlideRecord) -> Kept:
    """Return what is kept of a slide; nothing where there is none, where it is damaged, or no longer of this slide."""
    path = _place(project, record)
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return Kept.nothing()
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            about = json.loads(stored["about"].tobytes())
            if about["of"] != _standing(record) or (record.mpp is not None and about["mpp"] != record.mpp):
                return Kept.nothing()
            found = Kept(
                float(about["mpp"]),
                (int(about["size_hw"][0]), int(about["size_hw"][1])),
                stored["shapes"],
                stored["values"],
                stored["is_read"],
                bytes.fromhex(about["neighbourhood"]),
                stored["touches"],
                stored["inside"],
            )
        return found if _is_whole(found) else Kept.nothing()
    except Exception:  # noqa: BLE001  zipfile and zlib raise of their own; what is damaged is measured again
        return Kept.nothing()


def _is_whole(found: Kept) -> bool:
    count = len(found.shapes)
    return (
        found.mpp > 0
        and (found.shapes.shape, found.shapes.dtype) == ((count, SHAPE_BYTES), np.dtype(np.uint8))
        and (found.values.shape, found.values.dtype) == ((count, len(COLUMNS)), np.dtype(np.float64))
        and (found.is_read.shape, found.is_read.dtype) == ((count,), np.dtype(bool))
        and found.touches.dtype == np.dtype(bool)
        and found.touches.shape == found.inside.shape == (len(found.touches),)
        and found.inside.dtype == np.dtype(np.float64)
    )


def keep_measurements(project: Project, record: SlideRecord, kept: Kept) -> None:
    """Keep the measurements of a slide; on the disk when this returns.

    Raises
    ------
    CytoError
        When the folder cannot be written or the disk is full; what was kept before stays then.
    """
    path = _place(project, record)
    about = {
        "of": _standing(record),
        "mpp": kept.mpp,
        "size_hw": list(kept.size_hw),
        "neighbourhood": kept.neighbourhood.hex(),
    }
    temporary = beside(path, "partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with in_turn(path.parent):
            drop_leftovers(path)
            with temporary.open("wb") as stream:
                np.savez(
                    stream,
                    about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
                    shapes=kept.shapes,
                    values=kept.values,
                    is_read=kept.is_read,
                    touches=kept.touches,
                    inside=kept.inside,
                )
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
    except OSError as error:
        raise CytoError(f"The measurements cannot be kept in {path.parent}: {system_sentence(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _standing(record: SlideRecord) -> list[str]:
    """Return what all numbers of a slide depend on."""
    return [str(FORMAT), _formulas(), record.fingerprint]


def _place(project: Project, record: SlideRecord) -> Path:
    return measurements_folder(project) / f"{record.id}.npz"
