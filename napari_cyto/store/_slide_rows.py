"""Slide records as rows of the ``slide`` table, and where their pixel files lie."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.store._validity import (
    MPP,
    NAME,
    NUMBER,
    OFFSET,
    PATH,
    SIZE,
    TEXT,
    UNREADABLE,
    Check,
    RowFault,
    check_new,
    check_row,
    need,
)

_PROGRESS = {progress.value: progress for progress in Progress}
_OWN_CHECKS: dict[str, Check] = {
    "id": NAME,
    "name": TEXT,
    "height": SIZE,
    "width": SIZE,
    "mpp": MPP,
    "mpp_source": TEXT,
    "smear": TEXT,
    "patient": TEXT,
    "stem": TEXT,
    "offset_y": OFFSET,
    "offset_x": OFFSET,
    "side": TEXT,
    "fingerprint": TEXT,
}
_CHECKS = {"pk": NUMBER, **_OWN_CHECKS, "path": PATH, "path_absolute": PATH}


def stored_path(path: str, folder: Path) -> str:
    """Return how a project in ``folder`` stores the path of a file: relative to itself, at any depth.

    Links are not followed: who links slides next to a project means them to be there. On another disk, or of a project
    at the root of one, the path is absolute.
    """
    if not path:
        return ""
    file, here = absolute_path(path), absolute_path(folder)
    # Everything is beside a project that lies at the root of a disk; moving it would take nothing along.
    if here.parent == here.parent.parent or file.anchor != here.anchor:
        return str(file)
    return Path(os.path.relpath(file, here)).as_posix()


def places(stored: str, absolute: str, folder: Path) -> list[Path]:
    """Return where a file may lie while the project lies in ``folder``, the likeliest place first.

    A file under or beside the project goes along with it. One farther away may have stayed, or have moved together with
    the project (as two folders of one study do), so there the place where it was goes first.
    """
    if not stored:
        return []
    relative = absolute_path(folder / stored)
    was = absolute_path(absolute) if absolute else relative
    both = [relative, was] if relative.is_relative_to(absolute_path(folder).parent) else [was, relative]
    return list(dict.fromkeys(both))


def shown_path(stored: str, absolute: str, folder: Path) -> str:
    """Return the absolute path that a record shows: the first place where something is, else the likeliest."""
    candidates = places(stored, absolute, folder)
    if len(candidates) > 1 and candidates[0] != absolute_path(folder / stored) and not is_there(candidates[0]):
        return str(next((place for place in candidates if is_there(place)), candidates[0]))
    return str(candidates[0]) if candidates else ""


def is_there(place: Path) -> bool:
    """Whether a file or folder lies at a place; one that cannot be asked does not."""
    try:
        return place.exists()
    except OSError:
        return False


def path_columns(path: str, folder: Path) -> dict[str, str]:
    """Return the columns that store where a pixel file lies; the absolute one is the second chance."""
    return {"path": stored_path(path, folder), "path_absolute": str(absolute_path(path)) if path else ""}


def absolute_path(path: Path | str) -> Path:
    """Return an absolute path without ``..`` and without following links, which `Path.resolve` would."""
    return Path(os.path.normpath(Path(path).absolute()))


def slide_columns(record: SlideRecord) -> dict[str, Any]:
    """Return the columns of a record, but for where its pixels lie.

    Raises
    ------
    StoreError
        When a value is none that could be read again, such as a height below 1.
    """
    height, width = record.size_hw or (None, None)
    offset_y, offset_x = record.offset_yx or (None, None)
    columns = {
        "id": record.id,
        "name": record.name,
        "height": None if height is None else int(height),
        "width": None if width is None else int(width),
        "mpp": None if record.mpp is None else float(record.mpp),
        "mpp_source": record.mpp_source,
        "smear": record.smear,
        "patient": record.patient,
        "stem": record.stem,
        "offset_y": None if offset_y is None else int(offset_y),
        "offset_x": None if offset_x is None else int(offset_x),
        "side": record.side,
        "fingerprint": record.fingerprint,
        "progress": record.progress.value,
    }
    check_new(f"The slide {record.name!a:.80}", columns, _OWN_CHECKS)
    return columns


def check_slide(row: Mapping[str, Any]) -> None:
    """Refuse a row of ``slide`` that this program never writes.

    Raises
    ------
    RowFault
        Naming the field.
    """
    pk = row["pk"]
    check_row("slide", pk, row, _CHECKS)
    for a, b in (("height", "width"), ("offset_y", "offset_x")):
        pair = (row[a], row[b])
        need(pair.count(None) != 1, "slide", pk, f"{a}, {b}", pair, "both or neither")
    need(row["progress"] in _PROGRESS, "slide", pk, "progress", row["progress"], f"one of {', '.join(_PROGRESS)}")


def record_of(row: Row[Any], folder: Path) -> SlideRecord:
    """Return the record that a row of ``slide`` holds; its path is absolute.

    Raises
    ------
    RowFault
        When this program never writes such a row.
    """
    check_slide(dict(row._mapping))
    try:
        path = shown_path(row.path, row.path_absolute, folder)
    except UNREADABLE as error:
        raise RowFault("slide", row.pk, "path", row.path, "the path of a file") from error
    return SlideRecord(
        name=row.name,
        path=path,
        size_hw=None if row.height is None else (row.height, row.width),
        mpp=row.mpp,
        mpp_source=row.mpp_source,
        smear=row.smear,
        patient=row.patient,
        stem=row.stem,
        offset_yx=None if row.offset_y is None else (row.offset_y, row.offset_x),
        side=row.side,
        fingerprint=row.fingerprint,
        progress=_PROGRESS[row.progress],
        id=row.id,
    )
