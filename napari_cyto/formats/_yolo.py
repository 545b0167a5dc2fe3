"""YOLO text labels: one file an image, ``class x y width height`` in fractions of the image, and ``data.yaml``.

Source: the dataset layout that Ultralytics documents for detection, https://docs.ultralytics.com/datasets/detect/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import clipped, reaches_out
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.quantities import ImagePx
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import atomic_folder
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._per_slide import write_pieces
from napari_cyto.formats._slide_json import slide_to_dict
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats._yolo_images import YoloImages
from napari_cyto.formats._yolo_lines import box_line
from napari_cyto.formats._yolo_read import read_yolo
from napari_cyto.formats.bad_rows import BadRows
from napari_cyto.formats.boxes import box_of, by_slide, class_order
from napari_cyto.formats.image_sets import SPLITS
from napari_cyto.formats.label_format import (
    ON_READING,
    BoxOptions,
    Capabilities,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.slide_names import slide_stems

_SETS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
_ALONE = """\
# Labels without their images, which are not divided into a training, a validation and a test set here: nothing can be
# trained on them as they lie. Export with images (a folder, --images auto) for that.
"""
_ALONE_IN_SETS = """\
# Labels without their images, in the sets that came with the data. Put the images where the lines below say, with the
# names that their label files have; labels outside these folders are in no set.
"""
_LISTS = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names", "obj.data")


class YoloOptions(BoxOptions):
    """Size of images that are not beside the labels."""

    image_width: ImagePx | None = Field(
        json_schema_extra=ON_READING,
        default=None,
        title="Image width, px",
        description="For import: of images that are missing and whose size is not recorded.",
    )
    image_height: ImagePx | None = Field(
        json_schema_extra=ON_READING,
        default=None,
        title="Image height, px",
        description="For import: of images that are missing and whose size is not recorded.",
    )


class YoloFormat:
    """YOLO text labels in a folder with ``data.yaml``."""

    name = "yolo"
    title = "YOLO"
    description = "One label file per image and data.yaml with the classes, for detectors."
    target_kind: TargetKind = "folder"
    suffix = ".txt"
    options_type = YoloOptions
    capabilities = Capabilities(brings_images=True)

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is a list of classes (``data.yaml``, ``classes.txt``, ``obj.names``) or a folder with one."""
        seen = Glimpse.of(source)
        if seen.is_dir:
            return seen.has(*_LISTS)
        return seen.path.name in _LISTS or (seen.suffix in (".yaml", ".yml") and "names:" in seen.text)

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the boxes of a YOLO folder (or of its ``data.yaml``); see ``read_yolo``.

        Raises
        ------
        FormatError
            Naming file, line and reason.
        """
        chosen = checked_options(YoloOptions, options)
        height, width = chosen.image_height, chosen.image_width
        bad = BadRows(Path(source), chosen.skip_bad)
        return read_yolo(Path(source), bad, None if height is None or width is None else (height, width))

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what YOLO labels cannot carry."""
        chosen = checked_options(YoloOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        sentences = losses.plain_losses(labels, chosen, "boxes", "author", "note", "score", "time")
        sizes = {slide.id: slide.size_hw for slide in labels.slides if slide.size_hw is not None}
        outside = losses.how_many(cells, lambda a: a.slide_id in sizes and reaches_out(a.geometry, sizes[a.slide_id]))
        if outside:
            sentences.append(f"{losses.count(outside, 'box')} will be clipped at the border of the image.")
        return (*sentences, *losses.colour_losses(labels))

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write ``data.yaml`` and ``labels/`` (with ``train/``, ``val/`` and ``test/`` where slides have a side).

        ``data.yaml`` names the sets that there are, so that nothing is tested on what it was trained on by a default.

        Raises
        ------
        FormatError
            When an image's size is unknown, a point lacks a box size, or the place cannot be written.
        """
        chosen = checked_options(YoloOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        names = class_order(labels, cells)
        stems = slide_stems(labels.slides)
        record = {"format": self.name, "slides": {stems[s.id]: slide_to_dict(s) for s in labels.slides}}
        with atomic_folder(target, record) as folder:
            for slide, rows in by_slide(labels, cells):
                path = folder / "labels" / _side(slide) / f"{stems[slide.id]}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_pieces(path, _lines(slide, rows, names, chosen))
            text = _described(labels, names)
            (folder / "data.yaml").write_bytes(text.encode("utf-8", "replace"))

    def unreadable_names(self, classes: Iterable[str]) -> tuple[str, ...]:  # noqa: ARG002  any name is quoted
        """Return none: every name can be written."""
        return ()

    def image_set(self, folder: Path, classes: Sequence[str], **options: Any) -> YoloImages:
        """Return the writer of a data set with images."""
        checked_options(YoloOptions, options)
        return YoloImages(folder, classes)


def _described(labels: LabelSet, names: tuple[str, ...]) -> str:
    sets = {_side(slide) for slide in labels.slides}
    data: dict[str, Any] = {side: f"images/{side}" for side in SPLITS if side in sets}
    head = _ALONE_IN_SETS if data else _ALONE
    data["names"] = dict(enumerate(names))
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return head + text


def _lines(
    slide: SlideRecord, cells: Iterable[Annotation], names: tuple[str, ...], options: YoloOptions
) -> Iterator[str]:
    if slide.size_hw is None or 0 in slide.size_hw:
        raise FormatError(
            f"The size of {slide.name!r} is unknown, and YOLO requires it; open the image once, then export."
        )
    height, width = slide.size_hw
    numbers = {name: place for place, name in enumerate(names)}
    for a in cells:
        on_image = clipped(box_of(a, slide, options).bounds_yxyx, slide.size_hw)
        if on_image is None:
            raise FormatError(
                f"A box of class {a.class_id} at y, x {a.geometry.centre_yx} lies outside {slide.name!r}, which has "
                f"{height} x {width} px; move or delete it."
            )
        yield box_line(numbers[a.class_id or ""], on_image, slide.size_hw)


def _side(slide: SlideRecord) -> str:
    return _SETS.get(slide.side, "")
