"""A short look at a file or folder: enough to tell which label format it is, however large it is."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from napari_cyto.files.disk_files import is_disk_file
from napari_cyto.formats.label_files import inner_suffix, packed_head

HEAD_BYTES = 1 << 18
"""How much of a file is looked at: 256 KiB."""
MOST_ENTRIES = 2000
"""How many entries of a folder are looked at."""
MOST_LOOKED_AT = 5000
"""How many entries of a folder and the folders in it are looked at together."""
_MOST_FILES = 20
_DEEPEST = 4
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]', re.DOTALL)
_ROOT = re.compile(r"<(?![?!])([A-Za-z_][\w.:-]*)")
_SEPARATORS = (",", ";", "\t", "|")

Key = tuple[str, ...]
"""Where a field stands in JSON: the names on the way, ``[]`` for an entry of a list."""


class Glimpse:
    """What can be seen of ``path`` without reading all of it.

    Parameters
    ----------
    path : Path
        A file or folder; one that is not there looks empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.suffix = inner_suffix(path)
        self.is_dir = path.is_dir()

    @classmethod
    def of(cls, source: Path | Glimpse) -> Glimpse:
        """Return ``source`` if it is a glimpse already, else one of that path."""
        return source if isinstance(source, Glimpse) else cls(Path(source))

    @cached_property
    def text(self) -> str:
        """The beginning of a text file, unpacked; empty for a folder and for what is no text."""
        head = b"" if self.is_dir else packed_head(self.path, HEAD_BYTES)
        encoding = next((name for bom, name in _BOMS if head.startswith(bom)), "utf-8")
        text = head.decode(encoding, "replace")
        return "" if "\x00" in text else text.lstrip("\x1e \t\r\n")

    @cached_property
    def keys(self) -> frozenset[Key]:
        """The fields of JSON, as far as the beginning shows them and at most four deep; empty for anything else."""
        return frozenset(_keys(self.text)) if self.text[:1] in ("{", "[") else frozenset()

    @cached_property
    def values(self) -> frozenset[tuple[Key, str]]:
        """The short texts that fields of JSON hold, with their place."""
        return frozenset(_values(self.text)) if self.text[:1] in ("{", "[") else frozenset()

    @cached_property
    def xml_root(self) -> str:
        """The name of the first element of XML; empty for anything else."""
        found = _ROOT.search(self.text) if self.text.startswith("<") else None
        return "" if found is None else found[1]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of a table in lower case, empty for what does not look like one."""
        lines = self.text.splitlines()
        if lines and lines[0].lower().strip('"').startswith("sep="):
            lines = lines[1:]
        header = next((line for line in lines if line.strip()), "")
        if not header or header[0] in "{[<":
            return ()
        separator = max(_SEPARATORS, key=header.count)
        if separator not in header:
            return ()
        try:
            row = next(csv.reader([header], delimiter=separator))
        except csv.Error:
            return ()
        return tuple(name.strip().lower() for name in row)

    @cached_property
    def entries(self) -> tuple[Path, ...]:
        """The first files and folders in a folder, sorted, without those that systems leave there."""
        if not self.is_dir:
            return ()
        try:
            some = (entry for entry, _ in zip(self.path.iterdir(), range(MOST_ENTRIES), strict=False))
            return tuple(sorted(entry for entry in some if not is_disk_file(entry.name)))
        except OSError:
            return ()

    def files(self, suffixes: Sequence[str] = (), *, below: bool = False) -> Iterator[Glimpse]:
        """Yield the first files of a folder that end so, and with ``below`` those of the folders in it.

        Parameters
        ----------
        suffixes : sequence of str
            Endings in lower case, each with its dot; empty for all.
        below : bool
            Whether folders in this one are looked into, two levels deep.
        """
        found = self._files(suffixes, 2 if below else 0, [MOST_LOOKED_AT])
        for seen, _ in zip(found, range(_MOST_FILES), strict=False):
            yield seen

    def _files(self, suffixes: Sequence[str], depth: int, left: list[int]) -> Iterator[Glimpse]:
        """Yield files, taking one from what is ``left`` to look at for each entry: trees of scans have millions."""
        for entry in self.entries[: max(left[0], 0)]:
            left[0] -= 1
            if (not suffixes or inner_suffix(entry) in suffixes) and entry.is_file():
                yield Glimpse(entry)
        for entry in self.entries if depth else ():
            if left[0] <= 0:
                return
            if entry.is_dir():
                yield from Glimpse(entry)._files(suffixes, depth - 1, left)

    def has(self, *names: str) -> bool:
        """Whether the folder holds an entry of one of these names."""
        return self.is_dir and any((self.path / name).exists() for name in names)

    def words(self) -> str:
        """Return what there is to be seen, for a sentence: ``JSON with images, annotations``."""
        if self.is_dir:
            kinds: dict[str, int] = {}
            for entry in self.entries:
                kind = "folders" if entry.is_dir() else f"{entry.suffix.lower() or 'other'} files"
                kinds[kind] = kinds.get(kind, 0) + 1
            listed = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())[:6])
            return f"a folder with {listed or 'nothing in it'}"
        if self.keys:
            own = sorted({key[-1] for key in self.keys if len(key) == 1 + (key[0] == "[]") and key[-1] != "[]"})
            kind = "a list of entries" if ("[]",) in self.keys else "a mapping"
            return f"JSON, {kind} with {', '.join(own[:8]) or 'no names'}"[:300]
        if self.xml_root:
            return f"XML whose first element is {self.xml_root[:60]}"
        if self.columns:
            return f"a table with the columns {', '.join(self.columns[:10])}"[:300]
        return "text of no known kind" if self.text else "no text"


def _walk(text: str) -> Iterator[tuple[Key, str]]:
    """Yield each field with its text value where it has a short one, as far as ``text`` goes; never raises."""
    path: list[str] = []
    pending, waiting = "", False  # a string that may be a name; whether a value is due
    for found in _TOKENS.finditer(text):
        token = found[0]
        if token in "{[":
            path += [pending if waiting else "", *(["[]"] if token == "[" else [])]
            if token == "[":
                yield from _place(path)
            pending, waiting = "", False
        elif token in "}]":
            del path[-2 if token == "]" else -1 :]
            pending, waiting = "", False
        elif token == ":":
            waiting = True
            yield from _place(path, pending)
        elif token == ",":
            pending, waiting = "", False
        elif waiting:
            yield from _place(path, pending, token[1:60].rstrip('"'))
        else:
            pending = token[1:200].rstrip('"') or " "


def _place(path: Sequence[str], name: str = "", value: str = "") -> Iterator[tuple[Key, str]]:
    # What lies deeper tells nothing, and brackets by the hundred thousand would take forever.
    key = tuple(part for part in (*path, name) if part) if len(path) <= 2 * _DEEPEST else ()
    if key:
        yield key, value


def _keys(text: str) -> Iterator[Key]:
    return (key for key, value in _walk(text) if not value and len(key) <= _DEEPEST)


def _values(text: str) -> Iterator[tuple[Key, str]]:
    return ((key, value) for key, value in _walk(text) if value and len(key) <= _DEEPEST)
