"""COCO results: a list of a detector's boxes with scores, whose images and categories a truth file explains.

Source: the results format page of cocodataset.org, https://cocodataset.org/#format-results.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.geometry import Geometry
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.formats._label_set_builder import LabelSetBuilder, image_name
from napari_cyto.formats._shapes import box_of_edges, outline
from napari_cyto.formats._slide_json import KEY, slide_from_dict
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.label_format import (
    ON_READING,
    Capabilities,
    FormatOptions,
    ReadOnly,
    TargetKind,
    checked_options,
    names_what_came,
)
from napari_cyto.formats.text import Fault, class_name, number, read_json, shown, whole_number

_SIZE = ("height", "width")


class CocoResultsOptions(FormatOptions):
    """The file that says what the numbers mean."""

    truth: Path | None = Field(
        json_schema_extra=ON_READING,
        default=None,
        title="Truth",
        description="The COCO file that the image and category numbers of a results list refer to.",
    )


class CocoResultsFormat(ReadOnly):
    """A detector's results list for the images of a COCO file."""

    name = "coco-results"
    title = "COCO results"
    description = (
        "A detector's list of boxes with scores, imported as predictions; needs the COCO file that it "
        "refers to; import only."
    )
    target_kind: TargetKind = "file"
    suffix = ".json"
    options_type = CocoResultsOptions
    capabilities = Capabilities(results_of="coco")

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is a list of entries with image_id and category_id."""
        seen = Glimpse.of(source)
        return {("[]", "image_id"), ("[]", "category_id")} <= seen.keys

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the boxes as proposals on the truth's images; images without any are listed too.

        Raises
        ------
        FormatError
            Naming file, entry and reason, or asking for the truth file.
        """
        chosen = checked_options(CocoResultsOptions, options)
        path = Path(source)
        rows, fault = read_json(path), Fault(path)
        if not isinstance(rows, list):
            raise fault(f"expected a list of COCO results, got {shown(rows)}.")
        if chosen.truth is None:
            raise fault(
                "a results list gives images and classes by number only; give the COCO file that it refers to with "
                "--truth."
            )
        builder = LabelSetBuilder(path, chosen.skip_bad)
        slides, classes = _truth(chosen.truth, builder)
        for place, row in enumerate(rows, start=1):
            with builder.bad:
                _add(row, slides, classes, fault.at(f"entry {place}"), builder)
        return builder.labels()


def _truth(path: Path, builder: LabelSetBuilder) -> tuple[dict[str, SlideRecord], dict[str, str]]:
    fault = Fault(path)
    try:
        data = read_json(path)
    except FormatError as error:
        raise fault(f"expected the COCO file that the results list refers to; {error.reason}") from error
    images = data.get("images") if isinstance(data, Mapping) else None
    categories = data.get("categories") if isinstance(data, Mapping) else None
    if not isinstance(images, list) or not isinstance(categories, list):
        raise fault(f"expected a COCO file with images and categories as the ground truth, got {shown(data)}.")
    classes: dict[str, str] = {}
    for place, row in enumerate(categories, start=1):
        here = fault.at(f"categories, entry {place}")
        row = _mapping(row, here)
        key = _key(row, "id", here)
        if key in classes:
            raise here(f"the id {key!r:.80} is that of an earlier category.")
        classes[key] = class_name(row.get("name"), here)
    builder.classes.update(dict.fromkeys(classes.values()))
    slides: dict[str, SlideRecord] = {}
    for place, row in enumerate(images, start=1):
        here = fault.at(f"images, entry {place}")
        row = _mapping(row, here)
        key = _key(row, "id", here)
        ours, name = row.get(KEY), image_name(row.get("file_name"), here)
        facts = {**(ours if isinstance(ours, Mapping) else {}), **{side: row.get(side) for side in _SIZE}, "name": name}
        record = slide_from_dict(facts, name, here)
        if key in slides:
            raise here(f"the id {key!r:.80} is that of an earlier image.")
        slides[key] = builder.new_slide(record, (path.parent,), here)
    return slides, classes


def _mapping(row: object, here: Fault) -> Mapping[str, Any]:
    if not isinstance(row, Mapping):
        raise here(f"expected a mapping, got {shown(row)}.")
    return row


def _key(row: Mapping[str, Any], name: str, here: Fault) -> str:
    """Return an id as text: programs write 7, "7" and 7.0 for one and the same."""
    value = row.get(name)
    if isinstance(value, str) and 0 < len(value.strip()) <= 200:
        return value.strip()
    return str(whole_number(value, name, here, 10**15))


def _add(
    row: object, slides: Mapping[str, SlideRecord], classes: Mapping[str, str], here: Fault, builder: LabelSetBuilder
) -> None:
    row = _mapping(row, here)
    image, category = _key(row, "image_id", here), _key(row, "category_id", here)
    slide, class_id = slides.get(image), classes.get(category)
    if slide is None or class_id is None:
        what = f"image_id {image!r:.80}" if slide is None else f"category_id {category!r:.80}"
        raise here(f"the {what} is not in the ground truth file; give the one that the results were made for.")
    score = number(row.get("score"), "the score", here, 1.0)
    if score < 0:
        raise here(f"expected a score from 0 to 1, got {score:g}.")
    if "keypoints" in row and "bbox" not in row:
        builder.left_out.add("pose", "left out, since poses are not cells.")
        return
    geometry = _geometry(row, here, builder)
    builder.cell(slide, geometry, class_id, here, status=Status.UNREVIEWED, score=score)


def _geometry(row: Mapping[str, Any], here: Fault, builder: LabelSetBuilder) -> Geometry:
    parts = row.get("segmentation")
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], list):
        values = [number(v, "a corner", here) for v in parts[0]]
        if len(values) % 2:
            raise here(f"expected x and y for each corner of the outline, got {len(values)} numbers.")
        return outline(list(zip(values[1::2], values[0::2], strict=True)), here)
    box = row.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise _no_box(parts, box, here)
    if parts:
        builder.left_out.add("mask", "read as its box.")
    x, y, width, height = (number(v, what, here) for v, what in zip(box, ("x", "y", "width", "height"), strict=True))
    return box_of_edges(y, x, y + height, x + width, here)


def _no_box(parts: object, box: object, here: Fault) -> FormatError:
    if parts and box is None:
        return here("a mask without a bbox is not imported, since masks are not cells.")
    return here(f"expected a bbox [x, y, width, height], got {shown(box)}.")
