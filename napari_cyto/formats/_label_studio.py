"""Label Studio's JSON: a list of tasks, each an image with what people and models marked on it, in percent of its size.

Source: the task format and the tags' result tables of Label Studio, https://labelstud.io/guide/task_format.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import atomic_file
from napari_cyto.formats import _losses as losses
from napari_cyto.formats._label_studio_read import TaskReader
from napari_cyto.formats._slide_json import KEY, slide_to_dict
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.boxes import by_slide
from napari_cyto.formats.label_format import (
    ON_READING,
    Capabilities,
    StatusOptions,
    TargetKind,
    checked_options,
    names_what_came,
)

_MIN_FIELDS = ("original_width", "rectanglelabels", "keypointlabels", "polygonlabels", "ellipselabels")
_POINT_PERCENT = 0.5  # how large Label Studio draws a keypoint, of the image's width


class LabelStudioOptions(StatusOptions):
    """Whose annotations are read."""

    annotator: str = Field(
        json_schema_extra=ON_READING,
        default="",
        max_length=200,
        title="Annotator",
        description="If several people annotated a task, whose annotations to import: e-mail, name or number as in "
        "the file, or 'all' for everybody's, each with its author.",
    )
    predictions: bool = Field(
        json_schema_extra=ON_READING,
        default=True,
        title="Predictions",
        description="Also import what a model predicted on tasks that nobody has annotated yet.",
    )
    unclassified: str = Field(
        json_schema_extra=ON_READING,
        default="unclassified",
        min_length=1,
        max_length=200,
        title="Class of unlabelled shapes",
        description="The class that shapes without a label get on import.",
    )


class LabelStudioFormat:
    """Label Studio's JSON, one file for all tasks."""

    name = "labelstudio"
    title = "Label Studio JSON"
    description = "One JSON file of tasks with points, boxes, outlines and predictions, for Label Studio."
    target_kind: TargetKind = "file"
    suffix = ".json"
    options_type = LabelStudioOptions
    capabilities = Capabilities()

    def sniff(self, source: Path | Glimpse) -> bool:
        """Whether it is a list of tasks, or one task; JSON-MIN is known too, to be refused by name."""
        seen = Glimpse.of(source)
        task = ("[]",) if ("[]",) in seen.keys else ()
        marked = any((*task, name) in seen.keys for name in ("annotations", "predictions", "completions"))
        flat = any(key[-1] in _MIN_FIELDS and key[:1] == ("[]",) for key in seen.keys)
        return ((*task, "data") in seen.keys and marked) or flat

    @names_what_came
    def read(self, source: Path, **options: Any) -> LabelSet:
        """Return the tasks of an export (the kind called JSON, not JSON-MIN).

        Raises
        ------
        FormatError
            Naming file, task and reason.
        """
        chosen = checked_options(LabelStudioOptions, options)
        reader = TaskReader(
            Path(source),
            annotator=chosen.annotator,
            predictions=chosen.predictions,
            unclassified=chosen.unclassified,
            skip_bad=chosen.skip_bad,
        )
        return reader.read()

    def losses(self, labels: LabelSet, **options: Any) -> tuple[str, ...]:
        """Return what Label Studio's tasks cannot carry."""
        chosen = checked_options(LabelStudioOptions, options)
        cells = losses.written(labels, chosen, regions=False)
        sentences = losses.status_losses(labels, chosen, carries_status=True)
        rejected = losses.how_many(cells, lambda a: a.status is Status.REJECTED)
        if rejected:
            sentences.append(f"{losses.count(rejected, 'rejected annotation')} will be imported as predictions again.")
        sentences += losses.region_losses(labels, chosen)
        partial = losses.how_many(cells, _loses_scores)
        if partial:
            sentences.append(
                f"Scores of {losses.count(partial)} are not written: in Label Studio only predictions have scores."
            )
        sentences += losses.feature_losses(cells, "author", "time")
        return (*sentences, *losses.colour_losses(labels))

    def write(self, labels: LabelSet, target: Path, **options: Any) -> None:
        """Write one JSON file of tasks, as Label Studio imports it.

        Raises
        ------
        FormatError
            When an image's size is unknown or the place cannot be written.
        """
        chosen = checked_options(LabelStudioOptions, options)
        groups = by_slide(labels, losses.written(labels, chosen, regions=False))
        with atomic_file(target) as path, path.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            stream.write("[")
            for place, (slide, cells) in enumerate(groups):
                task = _task(place + 1, slide, cells)
                stream.write((",\n" if place else "\n") + json.dumps(task, ensure_ascii=False, allow_nan=False))
            stream.write("\n]\n")


def _loses_scores(a: Annotation) -> bool:
    own = dict(a.scores).keys() <= {a.class_id}
    return bool(a.scores) and (a.status is Status.ACCEPTED or not own)


def _task(number: int, slide: SlideRecord, cells: Iterable[Annotation]) -> dict[str, Any]:
    facts = {name: value for name, value in slide_to_dict(slide).items() if name != "name"}
    task: dict[str, Any] = {"id": number, "data": {"image": slide.name, **({KEY: facts} if facts else {})}}
    accepted = [_result(a, slide) for a in cells if a.status is Status.ACCEPTED]
    predicted = [_result(a, slide) for a in cells if a.status is not Status.ACCEPTED]
    if accepted or not predicted:
        task["annotations"] = [{"was_cancelled": False, "ground_truth": False, "result": accepted}]
    if predicted:
        task["predictions"] = [{"model_version": "napari-cyto", "result": predicted}]
    return task


def _result(a: Annotation, slide: SlideRecord) -> dict[str, Any]:
    if slide.size_hw is None or 0 in slide.size_hw:
        raise FormatError(
            f"The size of {slide.name!r} is unknown, and Label Studio gives positions in percent of it; open the "
            "image once, then export."
        )
    height, width = slide.size_hw
    kind, value = _shape(a, height, width)
    result: dict[str, Any] = {
        "id": a.id,
        "type": kind,
        "from_name": kind.removesuffix("labels"),
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": value | {kind: [a.class_id]},
    }
    score = dict(a.scores).get(a.class_id or "")
    if score is not None and a.status is not Status.ACCEPTED:
        result["score"] = score
    if a.note:
        result["meta"] = {"text": [a.note]}
    return result


def _shape(a: Annotation, height: int, width: int) -> tuple[str, dict[str, Any]]:
    geometry = a.geometry
    if isinstance(geometry, Point):
        place = {"x": 100 * geometry.x / width, "y": 100 * geometry.y / height}
        return "keypointlabels", place | {"width": _POINT_PERCENT}
    if isinstance(geometry, Box):
        y0, x0, y1, x1 = geometry.bounds_yxyx
        place = {"x": 100 * x0 / width, "y": 100 * y0 / height}
        size = {"width": 100 * (x1 - x0) / width, "height": 100 * (y1 - y0) / height}
        return "rectanglelabels", place | size | {"rotation": 0}
    corners = [[100 * x / width, 100 * y / height] for y, x in geometry.vertices_yx]
    return "polygonlabels", {"points": corners, "closed": True}
