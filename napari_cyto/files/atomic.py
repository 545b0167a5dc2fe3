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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from napari_cyto.errors import FormatError
from napari_cyto.files.processes import runs

EXPORT_RECORD = "napari-cyto-export.json"
OVERWRITE_WORDS = "(--overwrite)"
"""Part of the refusal to replace what a person may allow to be replaced, for windows that ask."""
# A process number says nothing on another machine that writes to the same disk.
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_LEFT_BY_SYSTEMS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_LOOKED_AT_BYTES = 64 * 1024
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_file(target: str | os.PathLike[str], last_wins: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; what is written there replaces it when the block ends well.

    Parameters
    ----------
    target : path
        The file to be.
    last_wins : bool
        Whether ``target`` is replaced although somebody else wrote it meanwhile, as with a program's own settings.

    Raises
    ------
    FormatError
        When ``target`` is no text file (a slide, a project's database) or was changed meanwhile, the place cannot be
        written or the disk is full; ``target`` is then as it was.
    """
    path = Path(target)
    temporary = beside(path, "partial")
    try:
        _check_text_or_nothing(path)
        before = signature(path)
        drop_leftovers(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync_file(temporary)
        if not last_wins:
            _check_unchanged(path, before)
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
        raise FormatError("expected the name of a file to write, got a folder.", path)
    if not path.exists():
        return
    if not path.is_file():
        raise FormatError("this is a device, not a file, so it is not replaced; choose a file name.", path)
    with path.open("rb") as stream:
        start = stream.read(_LOOKED_AT_BYTES)
    if b"\x00" in start and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FormatError("the file there is binary, not a label file, so it is not replaced; choose a new name.", path)


def signature(path: Path) -> tuple[int, ...] | None:
    """Return what changes when a file does, without reading it; None where there is none."""
    try:
        known = path.stat()
    except OSError:
        return None
    return (known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns)


def _check_unchanged(path: Path, before: tuple[int, ...] | None) -> None:
    if signature(path) != before:
        raise FormatError(
            "somebody else wrote to it while it was being made, so it is not replaced; check it, then try again.",
            path,
        )


def write_text(target: str | os.PathLike[str], text: str, last_wins: bool = True) -> None:
    """Write UTF-8 ``text`` with its line ends as they are, atomically; see `atomic_file`.

    Raises
    ------
    FormatError
        When the place cannot be written or the disk is full.
    """
    with atomic_file(target, last_wins) as temporary:
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
    before = tree_signature(path)
    drop_leftovers(path)
    temporary = beside(path, "partial")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _sync_tree(temporary)
        _, project = _EXPORTS.get(os.path.abspath(path), (False, ""))  # noqa: PTH100
        _write_record(temporary, {**(record or {}), **({"project": project} if project else {})})
        _sync_file(temporary / EXPORT_RECORD)
        _sync_folder(temporary)
        _swap_in(temporary, path, before)
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
        raise FormatError("expected to write a folder, but something else has this name.", path)
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
    overwrite, project = _EXPORTS.get(os.path.abspath(path), (False, ""))  # noqa: PTH100  it need not be there
    if overwrite:
        return
    of = _record_of(path).get("project", "")
    if project and of not in ("", project):
        raise FormatError(
            "this folder is an export of another project, so it is not replaced; choose a new folder, or allow it "
            f"{OVERWRITE_WORDS}.",
            path,
        )
    added = _added_since(path, names)
    if added:
        raise FormatError(
            f"this earlier export holds something that was put there later ({added}), so it is not replaced; "
            f"move that away or choose a new folder, or allow it {OVERWRITE_WORDS}.",
            path,
        )
    changed = changed_file(path)
    if changed:
        raise FormatError(
            f"{changed} in this earlier export was changed since, so the folder is not replaced; "
            f"choose a new folder, or allow it {OVERWRITE_WORDS}.",
            path,
        )


@contextmanager
def exporting(target: str | os.PathLike[str], overwrite: bool, project: str = "") -> Iterator[None]:
    """Say what is being exported to a folder, for what is checked and recorded of it within the block.

    Parameters
    ----------
    target : path
        The folder to be.
    overwrite : bool
        Whether a person allowed that an earlier export be replaced although it was changed or is of another project.
        A folder that is no export never is.
    project : str
        The `Project.identity` of what is exported; empty where it replaces an export of any project.
    """
    key = os.path.abspath(target)  # noqa: PTH100  it need not be there
    _EXPORTS[key] = (overwrite, project)
    try:
        yield
    finally:
        _EXPORTS.pop(key, None)


_EXPORTS: dict[str, tuple[bool, str]] = {}


def _record_of(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / EXPORT_RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write, or complete, the record of an export with what it consists of."""
    path = folder / EXPORT_RECORD
    content = {"by": "napari-cyto", **(json.loads(path.read_bytes()) if path.exists() else {}), **record}
    names = sorted({entry.name for entry in folder.iterdir()} | {EXPORT_RECORD})
    content |= {"entries": names, "files": _count_files(folder) + (not path.exists())}
    if "kind" not in content:
        # A model bundle has hashes of its own, and grows by what is measured on it.
        content["sha256"] = dict(hashed_files(folder))
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_bytes((text + "\n").encode("utf-8", "replace"))


def hashed_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the files of an export, by their place in it, each with the hash of what is in it."""
    for name in _files_of(folder):
        yield name, file_hash(folder / name)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def changed_file(folder: Path) -> str:
    """Return which file of an earlier export is not what was written, or is gone; nothing where all are as they were.

    Exports of versions that kept no hashes count as they are.

    Raises
    ------
    FormatError
        When a file cannot be read.
    """
    written = _record_of(folder).get("sha256")
    known: dict[str, object] = written if isinstance(written, dict) else {}
    try:
        for name, digest in known.items():
            path = folder / name
            if not path.is_file() or file_hash(path) != digest:
                return name
    except OSError as error:
        raise _sentence(error, folder) from error
    return ""


def tree_signature(folder: Path) -> dict[str, tuple[int, ...] | None]:
    """Return the `signature` of each file below a folder."""
    return {name: signature(folder / name) for name in _files_of(folder)}


def _files_of(folder: Path) -> Iterator[str]:
    """Yield the places of the files in a folder, with slashes, in a fixed order."""
    for where, below, names in os.walk(folder):
        below.sort()
        start = Path(where).relative_to(folder).as_posix()
        for name in sorted(names):
            if name != EXPORT_RECORD and name not in _LEFT_BY_SYSTEMS:
                yield name if start == "." else f"{start}/{name}"


def _added_since(folder: Path, names: list[str]) -> str:
    """Return what lies in an earlier export that it did not write, or nothing."""
    try:
        record = json.loads((folder / EXPORT_RECORD).read_bytes())
        entries, files = set(record["entries"]), int(record["files"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""  # no export at all, or one of a version that did not count
    foreign = [name for name in names if name not in entries and name not in _LEFT_BY_SYSTEMS]
    more = _count_files(folder) - files
    return foreign[0] if foreign else f"{more} more file{'s' * (more > 1)} than it wrote" if more > 0 else ""


def _count_files(folder: Path) -> int:
    return sum(name not in _LEFT_BY_SYSTEMS for _, _, files in os.walk(folder) for name in files)


def beside(path: Path, what: str) -> Path:
    """Return a hidden name beside ``path`` that says which process of which machine it belongs to."""
    return path.parent / f".{_cut(path.name)}.{what}-{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def _cut(name: str) -> str:
    # In bytes, for so the disk counts; the whole must stay under its 255.
    return os.fsencode(name)[:60].decode("utf-8", "ignore")


def drop_leftovers(path: Path) -> None:
    """Remove what killed work on the same place left beside it, if it ran on this machine and is gone."""
    if not path.parent.is_dir():
        return
    for left in path.parent.glob(f".{_escaped(_cut(path.name))}.partial-{_HOST}-*-*"):
        pid = left.name.rsplit("-", 2)[1]
        if pid.isdigit() and not runs(int(pid)):
            _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _swap_in(new: Path, path: Path, before: Mapping[str, tuple[int, ...] | None]) -> None:
    if not path.exists():
        new.rename(path)
    else:
        previous = beside(path, "previous")
        path.rename(previous)
        try:
            # Now that nobody finds it any more: what was written into it since it was checked is not lost either.
            if tree_signature(previous) != before:
                previous.rename(path)
                raise FormatError(
                    "somebody else wrote into this folder while it was being made, so it is not replaced; check it, "
                    "then try again.",
                    path,
                )
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
    left = sorted(path.parent.glob(f".{_escaped(_cut(path.name))}.previous-*"))
    if len(left) == 1:
        with suppress(OSError):
            left[0].rename(path)


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _sync_tree(folder: Path) -> None:
    # Side by side, for a disk takes most of the waiting, and many files with few rounds.
    with ThreadPoolExecutor(8, "sync") as pool:
        for where, _, names in os.walk(folder):
            for _ in pool.map(_sync_file, [Path(where, name) for name in names]):
                pass
            _sync_folder(Path(where))


def _sync_file(path: Path) -> None:
    if path.is_symlink():  # what it leads to is not ours to write
        return
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
    why = _WHY.get(error.errno or 0, str(error.strerror or error))
    return FormatError(f"it cannot be written: {why}; choose another place or name.", path)


_WHY = {
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "the permission to write there is missing",
    errno.EPERM: "the permission to write there is missing",
    errno.ENAMETOOLONG: "the name is too long for the disk",
    errno.ENOTDIR: "a file lies where its folder should be",
    errno.EEXIST: "a file lies where its folder should be",
    errno.ENOENT: "its folder is gone",
}
