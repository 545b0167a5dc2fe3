"""Writing QuPath GeoJSON: one feature a line, coordinates in px, x before y."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.annotation_rows import (
    NO_CLASS,
    Row,
    is_accepted_outline,
    one_score,
    rings_of,
    scores_of,
    utc_text,
)
from napari_cyto.domain.geometry import YX, YXYX, Polygon, rectangle
from napari_cyto.domain.label_set import CellNumbers
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats._geojson_read import NOTE_KEY, OUTLINE_KEY, SCORE_PREFIX, UNACCEPTED
from napari_cyto.formats._json_pieces import json_number, json_text
from napari_cyto.formats._slide_json import KEY, slide_to_dict
from napari_cyto.formats.colours import rgb

_PLAIN_ID = re.compile("([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})").fullmatch


def geojson_lines(
    slide: SlideRecord,
    rows: Iterable[Row],
    colours: Mapping[str, str],
    *,
    offset_yx: YX,
    origin: str,
    object_type: str,
    numbers: CellNumbers | None = None,
) -> Iterator[str]:
    """Yield the lines of one slide's FeatureCollection.

    Parameters
    ----------
    slide : SlideRecord
        Its facts go into a field of our own, which other readers pass over.
    rows : iterable of Row
        The slide's annotations, level-0 px.
    colours : mapping
        ``#rrggbb`` by class, in the order of the classes.
    offset_yx : tuple of float
        What is taken off the coordinates: where the file's origin lies, level-0 px.
    origin : str
        ``slide`` or ``bounds``, stated in the file.
    object_type : str
        QuPath's word for cells: ``annotation`` or ``detection``.
    numbers : CellNumbers, optional
        What was measured on the cells.
    """
    facts = {"slide": slide_to_dict(slide), "origin": origin, "classes": list(colours.items())}
    yield '{"type": "FeatureCollection",\n'
    yield f'"{KEY}": {json_text(facts)},\n'
    yield '"features": ['
    separator = "\n"
    text = _Features(colours, offset_yx, object_type, numbers).text
    for row in rows:
        yield separator + text(row)
        separator = ",\n"
    yield "\n]}\n"


class _Features:
    """Features as text. Put together here, since ``json`` takes five times as long, which a million of them feel."""

    def __init__(
        self, colours: Mapping[str, str], offset_yx: YX, object_type: str, numbers: CellNumbers | None
    ) -> None:
        self._numbers = numbers
        self._offset_yx = offset_yx
        self._type = json_text(object_type)
        self._classes = {
            name: f'"classification": {json_text({"name": name, "color": rgb(colour)})}, '
            for name, colour in colours.items()
        }
        # Authors, origins and classes are few; notes are not.
        self._text = lru_cache(maxsize=4096)(json_text)
        self._score_key = lru_cache(maxsize=4096)(lambda name: json_text(SCORE_PREFIX + name))
        self._number_key = lru_cache(maxsize=256)(json_text)
        self._start = lru_cache(maxsize=4096)(self._start_of)
        self._end = lru_cache(maxsize=4096)(self._end_of)

    def text(self, row: Row) -> str:
        """Return one feature, as ``json.dumps`` would write it."""
        (name, _slide, kind, y0, x0, y1, x1, corners, class_id, status, author, origin, scores, created_us, note) = row
        shape, said_shape = self._geometry(kind, (y0, x0, y1, x1), corners)
        said = f'"{NOTE_KEY}": {json_text(note)}, ' if note else ""
        numbers = self._measurements(name, scores)
        return (
            f'{{"type": "Feature", {_identity(name)}"geometry": {shape}, "properties": {{{self._start(class_id, kind)}'
            f'{numbers}"metadata": {{{self._author(author)}{said}{self._end(origin, status)}"created": '
            f'"{utc_text(created_us)}"{said_shape}}}}}}}'
        )

    def _start_of(self, class_id: str, kind: str) -> str:
        if class_id == NO_CLASS:
            return '"objectType": "annotation", '
        if kind == "cell":
            return f'"objectType": "cell", {self._classes[class_id]}'
        return f'"objectType": {self._type}, {self._classes[class_id]}'

    def _measurements(self, name: str, scores: str) -> str:
        rows = self._scores(scores)
        if self._numbers is not None:
            measured = [f"{self._number_key(title)}: {json_number(value)}" for title, value in self._numbers.of(name)]
            rows = ", ".join([*filter(None, (rows,)), *measured])
        return f'"measurements": {{{rows}}}, ' if rows else ""

    def _scores(self, text: str) -> str:
        if not text:
            return ""
        if (one := one_score(text)) is not None:
            return f"{self._score_key(one[1][1:-1])}: {one[2]}"
        # One place a name, as in a mapping.
        scores = dict(scores_of(text)).items()
        return ", ".join([f"{self._score_key(name)}: {json_number(score)}" for name, score in scores])

    def _author(self, author: str) -> str:
        return f'"author": {self._text(author)}, ' if author else ""

    def _end_of(self, origin: str, status: str) -> str:
        where = f'"origin": {self._text(origin)}, ' if origin else ""
        return where if status == Status.ACCEPTED.value else f'{where}"status": "{status}", '

    def _geometry(self, kind: str, bounds: YXYX, corners: bytes | None) -> tuple[str, str]:
        """Return a shape as text, and the word for what would be read back as another one without it."""
        (y0, x0, y1, x1), (dy, dx) = bounds, self._offset_yx
        if kind == "point":
            return f'{{"type": "Point", "coordinates": [{_plain(x0 - dx)}, {_plain(y0 - dy)}]}}', ""
        if kind == "box":
            top, left, low, right = _plain(y0 - dy), _plain(x0 - dx), _plain(y1 - dy), _plain(x1 - dx)
            return (
                f'{{"type": "Polygon", "coordinates": [[[{left}, {top}], [{right}, {top}], [{right}, {low}], '
                f"[{left}, {low}], [{left}, {top}]]]}}"
            ), ""
        flat, cytoplasm = rings_of(corners or b"")
        ring = self._ring(flat)
        if cytoplasm:
            return f'{self._ring(cytoplasm)}, "nucleusGeometry": {ring}', _accepted(corners or b"")
        if cytoplasm is not None:
            return ring, _SAID.format("nucleus") + _accepted(corners or b"")
        is_rectangle = (
            len(flat) == 8 and rectangle(Polygon(tuple(zip(flat[0::2], flat[1::2], strict=True)))) is not None
        )
        return ring, _SAID.format("polygon") if is_rectangle else ""

    def _ring(self, flat: Sequence[float]) -> str:
        dy, dx = self._offset_yx
        places = [[x - dx, y - dy] for y, x in zip(flat[0::2], flat[1::2], strict=True)]
        return f'{{"type": "Polygon", "coordinates": [{_places(places + places[:1])}]}}'


_SAID = ', "shape": "{}"'


def _accepted(corners: bytes) -> str:
    return "" if is_accepted_outline(corners) else f', "{OUTLINE_KEY}": "{UNACCEPTED}"'


def _identity(text: str) -> str:
    if (plain := _PLAIN_ID(text)) is not None:
        return f'"id": "{"-".join(plain.groups())}", '
    try:
        return f'"id": "{uuid.UUID(text)}", '
    except ValueError:
        return ""


def _places(places: list[list[float]]) -> str:
    """Return places as JSON; Python writes a list in one go, but for whole numbers, which need no decimals."""
    text = repr(places)
    if "e" in text or "-0" in text:
        return "[" + ", ".join([f"[{_plain(x)}, {_plain(y)}]" for x, y in places]) + "]"
    return text.replace(".0,", ",").replace(".0]", "]")


def _plain(value: float) -> str:
    text = repr(value)
    if text[-2:] == ".0":
        return text[:-2] if text != "-0.0" else "0"
    return text if "e" not in text or not value.is_integer() else str(int(value))
