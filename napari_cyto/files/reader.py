"""Who works on this computer account: the name that a person chose, else the login name."""

from __future__ import annotations

import getpass

from napari_cyto.errors import CytoError
from napari_cyto.files.atomic import write_text
from napari_cyto.files.user_folders import user_data_dir

FILE = "reader.txt"
LONGEST = 80


def login_name() -> str:
    """Return the login name of who sits here, or ``user`` where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "user"


def reader_name() -> str:
    """Return the name that the reader chose, else the login name."""
    try:
        return (user_data_dir() / FILE).read_text(encoding="utf-8").strip()[:LONGEST] or login_name()
    except (OSError, UnicodeDecodeError):
        return login_name()


def checked_name(name: str) -> str:
    """Return a reader's name without blanks around it.

    Raises
    ------
    CytoError
        When it is empty, too long or cannot be read.
    """
    name = name.strip()
    if not name or len(name) > LONGEST or not name.isprintable():
        raise CytoError(f"Expected a reader's name of 1 to {LONGEST} readable characters, got {name[:40]!r}.")
    return name


def keep_reader(name: str) -> str:
    """Keep the reader's name for this user's windows, and return it.

    Raises
    ------
    CytoError
        When it is empty, too long or cannot be read, or cannot be written.
    """
    name = checked_name(name)
    place = user_data_dir() / FILE
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, name + "\n")
    except OSError as error:
        raise CytoError(f"The reader's name cannot be kept in {place}: {error.strerror or error}.") from error
    return name
