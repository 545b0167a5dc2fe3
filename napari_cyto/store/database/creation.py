"""Making the database of a new project: all of it or nothing, and never in the place of what is there."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from sqlalchemy import Connection, insert, inspect

from napari_cyto.domain.annotation import now_utc
from napari_cyto.domain.annotation_rows import to_us
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.errors import ProjectThereError
from napari_cyto.store._core import scheme_text
from napari_cyto.store.database import sqlite
from napari_cyto.store.database._postgresql import parsed
from napari_cyto.store.database.connection import create_tables, open_file, open_url
from napari_cyto.store.database.links import address_of
from napari_cyto.store.database.log_owner import beside, set_aside
from napari_cyto.store.database.place import DATABASE_NAME, check_length, refusal, sweep, unfinished_name
from napari_cyto.store.database.schema import SCHEMA_VERSION, project

_TRIES = 5


def make(folder: Path, scheme: ClassScheme, name: str, url: str | None, called: Path | None = None) -> None:
    """Make the database of a new project, complete or not at all.

    Parameters
    ----------
    folder : Path
        The project's folder, made if it is not there.
    scheme : ClassScheme
        Its classes.
    name : str
        What people call it; the folder's name if empty.
    url : str or None
        Of its database, when that is not the file in the folder.
    called : Path, optional
        What sentences call the folder, when it is made under another name first.

    Raises
    ------
    ProjectThereError
        When there is a project already.
    StoreError
        When the place cannot be written or the disk is full; nothing of it stays then.
    """
    url = url or address_of(folder)
    if url is not None:
        name = name or str(parsed(url).database)
    row = {
        "pk": 1,
        "schema_version": SCHEMA_VERSION,
        "name": name or folder.name.removesuffix(".cyto"),
        "scheme": scheme_text(scheme),
        "revision": 0,
        "created_us": to_us(now_utc()),
    }
    if url is not None:
        _make_at(url, row)
        return
    called = called or folder
    check_length(folder / DATABASE_NAME, called)
    if os.path.lexists(folder / DATABASE_NAME):
        raise _there(called)
    content = sqlite.new_file(lambda connection: _fill_all(connection, row))
    made: list[Path] = []
    try:
        _write(folder, content, called, made)
    except BaseException:
        # What somebody else put there since stays.
        for each in made:
            with contextlib.suppress(OSError):
                each.rmdir()
        raise


def _fill_all(connection: Connection, row: dict[str, object]) -> None:
    create_tables(connection)
    connection.execute(insert(project), row)


def _make_at(url: str, row: dict[str, object]) -> None:
    database = open_url(url)
    try:
        with database.write() as connection:
            if inspect(connection).has_table(project.name):
                raise ProjectThereError(
                    f"There is already a project in {database.place}; open it, or give an empty database."
                )
            _fill_all(connection, row)
    finally:
        database.close()


def _there(called: Path) -> ProjectThereError:
    return ProjectThereError(f"There is already a project in {called}; open it, or choose another folder.")


def _write(folder: Path, content: bytes, called: Path, made: list[Path]) -> None:
    path = folder / DATABASE_NAME
    for tries in range(_TRIES):
        temporary = folder / unfinished_name()
        try:
            _make_folder(folder, made)
            sweep(folder)
            _write_whole(temporary, content)
            _try_out(temporary, called)
            _clear_logs(path)
            give_name(temporary, path)
        except FileExistsError:
            raise _there(called) from None
        except FileNotFoundError as error:
            # The folder went: another program, which failed to make a project in it, cleaned up.
            if tries == _TRIES - 1:
                raise refusal(error, f"The project {called} cannot be made", called) from error
        except OSError as error:
            raise refusal(error, f"The project {called} cannot be made", called) from error
        else:
            _sync_folder(folder)
            return
        finally:
            for each in (temporary, *(beside(temporary, suffix) for suffix in ("-wal", "-shm"))):
                with contextlib.suppress(OSError):
                    each.unlink(missing_ok=True)


def _make_folder(folder: Path, made: list[Path]) -> None:
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        try:
            each.mkdir()
        except FileExistsError:
            if not each.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(each)) from None
        else:
            made.insert(0, each)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def _write_whole(temporary: Path, content: bytes) -> None:
    with temporary.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _try_out(temporary: Path, called: Path) -> None:
    """Write to the new database once, which needs room for its log and locks that work, before anybody sees it."""
    database = open_file(temporary, busy_seconds=5.0, called=called / DATABASE_NAME)
    try:
        with database.write():
            pass
    finally:
        database.close()
    if beside(temporary, "-wal").exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())


def _clear_logs(path: Path) -> None:
    """Put away the logs of a database that is gone: SQLite would write what is in them into the new one."""
    logs = [suffix for suffix in ("-wal", "-journal") if _is_filled(beside(path, suffix))]
    if logs and not os.path.lexists(path):
        set_aside(path, (*logs, "-shm"))


def _is_filled(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def give_name(temporary: Path, path: Path) -> None:
    """Call ``temporary`` ``path``, unless there is something of that name.

    Raises
    ------
    FileExistsError
        When there is.
    OSError
        When it cannot be done.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        # A share may have done what it then says it could not.
        if not temporary.samefile(path):
            raise
    except (OSError, NotImplementedError, AttributeError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT):
            raise
        _claim_name(temporary, path)


def _claim_name(temporary: Path, path: Path) -> None:
    """The same where a file cannot have two names, as on a memory stick: the name is taken first, then filled."""
    if os.name == "nt":
        # Refuses what is there.
        temporary.rename(path)
        return
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        temporary.replace(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    # Windows cannot open folders; its file systems keep their names safe by themselves.
    if os.name == "posix":
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
