"""ASAP XML, one file a slide: dots, rectangles and polygons in coloured groups.

Source: the files of ASAP (Automated Slide Analysis Platform, Radboud University), as its 2.x writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from pydantic import Field

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import YX, Box, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._asap_read import NO_GROUP, PLAIN_NAME, SLIDE_NAME, SLIDE_PRINT, read_asap
from napari_cyto.formats._per_slide import merged, source_files, with_remarks, write_per_slide
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.boxes import by_slide, class_order
from napari_cyto.formats.colours import class_colours
from napari_cyto.formats.label_format import (
    ON_READING,
    Capabilities,
    FormatOptions,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.tables import plain_number

_SUFFIXES = (".xml",)
_REGION_COLOUR = "#808080"
# What XML 1.0 cannot hold, not even escaped (section 2.2).
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class AsapOptions(FormatOptions):
    """What becomes of annotations without a group."""

    unclassified: str = Field(
        json_schema_extra=ON_READING,
        default="unclassified",
        min_length=1,
        max_length=200,
        title="Class of ungrouped shapes",
        description="The class that dots without a group get on import; polygons without a group become regions.",
    )


class AsapFormat:
    """ASAP XML: a file for a slide, a folder of them for more."""

    name = "asap"
    title = "ASAP XML"
    description = "One XML file per slide, for ASAP and the challenges that use it."
    target_kind: TargetKind = "folder"
    suffix = ".xml"
    options_type = AsapOptions
    capabilities = Capabilities()

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is XML of ASAP_Annotations, or a folder of such files."""
        seen = Glimpse.of(source)
        if seen.is_dir:
            return any(self.sniff(inner) for inner in seen.files(_SUFFIXES))
        return seen.xml_root == "ASAP_Annotations"

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the annotations of a file, or of every ``.xml`` file of a folder.

        Raises
        ------
        FormatError
            Naming file, line and reason.
        """
        chosen = checked_options(AsapOptions, options)
        bad = BadRows(Path(source), chosen.skip_bad)
        parts: list[LabelSet] = []
        for path in source_files(Path(source), _SUFFIXES, "ASAP"):
            # A file that cannot be read at all is one bad entry of a folder, but of itself all there is.
            with bad if Path(source).is_dir() else nullcontext():
                parts.append(read_asap(path, chosen.unclassified, bad))
        return with_remarks(merged(parts), bad)

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what ASAP files cannot carry."""
        chosen = checked_options(AsapOptions, options)
        cells = losses.written(labels, chosen)
        sentences = losses.status_losses(labels, chosen)
        sentences += losses.feature_losses(cells, "author", "score", "time")
        sentences += losses.slide_losses(
            labels, size_hw="size", mpp="µm per px", smear="smear", patient="patient", side="side"
        )
        return tuple(sentences)

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write one slide to a file ``*.xml``, or any number to a folder.

        Raises
        ------
        FormatError
            When more than one slide is to go into one file, a class is called ``None``, or the place
            cannot be written.
        """
        chosen = checked_options(AsapOptions, options)
        cells = losses.written(labels, chosen)
        colours = class_colours(labels, class_order(labels, cells))
        if NO_GROUP in colours:
            raise FormatError("In ASAP the name None means 'no group', so a class cannot be called None; rename it.")
        files = [(slide, asap_lines(rows, colours, slide)) for slide, rows in by_slide(labels, cells)]
        write_per_slide(files, Path(target), _SUFFIXES, self.name)


def asap_lines(
    cells: Iterable[Annotation], colours: Mapping[str, str], slide: SlideRecord | None = None
) -> Iterator[str]:
    """Yield the lines of one slide's file.

    Parameters
    ----------
    cells : iterable of Annotation
        Level-0 px of the slide.
    colours : mapping
        ``#rrggbb`` by class, in the order of the classes.
    slide : SlideRecord, optional
        Its name and fingerprint go into attributes that ASAP passes over.
    """
    facts = {} if slide is None else {SLIDE_NAME: slide.name, SLIDE_PRINT: slide.fingerprint}
    ours = "".join(f" {key}={_quoted(value)}" for key, value in facts.items() if value)
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<ASAP_Annotations{ours}>\n\t<Annotations>\n'
    for place, annotation in enumerate(cells):
        yield from _annotation(annotation, place, colours)
    yield "\t</Annotations>\n\t<AnnotationGroups>\n"
    for name, colour in colours.items():
        yield f"\t\t<Group Name={_quoted(name)} PartOfGroup={_quoted(NO_GROUP)} Color={_quoted(colour)}>\n"
        yield "\t\t\t<Attributes />\n\t\t</Group>\n"
    yield "\t</AnnotationGroups>\n</ASAP_Annotations>\n"


def _annotation(a: Annotation, place: int, colours: Mapping[str, str]) -> Iterator[str]:
    kind, corners = _shape(a)
    group = NO_GROUP if a.class_id is None else a.class_id
    colour = _REGION_COLOUR if a.class_id is None else colours[a.class_id]
    name = a.note if a.note and not PLAIN_NAME.fullmatch(a.note) else f"Annotation {place}"
    yield f"\t\t<Annotation Name={_quoted(name)} Type={_quoted(kind)} PartOfGroup={_quoted(group)}"
    yield f" Color={_quoted(colour)}>\n\t\t\t<Coordinates>\n"
    for order, (y, x) in enumerate(corners):
        yield f'\t\t\t\t<Coordinate Order="{order}" X="{plain_number(x)}" Y="{plain_number(y)}" />\n'
    yield "\t\t\t</Coordinates>\n\t\t</Annotation>\n"


def _shape(a: Annotation) -> tuple[str, tuple[YX, ...]]:
    geometry = a.geometry
    if isinstance(geometry, Point):
        return "Dot", (geometry.centre_yx,)
    if isinstance(geometry, Box):
        y0, x0, y1, x1 = geometry.bounds_yxyx
        return "Rectangle", ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
    return "Polygon", geometry.vertices_yx


def _quoted(text: str) -> str:
    return quoteattr(_NOT_XML.sub("?", text), {"\r": "&#13;"})
