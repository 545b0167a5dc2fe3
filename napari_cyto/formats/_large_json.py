"""JSON that does not have to fit into memory: all of it but one long list, whose entries are read one by one.

Source: RFC 8259 for the grammar; each value is read by Python's own scanner, so that it means what it means elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from napari_cyto.errors import FormatError
from napari_cyto.formats._text_pieces import is_large, text_pieces
from napari_cyto.formats.text import no_json, parsing, read_json

_BLANKS = " \t\n\r"
_NOTHING_THERE = frozenset(("", *_BLANKS))
# An error this near to the end of what was read may only mean that the rest is missing.
_NEAR_END = 100
_END_BYTES = 1 << 16
_to_next_entry = re.compile(r"[ \t\n\r]*,[ \t\n\r]*(?=[^ \t\n\r])").match

_decoder = json.JSONDecoder(parse_constant=lambda _: None)
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]


class FarList(Iterable[Any]):
    """A long list in a JSON file, whose entries are read anew each time it is gone through.

    What follows it is checked on the way: the file has to be JSON to its end.

    Parameters
    ----------
    path : Path
        The file.
    key : str
        The field of the file's mapping that holds the list; empty where the file is the list.
    unexpected : collection of str
        Fields that must not come behind it, since nobody would look at them.
    """

    def __init__(self, path: Path, key: str, unexpected: Collection[str] = ()) -> None:
        self._path, self._key, self._unexpected = path, key, frozenset(unexpected)

    def __iter__(self) -> Iterator[Any]:
        with parsing(self._path):
            text = JsonText(text_pieces(self._path), self._path)
            if self._key:
                yield from self._in_mapping(text)
            else:
                yield from text.entries()
            text.end()

    def _in_mapping(self, text: JsonText) -> Iterator[Any]:
        met = False
        for name in text.names():
            if name == self._key and text.peek() == "[":
                if met:
                    raise _two_lists(name, self._path)
                met = True
                yield from text.entries()
            elif met and name in self._unexpected:
                raise FormatError(
                    f"its field {name} comes long after {self._key}; put it before that list.", self._path
                )
            else:
                text.value()


def read_large_json(path: Path, key: str, needed: Collection[str] = (), facts: Collection[str] = ()) -> Any:
    """Return the content of a JSON file, with the list under ``key``, or that which the file is, as a `FarList`.

    Of what comes behind that list no more is looked at than has to be; the rest is when the list is gone through.

    Parameters
    ----------
    path : Path
        The file.
    key : str
        The field with the list.
    needed : collection of str
        Fields that the mapping must have.
    facts : collection of str
        Fields that it may have.

    Raises
    ------
    FormatError
        When it is not JSON, is nested too deeply or has two lists under ``key``; with the line where it is known.
    """
    with parsing(path):
        text = JsonText(text_pieces(path, "Checking"), path)
        start = text.peek()
        if start == "[":
            return FarList(path, "")
        if start != "{":
            content: Any = text.value()
            text.end()
            return content
        content = {}
        for name in text.names():
            if name != key or text.peek() != "[":
                content[name] = text.value()
            elif isinstance(content.get(key), FarList):
                raise _two_lists(key, path)
            else:
                late = {name for name in (*needed, *facts) if name not in content}
                content[key] = FarList(path, key, late)
                if late.isdisjoint(needed) and not _ends_with_any(path, late):
                    return content
                content[key] = FarList(path, key)
                for _ in text.entries():
                    pass
        text.end()
        return content


def _ends_with_any(path: Path, names: Collection[str]) -> bool:
    """Whether the end of a file may hold one of some fields; always, where it is packed or in another encoding."""
    with path.open("rb") as stream:
        if stream.read(1) not in (b"{", b" ", b"\n", b"\r", b"\t"):
            return True
        stream.seek(0, 2)
        stream.seek(max(stream.tell() - _END_BYTES, 0))
        end = stream.read()
    return any(json.dumps(name).encode() in end for name in names) or b"\\u" in end


def _two_lists(key: str, path: Path) -> FormatError:
    return FormatError(f"it has two lists called {key}; it is not clear which one counts.", path)


def read_json_with(path: Path, key: str, needed: Collection[str] = (), facts: Collection[str] = ()) -> Any:
    """Return the content of a JSON file, of a large one as `read_large_json` does.

    Raises
    ------
    FormatError
        As `text.read_json` or `read_large_json` does.
    """
    return read_large_json(path, key, needed, facts) if is_large(path) else read_json(path)


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
        if self._text[self._at : self._at + 1] in _NOTHING_THERE:
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
            next_entry = _to_next_entry(self._text, self._at)
            if next_entry is not None:
                self._at = next_entry.end()
                continue
            if self.peek() == "]":
                self._at += 1
                return
            self._take(",", "Expecting ',' delimiter")

    def end(self) -> None:
        """Refuse what comes after the whole."""
        if self.peek():
            raise self.error("Extra data")

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
