"""What of a label source cannot be used: bad rows, listed in one go or left out, and all that is skipped, counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import TracebackType

from napari_cyto.errors import FormatError
from napari_cyto.formats._losses import count

MOST_LISTED = 20
"""How many bad rows a sentence lists."""

SKIPPABLE = "(--skip-bad)"
"""Part of the refusal of bad rows that an import can leave out, for windows that offer it."""

_MEND = f"Correct {{them}}, or leave {{them}} out {SKIPPABLE} and import the rest."


def without_skipping(sentence: str) -> str:
    """Return the refusal of bad rows without the advice to leave them out, for who cannot."""
    for them in ("it", "them"):
        sentence = sentence.replace(_MEND.format(them=them), f"Correct {them}.")
    return sentence


class BadRows:
    """Collects the bad rows of one source, so that none of them hides the others.

    A reader handles each row inside ``with bad:``, where a FormatError counts the row as bad, and ends with
    ``remarks()``. What makes the whole file unreadable is raised outside.

    Parameters
    ----------
    source : Path
        The file or folder that is read.
    skip : bool
        Whether bad rows are left out with a remark; else the source is refused.

    Attributes
    ----------
    total : int
        How many rows were bad.
    first : list of FormatError
        The first ``MOST_LISTED`` of them.
    """

    def __init__(self, source: Path, skip: bool = False) -> None:
        self._source, self._skip = source, skip
        self.total = 0
        self.first: list[FormatError] = []

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, FormatError):
            return False
        self.add(error)
        return True

    def add(self, error: FormatError) -> None:
        """Count a row as bad for the reason that ``error`` gives."""
        self.total += 1
        if len(self.first) < MOST_LISTED:
            # Only the sentence is kept: a traceback would hold the row and all that was read with it.
            self.first.append(error.with_traceback(None))

    def remarks(self, read: int) -> tuple[str, ...]:
        """Return the sentence on what was left out, if anything was.

        Parameters
        ----------
        read : int
            How many annotations were read.

        Raises
        ------
        FormatError
            Listing the first bad rows and their number, when they are not to be skipped or nothing else was read.
        """
        if not self.total:
            return ()
        if not self._skip:
            raise self._refusal()
        if not read:
            raise FormatError(f"no entry could be read:{self._listed()}", self._source)
        said = f"{count(self.total, 'entry')} could not be read, left out"
        return (f"{self._source.name}: {said}:{self._listed()}",)

    def _refusal(self) -> FormatError:
        if self.total == 1:
            only = self.first[0]
            return FormatError(f"{only.reason} {_MEND.format(them='it')}", only.path, only.line)
        said = f"{count(self.total, 'entry')} cannot be read. {_MEND.format(them='them')}"
        return FormatError(said + self._listed(), self._source)

    def _listed(self) -> str:
        more = self.total - len(self.first)
        lines = [*map(self._line, self.first), *([f"... and {more:,} more."] if more else [])]
        return "".join(f"\n  {line}" for line in lines)

    def _line(self, error: FormatError) -> str:
        """Return a bad row's sentence with its place, counted from the source that was named already."""
        path = Path(str(error.path)) if error.path is not None else self._source
        inside = path.relative_to(self._source) if path.is_relative_to(self._source) else path
        words = [] if inside == Path() else [inside.as_posix()]
        words += [] if error.line is None else [f"line {error.line}"]
        return f"{', '.join(words)}: {error.reason}" if words else error.reason


class LeftOut:
    """Counts what a reader passes over or reads as something else, by the sentence that says so."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, what: str, words: str, number: int = 1) -> None:
        """Count ``number`` more, e.g. ``add("entry", "without a shape left out.")``."""
        if number:
            self._counts[what, words] += number

    def remarks(self, source: str = "") -> tuple[str, ...]:
        """Return a sentence for each kind with its number: ``a.json: 3 entries without a shape left out.``."""
        start = f"{source}: " if source else ""
        return tuple(f"{start}{count(n, what)} {words}" for (what, words), n in self._counts.items())
