"""GeoJSON as one document or as a sequence of features.

Source: RFC 7946 for documents; RFC 8142 for sequences, whose texts begin with a record separator; newline-delimited
GeoJSON as GDAL's drivers GeoJSON and GeoJSONSeq write it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_cyto.errors import FormatError
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.text import parse_json, read_text

_SEPARATOR = "\x1e"


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
            value = parse_json(piece, path, line)
            inner = value.get("features") if isinstance(value, dict) else None
            features.extend(inner if isinstance(inner, list) else [value])
    return features


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
