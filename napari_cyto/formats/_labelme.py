"""LabelMe JSON, one file an image: outlines, rectangles, circles and points.

Source: the annotation files of the LabelMe program (https://github.com/wkentaro/labelme), versions 3 to 5, and of
AnyLabeling and X-AnyLabeling, which share them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._labelme_read import read_labelme
from napari_cyto.formats._per_slide import write_per_slide
from napari_cyto.formats._slide_json import KEY, slide_to_dict
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.boxes import by_slide
from napari_cyto.formats.label_format import Capabilities, FormatOptions, TargetKind, checked_options, names_what_came

_SUFFIXES = (".json",)
_VERSION = "5.5.0"


class LabelMeOptions(FormatOptions):
    """LabelMe needs no options of its own."""


class LabelMeFormat:
    """LabelMe JSON: a file for an image, a folder of them for more."""

    name = "labelme"
    title = "LabelMe JSON"
    description = "One JSON file per image with points, boxes and outlines, for LabelMe and AnyLabeling."
    target_kind: TargetKind = "folder"
    suffix = ".json"
    options_type = LabelMeOptions
    capabilities = Capabilities()

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is a mapping with shapes, or a folder of such files."""
        seen = Glimpse.of(source)
        if seen.is_dir:
            return any(self.sniff(inner) for inner in seen.files(_SUFFIXES, below=True))
        return ("shapes", "[]") in seen.keys

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the shapes of a file, or of every ``.json`` file of a folder and the folders in it.

        Raises
        ------
        FormatError
            Naming file, shape and reason.
        """
        return read_labelme(Path(source), checked_options(LabelMeOptions, options).skip_bad)

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what LabelMe's files cannot carry."""
        chosen = checked_options(LabelMeOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        sentences = losses.status_losses(labels, chosen) + losses.region_losses(labels, chosen)
        partial = losses.how_many(cells, losses.has_other_scores)
        if partial:
            sentences.append(f"Of the scores of {losses.count(partial)} only that of its own class is written.")
        sentences += losses.feature_losses(cells, "author", "time")
        return (*sentences, *losses.colour_losses(labels))

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write one slide to a file ``*.json``, or any number to a folder.

        Raises
        ------
        FormatError
            When more than one slide is to go into one file, or the place cannot be written.
        """
        chosen = checked_options(LabelMeOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        files = [(slide, _lines(slide, rows)) for slide, rows in by_slide(labels, cells)]
        write_per_slide(files, Path(target), _SUFFIXES, self.name)


def _lines(slide: SlideRecord, cells: Iterable[Annotation]) -> Iterator[str]:
    height, width = slide.size_hw or (None, None)
    facts = {name: value for name, value in slide_to_dict(slide).items() if name != "name"}
    yield f'{{"version": "{_VERSION}",\n"flags": {{}},\n"shapes": ['
    for place, a in enumerate(cells):
        yield (",\n" if place else "\n") + _json(_shape(a))
    yield f'\n],\n"imagePath": {_json(slide.name)},\n"imageData": null,\n'
    if facts:
        yield f'"{KEY}": {_json(facts)},\n'
    yield f'"imageHeight": {_json(height)},\n"imageWidth": {_json(width)}}}\n'


def _shape(a: Annotation) -> dict[str, Any]:
    geometry = a.geometry
    if isinstance(geometry, Point):
        kind, corners = "point", [geometry.centre_yx]
    elif isinstance(geometry, Box):
        y0, x0, y1, x1 = geometry.bounds_yxyx
        kind, corners = "rectangle", [(y0, x0), (y1, x1)]
    else:
        kind, corners = "polygon", list(geometry.vertices_yx)
    shape: dict[str, Any] = {"label": a.class_id, "points": [[x, y] for y, x in corners], "group_id": None}
    shape |= {"description": a.note, "shape_type": kind, "flags": {}, "mask": None}
    own = dict(a.scores).get(a.class_id or "")
    return shape if own is None else {**shape, "score": own}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
