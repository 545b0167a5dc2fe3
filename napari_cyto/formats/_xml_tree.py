"""XML of strangers as a small tree whose elements know their lines."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

import defusedxml.sax
from defusedxml.common import DefusedXmlException

from napari_cyto.errors import FormatError
from napari_cyto.formats.text import Fault, read_bytes

DEEPEST = 64
"""How deeply elements may be nested; label files have fewer than ten levels."""

# What XML 1.0 cannot hold, not even escaped (section 2.2).
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class Element:
    """One element of a document.

    Parameters
    ----------
    tag : str
        Its name.
    attributes : mapping
        As written.
    line : int
        Where it begins, counted from 1.
    """

    tag: str
    attributes: Mapping[str, str]
    line: int
    children: list[Element] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What stands directly in it, without blanks at its ends."""
        return "".join(self.pieces).strip()

    def all(self, tag: str) -> Iterator[Element]:
        """Yield the children of that name."""
        return (child for child in self.children if child.tag == tag)

    def first(self, tag: str) -> Element | None:
        """Return the first child of that name, if there is one."""
        return next(self.all(tag), None)

    def text_of(self, *tags: str) -> str:
        """Return the text at the end of a path of names, empty where there is none."""
        found: Element | None = self
        for tag in tags:
            found = found.first(tag) if found is not None else None
        return "" if found is None else found.text

    def get(self, name: str) -> str:
        """Return an attribute without blanks at its ends, empty where there is none."""
        return self.attributes.get(name, "").strip()


def read_xml(path: Path) -> Element:
    """Return the root of an XML file.

    Raises
    ------
    FormatError
        When it is not XML, has a document type or entities, or is nested too deeply; with the line.
    """
    handler = _Tree(path)
    try:
        # A document type is where entity bombs live; label programs write none.
        defusedxml.sax.parse(io.BytesIO(read_bytes(path)), handler, forbid_dtd=True)
    except SAXParseException as error:
        raise FormatError(f"this is not XML ({error.getMessage()}).", path, error.getLineNumber()) from error
    except DefusedXmlException as error:
        raise FormatError("XML with a document type or entities is not read.", path) from error
    except (SAXException, ValueError, LookupError) as error:
        raise FormatError(f"the XML cannot be read ({str(error)[:80]}).", path) from error
    if handler.root is None:
        raise FormatError("the XML is empty.", path)
    return handler.root


def xml_text(text: str) -> str:
    """Return ``text`` with a question mark for what XML cannot hold, not even escaped."""
    return _NOT_XML.sub("?", text)


class _Tree(ContentHandler):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.root: Element | None = None
        self._path = path
        self._open: list[Element] = []

    def startElement(self, name: str, attrs: Any) -> None:  # noqa: N802 - the SAX interface's name
        line = self._line()
        if len(self._open) >= DEEPEST:
            raise Fault(self._path, line=line)(f"elements are nested more than {DEEPEST} deep.")
        element = Element(name, dict(attrs.items()), line)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def characters(self, content: str) -> None:
        self._open[-1].pieces.append(content)

    def endElement(self, name: str) -> None:  # noqa: ARG002, N802 - the SAX interface's name
        self._open.pop()

    def _line(self) -> int:
        locator = getattr(self, "_locator", None)
        return 1 if locator is None else int(locator.getLineNumber() or 1)
