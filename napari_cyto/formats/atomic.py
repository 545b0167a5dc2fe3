"""Files and folders that appear complete or not at all: temporary name, fsync, rename."""

from __future__ import annotations

import codecs
import errno
import hashlib
import json
import os
import platform
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from napari_cyto.errors import FormatError

EXPORT_RECORD = "napari-cyto-export.json"
# A process number says nothing on another machine that writes to the same disk.
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_LEFT_BY_SYSTEMS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_LOOKED_AT_BYTES = 64 * 1024
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_file(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; what is written there replaces it when the block ends well.

    Raises
    ------
    FormatError
        When ``target`` is no text file (a slide, a project's database), the place cannot be written or the
        disk is full; ``target`` is then as it was.
    """
    path = Path(target)
    temporary = beside(path, "partial")
    try:
        _check_text_or_nothing(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync_file(temporary)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if not _concerns(error, temporary, path):
            raise
        raise _sentence(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _check_text_or_nothing(path: Path) -> None:
    # One slip in a file name must not cost a slide, or the project that is being exported.
    if path.is_dir():
        raise FormatError("this is a folder, but a file is to be written; choose a file name.", path)
    if not path.exists():
        return
    if not path.is_file():
        raise FormatError("this is a device, no file, so it is not replaced; choose a file name.", path)
    with path.open("rb") as stream:
        start = stream.read(_LOOKED_AT_BYTES)
    if b"\x00" in start and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FormatError("the file there is no label file but binary, so it is not replaced; choose a new name.", path)


def write_text(target: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 ``text`` with its line ends as they are, atomically.

    Raises
    ------
    FormatError
        When the place cannot be written or the disk is full.
    """
    with atomic_file(target) as temporary:
        temporary.write_bytes(text.encode("utf-8", "replace"))


@contextmanager
def atomic_folder(target: str | os.PathLike[str], record: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; it takes the place of ``target`` when the block ends well.

    Parameters
    ----------
    target : path
        The folder to make. One that is there already is replaced as a whole, if it is empty or an
        earlier export.
    record : mapping, optional
        JSON-able values for the file ``napari-cyto-export.json``, by which a later export knows that it
        may replace the folder.

    Raises
    ------
    FormatError
        When ``target`` holds something else, the place cannot be written or the disk is full;
        ``target`` is then as it was.
    """
    path = Path(target)
    _recover(path)
    check_replaceable(path)
    drop_leftovers(path)
    temporary = beside(path, "partial")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _write_record(temporary, record or {})
        _sync_tree(temporary)
        _swap_in(temporary, path)
    except OSError as error:
        if not _concerns(error, temporary, path):
            raise
        raise _sentence(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_replaceable(target: str | os.PathLike[str]) -> None:
    """Refuse a target folder that holds something that is not an earlier export.

    Raises
    ------
    FormatError
        One sentence that says what is there.
    """
    path = Path(target)
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        raise FormatError("a folder is to be written, but something else of this name is there.", path)
    try:
        names = sorted(entry.name for entry in path.iterdir())
    except OSError as error:
        raise _sentence(error, path) from error
    if names and EXPORT_RECORD not in names:
        raise FormatError(
            f"this folder is not empty and not an earlier export (it holds {names[0]}"
            f"{' and more' if len(names) > 1 else ''}), so it is not replaced; choose a new or empty folder.",
            path,
        )
    added = _added_since(path, names)
    if added:
        raise FormatError(
            f"this earlier export holds something that was put there later ({added}), so it is not replaced; "
            "move that away or choose a new folder.",
            path,
        )


def _write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write, or complete, the record of an export with what it consists of."""
    path = folder / EXPORT_RECORD
    content = json.loads(path.read_bytes()) if path.exists() else {"by": "napari-cyto", **record}
    names = sorted({entry.name for entry in folder.iterdir()} | {EXPORT_RECORD})
    content |= {"entries": names, "files": _count_files(folder) + (not path.exists())}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_bytes((text + "\n").encode("utf-8", "replace"))


def _added_since(folder: Path, names: list[str]) -> str:
    """Return what lies in an earlier export that it did not write, or nothing."""
    try:
        record = json.loads((folder / EXPORT_RECORD).read_bytes())
        entries, files = set(record["entries"]), int(record["files"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""  # no export at all, or one of a version that did not count
    foreign = [name for name in names if name not in entries and name not in _LEFT_BY_SYSTEMS]
    more = _count_files(folder) - files
    return foreign[0] if foreign else f"{more} more file(s) than it wrote" if more > 0 else ""


def _count_files(folder: Path) -> int:
    return sum(name not in _LEFT_BY_SYSTEMS for _, _, files in os.walk(folder) for name in files)


def beside(path: Path, what: str) -> Path:
    """Return a hidden name beside ``path`` that says which process of which machine it belongs to."""
    return path.parent / f".{path.name[:60]}.{what}-{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def drop_leftovers(path: Path) -> None:
    """Remove what killed work on the same place left beside it, if it ran on this machine and is gone."""
    if not path.parent.is_dir():
        return
    for left in path.parent.glob(f".{_escaped(path.name[:60])}.partial-{_HOST}-*-*"):
        pid = left.name.rsplit("-", 2)[1]
        if pid.isdigit() and not _runs(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _runs(pid: int) -> bool:
    if os.name == "nt":  # asking there would end the process; a leftover is then kept rather than guessed about
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _swap_in(new: Path, path: Path) -> None:
    if not path.exists():
        new.rename(path)
    else:
        previous = beside(path, "previous")
        path.rename(previous)
        try:
            new.rename(path)
        except OSError:
            previous.rename(path)
            raise
        shutil.rmtree(previous, ignore_errors=True)
    _sync_folder(path.parent)


def _recover(path: Path) -> None:
    # A machine that stopped between the two renames of _swap_in leaves the old folder under its hidden name.
    if os.path.lexists(path) or not path.parent.is_dir():
        return
    left = sorted(path.parent.glob(f".{_escaped(path.name[:60])}.previous-*"))
    if len(left) == 1:
        with suppress(OSError):
            left[0].rename(path)


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _sync_tree(folder: Path) -> None:
    for where, _, names in os.walk(folder):
        for name in names:
            _sync_file(Path(where, name))
        _sync_folder(Path(where))


def _sync_file(path: Path) -> None:
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())


def _sync_folder(path: Path) -> None:
    # Windows cannot open a folder; its rename is durable without it.
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _concerns(error: OSError, *paths: Path) -> bool:
    if error.errno in _DISK:
        return True
    named = "" if error.filename is None else str(error.filename)
    return any(named.startswith(str(p)) or named == str(p.parent) for p in paths)


def _sentence(error: OSError, path: Path) -> FormatError:
    if error.errno in _DISK:
        return FormatError("the disk is full; what was there before is untouched. Free some space and try again.", path)
    return FormatError(f"cannot be written ({error.strerror or error}); choose another place.", path)
