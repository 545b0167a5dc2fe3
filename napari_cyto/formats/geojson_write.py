"""Writing QuPath GeoJSON: one feature a line, coordinates in px, x before y."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import YX, Box, Point
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats.boxes import rectangle
from napari_cyto.formats.colours import rgb
from napari_cyto.formats.geojson_read import NOTE_KEY, SCORE_PREFIX
from napari_cyto.formats.slide_json import KEY, slide_to_dict


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
    yield f'"{KEY}": {_json(facts)},\n'
    yield '"features": ['
    separator = "\n"
    for annotation in cells:
        yield separator + _json(_feature(annotation, colours, offset_yx, object_type))
        separator = ",\n"
    yield "\n]}\n"


def _feature(annotation: Annotation, colours: Mapping[str, str], offset_yx: YX, object_type: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"objectType": "annotation" if annotation.is_region else object_type}
    class_id = annotation.class_id
    if class_id is not None:
        properties["classification"] = {"name": class_id, "color": rgb(colours[class_id])}
    if annotation.scores:
        properties["measurements"] = {SCORE_PREFIX + name: score for name, score in annotation.scores}
    properties["metadata"] = _metadata(annotation)
    feature: dict[str, Any] = {"type": "Feature"}
    with suppress(ValueError):
        feature["id"] = str(uuid.UUID(annotation.id))
    return {**feature, "geometry": _geometry(annotation, offset_yx), "properties": properties}


def _metadata(annotation: Annotation) -> dict[str, str]:
    metadata = {"author": annotation.author, NOTE_KEY: annotation.note, "origin": annotation.origin}
    metadata = {key: value for key, value in metadata.items() if value}
    if annotation.status is not Status.ACCEPTED:
        metadata["status"] = str(annotation.status)
    metadata["created"] = annotation.created_utc.isoformat()
    geometry = annotation.geometry
    if not isinstance(geometry, (Box, Point)) and rectangle(geometry) is not None:
        metadata["shape"] = "polygon"
    return metadata


def _geometry(annotation: Annotation, offset_yx: YX) -> dict[str, Any]:
    geometry = annotation.geometry
    if isinstance(geometry, Point):
        return {"type": "Point", "coordinates": _xy(geometry.centre_yx, offset_yx)}
    if isinstance(geometry, Box):
        y0, x0, y1, x1 = geometry.bounds_yxyx
        corners: tuple[YX, ...] = ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
    else:
        corners = geometry.vertices_yx
    return {"type": "Polygon", "coordinates": [[_xy(corner, offset_yx) for corner in (*corners, corners[0])]]}


def _xy(position: YX, offset_yx: YX) -> list[float]:
    y, x = position[0] - offset_yx[0], position[1] - offset_yx[1]
    return [_plain(x), _plain(y)]


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
