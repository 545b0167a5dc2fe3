"""Which files an export may replace: those that an export of the same project wrote and nobody touched since.

A hash of each single file that an export writes is kept in the user's own data folder, by the file's place, with the
project that it is of: a project need not be writable for that, and may be moved. A file that is there and is not what
an export left is never replaced unasked: it may be a person's text, another program's labels, or what an import came
from. Folders keep the hashes of their files themselves, see ``atomic``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import OVERWRITE_WORDS, check_replaceable, exporting, file_hash, write_text
from napari_cyto.files.user_folders import user_data_dir

_RECORD = "exports.json"
_MOST = 2000


def check_may_replace(target: Path, overwrite: bool = False, project: str = "") -> None:
    """Refuse to replace a file that no export left as it is.

    Parameters
    ----------
    target : Path
        The file to be. A folder, or nothing, is not refused here.
    overwrite : bool
        Whether a person allowed it.
    project : str
        The `Project.identity` of what is to be written; empty where an export of any project may be replaced.

    Raises
    ------
    FormatError
        Saying that something else is there.
    """
    if overwrite or not target.is_file():
        return
    known = _read().get(_key(target))
    digest, _, of = (known or "").partition(" ")
    is_whole = bool(known) and digest == _digest(target)
    if is_whole and (not project or of in ("", project)):
        return
    what = "was changed since it was exported" if known else "was not written by an export"
    what = "is an export of another project" if is_whole else what
    raise FormatError(
        f"the file there {what}, so it is not replaced; choose a new name, or allow it {OVERWRITE_WORDS}.", target
    )


@contextmanager
def replacing(target: Path, overwrite: bool = False, project: str = "") -> Iterator[None]:
    """Refuse at once what may not be replaced, let the block write ``target``, and keep what it wrote.

    A folder is refused where it is not an export of ours, or changed, and that again when it is put in its place.

    Parameters
    ----------
    target : Path
        The file or folder to be.
    overwrite, project : bool, str
        As for `check_may_replace`.

    Raises
    ------
    FormatError
        Saying what is there.
    """
    with exporting(target, overwrite, project):
        check_may_replace(target, overwrite, project)
        if target.is_dir():
            check_replaceable(target)
        yield
    remember_export(target, project)


def remember_export(target: Path, project: str = "") -> None:
    """Keep what an export of a project wrote, so that the next one to the same place may replace it."""
    if not target.is_file():
        return
    with suppress(OSError, FormatError):  # a place that cannot be remembered is asked about next time
        _write({**_without(target), _key(target): f"{_digest(target)} {project}".strip()})


def remember_import(source: Path) -> None:
    """Forget that a file was an export of ours: labels were read from it, and no export may replace it unasked."""
    if source.is_file() and _key(source) in _read():
        with suppress(OSError, FormatError):
            _write(_without(source))


def _without(target: Path) -> dict[str, str]:
    return {key: value for key, value in _read().items() if key != _key(target)}


def _key(target: Path) -> str:
    return str(target.absolute().resolve())


def _digest(target: Path) -> str:
    try:
        return file_hash(target)
    except OSError as error:
        raise FormatError(f"the file there cannot be read ({error.strerror or error}).", target) from error


def _read() -> dict[str, str]:
    try:
        data = json.loads((user_data_dir() / _RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in data.items() if isinstance(v, str)} if isinstance(data, dict) else {}


def _write(record: dict[str, str]) -> None:
    latest = dict(list(record.items())[-_MOST:])
    write_text(user_data_dir() / _RECORD, json.dumps(latest, indent=1) + "\n")
