"""Reading ASAP XML as a stream, so that every error has its line and no nesting is too deep."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

import defusedxml.sax
from defusedxml.common import DefusedXmlException

from napari_cyto.domain.annotation import Annotation, imported_from, now_utc
from napari_cyto.domain.geometry import YX, Geometry, Point, Polygon, rectangle
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._non_cell_classes import only_cells
from napari_cyto.formats._shapes import is_flat
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.label_files import label_stem
from napari_cyto.formats.text import Fault, class_name, free_text, number, read_bytes, shown

NO_GROUP = "None"
SLIDE_NAME, SLIDE_PRINT = "NapariCytoSlide", "NapariCytoFingerprint"
PLAIN_NAME = re.compile(r"Annotation \d+")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_POINTS, _OUTLINES = ("Dot", "PointSet"), ("Polygon", "Spline", "Rectangle")


def read_asap(path: Path, unclassified: str, bad: BadRows) -> LabelSet:
    """Return the annotations of one ASAP file; its slide is called like the file.

    Parameters
    ----------
    path : Path
        The XML file.
    unclassified : str
        The class of dots that are in no group.
    bad : BadRows
        Takes the annotations that cannot be read.

    Raises
    ------
    FormatError
        Naming file, line and reason.
    """
    content = read_bytes(path)
    slide = SlideRecord(name=label_stem(path))
    handler = _Handler(path, slide.id, unclassified, bad)
    try:
        # A document type is where entity bombs live; ASAP writes none.
        defusedxml.sax.parse(io.BytesIO(content), handler, forbid_dtd=True)
    except SAXParseException as error:
        raise FormatError(f"this is not XML ({error.getMessage()}).", path, error.getLineNumber()) from error
    except DefusedXmlException as error:
        raise FormatError("XML with a document type or entities is not read.", path) from error
    except (SAXException, ValueError, LookupError) as error:
        raise FormatError(f"the XML cannot be read ({str(error)[:80]}).", path) from error
    facts = handler.slide_facts
    slide = replace(slide, name=facts.get(SLIDE_NAME) or slide.name, fingerprint=facts.get(SLIDE_PRINT, ""))
    if not handler.is_asap:
        raise FormatError("expected ASAP XML with an element ASAP_Annotations, got none.", path)
    classes = handler.classes
    colours = tuple((name, colour) for name, colour in classes.items() if colour)
    remarks = tuple(
        f"{path.name}: {losses.count(number, 'annotation')} of type {kind} left out."
        for kind, number in sorted(handler.left_out.items())
    )
    return only_cells(LabelSet((slide,), tuple(handler.cells), tuple(classes), colours, remarks), path.name)


class _Handler(ContentHandler):
    def __init__(self, path: Path, slide_id: str, unclassified: str, bad: BadRows) -> None:
        super().__init__()
        self.is_asap = False
        self.slide_facts: dict[str, str] = {}
        self.cells: list[Annotation] = []
        self.left_out: Counter[str] = Counter()
        self._groups: dict[str, str | None] = {}
        self._seen: dict[str, str | None] = {}
        self._path, self._slide_id, self._unclassified = path, slide_id, unclassified
        self._origin, self._now = imported_from(path.name), now_utc()
        self._bad = bad
        self._open: Mapping[str, str] | None = None
        self._broken: FormatError | None = None
        self._corners: list[YX] = []
        self._orders: list[float | None] = []

    @property
    def classes(self) -> dict[str, str | None]:
        """Colour (or None) by class: the groups in their order, then what is only used."""
        return {**self._groups, **{name: c for name, c in self._seen.items() if name not in self._groups}}

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802 - the SAX interface's name
        self.is_asap = self.is_asap or name == "ASAP_Annotations"
        if name == "ASAP_Annotations":
            self.slide_facts = {k: free_text(attrs.get(k, ""), 500).strip() for k in (SLIDE_NAME, SLIDE_PRINT)}
        if name == "Annotation":
            if self._open is not None:
                raise self._fault("an annotation is nested in another one.")
            self._open, self._corners, self._orders, self._broken = dict(attrs.items()), [], [], None
        elif name == "Coordinate" and self._open is not None:
            self._take_corner(attrs)
        elif name == "Group":
            with self._bad:
                colour = attrs.get("Color", "")
                group = class_name(attrs.get("Name"), self._fault)
                self._groups.setdefault(group, colour.lower() if _COLOUR.fullmatch(colour) else None)

    def endElement(self, name: str) -> None:  # noqa: N802 - the SAX interface's name
        if name == "Annotation" and self._open is not None:
            with self._bad:
                if self._broken is not None:
                    raise self._broken
                self._close(self._open)
            self._open = None

    def _take_corner(self, attrs: Any) -> None:
        try:
            y, x = number(attrs.get("Y"), "Y", self._fault), number(attrs.get("X"), "X", self._fault)
            self._corners.append((y, x))
            order = attrs.get("Order")
            self._orders.append(None if order is None else number(order, "Order", self._fault))
        except FormatError as error:
            self._broken = self._broken or error

    def _fault(self, reason: str) -> FormatError:
        locator = getattr(self, "_locator", None)
        return Fault(self._path, line=None if locator is None else locator.getLineNumber())(reason)

    def _close(self, attributes: Mapping[str, str]) -> None:
        kind, group = attributes.get("Type", ""), attributes.get("PartOfGroup", NO_GROUP).strip()
        class_id = None if group in (NO_GROUP, "") else class_name(group, self._fault)
        for geometry in self._shapes(kind, class_id):
            if class_id is None and isinstance(geometry, Point):
                class_id = self._unclassified
            self._add(attributes, class_id, geometry)

    def _add(self, attributes: Mapping[str, str], class_id: str | None, geometry: Geometry) -> None:
        if class_id is not None:
            colour = attributes.get("Color", "")
            self._seen.setdefault(class_id, colour.lower() if _COLOUR.fullmatch(colour) else None)
        name = free_text(attributes.get("Name"))
        self.cells.append(
            Annotation(
                slide_id=self._slide_id,
                geometry=geometry,
                class_id=class_id,
                origin=self._origin,
                created_utc=self._now,
                note="" if PLAIN_NAME.fullmatch(name) else name,
            )
        )

    def _in_order(self) -> tuple[YX, ...]:
        """Return the corners by their Order, as ASAP draws them; as they stand where that is missing or doubled."""
        orders = [order for order in self._orders if order is not None]
        if len(set(orders)) != len(self._corners):
            return tuple(self._corners)
        return tuple(corner for _, corner in sorted(zip(orders, self._corners, strict=True)))

    def _shapes(self, kind: str, class_id: str | None) -> list[Geometry]:
        corners = self._in_order()
        if kind in _POINTS:
            if not corners or (kind == "Dot" and len(corners) != 1):
                raise self._fault(f"expected one coordinate for a {kind}, got {len(corners)}.")
            return [Point(*corner) for corner in corners]
        if kind not in _OUTLINES:
            if not kind or not kind.isprintable():
                raise self._fault(f"expected the Type Dot, Rectangle or Polygon, got {shown(kind)}.")
            self.left_out[kind[:40]] += 1
            return []
        if len(corners) < 3:
            raise self._fault(f"expected at least 3 coordinates for a {kind}, got {len(corners)}.")
        if is_flat(corners):
            raise self._fault(f"expected a {kind} with an area, got corners on one line.")
        outline = Polygon(corners)
        box = rectangle(outline) if kind == "Rectangle" and class_id is not None else None
        return [outline if box is None else box]
