"""Results on stdout: JSON for machines, tables for people. What a terminal would obey is shown, never sent.

Names, notes and errors come from files of strangers. Everything that a verb prints, whoever prints it, passes a
`Printable` stream, in which control characters, terminal escapes and marks that turn the direction of writing are
written out as Python writes them.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

# Source: ECMA-48 (C0, C1, DEL) and Unicode 15, UAX #9 (marks of direction), UAX #14 (line and paragraph separator).
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return text in which what a terminal would obey is written out; line ends and tabs stay."""
    return _OBEYED.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def in_line(value: object) -> str:
    """Return a value as printable text without line ends, for a cell of a table."""
    return printable(" ".join(str(value).split("\n")).replace("\t", " "))


class Printable(io.TextIOBase):
    """A text stream that writes out what a terminal would obey.

    Parameters
    ----------
    stream : text stream
        Where the text goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write text."""
        self.stream.write(printable(text))
        return len(text)

    def flush(self) -> None:
        """Send what waits on its way."""
        self.stream.flush()

    def isatty(self) -> bool:
        """Return False: whoever would send colours to a screen sends plain text."""
        return False

    def fileno(self) -> int:
        """Return the number of the file below."""
        return self.stream.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the stream below."""
        self.stream.close()

    def __del__(self) -> None:
        # The stream below is not ours to close.
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def printable_streams() -> Iterator[None]:
    """Let all that is printed within the block pass a `Printable`."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (each if isinstance(each, Printable) else Printable(each) for each in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def screen(stream: TextIO) -> TextIO:
    """Return the stream below a `Printable`, for tables and bars that are made of printable text alone."""
    return stream.stream if isinstance(stream, Printable) else stream


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object, and nothing else, on stdout; in ASCII, which every system's pipes carry unharmed."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False, default=str)
    sys.stdout.write("\n")


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values as two columns."""
    rows = [(in_line(name), "-" if value in (None, "") else in_line(value)) for name, value in facts]
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; as wide as it needs when stdout is a file."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(in_line(title)), title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(Text(in_line(column)), justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else in_line(cell)) for cell in row))
    out = screen(sys.stdout)
    console = Console(file=out) if out.isatty() else Console(file=out, width=160)
    console.print(table)
