"""Folders that stand for a database at an address, so that whatever takes a project's folder takes the address too.

Beside the database a project needs a place on this machine: what unfinished runs have done, models that were trained
for it. That place is a folder of the user, ``databases/NAME.cyto``, with a file ``NAME.cyto.url`` beside it that holds
the address without its password. Only files there are believed: a folder from a stranger cannot have this program
connect to a server of theirs. A password is kept in memory, and handed to the processes that this one starts, nowhere
else.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from napari_cyto.errors import StoreError
from napari_cyto.files.user_folders import user_data_dir
from napari_cyto.store.database._postgresql import parsed, shown

_VARIABLE = "NAPARI_CYTO_DATABASES"
_ADDRESS = re.compile(
    r"(?P<before>^|=)(?P<url>postgres(?:ql)?(?:\+\w+)?://(?:[^/\s]*@)?[^/@\s]*/[^@\s]*)(?P<rest>@.*)?$"
)


def is_address(word: str) -> bool:
    """Whether a word is the address of a database rather than a path."""
    return word.startswith(("postgresql:", "postgres:", "postgresql+"))


def folder_of(url: str) -> Path:
    """Return the folder that stands for the database at an address, made where it is not there.

    Raises
    ------
    StoreError
        When it is no address of PostgreSQL, its driver is missing, or the folder cannot be made.
    """
    address = parsed(url)
    public = shown(address)
    digest = hashlib.sha256(public.encode()).hexdigest()[:8]
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{address.database}-{address.host or 'here'}")[:60]
    folder = _places() / f"{words}-{digest}.cyto"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _file_of(folder).write_text(public + "\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{folder}: what belongs to {public} on this machine cannot be kept here ({error.strerror or error})."
        ) from error
    known = _with_passwords() | {folder.name: address.render_as_string(hide_password=False)}
    os.environ[_VARIABLE] = json.dumps(known)
    return folder


def address_of(folder: Path) -> str | None:
    """Return the address that a folder stands for; None for a folder that is just one."""
    if folder.suffix != ".cyto" or folder.parent.name != "databases" or folder.absolute().parent != _places():
        return None
    try:
        public = _file_of(folder).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return _with_passwords().get(folder.name, public)


def with_folders(words: Sequence[str]) -> list[str]:
    """Return the words of a command line with folders in the place of addresses, so that no password goes further.

    Raises
    ------
    StoreError
        As `folder_of`.
    """
    return [_with_folder(word) for word in words]


def _with_folder(word: str) -> str:
    found = _ADDRESS.search(word)
    if found is None:
        if is_address(word):
            folder_of("")  # says what was expected, without the word, which may hold a password
        return word
    return f"{word[: found.start('url')]}{folder_of(found['url'])}{found['rest'] or ''}"


def _places() -> Path:
    return (user_data_dir() / "databases").absolute()


def _file_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".url")


def _with_passwords() -> dict[str, str]:
    try:
        known = json.loads(os.environ.get(_VARIABLE, "{}"))
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}
