"""Reading QuPath GeoJSON, as QuPath and its scripts write it in all their dialects.

Source: QuPath's ``qupath.lib.io.GsonTools`` and ``PathObjectTypeAdapters``, as documented at
https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html; RFC 7946 for geometries.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal

from napari_cyto.domain.annotation import Annotation, Status, new_id, now_utc
from napari_cyto.domain.geometry import YX, CellOutline, Geometry, Point, Polygon, rectangle
from napari_cyto.formats._geojson_class import OTHER_OBJECTS, classification_of, kind_of
from napari_cyto.formats._geojson_files import FarSequence
from napari_cyto.formats._large_json import FarList
from napari_cyto.formats._non_cell_classes import is_ignored, is_region
from napari_cyto.formats._shapes import enclosing, is_flat
from napari_cyto.formats.bad_rows import BadRows, LeftOut
from napari_cyto.formats.colours import hex_colour
from napari_cyto.formats.text import FARTHEST_PX, Fault, free_text, number, shown

NOTE_KEY = "ANNOTATION_DESCRIPTION"  # where QuPath keeps an annotation's description
SCORE_PREFIX = "Score: "
OUTLINE_KEY, UNACCEPTED = "outline", "unaccepted"
_PROBABILITIES = ("Detection probability", "Probability", "probability")
_GEOMETRIES = frozenset({"Point", "MultiPoint", "Polygon", "MultiPolygon", "LineString", "MultiLineString"})
# RFC 7946's own default, which programs write whatever the numbers are, and names of what is no place on the earth.
_NO_PLACE = ("CRS84", "4326", "PIXEL", "IMAGE", "LOCAL", "ENGINEERING", "CARTESIAN", "UNKNOWN", "UNDEFINED")
_UUID_DIGITS = 32
_TWO, _NUMBERS = {2}, {int, float}
_OFTEN = ("Point", "Polygon")
_MANY = (list, FarList, FarSequence)
_NO_AREA = "of fewer than three corners or without area left out."


@dataclass(slots=True)
class FeatureReader:
    """Turns features into annotations of one slide, and keeps count of what it meets.

    Parameters
    ----------
    slide_id : str
        The slide that they lie on.
    offset_yx : tuple of float
        What is added to the file's coordinates to get level-0 px.
    unclassified : str
        The class of points, boxes and detections that have none.
    rings : str
        Which outlines of a cell are read where the file has that of its nucleus too: ``both``, ``cell``, ``nucleus``.
    origin : str
        The origin of every annotation.
    all_planes : bool
        Whether what lies on other focal planes or times than the first is read too.
    """

    slide_id: str
    offset_yx: YX
    unclassified: str
    rings: Literal["both", "cell", "nucleus"]
    origin: str
    all_planes: bool = False
    classes: dict[str, str | None] = field(default_factory=dict)
    left_out: LeftOut = field(default_factory=LeftOut)
    other_planes: int = 0
    _ids: set[int] = field(default_factory=set)  # numbers need half the memory of texts
    _now: datetime = field(default_factory=now_utc)

    def read(self, feature: Mapping[str, Any], fault: Fault) -> Iterator[Annotation]:
        """Yield the annotations of one feature: several for a MultiPoint, or a region of several parts.

        Raises
        ------
        FormatError
            Naming the feature and the reason.
        """
        properties = _mapping(feature.get("properties"))
        kind = kind_of(feature, properties)
        if kind in OTHER_OBJECTS:
            self.left_out.add(kind, "left out.")
            return
        geometry = feature.get("geometry")
        nucleus = feature.get("nucleusGeometry")
        metadata = _mapping(properties.get("metadata"))
        name, holder = classification_of(properties, fault)
        if is_ignored(name):
            self.left_out.add("annotation", f"of the class {name} left out.")
            return
        if self._on_another_plane(feature, geometry):
            self.other_planes += 1
            return
        shapes = self._of_cell(geometry, nucleus, fault) if isinstance(nucleus, dict) else self._shapes(geometry, fault)
        if is_region(name):
            areas = [s for s in shapes if isinstance(s, Polygon)]
            self.left_out.add("point", f"of the class {name} left out.", len(shapes) - len(areas))
            shapes, name = list(areas), None
        elif name is not None or kind != "annotation":
            shapes = self._as_one_cell(shapes, fault)
        if name is not None and not self.classes.get(name):
            self.classes[name] = _colour(holder)
        for shape in shapes:
            named = name
            if named is None and not (isinstance(shape, Polygon) and kind == "annotation"):
                named = self.unclassified
                self.classes.setdefault(named, None)
            yield self._annotation(feature, properties, metadata, named, _kept_shape(shape, named, metadata))

    def _of_cell(self, cell: object, nucleus: object, fault: Fault) -> list[Geometry]:
        """Return the outline of a cell and its nucleus; of one of them where not both are one ring, or chosen."""
        if self.rings == "cell":
            self.left_out.add("cell", "read with the outline of the cell, without that of the nucleus.")
            return self._shapes(cell, fault)
        inner = self._shapes(nucleus, fault)
        if len(inner) != 1 or not isinstance(inner[0], Polygon):
            self.left_out.add("cell", "read without its nucleus, which is not one outline.")
            return self._shapes(cell, fault)
        if self.rings == "nucleus":
            self.left_out.add("cell", "read with the outline of the nucleus, without that of the cell.")
            return [CellOutline(inner[0].vertices_yx)]
        outer = self._shapes(cell, fault)
        if len(outer) != 1 or not isinstance(outer[0], Polygon):
            self.left_out.add("cell", "read with its nucleus alone, since the cell is not one outline.")
            return [CellOutline(inner[0].vertices_yx)]
        return [CellOutline(inner[0].vertices_yx, outer[0].vertices_yx)]

    def _on_another_plane(self, feature: Mapping[str, Any], geometry: object) -> bool:
        """Whether a feature says that it lies on another focal plane, or at another time, than the first."""
        if self.all_planes:
            return False
        for holder in (geometry, feature, feature.get("properties")):
            plane = holder.get("plane") if isinstance(holder, dict) else None
            if plane and any(_above_first(_mapping(plane).get(axis)) for axis in ("z", "t")):
                return True
        heights = () if _has_no_heights(geometry) else _heights(geometry)
        return bool(heights) and 0 not in heights

    def _as_one_cell(self, shapes: list[Geometry], fault: Fault) -> list[Geometry]:
        """Return shapes with all outlines among them as one box, where there are several."""
        if len(shapes) < 2:
            return shapes
        parts = [shape for shape in shapes if isinstance(shape, Polygon)]
        if len(parts) < 2:
            return shapes
        self.left_out.add("cell", "of several parts read as the box around them.")
        return [enclosing(parts, fault), *(shape for shape in shapes if not isinstance(shape, Polygon))]

    def _annotation(
        self,
        feature: Mapping[str, Any],
        properties: Mapping[str, Any],
        metadata: Mapping[str, Any],
        class_id: str | None,
        shape: Geometry,
    ) -> Annotation:
        note = metadata.get(NOTE_KEY) or metadata.get("note") or properties.get("name")
        status = metadata.get("status")
        return Annotation(
            slide_id=self.slide_id,
            geometry=shape,
            class_id=class_id,
            status=Status(status) if isinstance(status, str) and status in set(Status) else Status.ACCEPTED,
            author=free_text(metadata.get("author"), 500),
            origin=self.origin,
            scores=_scores(properties.get("measurements"), class_id),
            created_utc=_moment(metadata.get("created")) or self._now,
            note=free_text(note),
            id=self._identity(feature.get("id")),
        )

    def _identity(self, value: object) -> str:
        # Old QuPath writes one constant for all; only the first bearer of an id keeps it.
        number_ = _uuid_of(value)
        if number_ is None or number_ in self._ids:
            number_ = _uuid_of(new_id())
            assert number_ is not None
        self._ids.add(number_)
        return f"{number_:032x}"

    def _shapes(self, geometry: object, fault: Fault) -> list[Geometry]:
        if isinstance(geometry, dict) and geometry.get("type") in _OFTEN and geometry.get("coordinates"):
            return self._shapes_of(geometry, fault)
        parts = list(flattened(geometry, fault))
        if not any(part.get("coordinates") for part in parts):
            self.left_out.add("feature", "without a shape left out.")
            return []
        return [shape for part in parts for shape in self._shapes_of(part, fault)]

    def _shapes_of(self, part: Mapping[str, Any], fault: Fault) -> list[Geometry]:
        """Return the shapes of a simple geometry."""
        kind, coordinates = part.get("type"), part.get("coordinates")
        if kind == "Point":
            return [Point(*self._position(coordinates, fault))]
        if kind == "MultiPoint":
            return [Point(*self._position(each, fault)) for each in _listed(coordinates, "the points", fault)]
        if kind in ("Polygon", "MultiPolygon"):
            each = [coordinates] if kind == "Polygon" else _listed(coordinates, "the polygons", fault)
            outlines = [self._polygon(rings, fault) for rings in each]
            return [outline for outline in outlines if outline is not None]
        self.left_out.add("line", "left out, since lines are not cells.")
        return []

    def _position(self, value: object, fault: Fault) -> YX:
        if not isinstance(value, list) or not 2 <= len(value) <= 4:
            raise fault(f"expected a position [x, y], got {shown(value)}.")
        y, x = number(value[1], "y", fault), number(value[0], "x", fault)
        return (y + self.offset_yx[0], x + self.offset_yx[1])

    def _positions(self, values: list[Any], fault: Fault) -> list[YX]:
        """Return what `_position` says of each, without asking it one by one where all are plain pairs."""
        flat = _flat_pairs(values)
        if flat and min(flat) >= -FARTHEST_PX and max(flat) <= FARTHEST_PX:
            down, right = self.offset_yx
            return list(zip([y + down for y in flat[1::2]], [x + right for x in flat[0::2]], strict=True))
        return [self._position(position, fault) for position in values]

    def _polygon(self, rings: object, fault: Fault) -> Polygon | None:
        listed = _listed(rings, "a polygon", fault)
        if not listed:
            raise fault("expected a polygon with an outline, got an empty one.")
        corners = self._positions(_listed(listed[0], "an outline", fault), fault)
        if len(corners) > 3 and corners[0] == corners[-1]:
            corners.pop()
        if is_flat(corners):
            self.left_out.add("outline", _NO_AREA)
            return None
        self.left_out.add("hole", "of outlines filled, since outlines have no holes here.", len(listed) - 1)
        return Polygon(tuple(corners))


def _uuid_of(value: object) -> int | None:
    """Return the number of a UUID in any of its spellings, None for what is none."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    plain = value.replace("-", "")
    try:
        return int(plain, 16) if len(plain) == _UUID_DIGITS else uuid.UUID(value).int
    except ValueError:
        return None


def _above_first(value: object) -> bool:
    return isinstance(value, (int, float)) and value > 0


def _has_no_heights(geometry: object) -> bool:
    """Whether a point or an outline is one of plain pairs; False also where that takes more to find out."""
    if not isinstance(geometry, dict):
        return False
    coordinates = geometry.get("coordinates")
    if not isinstance(coordinates, list) or not coordinates or "geometries" in geometry:
        return False
    if geometry.get("type") == "Point":
        return len(coordinates) == 2
    if geometry.get("type") != "Polygon":
        return False
    try:
        return all(set(map(len, ring)) == _TWO for ring in coordinates)
    except TypeError:
        return False


def _flat_pairs(values: list[Any]) -> list[float]:
    """Return x, y, x, y ... of positions that are plain pairs of numbers; nothing where one is anything else."""
    try:
        if set(map(len, values)) != _TWO:
            return []
        flat = list(chain.from_iterable(values))
    except TypeError:
        return []
    return flat if set(map(type, flat)) <= _NUMBERS else []


def _heights(geometry: object) -> set[float]:
    """Return the third coordinates of a geometry, where it has some."""
    heights: set[float] = set()
    waiting = [geometry]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [part.get("coordinates"), part.get("geometries")]
        elif isinstance(part, list) and part and all(isinstance(v, (int, float)) for v in part):
            heights.update(part[2:3])
        elif isinstance(part, list):
            waiting += part
    return heights


def features(data: object, fault: Fault, bad: BadRows) -> Iterator[tuple[Mapping[str, Any], Fault]]:
    """Yield every feature of a FeatureCollection, a list, a bare feature or a bare geometry, with its place.

    Raises
    ------
    FormatError
        When it is none of these.
    """
    if isinstance(data, dict) and isinstance(data.get("features"), _MANY):
        _check_pixels(data.get("crs"), fault)
        data = data["features"]
    rows = data if isinstance(data, _MANY) else [data]
    for place, row in enumerate(rows, start=1):
        here = fault.at(f"feature {place}") if isinstance(data, _MANY) else fault
        if not isinstance(row, dict):
            bad.add(here(f"expected a feature, got {shown(row)}."))
            continue
        kind = row.get("type")
        if kind == "Feature" or "geometry" in row:
            yield row, here
        elif isinstance(kind, str) and (kind in _GEOMETRIES or kind == "GeometryCollection"):
            yield {"geometry": row}, here
        else:
            inner = " (a collection in a collection; merge them)" if kind == "FeatureCollection" else ""
            error = here(f"expected GeoJSON (a FeatureCollection or features), but the type is {shown(kind)}{inner}.")
            if not isinstance(data, _MANY):
                raise error
            bad.add(error)


def _check_pixels(crs: object, fault: Fault) -> None:
    """Refuse numbers that are said to be places on the earth, in any system but the one that is the default there."""
    properties = _mapping(_mapping(crs).get("properties"))
    name = properties.get("name") or properties.get("href") or properties.get("code")
    if not isinstance(name, (str, int)) or any(known in str(name).upper() for known in _NO_PLACE):
        return
    raise fault(
        f"its crs is {shown(name)}, that of a map; expected pixels of the slide. Remove crs if the "
        "coordinates are pixels."
    )


def flattened(geometry: object, fault: Fault) -> Iterator[Mapping[str, Any]]:
    """Yield the simple geometries of a geometry, those of nested collections too, in their order.

    Raises
    ------
    FormatError
        When a type is unknown.
    """
    waiting = [geometry]
    while waiting:
        part = waiting.pop()
        if part is None:
            continue
        if not isinstance(part, dict):
            raise fault(f"expected a geometry with a type, got {shown(part)}.")
        if part.get("type") == "GeometryCollection":
            waiting.extend(reversed(_listed(part.get("geometries"), "the geometries", fault)))
        elif isinstance(part.get("type"), str) and part["type"] in _GEOMETRIES:
            yield part
        else:
            raise fault(f"the geometry type {shown(part.get('type'))} is not known; Point and Polygon are.")


def _kept_shape(shape: Geometry, class_id: str | None, metadata: Mapping[str, Any]) -> Geometry:
    """Return a rectangle of a class as a Box, unless the file says that it was drawn as an outline, or of what."""
    if not isinstance(shape, Polygon) or class_id is None:
        return shape
    if metadata.get("shape") == "nucleus" and not isinstance(shape, CellOutline):
        shape = CellOutline(shape.vertices_yx)
    if isinstance(shape, CellOutline):
        return replace(shape, accepted=metadata.get(OUTLINE_KEY) != UNACCEPTED)
    if metadata.get("shape") == "polygon":
        return shape
    return rectangle(shape) or shape


def _mapping(value: object) -> Mapping[str, Any]:
    # What JSON holds; to ask whether it is any Mapping takes several times as long.
    return value if isinstance(value, dict) else {}


def _listed(value: object, what: str, fault: Fault) -> list[Any]:
    if not isinstance(value, list):
        raise fault(f"expected {what} to be a list, got {shown(value)}.")
    return value


def _colour(classification: Mapping[str, Any]) -> str | None:
    colour = classification.get("color")
    if isinstance(colour, list) and len(colour) >= 3 and all(type(c) is int and 0 <= c <= 255 for c in colour[:3]):
        return hex_colour(*colour[:3])
    packed = classification.get("colorRGB", colour)  # one signed number, 0xAARRGGBB
    if type(packed) is int and abs(packed) < 1 << 32:
        return hex_colour(packed >> 16, packed >> 8, packed)
    return None


def _scores(measurements: object, class_id: str | None) -> tuple[tuple[str, float], ...]:
    if isinstance(measurements, list):  # before QuPath 0.4: [{"name": ..., "value": ...}]
        rows = [(m.get("name"), m.get("value")) for m in measurements if isinstance(m, Mapping)]
    else:
        rows = list(_mapping(measurements).items())
    scores: dict[str, float] = {}
    for name, value in rows:
        if not isinstance(name, str) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            continue
        if name.startswith(SCORE_PREFIX) and name[len(SCORE_PREFIX) :].isprintable():
            scores[name[len(SCORE_PREFIX) :]] = float(value)
        elif name in _PROBABILITIES and class_id is not None:
            scores.setdefault(class_id, float(value))
    return tuple(scores.items())


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
