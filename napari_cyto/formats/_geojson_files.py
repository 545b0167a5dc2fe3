"""GeoJSON as one document or as a sequence of features.

Source: RFC 7946 for documents; RFC 8142 for sequences, whose texts begin with a record separator; newline-delimited
GeoJSON as GDAL's drivers GeoJSON and GeoJSONSeq write it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from napari_cyto.errors import FormatError
from napari_cyto.formats._large_json import read_large_json
from napari_cyto.formats._slide_json import KEY
from napari_cyto.formats._text_pieces import is_large, text_pieces
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.text import parse_json, read_text

_SEPARATOR = "\x1e"
_LONGEST_LINE = 1 << 26
_LINES_LOOKED_AT = 3


def read_geojson(path: Path, bad: BadRows) -> Any:
    """Return a GeoJSON document, or a sequence's features as a list.

    Parameters
    ----------
    path : Path
        The file, packed or not.
    bad : BadRows
        Takes the texts of a sequence that cannot be read.

    Raises
    ------
    FormatError
        When it is neither JSON nor a sequence of it.
    """
    if is_large(path):
        return _read_large(path, bad)
    text = read_text(path)
    if not text.lstrip().startswith(_SEPARATOR):
        try:
            return parse_json(text, path)
        except FormatError:
            if not _is_lines(text, path):
                raise
    features: list[Any] = []
    for line, piece in _texts(text):
        with bad:
            features.extend(features_of(parse_json(piece, path, line)))
    return features


def _read_large(path: Path, bad: BadRows) -> Any:
    """Return a document with its features, or a sequence's features, as what is read when it is gone through."""
    start = _beginning(path)
    if start.lstrip().startswith(_SEPARATOR) or _is_lines(start, path):
        return FarSequence(path, bad)
    return read_large_json(path, "features", facts=(KEY, "crs"))


def _beginning(path: Path) -> str:
    """Return a text up to the end of its second line that is not blank, or its first 64 MiB."""
    start = ""
    for piece in text_pieces(path, "Checking"):
        start += piece
        if len(start) >= _LONGEST_LINE or len([line for line in start.split("\n") if line.strip()]) > _LINES_LOOKED_AT:
            break
    return start


class FarSequence(Iterable[Any]):
    """The features of a sequence of texts, read anew each time it is gone through.

    Parameters
    ----------
    path : Path
        The file.
    bad : BadRows
        Takes the texts that cannot be read.
    """

    def __init__(self, path: Path, bad: BadRows) -> None:
        self._path, self._bad = path, bad

    def __iter__(self) -> Iterator[Any]:
        line, rest, separator = 1, "", ""
        for piece in chain(text_pieces(self._path), ("",)):
            separator = separator or (_SEPARATOR if _SEPARATOR in piece else "\n")
            *whole, rest = (rest + piece).split(separator) if piece else (rest, "")
            for text in whole:
                yield from self._features_of(text, line)
                line += text.count("\n") if separator == _SEPARATOR else 1

    def _features_of(self, text: str, line: int) -> Iterator[Any]:
        if not text.strip():
            return
        found: list[Any] = []
        with self._bad:
            found = features_of(parse_json(text, self._path, line))
        yield from found


def features_of(value: Any) -> list[Any]:
    """Return the features of one text of a sequence: a collection's, or the one that it is."""
    inner = value.get("features") if isinstance(value, dict) else None
    return inner if isinstance(inner, list) else [value]


def _texts(text: str) -> Iterator[tuple[int, str]]:
    """Yield each text of a sequence with its line: from one separator to the next, else a line each."""
    marked = _SEPARATOR in text
    line = 1
    for piece in text.split(_SEPARATOR if marked else "\n"):
        if piece.strip():
            yield line, piece
        line += piece.count("\n") if marked else 1


def _is_lines(text: str, path: Path) -> bool:
    """Whether the first two lines are JSON of their own, as those of no document are."""
    lines = [piece for _, (_, piece) in zip(range(2), _texts(text), strict=False)]
    try:
        return len(lines) == 2 and all(isinstance(parse_json(piece, path), dict) for piece in lines)
    except FormatError:
        return False
