"""Pascal VOC, one XML file an image: classes and boxes.

Source: the annotation files of the PASCAL VOC development kit (Everingham et al. 2010, doi 10.1007/s11263-009-0275-4),
as LabelImg, CVAT and Roboflow write them today.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

from pydantic import Field

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box, lies_outside, reaches_out
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import atomic_folder
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._per_slide import write_pieces
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats._voc_images import VocImages, labelmap_holds
from napari_cyto.formats._voc_read import read_voc
from napari_cyto.formats._xml_tree import xml_text
from napari_cyto.formats.boxes import box_of, by_slide
from napari_cyto.formats.image_sets import LabelledCell
from napari_cyto.formats.label_format import BoxOptions, Capabilities, TargetKind, checked_options, names_what_came
from napari_cyto.formats.slide_names import slide_stems
from napari_cyto.formats.tables import plain_number

_SETS = ("train", "test")


class VocOptions(BoxOptions):
    """How pixels are counted."""

    pixels: Literal["edges", "devkit"] = Field(
        default="edges",
        title="Pixels",
        description="'edges': xmin and xmax are edges counted from 0, as LabelImg, CVAT and Roboflow write them; "
        "'devkit': pixels counted from 1, both included, as in the challenge's own files.",
    )


class VocFormat:
    """Pascal VOC: a file for an image, a folder of them for more."""

    name = "voc"
    title = "Pascal VOC"
    description = "One XML file per image with classes and boxes, for LabelImg, CVAT, Roboflow and detectors."
    target_kind: TargetKind = "folder"
    suffix = ".xml"
    options_type = VocOptions
    capabilities = Capabilities()

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is XML of one annotation with objects or a size, or a folder of such files."""
        seen = Glimpse.of(source)
        if seen.is_dir:
            return any(self.sniff(inner) for inner in seen.files((".xml",), below=True))
        return seen.xml_root == "annotation"

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the boxes of a file, or of every ``.xml`` file of a folder and the folders in it.

        Raises
        ------
        FormatError
            Naming file, line and reason.
        """
        chosen = checked_options(VocOptions, options)
        return read_voc(Path(source), counted_from_1=chosen.pixels == "devkit", skip_bad=chosen.skip_bad)

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what VOC files cannot carry."""
        chosen = checked_options(VocOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        sentences = losses.plain_losses(labels, chosen, "boxes", "author", "note", "score", "time")
        sizes = {slide.id: slide.size_hw for slide in labels.slides if slide.size_hw is not None}
        split = losses.how_many(
            cells, lambda a: isinstance(a.geometry, Box) and any(edge != int(edge) for edge in a.geometry.bounds_yxyx)
        )
        if split:
            sentences.append(f"{losses.count(split, 'box')} will be rounded to whole pixels.")
        out = losses.how_many(cells, lambda a: a.slide_id in sizes and reaches_out(a.geometry, sizes[a.slide_id]))
        if out:
            sentences.append(f"{losses.count(out, 'box')} will be clipped at the border of the image.")
        sentences += losses.colour_losses(labels)
        return (
            *sentences,
            *losses.slide_losses(labels, mpp="µm per px", smear="smear", patient="patient"),
        )

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write ``Annotations/`` with a file an image, and ``ImageSets/Main/`` where slides have a side.

        Raises
        ------
        FormatError
            When an image's size is unknown, a point lacks a box size, a box lies outside its image, or the place
            cannot be written.
        """
        chosen = checked_options(VocOptions, options)
        groups = by_slide(labels, losses.written(labels, chosen, regions=False))
        stems = slide_stems(labels.slides)
        with atomic_folder(target, {"format": self.name}) as folder:
            for slide, rows in groups:
                path = folder / "Annotations" / f"{stems[slide.id]}.xml"
                path.parent.mkdir(exist_ok=True)
                write_pieces(path, _lines(slide, rows, chosen))
            for side in _SETS:
                names = [stems[slide.id] for slide in labels.slides if slide.side == side]
                if names:
                    path = folder / "ImageSets" / "Main" / f"{side}.txt"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes("".join(f"{name}\n" for name in names).encode("utf-8", "replace"))

    def unreadable_names(self, classes: Iterable[str]) -> tuple[str, ...]:
        """Return the classes whose names ``labelmap.txt`` would end at a colon, or take for a remark."""
        return tuple(name for name in classes if not labelmap_holds(name))

    def image_set(self, folder: Path, classes: Sequence[str], **options: Any) -> VocImages:
        """Return the writer of a data set with images."""
        chosen = checked_options(VocOptions, options)

        def lines(record: SlideRecord, cells: Sequence[LabelledCell]) -> Iterator[str]:
            assert record.size_hw is not None
            boxes = [(cell.class_id, _whole(Box(*cell.bounds_yxyx), record.size_hw), cell.cut) for cell in cells]
            return _file(record, record.size_hw, boxes, chosen)

        return VocImages(folder, classes, lines)


def _lines(slide: SlideRecord, cells: Iterable[Annotation], options: VocOptions) -> Iterator[str]:
    if slide.size_hw is None or 0 in slide.size_hw:
        raise FormatError(
            f"The size of {slide.name!r} is unknown, and Pascal VOC requires it; open the image once, then export."
        )
    return _file(slide, slide.size_hw, _boxes(slide, slide.size_hw, cells, options), options)


_WholeBox = tuple[int, int, int, int]
_Object = tuple[str, _WholeBox, bool]
"""Class, box, and whether it is truncated: the border of the image cut it."""


def _boxes(
    slide: SlideRecord, size_hw: tuple[int, int], cells: Iterable[Annotation], options: VocOptions
) -> Iterator[_Object]:
    for a in cells:
        box = box_of(a, slide, options)
        if lies_outside(box, size_hw):
            raise FormatError(
                f"A box of class {a.class_id} at y, x {a.geometry.centre_yx} lies outside {slide.name!r}, which has "
                f"{size_hw[0]} x {size_hw[1]} px; move or delete it."
            )
        yield a.class_id or "", _whole(box, size_hw), reaches_out(box, size_hw)


def _file(slide: SlideRecord, size_hw: tuple[int, int], boxes: Iterable[_Object], options: VocOptions) -> Iterator[str]:
    height, width = size_hw
    yield "<annotation>\n"
    yield f"\t<folder>JPEGImages</folder>\n\t<filename>{_escaped(slide.name)}</filename>\n"
    yield "\t<source>\n\t\t<database>napari-cyto</database>\n\t</source>\n"
    yield f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    yield "\t<segmented>0</segmented>\n"
    first = 1 if options.pixels == "devkit" else 0
    for class_id, (y0, x0, y1, x1), cut in boxes:
        yield f"\t<object>\n\t\t<name>{_escaped(class_id)}</name>\n\t\t<pose>Unspecified</pose>\n"
        yield f"\t\t<truncated>{int(cut)}</truncated>\n\t\t<difficult>0</difficult>\n\t\t<bndbox>\n"
        for name, value in (("xmin", x0 + first), ("ymin", y0 + first), ("xmax", x1), ("ymax", y1)):
            yield f"\t\t\t<{name}>{plain_number(value)}</{name}>\n"
        yield "\t\t</bndbox>\n\t</object>\n"
    yield "</annotation>\n"


def _whole(box: Box, size_hw: tuple[int, int]) -> _WholeBox:
    """Return the box's edges as whole px inside its image, at least one px apart."""
    height, width = size_hw
    y0, y1 = _span(box.y0, box.y1, height)
    x0, x1 = _span(box.x0, box.x1, width)
    return y0, x0, y1, x1


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    first = min(max(round(low), 0), size - 1)
    return first, min(max(round(high), first + 1), size)


def _escaped(text: str) -> str:
    return escape(xml_text(text), {"\r": "&#13;"})
