"""APACC: slices of 2000 x 2000 px with one label file each, and crops per class.

Source: Kupas et al. 2024, doi 10.1038/s41597-024-03596-3. Names live in ``apacc_names``, lines in
``apacc_labels``, trees in ``apacc_tree``; this module is the door to all of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from pydantic import Field

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats import losses
from napari_cyto.formats.apacc_labels import (
    CLASS_NUMBERS,
    CLASSES,
    COLOURS,
    LabelLine,
    label_line,
    parse_label_text,
    slice_labels,
    whole_box,
)
from napari_cyto.formats.apacc_names import (
    SLICE_SIDE,
    CropName,
    SliceName,
    StemStyle,
    crop_name,
    match_crop_name,
    match_stem,
    parse_crop_name,
    parse_stem,
    slice_stem,
)
from napari_cyto.formats.apacc_tree import SIDES, read_slice, read_tree
from napari_cyto.formats.atomic import atomic_folder
from napari_cyto.formats.boxes import box_of, by_slide
from napari_cyto.formats.label_format import BoxOptions, TargetKind, checked_options
from napari_cyto.formats.safe_names import safe_names

__all__ = [
    "CLASSES",
    "CLASS_NUMBERS",
    "COLOURS",
    "SIDES",
    "SLICE_SIDE",
    "ApaccFormat",
    "ApaccOptions",
    "CropName",
    "LabelLine",
    "SliceName",
    "StemStyle",
    "crop_name",
    "label_line",
    "match_crop_name",
    "match_stem",
    "parse_crop_name",
    "parse_label_text",
    "parse_stem",
    "read_slice",
    "read_tree",
    "slice_corner",
    "slice_labels",
    "slice_stem",
    "slide_slices",
    "whole_box",
]


class ApaccOptions(BoxOptions):
    """How label files are named and which slices get one."""

    stem_style: StemStyle = Field(
        default=StemStyle.UNDERSCORE,
        title="Slice names",
        description="How x and y are joined in new names: 10030_18_18000_136000 or 669-15_36000-74000. "
        "A slice that was imported keeps its name.",
    )
    all_slices: bool = Field(
        default=False,
        title="All slices",
        description="Also write an empty label file for each slice without cells.",
    )


def slice_corner(y: float, x: float) -> tuple[int, int]:
    """Return the top-left corner ``(y0, x0)``, level-0 px, of the slice that holds the position ``y, x``."""
    return (max(int(y // SLICE_SIDE), 0) * SLICE_SIDE, max(int(x // SLICE_SIDE), 0) * SLICE_SIDE)


def slide_slices(
    slide: SlideRecord, cells: list[tuple[str, Box]], *, all_slices: bool = False
) -> dict[tuple[int, int], list[tuple[str, Box]]]:
    """Return the cells (class, box in slice px) of each slice of a slide, by the slice's corner.

    A cell goes whole into the slice that holds its centre, where it is clipped, as the collection does.

    Parameters
    ----------
    slide : SlideRecord
        A slide, or a slice that was imported (which is then its only slice, at corner 0, 0).
    cells : list of (class id, Box)
        Level-0 px of the slide.
    all_slices : bool
        Whether slices without cells are listed too; needs the slide's size.
    """
    slices: dict[tuple[int, int], list[tuple[str, Box]]] = defaultdict(list)
    if all_slices and slide.size_hw is not None:
        height, width = slide.size_hw
        for y0 in range(0, height, SLICE_SIDE):
            for x0 in range(0, width, SLICE_SIDE):
                slices[y0, x0] = []
    for class_id, box in cells:
        y0, x0 = (0, 0) if _is_slice(slide) else slice_corner(*box.centre_yx)
        slices[y0, x0].append((class_id, box.translated(-y0, -x0)))
    return dict(sorted(slices.items()))


def _is_slice(slide: SlideRecord) -> bool:
    return bool(slide.stem) and slide.size_hw == (SLICE_SIDE, SLICE_SIDE)


class ApaccFormat:
    """APACC label files without pixels; slices and crops are cut by the datasets part."""

    name = "apacc"
    title = "APACC"
    description = "Slices of 2000 x 2000 px with a label file each, split into train and test by smear."
    target_kind: TargetKind = "folder"
    suffix = ".txt"
    options_type = ApaccOptions

    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the slices of a tree, folder or single label file; see ``read_tree``."""
        checked_options(ApaccOptions, options)
        return read_tree(Path(source))

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what label files cannot carry."""
        chosen = checked_options(ApaccOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        unknown = Counter(a.class_id for a in cells if a.class_id not in CLASS_NUMBERS)
        crossing = sum(_crosses(a) for a in cells if isinstance(a.geometry, Box))
        fractional = sum(any(v != int(v) for v in a.geometry.bounds_yxyx) for a in cells if isinstance(a.geometry, Box))
        sentences = [
            f"{losses.count(number)} of class {name!r} cannot be written: APACC knows {', '.join(CLASSES)} only; "
            "choose a map to these classes."
            for name, number in sorted(unknown.items(), key=str)
        ]
        sentences += losses.status_losses(labels, chosen) + losses.region_losses(labels, chosen)
        sentences += losses.shape_losses(cells, "boxes")
        if fractional:
            sentences.append(f"{losses.count(fractional, 'box')} will be rounded to whole pixels.")
        if crossing:
            sentences.append(
                f"{losses.count(crossing, 'box')} will be clipped at the border of the slice that holds the centre."
            )
        sentences += losses.feature_losses(cells, "author", "note", "score", "time")
        return tuple(sentences)

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write the label files, in ``train/`` and ``test/`` where slides have a side, without images.

        Raises
        ------
        FormatError
            When a class is not one of the four, or a point lacks a box size.
        """
        chosen = checked_options(ApaccOptions, options)
        files = self._files(labels, chosen)
        with atomic_folder(target, {"format": self.name}) as folder:
            for (side, stem), text in files.items():
                path = folder / side / f"{stem}.txt"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(text.encode("utf-8"))

    def _files(self, labels: LabelSet, options: ApaccOptions) -> dict[tuple[str, str], str]:
        stems = safe_names(_smear_name(slide) for slide in labels.slides)
        files: dict[tuple[str, str], str] = {}
        for slide, cells in by_slide(labels, losses.written(labels, options, regions=False)):
            boxes = [(a.class_id or "", box_of(a, slide, options)) for a in cells]
            # An imported slice without cells has its empty file, as it came.
            wanted = options.all_slices or _is_slice(slide)
            for (y0, x0), rows in slide_slices(slide, boxes, all_slices=wanted).items():
                smear = stems[_smear_name(slide)]
                stem = smear if _is_slice(slide) else slice_stem(smear, y0, x0, options.stem_style)
                key = (slide.side if slide.side in SIDES else "", stem)
                if key in files:
                    raise FormatError(f"Two slices are called {stem}; rename one of their slides and export again.")
                files[key] = slice_labels([box for _, box in rows], [class_id for class_id, _ in rows])
        return files


def _smear_name(slide: SlideRecord) -> str:
    return slide.stem if _is_slice(slide) else slide.smear or Path(slide.name).stem or slide.name


def _crosses(annotation: Annotation) -> bool:
    y0, x0, y1, x1 = annotation.geometry.bounds_yxyx
    top, left = slice_corner(*annotation.geometry.centre_yx)
    return y0 < top or x0 < left or y1 > top + SLICE_SIDE or x1 > left + SLICE_SIDE
