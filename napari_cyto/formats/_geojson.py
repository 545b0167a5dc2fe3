"""QuPath GeoJSON, one file a slide."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from napari_cyto.domain.annotation import imported_from
from napari_cyto.domain.geometry import YX
from napari_cyto.domain.image_names import bare_name
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._geojson_files import read_geojson
from napari_cyto.formats._geojson_read import FeatureReader, features
from napari_cyto.formats._geojson_write import geojson_lines
from napari_cyto.formats._per_slide import merged, source_files, with_remarks, write_per_slide
from napari_cyto.formats._slide_json import KEY, slide_from_dict
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.annotation_spool import AnnotationSpool
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.boxes import class_order, rows_by_slide
from napari_cyto.formats.colours import class_colours
from napari_cyto.formats.label_files import label_stem
from napari_cyto.formats.label_format import (
    ON_READING,
    ON_WRITING,
    Capabilities,
    StatusOptions,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.text import Fault, shown

_SUFFIXES = (".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".jsonl")
_TYPES = ("FeatureCollection", "Feature", "GeometryCollection", "MultiPoint", "MultiPolygon")


class GeoJsonOptions(StatusOptions):
    """Where the file's origin lies and how QuPath's kinds of objects are met."""

    origin: Literal["slide", "bounds"] = Field(
        default="slide",
        title="Origin",
        description="Where 0, 0 of the file lies: 'slide' is the corner of level 0; 'bounds' is the corner of the "
        "scanned area (openslide.bounds-x/y), as in QuPath on MRXS slides.",
    )
    bounds_offset_yx: tuple[float, float] | dict[str, tuple[float, float]] | None = Field(
        default=None,
        title="Corner of the scanned area",
        description="y, x in level-0 px, for all slides or by slide name; needed when the origin is 'bounds'.",
    )
    object_type: Literal["annotation", "detection"] = Field(
        json_schema_extra=ON_WRITING,
        default="annotation",
        title="Written as",
        description="The kind of object that cells become in QuPath; detections are faster there when there are "
        "tens of thousands.",
    )
    measurements: Literal["kept", "none"] = Field(
        json_schema_extra=ON_WRITING,
        default="kept",
        title="Measurements",
        description="What was measured on outlines, as QuPath's measurements of cells: 'kept' writes what the Measure "
        "dock or napari-cyto measure has measured, with whether the outline was accepted; 'none' leaves it out.",
    )
    unclassified: str = Field(
        json_schema_extra=ON_READING,
        default="unclassified",
        min_length=1,
        max_length=200,
        title="Class of unclassified objects",
        description="The class that points and detections without a classification get on import.",
    )
    cell_outline: Literal["both", "cell", "nucleus"] = Field(
        json_schema_extra=ON_READING,
        default="both",
        title="Outline of cells",
        description="Which outline of a QuPath cell is imported, if it also has one of its nucleus: both, or one.",
    )

    planes: Literal["first", "all"] = Field(
        json_schema_extra=ON_READING,
        default="first",
        title="Focal planes",
        description="Annotations on other focal planes (z) or time points than the first: "
        "leave them out, or take them too. The plane itself is not kept.",
    )

    def offset_of(self, slide: SlideRecord) -> YX:
        """Return where the file's origin lies on a slide, level-0 px.

        Raises
        ------
        FormatError
            When the origin is ``bounds`` and the slide's bounds were not given.
        """
        if self.origin == "slide":
            return (0.0, 0.0)
        known = self.bounds_offset_yx
        if isinstance(known, dict):
            known = known.get(slide.name) or known.get(bare_name(slide.name))
        if known is None:
            raise FormatError(
                f"The origin 'bounds' needs the corner of the scanned area of {slide.name!r} (its file states no "
                "bounds, or they were not given); choose the origin 'slide', or give --bounds-offset-yx."
            )
        return known


class GeoJsonFormat:
    """QuPath GeoJSON: a file for a slide, a folder of them for more."""

    name = "geojson"
    title = "QuPath GeoJSON"
    description = "One FeatureCollection per slide, for QuPath and other programs that read GeoJSON."
    target_kind: TargetKind = "folder"
    suffix = ".geojson"
    options_type = GeoJsonOptions
    capabilities = Capabilities()

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is a FeatureCollection, a list of features or a bare one, or a folder of such files."""
        seen = Glimpse.of(source)
        if seen.is_dir:
            return any(self.sniff(inner) for inner in seen.files(_SUFFIXES))
        kinds = {value for key, value in seen.values if key in (("type",), ("[]", "type"))}
        features = ("features", "[]") in seen.keys or {("type",), ("geometry",)} <= seen.keys
        return features or not kinds.isdisjoint(_TYPES) or ("[]", "geometry") in seen.keys

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the features of a file, or of every ``.geojson`` and ``.json`` file of a folder.

        Sequences of features (a line each, or as RFC 8142 has them) and packed files are read too.

        Raises
        ------
        FormatError
            Naming file, line or feature, and reason.
        """
        chosen = checked_options(GeoJsonOptions, options)
        bad = BadRows(Path(source), chosen.skip_bad)
        parts: list[LabelSet] = []
        cells = AnnotationSpool()
        for path in source_files(Path(source), _SUFFIXES, "GeoJSON"):
            # A file that cannot be read at all is one bad entry of a folder, but of itself all there is.
            with bad if Path(source).is_dir() else nullcontext():
                parts.append(_read_file(path, chosen, bad, cells))
        return with_remarks(merged(parts, cells.settled()), bad)

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what is left out by its status; everything else is carried."""
        chosen = checked_options(GeoJsonOptions, options)
        return tuple(losses.status_losses(labels, chosen, carries_status=True))

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write one slide to a file ``*.geojson``, or any number to a folder.

        Raises
        ------
        FormatError
            When more than one slide is to go into one file, or bounds are missing.
        """
        chosen = checked_options(GeoJsonOptions, options)
        cells = losses.written(labels, chosen)
        colours = class_colours(labels, class_order(labels, cells))
        files = [
            (
                slide,
                geojson_lines(
                    slide,
                    rows,
                    colours,
                    offset_yx=chosen.offset_of(slide),
                    origin=chosen.origin,
                    object_type=chosen.object_type,
                    numbers=None if chosen.measurements == "none" else labels.numbers,
                ),
            )
            for slide, rows in rows_by_slide(labels, cells)
        ]
        write_per_slide(files, Path(target), _SUFFIXES, self.name)


def _read_file(path: Path, options: GeoJsonOptions, bad: BadRows, cells: AnnotationSpool) -> LabelSet:
    """Put the annotations of a file into ``cells`` and return what else is in it."""
    data, fault = read_geojson(path, bad), Fault(path)
    facts = data.get(KEY) if isinstance(data, dict) else None
    known = facts if isinstance(facts, dict) else {}
    slide = slide_from_dict(known.get("slide"), label_stem(path), fault)
    if known.get("origin", options.origin) != options.origin:
        raise fault(f"the file states the origin {shown(known['origin'])}; choose that, not {options.origin!r}.")
    reader = FeatureReader(
        slide_id=slide.id,
        offset_yx=options.offset_of(slide),
        unclassified=options.unclassified,
        rings=options.cell_outline,
        all_planes=options.planes == "all",
        origin=imported_from(path.name),
        classes=_stated_classes(known.get("classes")),
    )
    before = len(cells)
    for feature, place in features(data, fault, bad):
        with bad:
            cells.extend(list(reader.read(feature, place)))
    colours = tuple((name, colour) for name, colour in reader.classes.items() if colour)
    remarks = reader.left_out.remarks(path.name)
    if reader.other_planes:
        beside = losses.count(reader.other_planes)
        if len(cells) == before:
            raise fault(f"all {beside} are on other focal planes than the first; import them with --planes all.")
        remarks += (
            (f"{path.name}: {beside} on other focal planes than the first left out (--planes all imports them)."),
        )
    return LabelSet((slide,), (), tuple(reader.classes), colours, remarks)


def _stated_classes(value: object) -> dict[str, str | None]:
    rows = value if isinstance(value, list) else []
    stated: dict[str, str | None] = {}
    for row in rows:
        if isinstance(row, list) and len(row) == 2 and all(isinstance(part, str) for part in row):
            name, colour = row
            plain = len(colour) == 7 and colour[0] == "#" and all(c in "0123456789abcdef" for c in colour[1:])
            if name and name.isprintable() and name == name.strip() and len(name) <= 500:
                stated[name] = colour if plain else None
    return stated
