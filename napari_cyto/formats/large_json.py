"""JSON that does not have to fit into memory: all of it but one long list, whose entries are read one by one.

Source: RFC 8259 for the grammar; each value is read by Python's own scanner, so that it means what it means elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from napari_cyto.errors import FormatError
from napari_cyto.formats.text import no_json, parsing, read_json
from napari_cyto.formats.text_pieces import is_large, text_pieces

_BLANKS = " \t\n\r"
# An error this near to the end of what was read may only mean that the rest is missing.
_NEAR_END = 100

_decoder = json.JSONDecoder(parse_constant=lambda _: None)
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]


class FarList(Collection[Any]):
    """A long list in a JSON file, whose entries are read anew each time it is gone through.

    Parameters
    ----------
    path : Path
        The file.
    key : str
        The field of the file's mapping that holds the list; empty where the file is the list.
    length : int
        How many entries it has.
    """

    def __init__(self, path: Path, key: str, length: int) -> None:
        self._path, self._key, self._length = path, key, length

    def __len__(self) -> int:
        return self._length

    def __contains__(self, value: object) -> bool:
        return any(each == value for each in self)

    def __iter__(self) -> Iterator[Any]:
        with parsing(self._path):
            text = JsonText(text_pieces(self._path), self._path)
            if not self._key:
                yield from text.entries()
                return
            for key in text.names():
                if key == self._key and text.peek() == "[":
                    yield from text.entries()
                    return
                text.value()


def read_large_json(path: Path, key: str) -> Any:
    """Return the content of a JSON file, with the list under ``key``, or that which the file is, as a `FarList`.

    The whole file is looked at, so that what is no JSON is refused before anything of it is used.

    Raises
    ------
    FormatError
        When it is not JSON, is nested too deeply or has two lists under ``key``; with the line where it is known.
    """
    with parsing(path):
        text = JsonText(text_pieces(path, "Checking"), path)
        start = text.peek()
        if start == "[":
            content: Any = FarList(path, "", sum(1 for _ in text.entries()))
        elif start == "{":
            content = {}
            for name in text.names():
                if name == key and text.peek() == "[":
                    if isinstance(content.get(key), FarList):
                        raise FormatError(f"it has two lists called {key}; which of them counts is not clear.", path)
                    content[name] = FarList(path, key, sum(1 for _ in text.entries()))
                else:
                    content[name] = text.value()
        else:
            content = text.value()
        if text.peek():
            raise text.error("Extra data")
        return content


def read_json_with(path: Path, key: str) -> Any:
    """Return the content of a JSON file, of a large one with the list under ``key`` as a `FarList`.

    Raises
    ------
    FormatError
        As `text.read_json` does, or where a large one has two lists under ``key``.
    """
    return read_large_json(path, key) if is_large(path) else read_json(path)


class JsonText:
    """JSON that is read from left to right, holding little more than the value that is read.

    Parameters
    ----------
    pieces : iterator of str
        The text.
    path : Path
        The file, for sentences.
    """

    def __init__(self, pieces: Iterator[str], path: Path) -> None:
        self._pieces, self._path = pieces, path
        self._text, self._at = "", 0
        self._line, self._column = 1, 0  # where the text held begins
        self._ended = False

    def peek(self) -> str:
        """Return the next character that is no blank; empty at the end."""
        while True:
            text, at = self._text, self._at
            while at < len(text) and text[at] in _BLANKS:
                at += 1
            self._at = at
            if at < len(text):
                return text[at]
            if not self._read_on():
                return ""

    def value(self) -> Any:
        """Return the next value."""
        self.peek()
        while True:
            try:
                found, end = _scan(self._text, self._at)
                # A number may go on in the next piece: 1 as 1.5 or 1e9.
                whole = isinstance(found, (str, list, dict)) or end < len(self._text) - _NEAR_END
                if whole or self._ended:
                    self._at = end
                    return found
                self._read_on()
            except StopIteration as error:
                self._go_on("Expecting value", error.value)
            except json.JSONDecodeError as error:
                self._go_on(error.msg, error.pos)

    def names(self) -> Iterator[str]:
        """Yield the names of the mapping that comes next; the value of each is to be read before the next name."""
        self._take("{", "Expecting value")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                raise self.error("Expecting property name enclosed in double quotes")
            name = self.value()
            self._take(":", "Expecting ':' delimiter")
            yield name
            if self.peek() == "}":
                self._at += 1
                return
            self._take(",", "Expecting ',' delimiter")

    def entries(self) -> Iterator[Any]:
        """Yield the entries of the list that comes next."""
        self._take("[", "Expecting value")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self.peek() == "]":
                self._at += 1
                return
            self._take(",", "Expecting ',' delimiter")

    def error(self, reason: str, at: int | None = None) -> FormatError:
        """Return the error that what stands at a place of the text held, by default the next character, is no JSON."""
        at = self._at if at is None else at
        last = self._text.rfind("\n", 0, at)
        column = at - last if last >= 0 else self._column + at + 1
        return no_json(reason, column, self._path, self._line + self._text.count("\n", 0, at))

    def _take(self, character: str, reason: str) -> None:
        if self.peek() != character:
            raise self.error(reason)
        self._at += 1

    def _go_on(self, reason: str, at: int) -> None:
        """Read on after what may only be the end of what was read; raise it where it is an error whatever follows."""
        behind = at - self._at
        may_go_on = reason.startswith("Unterminated string") or at >= len(self._text) - _NEAR_END
        if not may_go_on or not self._read_on(len(self._text) - self._at):
            raise self.error(reason, self._at + behind)

    def _read_on(self, at_least: int = 1) -> bool:
        """Let go of what was read and hold more; twice as much as before where one value needs it."""
        new, length = [], 0
        while length < at_least and not self._ended:
            piece = next(self._pieces, None)
            self._ended = piece is None
            if piece is not None:
                new.append(piece)
                length += len(piece)
        last = self._text.rfind("\n", 0, self._at)
        self._line += self._text.count("\n", 0, self._at)
        self._column = self._at - last - 1 if last >= 0 else self._column + self._at
        self._text, self._at = self._text[self._at :] + "".join(new), 0
        return bool(new)
