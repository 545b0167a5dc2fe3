"""Writing QuPath GeoJSON: one feature a line, coordinates in px, x before y."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import YX, Box, Point, rectangle
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats.colours import rgb
from napari_cyto.formats.geojson_read import NOTE_KEY, SCORE_PREFIX
from napari_cyto.formats.json_pieces import json_number, json_text
from napari_cyto.formats.slide_json import KEY, slide_to_dict

_PLAIN_ID = re.compile("([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})").fullmatch


def geojson_lines(
    slide: SlideRecord,
    cells: Iterable[Annotation],
    colours: Mapping[str, str],
    *,
    offset_yx: YX,
    origin: str,
    object_type: str,
) -> Iterator[str]:
    """Yield the lines of one slide's FeatureCollection.

    Parameters
    ----------
    slide : SlideRecord
        Its facts go into a field of our own, which other readers pass over.
    cells : iterable of Annotation
        Level-0 px of the slide.
    colours : mapping
        ``#rrggbb`` by class, in the order of the classes.
    offset_yx : tuple of float
        What is taken off the coordinates: where the file's origin lies, level-0 px.
    origin : str
        ``slide`` or ``bounds``, stated in the file.
    object_type : str
        QuPath's word for cells: ``annotation`` or ``detection``.
    """
    facts = {"slide": slide_to_dict(slide), "origin": origin, "classes": list(colours.items())}
    yield '{"type": "FeatureCollection",\n'
    yield f'"{KEY}": {json_text(facts)},\n'
    yield '"features": ['
    separator = "\n"
    text = _Features(colours, offset_yx, object_type).text
    for annotation in cells:
        yield separator + text(annotation)
        separator = ",\n"
    yield "\n]}\n"


class _Features:
    """Features as text. Put together here, since ``json`` takes five times as long, which a million of them feel."""

    def __init__(self, colours: Mapping[str, str], offset_yx: YX, object_type: str) -> None:
        self._offset_yx = offset_yx
        self._type = json_text(object_type)
        self._classes = {
            name: f'"classification": {json_text({"name": name, "color": rgb(colour)})}, '
            for name, colour in colours.items()
        }
        # Authors, origins and classes are few; notes are not.
        self._text = lru_cache(maxsize=4096)(json_text)
        self._score_key = lru_cache(maxsize=4096)(lambda name: json_text(SCORE_PREFIX + name))

    def text(self, a: Annotation) -> str:
        """Return one feature, as ``json.dumps`` would write it."""
        shape, is_rectangle = self._geometry(a)
        kind = self._type if a.class_id is not None else '"annotation"'
        classification = "" if a.class_id is None else self._classes[a.class_id]
        return (
            f'{{"type": "Feature", {_identity(a.id)}"geometry": {shape}, "properties": {{"objectType": {kind}, '
            f"{classification}{self._scores(a)}{self._metadata(a, is_rectangle)}}}}}"
        )

    def _scores(self, a: Annotation) -> str:
        if not a.scores:
            return ""
        # One place a name, as in a mapping.
        scores = a.scores if len(a.scores) == 1 else dict(a.scores).items()
        rows = ", ".join([f"{self._score_key(name)}: {json_number(score)}" for name, score in scores])
        return f'"measurements": {{{rows}}}, '

    def _metadata(self, a: Annotation, is_rectangle: bool) -> str:
        author = f'"author": {self._text(a.author)}, ' if a.author else ""
        note = f'"{NOTE_KEY}": {json_text(a.note)}, ' if a.note else ""
        origin = f'"origin": {self._text(a.origin)}, ' if a.origin else ""
        status = "" if a.status is Status.ACCEPTED else f'"status": "{a.status.value}", '
        shape = ', "shape": "polygon"' if is_rectangle else ""
        created = a.created_utc.isoformat()
        return f'"metadata": {{{author}{note}{origin}{status}"created": "{created}"{shape}}}'

    def _geometry(self, a: Annotation) -> tuple[str, bool]:
        """Return a shape as text, and whether it is an outline that would be read back as a box."""
        geometry, (dy, dx) = a.geometry, self._offset_yx
        if isinstance(geometry, Point):
            return f'{{"type": "Point", "coordinates": [{_plain(geometry.x - dx)}, {_plain(geometry.y - dy)}]}}', False
        if isinstance(geometry, Box):
            y0, x0, y1, x1 = geometry.bounds_yxyx
            top, left, low, right = _plain(y0 - dy), _plain(x0 - dx), _plain(y1 - dy), _plain(x1 - dx)
            ring = f"[{left}, {top}], [{right}, {top}], [{right}, {low}], [{left}, {low}], [{left}, {top}]"
            return f'{{"type": "Polygon", "coordinates": [[{ring}]]}}', False
        corners = [f"[{_plain(x - dx)}, {_plain(y - dy)}]" for y, x in geometry.vertices_yx]
        ring = ", ".join((*corners, corners[0]))
        flat = len(corners) == 4 and rectangle(geometry) is not None
        return f'{{"type": "Polygon", "coordinates": [[{ring}]]}}', flat


def _identity(text: str) -> str:
    if (plain := _PLAIN_ID(text)) is not None:
        return f'"id": "{"-".join(plain.groups())}", '
    try:
        return f'"id": "{uuid.UUID(text)}", '
    except ValueError:
        return ""


def _plain(value: float) -> str:
    value = float(value)
    return str(int(value)) if value.is_integer() else repr(value)
