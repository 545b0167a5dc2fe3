"""The files and folders that people put somewhere, without those that their systems leave there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from napari_cyto.errors import FormatError

# Compared without case. Source: Apple's AppleDouble (RFC 1740) and archive utility, Windows Explorer, Office's lock
# files, Synology's and Windows' folders on shared disks.
_OF_SYSTEMS = frozenset(
    {
        "__macosx",
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "icon\r",
        "$recycle.bin",
        "system volume information",
        "@eadir",
        "lost+found",
    }
)


def is_disk_file(name: str) -> bool:
    """Whether a file or folder of this name is a system's own or hidden: ``._a.png``, ``Thumbs.db``, ``__MACOSX``."""
    return name.startswith((".", "~$")) or name.lower() in _OF_SYSTEMS


def folder_entries(folder: Path) -> list[Path]:
    """Return the files and folders in ``folder`` that people put there, sorted.

    Raises
    ------
    FormatError
        When the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not is_disk_file(path.name))
    except OSError as error:
        raise FormatError(f"the folder cannot be read ({error.strerror or error}).", folder) from error


def folder_files(folder: Path, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """Return the files among ``folder_entries``, of those endings (lower case, any case fits) if some are given.

    Raises
    ------
    FormatError
        When the folder cannot be read.
    """
    return [p for p in folder_entries(folder) if (not suffixes or p.suffix.lower() in suffixes) and p.is_file()]


def subfolders(folder: Path) -> list[Path]:
    """Return the folders among ``folder_entries``.

    Raises
    ------
    FormatError
        When the folder cannot be read.
    """
    return [path for path in folder_entries(folder) if path.is_dir()]


def files_below(root: Path, suffixes: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield the files at any depth below ``root`` that people put there, folder by folder, sorted within each.

    Parameters
    ----------
    root : Path
        A folder; its own name does not matter.
    suffixes : tuple of str
        Endings in lower case that count in any case; empty for all.

    Raises
    ------
    FormatError
        When a folder cannot be read, since what lies in it would be missed without a word.
    """

    def refuse(error: OSError) -> None:
        raise FormatError(f"the folder cannot be read ({error.strerror or error}).", error.filename) from error

    for where, folders, names in os.walk(root, onerror=refuse):
        folders[:] = sorted(name for name in folders if not is_disk_file(name))
        for name in sorted(names):
            if not is_disk_file(name) and (not suffixes or Path(name).suffix.lower() in suffixes):
                yield Path(where, name)
