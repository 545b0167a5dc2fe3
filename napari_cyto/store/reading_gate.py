"""Who may open what while a project is read a second time, and what a reading takes in.

A reading is a project of its own in the project that it belongs to: ``MAIN.cyto/readings/ID.cyto``. Who has begun one
and has neither finished it nor handed it back opens that alone. A reader is who the name says
(`napari_cyto.files.reader`): this keeps honest people blind, and stops nobody who takes another name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection

from napari_cyto.domain.annotation import DRAWN
from napari_cyto.domain.edits import Edit
from napari_cyto.errors import StoreError
from napari_cyto.store._settings import read_setting
from napari_cyto.store.database.links import address_of
from napari_cyto.store.database.open_project import reach
from napari_cyto.store.database.place import DATABASE_NAME

READINGS = "readings.list"
"""Of the main project: its readings, each a record with ``id``, ``reader`` and ``state``."""
OF_READING = "reading.of"
"""Of a reading's own project: which reading it is."""
GIVEN = "reading.cells"
"""Of a reading's own project: the cells that it gives, in their order: id, slide, y and x (level-0 px)."""
LOCKED = "reading.locked"
"""Of a reading's own project: when it was finished or handed back."""
FOLDER = "readings"
BEGUN = "begun"
_BUSY_SECONDS = 5.0


class _Opened(Protocol):
    """What the gate asks of a project."""

    @property
    def folder(self) -> Path: ...

    def setting(self, key: str, default: Any = None) -> Any: ...


def begun_by(reader: str, listed: Sequence[Mapping[str, Any]]) -> str:
    """Return the id of the reading that a reader has begun and not finished; empty where there is none."""
    return next((each["id"] for each in listed if each["reader"] == reader and each["state"] == BEGUN), "")


def place_of_reading(folder: Path, reading_id: str) -> Path:
    """Return where a reading's own project lies: in the folder of the main project, or what stands for its database."""
    return folder / FOLDER / f"{reading_id}.cyto"


def check_reader(project: _Opened, place: Path, reader: str) -> None:
    """Refuse a project to who may not see it now.

    Parameters
    ----------
    project : Project
        Just opened.
    place : Path
        Its folder or database file, absolute.
    reader : str
        Who opens it.

    Raises
    ------
    StoreError
        When the reader has begun a reading here and not finished it, or it is another reader's that is not finished.
    """
    of = project.setting(OF_READING, {})
    if of and not project.setting(LOCKED, {}):
        if of["reader"] != reader:
            raise StoreError(
                f"This is the reading {of['id']} of {of['reader']}, which is not finished; only {of['reader']} can "
                f"open it until then, and you are {reader} (change the reader in the Slides dock, or by napari-cyto "
                "reading reader NAME)."
            )
        return
    begun = begun_by(reader, project.setting(READINGS, []))
    if begun:
        raise StoreError(_closed(reader, begun, project.folder))
    # The project that is open was asked itself: a second opening of its file could take the log from under it.
    is_its_own = place in (project.folder, project.folder / DATABASE_NAME)
    _check_folders(project.folder.parents if is_its_own else (place, *place.parents), place, reader)


def check_path(place: Path, reader: str) -> None:
    """Refuse what lies in a project's folder, such as a backup, an export or another's reading, while that is closed.

    Parameters
    ----------
    place : Path
        A file or folder; there may be none.
    reader : str
        Who opens it.

    Raises
    ------
    StoreError
        When it lies in the folder of a project, or is one, in which the reader has begun a reading, and not in the
        folder of that.
    """
    place = place.absolute()
    _check_folders((place, *place.parents), place, reader)


def _check_folders(folders: Iterable[Path], place: Path, reader: str) -> None:
    """Refuse a place in one of some folders in which the reader has begun a reading, but not in that reading's own."""
    for folder in folders:
        # No reading was begun where no folder of readings is.
        if not (folder / FOLDER).is_dir() or not ((folder / DATABASE_NAME).is_file() or address_of(folder)):
            continue
        begun = begun_by(reader, _listed(folder))
        own = place_of_reading(folder, begun)
        if begun and place != own and own not in place.parents:
            raise StoreError(_closed(reader, begun, folder))


def _listed(folder: Path) -> list[dict[str, Any]]:
    """Return the readings of the project in a folder."""
    _, database = reach(folder, None, _BUSY_SECONDS, even_damaged=True)
    try:
        with database.read() as connection:
            listed: list[dict[str, Any]] = read_setting(connection, READINGS, [])
            return listed
    finally:
        database.close()


def _closed(reader: str, reading_id: str, folder: Path) -> str:
    return (
        f"{reader} has begun the reading {reading_id} of this project and sees nothing else of it until that is done: "
        f"open {place_of_reading(folder, reading_id)}, and finish the reading or hand it back in the Readings dock, or "
        f"by napari-cyto reading finish (or hand-back) {folder} {reading_id}."
    )


def check_unlocked(connection: Connection, of: Mapping[str, Any]) -> None:
    """Refuse to change a reading that is finished or was handed back.

    Raises
    ------
    StoreError
        When it is.
    """
    locked = read_setting(connection, LOCKED, {})
    if locked:
        raise StoreError(
            f"The reading {of['id']} of {of['reader']} was {locked['as']} on {locked['at'][:10]} and is locked; "
            "nothing was changed. Assign another reading to have it read again."
        )


def check_edit(edit: Edit, author: str, of: Mapping[str, Any], given: Collection[str]) -> None:
    """Refuse an edit of a reading that is not its reader's own work.

    Parameters
    ----------
    edit : Edit
        What is to be changed.
    author : str
        Who changes it.
    of : mapping
        Which reading it is.
    given : collection of str
        Ids of the cells that it gives; empty where the reader finds them.

    Raises
    ------
    StoreError
        When somebody else changes it, annotations come from a model or a file, or cells are added to given ones.
    """
    rule = ""
    if author != of["reader"]:
        rule = f"takes only what {of['reader']} annotates, got an edit of {author}"
    elif any(c.after is not None and c.after.origin != DRAWN for c in edit.changes):
        rule = "takes no predictions and no imported annotations"
    elif given and any(c.annotation_id not in given for c in edit.changes):
        rule = "gives its cells, and none can be added"
    if rule:
        raise StoreError(f"The reading {of['id']} {rule}; nothing was changed.")


def refuse_import(of: Mapping[str, Any]) -> None:
    """Refuse to import into a reading.

    Raises
    ------
    StoreError
        When the project is one.
    """
    if of:
        raise StoreError(
            f"The reading {of['id']} takes no predictions and no imported annotations; nothing was changed."
        )
