"""Errors that are sentences: what was expected, what came, where, and what to do."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable


class CytoError(Exception):
    """Something a user can understand and act on; docks show its text, the command line exits 2."""


def system_sentence(error: OSError) -> str:
    """Return what the operating system refused (a name too long, no permission, a full disk), as one sentence."""
    where = f"{_file_name(error.filename)}: " if error.filename is not None else ""
    why = _WHY.get(error.errno or 0, "")
    return f"{where}{why}." if why else f"{where}the system refused this ({error.strerror or error})."


# What is written under a hidden name first, beside what a person named: .NAME.partial-..., .NAME.1234.part.
_HIDDEN = re.compile(r"\.(?P<name>.+?)\.((partial|previous)-[\w-]+|([0-9]+\.|[0-9a-f]{8}\.)?part)")
_WHY = {
    errno.ENOSPC: "the disk is full; what was there before is untouched, so free some space and try again",
    errno.EDQUOT: "the disk is full; what was there before is untouched, so free some space and try again",
    errno.EROFS: "the disk is read-only, so nothing can be written there; choose another place",
    errno.EACCES: "the permission is missing; ask for it, or choose another place",
    errno.EPERM: "the permission is missing; ask for it, or choose another place",
    errno.ENAMETOOLONG: "the name is too long for the disk; choose a shorter one",
    errno.ENOENT: "there is no such file or folder; look whether it was moved or deleted",
    errno.ENOTDIR: "a file lies where a folder should be; choose another place",
    errno.EISDIR: "this is a folder, but a file is needed; choose a file",
    errno.ENOTEMPTY: "the folder is not empty; choose another place",
}


def _file_name(name: object) -> str:
    """Return a path as a person knows it: without the hidden names under which files come to be."""
    text = os.fsdecode(name) if isinstance(name, str | bytes) else str(name)
    parts = re.split(r"(?<=[/\\])", text)
    for place, part in enumerate(parts):
        if found := _HIDDEN.fullmatch(part.rstrip("/\\")):
            return "".join(parts[:place]) + found["name"]
    return text


class SlideError(CytoError):
    """A slide or image file cannot be opened or read."""


class FormatError(CytoError):
    """A label file is not what its format says.

    Parameters
    ----------
    reason : str
        One sentence: what was expected, what came, what to do.
    path : object, optional
        The file at fault.
    line : int, optional
        The line at fault, counted from 1.
    """

    def __init__(self, reason: str, path: object = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}"
        if line is not None:
            where += f", line {line}"
        super().__init__(f"{where}: {reason}" if where else reason)
        self.reason = reason
        self.path = path
        self.line = line

    def __reduce__(self) -> tuple[object, ...]:
        # Exception pickles its args, which here are one joined sentence; a child process sends these back.
        return (type(self), (self.reason, self.path, self.line))


HOW_TO_ESTIMATE = "`napari-cyto info IMAGE --scale-by-nuclei` and the Slide dock estimate it by the size of nuclei"
"""What every refusal for want of the µm per px says; where an image is at hand, the estimate itself follows."""


class ScaleUnknownError(CytoError):
    """The µm per px of images is needed, and neither their files nor anybody has stated it.

    Parameters
    ----------
    sentence : str
        What needs it, and where to state it.
    images : iterable of path
        Whose scale is unknown: who shows the sentence can offer what their nuclei say, see ``slides.nuclear_scale``.
    """

    def __init__(self, sentence: str, images: Iterable[object] = ()) -> None:
        said = sentence.rstrip(".")
        super().__init__(sentence if HOW_TO_ESTIMATE in said else f"{said}. {HOW_TO_ESTIMATE}.")
        self.images = tuple(str(each) for each in images if str(each))

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (str(self), self.images))


class SchemeError(CytoError):
    """A class scheme or a map between schemes is invalid, or cannot carry what it is asked to."""


class StoreError(CytoError):
    """The project database cannot be opened, migrated or written."""


class ReplacedFileError(StoreError):
    """The database of an open project is not the file any more that was opened; nothing was stored."""


class ProjectThereError(StoreError):
    """A project was to be made where there is one already, perhaps since a moment ago."""


class DamagedError(StoreError):
    """The project database is damaged, or holds what this program never writes; it is left as it is."""


class StaleEditError(StoreError):
    """An edit was made against a state that is no longer the stored one."""


class LeakError(CytoError):
    """An export would put the same smear, patient or cell in two sets of a split."""


class SplitError(CytoError):
    """The slides cannot be split into a training and a test set as requested."""


class JobCancelled(CytoError):
    """A job was cancelled by its user; what it had written under a temporary name is gone."""
