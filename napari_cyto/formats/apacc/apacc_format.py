"""APACC: slices of 2000 x 2000 px with one label file each, and crops per class.

Source: Kupas et al. 2024, doi 10.1038/s41597-024-03596-3. Names live in ``apacc_names``, lines in
``apacc_labels``, slices in ``apacc_slices``, trees in ``apacc_tree``; this module is the door to all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import atomic_folder
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.apacc._folder_tree import SETS, read_slice, read_tree
from napari_cyto.formats.apacc.label_lines import (
    CLASS_NUMBERS,
    CLASSES,
    COLOURS,
    LabelLine,
    label_line,
    parse_label_text,
    slice_labels,
    whole_box,
)
from napari_cyto.formats.apacc.names import (
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
from napari_cyto.formats.apacc.slice_losses import SliceLosses
from napari_cyto.formats.apacc.slices import Cell, Corner, corners, cut_into_slices, is_slice
from napari_cyto.formats.apacc.smear_names import SmearNames
from napari_cyto.formats.boxes import box_of, by_slide
from napari_cyto.formats.label_format import (
    ON_WRITING,
    BoxOptions,
    Capabilities,
    TargetKind,
    checked_options,
    names_what_came,
)

__all__ = [
    "CLASSES",
    "CLASS_NUMBERS",
    "COLOURS",
    "SETS",
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
    "slice_labels",
    "slice_stem",
    "whole_box",
]


class ApaccOptions(BoxOptions):
    """How label files are named and which slices get one."""

    stem_style: StemStyle = Field(
        json_schema_extra=ON_WRITING,
        default=StemStyle.UNDERSCORE,
        title="Slice names",
        description="How x and y are joined in new names: 10030_18_18000_136000 or 669-15_36000-74000. Imported "
        "slices keep their names.",
    )
    all_slices: bool = Field(
        json_schema_extra=ON_WRITING,
        default=False,
        title="All slices",
        description="Also write an empty label file for each slice without cells.",
    )


class ApaccFormat:
    """APACC label files without pixels; slices and crops are cut by the datasets part."""

    name = "apacc"
    title = "APACC"
    description = "Slices of 2000 x 2000 px with a label file each, split into train and test by smear."
    target_kind: TargetKind = "folder"
    suffix = ".txt"
    options_type = ApaccOptions
    capabilities = Capabilities(scheme="apacc", slices=True, brings_images=True)

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether files are called as slices are, in the folder, its sides or its ``slices``."""
        seen = Glimpse.of(source)
        if not seen.is_dir:
            return seen.suffix == ".txt" and match_stem(seen.path.stem) is not None
        places = [seen.path / below for below in ("", "train", "test", "slices", "slices/train", "slices/test")]
        files = (inner for place in places for inner in Glimpse(place).files((".txt",)))
        return any(match_stem(inner.path.stem) is not None for inner in files)

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the slices of a tree, folder or single label file; see ``read_tree``."""
        return read_tree(Path(source), checked_options(ApaccOptions, options).skip_bad)

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what label files cannot carry."""
        chosen = checked_options(ApaccOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        unknown = Counter(a.class_id for a in cells if a.class_id not in CLASS_NUMBERS)
        sentences = [
            f"{losses.count(number)} of class {name!r} cannot be written: APACC knows {', '.join(CLASSES)} only; "
            "choose a map to these classes."
            for name, number in sorted(unknown.items(), key=str)
        ]
        lost = SliceLosses()
        for a in labels.annotations:
            lost.add_annotation(a, chosen.statuses)
        _add_beside_and_clipped(lost, labels, cells)
        sentences += lost.sentences()
        sentences += losses.feature_losses(cells, "author", "score", "time")
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
        smears = SmearNames(labels.slides)
        files: dict[tuple[str, str], str] = {}
        for slide, some in by_slide(labels, losses.written(labels, options, regions=False)):
            cells = (Cell(a.class_id or "", box_of(a, slide, options)) for a in some)
            dealt = cut_into_slices(cells, slide.size_hw).cells
            for corner in _corners_to_write(slide, dealt, options):
                smear = smears[slide]
                stem = smear if is_slice(slide) else slice_stem(smear, *corner, options.stem_style)
                key = (slide.side if slide.side in SETS else "", stem)
                if key in files:
                    raise FormatError(f"Two slices are called {stem}; rename one of their slides and export again.")
                rows = dealt.get(corner, [])
                files[key] = slice_labels([cell.box for cell in rows], [cell.class_id for cell in rows])
        return files


def _corners_to_write(slide: SlideRecord, dealt: Mapping[Corner, object], options: ApaccOptions) -> list[Corner]:
    """Return the corners of the slices that get a file; an imported one without cells has its own, as it came."""
    if is_slice(slide):
        return [(0, 0)]
    return list(corners(slide.size_hw)) if options.all_slices and slide.size_hw is not None else sorted(dealt)


def _add_beside_and_clipped(lost: SliceLosses, labels: LabelSet, cells: Iterable[Annotation]) -> None:
    for slide, some in by_slide(labels, cells):
        shapes = (a.geometry for a in some)
        boxes = (shape if isinstance(shape, Box) else Box.around(shape.centre_yx, 1, 1) for shape in shapes)
        dealt = cut_into_slices((Cell("", box) for box in boxes), slide.size_hw)
        lost.add("outside", dealt.outside)
        lost.add("clipped", dealt.clipped)
