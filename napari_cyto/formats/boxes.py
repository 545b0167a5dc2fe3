"""Boxes for formats that know nothing else, and the order of annotations by slide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.annotation_rows import NO_CLASS, Row, row_of
from napari_cyto.domain.annotation_source import AnnotationSource
from napari_cyto.domain.counts import counted
from napari_cyto.domain.geometry import Box, CellOutline, Geometry, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError, ScaleUnknownError
from napari_cyto.formats.label_format import BoxOptions


def box_of(annotation: Annotation, slide: SlideRecord, options: BoxOptions) -> Box:
    """Return the box, level-0 px, that stands for an annotation: its own, its bounds, or its class's round a point.

    Raises
    ------
    FormatError
        When a point's box size cannot be had because the slide's µm per px is unknown.
    """
    return box_round(annotation.geometry, annotation.class_id or NO_CLASS, slide, options)


def box_round(geometry: Geometry, class_id: str, slide: SlideRecord, options: BoxOptions) -> Box:
    """Return the box, level-0 px, that stands for a shape of a class; see `box_of`.

    The box of an outline is that of the whole cell where its cytoplasm is known, else that of its ring.

    Raises
    ------
    ScaleUnknownError
        When a point's box size cannot be had because the slide's µm per px is unknown.
    """
    if isinstance(geometry, Box):
        return geometry
    if not isinstance(geometry, Point):
        whole = isinstance(geometry, CellOutline) and geometry.cytoplasm_yx
        y0, x0, y1, x1 = Polygon(whole).bounds_yxyx if whole else geometry.bounds_yxyx
        if y1 > y0 and x1 > x0:
            return Box(y0, x0, y1, x1)
        return Box.around(geometry.centre_yx, max(y1 - y0, 1.0), max(x1 - x0, 1.0))
    mpp = slide.mpp or options.assumed_mpp
    if mpp is None:
        raise ScaleUnknownError(
            f"The points on {slide.name!r} need boxes of their class's size in µm, but its µm per px is unknown; "
            "set it for the slide, then export again.",
            [slide.path],
        )
    side = options.box_um.get(class_id, options.default_box_um) / mpp
    return Box.around(geometry.centre_yx, side, side)


class SlideRows:
    """The annotations of one slide, read anew each time they are gone through."""

    def __init__(self, source: AnnotationSource, slide_id: str) -> None:
        self._source, self._slide_id = source, slide_id

    def __iter__(self) -> Iterator[Annotation]:
        return self._source.of_slide(self._slide_id)

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None


Rows = list[Annotation] | SlideRows


def by_slide(labels: LabelSet, cells: Iterable[Annotation]) -> list[tuple[SlideRecord, Rows]]:
    """Return every slide with those of ``cells`` that lie on it, in their order.

    Raises
    ------
    FormatError
        When a cell lies on a slide that the label set does not list.
    """
    if isinstance(cells, AnnotationSource):
        return [(slide, SlideRows(cells, slide.id)) for slide in labels.slides]
    grouped: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in cells:
        grouped[annotation.slide_id].append(annotation)
    result: list[tuple[SlideRecord, Rows]] = [(slide, grouped.pop(slide.id, [])) for slide in labels.slides]
    if grouped:
        number = sum(len(rows) for rows in grouped.values())
        raise FormatError(
            f"{counted(number, 'annotation lies', 'annotations lie')} on slides that are not part of this export."
        )
    return result


def rows_by_slide(labels: LabelSet, cells: Iterable[Annotation]) -> list[tuple[SlideRecord, Iterator[Row]]]:
    """Return what `by_slide` does as rows of plain values, to be gone through once.

    Raises
    ------
    FormatError
        When a cell lies on a slide that the label set does not list.
    """
    if isinstance(cells, AnnotationSource):
        return [(slide, cells.rows_of_slide(slide.id)) for slide in labels.slides]
    return [(slide, map(row_of, found)) for slide, found in by_slide(labels, cells)]


def class_order(labels: LabelSet, cells: Iterable[Annotation]) -> tuple[str, ...]:
    """Return all classes: those that the label set lists, in its order, then others that occur, sorted."""
    listed = dict.fromkeys(labels.classes)
    if isinstance(cells, AnnotationSource):
        others = set(cells.class_ids())
    else:
        others = {a.class_id for a in cells if a.class_id is not None}
    return (*listed, *sorted(others - set(listed)))
