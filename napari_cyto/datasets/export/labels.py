"""Labels of a project in any format, without images; what the format cannot carry is reported before it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_cyto.datasets._exchange_options import LabelExportOptions
from napari_cyto.datasets.export._reading_rate import Reading
from napari_cyto.datasets.import_.classes import mapped
from napari_cyto.datasets.import_.relink import slide_named
from napari_cyto.domain.annotation_source import Alike, AnnotationSource, Kinds
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.counts import counted
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.errors import FormatError
from napari_cyto.files.replacement import check_may_replace, replacing
from napari_cyto.formats import LabelFormat, written_format
from napari_cyto.formats.label_format import BoxOptions
from napari_cyto.formats.slide_names import distinct_names
from napari_cyto.jobs.events import Done, Event, Noted, Token
from napari_cyto.jobs.outcome import Steps, ending_once, stop_if_cancelled
from napari_cyto.measurements import CellTable, Measured, qupath_numbers, stored_measurements
from napari_cyto.slides import open_slide
from napari_cyto.store import Project

_READING_SHARE = 0.3
"""Of the time of an export, before the first line is written. Measured on a million annotations: 0.2 to 0.35."""


@dataclass(frozen=True, slots=True)
class LabelExport(JsonFields):
    """What an export of labels wrote.

    Parameters
    ----------
    target, format : str
        Where, and in which format.
    slides, annotations : int
        How many.
    losses : tuple of str
        What the format does not carry.
    """

    target: str
    format: str
    slides: int
    annotations: int
    losses: tuple[str, ...]


def export_labels(
    format_name: str,
    project_folder: Path,
    target: Path,
    options: LabelExportOptions | None = None,
    token: Token | None = None,
    any_project: bool = False,
) -> Iterator[Event]:
    """Write a project's labels; a job. The target is complete or as it was.

    Parameters
    ----------
    format_name : str
        One of ``formats.FORMATS``; for ``apacc`` this writes label files without images, see ``export_apacc``.
    project_folder : Path
        The project.
    target : Path
        The file or folder to be.
    options : LabelExportOptions, optional
        How.
    token : Token, optional
        Asks for a stop.
    any_project : bool
        Whether an untouched export of another project may be replaced, as where the project is but a step on the way.

    Yields
    ------
    Event
        Losses as ``Noted``, before anything is written; ``Done.result`` is a `LabelExport`.
    """
    chosen = options or LabelExportOptions()
    return ending_once(_export(format_name, Path(project_folder), Path(target), chosen, token, any_project))


def _export(
    format_name: str,
    project_folder: Path,
    target: Path,
    options: LabelExportOptions,
    token: Token | None,
    any_project: bool,
) -> Steps:
    label_format = written_format(format_name)
    if label_format.target_kind == "file" and target.is_dir():
        raise FormatError("expected the name of a file to write, got a folder.", target)
    reading = Reading(token)
    with (
        Project.open(project_folder) as project,
        labels_to_write(project, label_format, options, reading.take) as (labels, writer),
        replacing(target, options.overwrite, "" if any_project else project.identity),
    ):
        count = len(labels.annotations)
        losses = yield from reading.follow(
            lambda: loss_sentences(label_format, labels, writer), "Reading", count, (0.0, _READING_SHARE)
        )
        yield from (Noted(loss) for loss in losses)
        stop_if_cancelled(token)
        # Once more, now that it is going to be written: counting took its time.
        check_may_replace(target, options.overwrite, "" if any_project else project.identity)
        words = f"Writing {target.name}"
        yield from reading.follow(
            lambda: label_format.write(labels, target, **writer), words, count, (_READING_SHARE, 1.0)
        )
    yield Done(LabelExport(str(target), format_name, len(labels.slides), count, tuple(losses)))


def loss_sentences(
    label_format: LabelFormat, labels: LabelSet, writer: dict[str, Any], kinds: Kinds | None = None
) -> tuple[str, ...]:
    """Return what a format cannot carry, in sentences; ``kinds`` are those of the annotations where they are known."""
    found = labels.annotations
    if isinstance(found, AnnotationSource):
        # Slices lose what crosses their borders, so that each box counts there.
        by_kind = not label_format.capabilities.slices
        alike = Alike(found.kinds() if kinds is None else kinds) if by_kind else tuple(found)
        labels = replace(labels, annotations=alike)
    return (*labels.remarks, *label_format.losses(labels, **writer))


@contextmanager
def labels_to_write(
    project: Project,
    label_format: LabelFormat,
    options: LabelExportOptions,
    on_batch: Callable[[int], None] = lambda _number: None,
) -> Iterator[tuple[LabelSet, dict[str, Any]]]:
    """Give what is to be written, and the options of the format's writer completed from the project.

    The annotations are read within the block, each time they are gone through; ``on_batch`` is told of them.

    Raises
    ------
    CytoError
        When a slide was asked for that the project does not have.
    """
    with project.labels_now(_chosen_slides(project, options.slides), on_batch) as found:
        labels = mapped(_coloured(_named_apart(found), project.scheme), options.class_map)
        if _takes_measurements(label_format, options):
            labels = _with_measurements(project, labels)
        yield labels, _completed(project, label_format, options, labels)


def _completed(
    project: Project, label_format: LabelFormat, options: LabelExportOptions, labels: LabelSet
) -> dict[str, Any]:
    writer = dict(options.writer)
    fields = label_format.options_type.model_fields
    if issubclass(label_format.options_type, BoxOptions):
        sizes = {c.id: c.box_um for c in project.scheme.classes}
        names = options.class_map or {}
        writer["box_um"] = {names.get(k, k): v for k, v in sizes.items()} | dict(writer.get("box_um") or {})
    if "bounds_offset_yx" in fields and writer.get("origin") == "bounds" and not writer.get("bounds_offset_yx"):
        writer["bounds_offset_yx"] = _bounds_corners(project, labels)
    return writer


def _takes_measurements(label_format: LabelFormat, options: LabelExportOptions) -> bool:
    field = label_format.options_type.model_fields.get("measurements")
    return field is not None and dict(options.writer).get("measurements", field.default) != "none"


def _with_measurements(project: Project, labels: LabelSet) -> LabelSet:
    """Return labels with what is kept of the measurements of their cells, and a remark on outlines without any."""
    found = [stored_measurements(project, slide.id) for slide in labels.slides]
    slides = tuple(slide for each in found for slide in each.slides)
    lacking = sum(each.lacking for each in found)
    said = (
        f"{counted(lacking, 'outlined cell')} without measurements; measure them first, in the Measure dock or with: "
        "napari-cyto measure PROJECT."
    )
    remarks = (*labels.remarks, said) if lacking else labels.remarks
    return replace(labels, numbers=qupath_numbers(CellTable(Measured(slides))), remarks=remarks)


def _chosen_slides(project: Project, names: tuple[str, ...]) -> tuple[str, ...] | None:
    if not names:
        return None
    return tuple(dict.fromkeys(slide_named(project, name).id for name in names))


def _named_apart(labels: LabelSet) -> LabelSet:
    """Return labels whose slides all have names of their own, and a remark on those that had not."""
    names = distinct_names(labels.slides)
    slides = tuple(replace(slide, name=names[slide.id]) for slide in labels.slides)
    changed = [(old.name, new.name) for old, new in zip(labels.slides, slides, strict=True) if old.name != new.name]
    if not changed:
        return labels
    some = ", ".join(f"{new!r}" for _, new in changed[:4]) + (" ..." if len(changed) > 4 else "")
    said = f"{len(changed)} slides share their names with others ({changed[0][0]!r}), so they are written as {some}."
    return replace(labels, slides=slides, remarks=(*labels.remarks, said))


def _coloured(labels: LabelSet, scheme: ClassScheme) -> LabelSet:
    return labels if labels.colours else replace(labels, colours=tuple((c.id, c.colour) for c in scheme.classes))


def _bounds_corners(project: Project, labels: LabelSet) -> dict[str, tuple[float, float]]:
    corners = {}
    for slide in labels.slides:
        with open_slide(project.slide_path(slide)) as opened:
            bounds = opened.info.bounds_yxyx
        corners[slide.name] = (0.0, 0.0) if bounds is None else (float(bounds[0]), float(bounds[1]))
    return corners
