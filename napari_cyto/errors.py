"""Errors that are sentences: what was expected, what came, where, and what to do."""

from __future__ import annotations


class CytoError(Exception):
    """Something a user can understand and act on; docks show its text, the command line exits 2."""


def system_sentence(error: OSError) -> str:
    """Return what the operating system refused (a name too long, no permission, a full disk), as one sentence."""
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}the system refused this ({error.strerror or error})."


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
    """An export would put the same smear, patient or cell on both sides of a split."""


class SplitError(CytoError):
    """The slides cannot be divided into a train and a test side as asked."""


class JobCancelled(CytoError):
    """A job was cancelled by its user; what it had written under a temporary name is gone."""
