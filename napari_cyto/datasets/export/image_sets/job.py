"""A project as a data set of images with their labels, divided into training, validation and test set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from napari_cyto import __version__
from napari_cyto.datasets.audit.report import Finding
from napari_cyto.datasets.export._patient_aliases import PatientAliases
from napari_cyto.datasets.export._reading_rate import Reading
from napari_cyto.datasets.export.export_manifest import write_manifest
from napari_cyto.datasets.export.image_sets._division import Division, Pairs, divide
from napari_cyto.datasets.export.image_sets._image_files import Job, write_images
from napari_cyto.datasets.export.image_sets._image_plan import PlannedImage, SlideImages, Tally
from napari_cyto.datasets.export.image_sets._slide_cells import read_cells
from napari_cyto.datasets.export.image_sets._twins import CellPlaces, find_twins, some_of
from napari_cyto.datasets.export.image_sets.image_options import ImageExportOptions
from napari_cyto.datasets.export.labels import export_labels, labels_to_write, loss_sentences
from napari_cyto.datasets.splits.leaks import refuse_leaks
from napari_cyto.domain.annotation import Status, now_utc
from napari_cyto.domain.annotation_source import AnnotationSource
from napari_cyto.domain.counts import counted
from napari_cyto.domain.json_values import JsonFields
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, FormatError
from napari_cyto.files.atomic import atomic_folder, check_replaceable, exporting
from napari_cyto.files.replacement import replacing
from napari_cyto.formats import LabelFormat, written_format
from napari_cyto.formats.boxes import class_order
from napari_cyto.formats.image_sets import SPLITS, VAL, ImageSetFormat, LabelledImage
from napari_cyto.formats.image_table import IMAGE_TABLE, ImagePlace, writing_image_table
from napari_cyto.formats.label_format import BoxOptions, checked_options
from napari_cyto.formats.slide_names import slide_stems
from napari_cyto.jobs.events import Advanced, Done, Event, Noted, Token
from napari_cyto.jobs.outcome import UNTOUCHED, Steps, ending_once, stop_if_cancelled
from napari_cyto.slides import UnreadableTile, open_slide
from napari_cyto.slides.slide import said_of_unreadable
from napari_cyto.store import Project

_PLANNING_SHARE = 0.1
"""Of the progress, before the first image is written."""
_NOT_ANNOTATED = (
    "slide without annotations is left out, since nobody said that there are no cells on it (--unannotated takes it).",
    "slides without annotations are left out, since nobody said that there are no cells on them (--unannotated takes "
    "them).",
)
_NO_VALIDATION = "Without a validation set some trainers, Ultralytics among them, do not start."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSetExport(JsonFields):
    """What an export of images with their labels wrote.

    Parameters
    ----------
    target, format : str
        Where, and in which format.
    slides : int
        How many.
    images, cells : mapping
        Set to images, and to annotations.
    counts : mapping
        Set to class id to boxes.
    boxes, annotations : int
        Boxes in all, and the annotations that they are of.
    tally : mapping
        What happened to how many boxes and tiles.
    split : mapping
        The tables of ``Split.to_json``.
    losses, remarks : tuple of str
        What is not carried, and what to know.
    leaks : tuple of Finding
        What the sets share.
    leak_allowed_because : str or None
        The reason given for that.
    """

    target: str
    format: str
    slides: int
    images: Mapping[str, int]
    cells: Mapping[str, int]
    counts: Mapping[str, Mapping[str, int]]
    boxes: int
    annotations: int
    tally: Mapping[str, int]
    split: Mapping[str, Any]
    losses: tuple[str, ...]
    remarks: tuple[str, ...]
    leaks: tuple[Finding, ...]
    leak_allowed_because: str | None


def export_images(
    format_name: str,
    project_folder: Path,
    target: Path,
    options: ImageExportOptions | None = None,
    token: Token | None = None,
    any_project: bool = False,
) -> Iterator[Event]:
    """Write a project as a data set of images in the layout of a format; a job.

    The target is complete or as it was: everything is written beside it and swapped in at the end.

    Parameters
    ----------
    format_name : str
        One of the formats that detectors are trained from.
    project_folder : Path
        The project.
    target : Path
        The folder to be; an untouched earlier export there is replaced.
    options : ImageExportOptions, optional
        How.
    token : Token, optional
        Asks for a stop.
    any_project : bool
        Whether an untouched export of another project may be replaced.

    Yields
    ------
    Event
        Losses and remarks as ``Noted``; ``Done.result`` is an `ImageSetExport`.
    """
    chosen = options or ImageExportOptions()
    return ending_once(_export(format_name, Path(project_folder), Path(target), chosen, token, any_project))


def needed_images(project: Project, label_format: LabelFormat, options: ImageExportOptions) -> bool:
    """Whether an export into a folder would write images besides labels."""
    return labels_alone(label_format, Path(), options) is None and _has_images(project, options)


def labels_alone(label_format: LabelFormat, target: Path, options: ImageExportOptions) -> str | None:
    """Return why labels are written without images, a sentence that may be empty; None where images are written.

    Raises
    ------
    FormatError
        When images are asked for and a single file to hold them.
    """
    if options.images == "none" or not isinstance(label_format, ImageSetFormat):
        return ""
    if label_format.target_kind == "file" and (target.suffix.lower() == label_format.suffix or target.is_file()):
        if options.images == "auto":
            return f"{target.name} is a file, so labels alone are written; give a folder to have the images as well."
        raise FormatError("expected a folder for images and labels, got the name of a file.", target)
    return None


def _export(
    format_name: str,
    project_folder: Path,
    target: Path,
    options: ImageExportOptions,
    token: Token | None,
    any_project: bool,
) -> Steps:
    label_format = written_format(format_name)
    alone = labels_alone(label_format, target, options)
    if alone is None:
        with exporting(target, options.overwrite):
            check_replaceable(target)
        reading = Reading(token)
        with Project.open(project_folder) as project:
            if _has_images(project, options):
                with labels_to_write(project, label_format, options, reading.take) as (labels, writer):
                    made = ImageSet(project, labels, label_format, writer, options)
                    identity = "" if any_project else project.identity
                    yield from _write(made, target, reading, identity, token)
                return
        target = _as_file(target, label_format)
        alone = (
            f"None of the slides has its image, so labels alone are written, to {target.name}; napari-cyto relink "
            "attaches images."
        )
    if alone:
        yield Noted(alone)
    # The job of the labels ends as every job does; this one has no word after it.
    yield from export_labels(format_name, project_folder, target, options, token, any_project)  # type: ignore[misc]


def _as_file(target: Path, label_format: LabelFormat) -> Path:
    """Return the place of labels alone where a folder of images was to be: a file by its suffix, for such a format."""
    if label_format.target_kind == "folder" or target.is_file() or target.suffix.lower() == label_format.suffix:
        return target
    return target.with_name(target.name + label_format.suffix)


def _has_images(project: Project, options: ImageExportOptions) -> bool:
    """Whether there is something to make images of; with ``auto`` nothing need be."""
    return options.images != "auto" or any(_is_there(project, slide) for slide in project.slides())


def _is_there(project: Project, slide: SlideRecord) -> bool:
    try:
        return bool(slide.path) and project.slide_path(slide).exists()
    except CytoError:
        return False


@dataclass
class ImageSet:
    """What a project gives as a data set: its slides with their files, and how often each class is on them."""

    project: Project
    labels: LabelSet
    label_format: LabelFormat
    writer: dict[str, Any]
    options: ImageExportOptions
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    losses: tuple[str, ...] = ()
    slides: tuple[SlideRecord, ...] = ()

    def __post_init__(self) -> None:
        assert isinstance(self.labels.annotations, AnnotationSource)
        self.annotations: AnnotationSource = self.labels.annotations
        chosen = checked_options(self.label_format.options_type, self.writer)
        assert isinstance(chosen, BoxOptions)
        self.box_options = chosen
        self.classes = class_order(self.labels, self.annotations)
        self.stems = slide_stems(self.labels.slides)

    def _path(self, slide: SlideRecord) -> Path:
        if not slide.path:
            raise CytoError(
                f"Expected the image of {slide.name!r}, got labels only; attach it (napari-cyto relink), or write "
                "labels alone (--images none)."
            )
        return self.project.slide_path(slide)

    def _with_size(self, slide: SlideRecord) -> SlideRecord:
        if slide.size_hw is not None:
            return slide
        with open_slide(self.paths[slide.id]) as opened:
            return replace(slide, size_hw=opened.info.size_hw)

    def count(self) -> None:
        """Count what is annotated and what the format cannot carry, and find the slides that are written."""
        regions = set()
        kinds = self.annotations.kinds()
        self.losses = loss_sentences(self.label_format, self.labels, self.writer, kinds)
        for example, n in kinds:
            if example.class_id is not None and example.status in self.box_options.statuses:
                self.counts.setdefault(example.slide_id, Counter())[example.class_id] += n
            elif example.class_id is None and example.status is Status.ACCEPTED:
                regions.add(example.slide_id)
        if not self.counts:
            raise CytoError(
                f"The project {self.project.name} has no cells to export "
                f"({' '.join(self.losses) or 'none is annotated'}); annotate some, or accept predictions."
            )
        every = self.options.unannotated
        slides = [s for s in self.labels.slides if every or s.id in self.counts or s.id in regions]
        _refuse_names(self.label_format, set().union(*self.counts.values()))
        if lacking := len(self.labels.slides) - len(slides):
            self.losses += (counted(lacking, *_NOT_ANNOTATED),)
        self.paths = {slide.id: self._path(slide) for slide in slides}
        # A project remembers the size of what was opened; of the others it is looked up now.
        self.slides = tuple(self._with_size(slide) for slide in slides)

    def images_of(self, slide: SlideRecord) -> SlideImages:
        """Return the images of a slide; reads its annotations."""
        numbers = {name: place for place, name in enumerate(self.classes)}
        outlines = bool(getattr(self.box_options, "outlines", False))
        rows = self.annotations.rows_of_slide(slide.id)
        cells = read_cells(slide, rows, self.box_options.statuses, self.box_options, numbers, outlines)
        return SlideImages(slide, self.paths[slide.id], self.stems[slide.id], cells, self.options, self.classes)

    def divided(self, twins: Pairs = ()) -> Division:
        """Return the sets, and what they share."""
        return divide(self.slides, self.counts, self.options, twins)

    def planned(self, division: Division) -> Planned:
        """Return what would be written; reads all annotations once, and no pixel."""
        planned = Planned()
        for slide in self.slides:
            planned.add(self.images_of(slide), division.split_of[slide.id])
        return planned


def _refuse_names(label_format: LabelFormat, classes: Collection[str]) -> None:
    """Refuse classes whose names a reader of the data set would take for something else."""
    refused = label_format.unreadable_names(classes) if isinstance(label_format, ImageSetFormat) else ()
    if refused:
        raise FormatError(
            f"Expected names of classes that the list of classes of {label_format.title} can hold, got "
            f"{', '.join(map(repr, sorted(refused)))}; give them other names (--class-map), or choose COCO or YOLO."
        )


@dataclass
class Planned:
    """What a data set would hold: images, cells and boxes by set, how they come about, and the px of all images."""

    images: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(SPLITS, 0)))
    cells: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(SPLITS, 0)))
    boxes: dict[str, Counter[str]] = field(default_factory=lambda: {split: Counter() for split in SPLITS})
    tally: Tally = field(default_factory=Tally)
    pixels: int = 0

    def add(self, of: SlideImages, split: str) -> None:
        """Add the images of a slide."""
        of.count(self.tally)
        self.images[split] += len(of)
        self.cells[split] += of.cell_count()
        self.boxes[split] += of.class_counts()
        self.pixels += len(of) * of.plan.size_hw[0] * of.plan.size_hw[1]


def _write(made: ImageSet, target: Path, reading: Reading, identity: str, token: Token | None) -> Steps:
    total = len(made.annotations) + len(made.labels.slides)
    yield from reading.follow(made.count, "Reading", total, (0.0, _PLANNING_SHARE))
    division = made.divided()
    if made.options.twins and len(set(division.split_of.values())) > 1:
        division = made.divided((yield from _twins(made, token)))
    refuse_leaks(division.findings, made.options)
    yield from (Noted(loss) for loss in (*made.losses, *division.remarks))
    if VAL not in division.split_of.values():
        yield Noted(_NO_VALIDATION)
    with replacing(target, made.options.overwrite, identity), atomic_folder(target) as folder:
        run = _Run(made, division, folder)
        yield from run.write(token, total)
        yield from (Noted(remark) for remark in run.remarks)
        run.write_manifest()
        yield Advanced(total, total, "Making sure that everything is on the disk.")
    yield Done(run.result(target.absolute()))


def _twins(made: ImageSet, token: Token | None) -> Generator[Advanced, None, Pairs]:
    places = []
    for slide in made.slides:
        if slide.id in made.counts:
            stop_if_cancelled(token, UNTOUCHED)
            boxes = made.images_of(slide).cells.boxes_yxyx
            places.append(CellPlaces(slide, made.paths[slide.id], some_of(boxes, len(made.counts))))
    found = yield from find_twins(places, partial(stop_if_cancelled, token, UNTOUCHED))
    return found


@dataclass
class _Run:
    """What has been written so far, below the temporary folder."""

    made: ImageSet
    division: Division
    folder: Path
    planned: Planned = field(default_factory=lambda: Planned())
    unreadable: list[UnreadableTile] = field(default_factory=list)
    remarks: tuple[str, ...] = ()

    def write(self, token: Token | None, total: int) -> Iterator[Advanced]:
        label_format = self.made.label_format
        assert isinstance(label_format, ImageSetFormat)
        writer = label_format.image_set(self.folder, self.made.classes, **self.made.writer)
        aliases = PatientAliases()
        done, of_slide, current = 0.0, 0, ""
        with closing(writer), writing_image_table(self.folder) as table:
            for of, image in write_images(self._jobs(writer.image_folder), token, self.unreadable):
                split = self.division.split_of[of.slide.id]
                record = _record(of, image, aliases)
                writer.add(LabelledImage(split, record, image.cells))
                cut = sum(cell.cut for cell in image.cells)
                said = of.slide.interpretation.category if of.slide.interpretation else ""
                place = (of.slide.name, image.bounds_yxyx, image.padding_hw, len(image.cells), cut, image.shared, said)
                table.add(record, split, ImagePlace(*place))
                if of.slide.id != current:
                    done, current = done + of_slide, of.slide.id
                    of_slide = sum(self.made.counts.get(current, {}).values()) + 1
                    written = 0
                written += 1
                share = _PLANNING_SHARE + (1 - _PLANNING_SHARE) * (done + of_slide * written / len(of)) / total
                yield Advanced(round(min(share, 1.0) * total), total, image.name)
            writer.finish()
        self.remarks = (*self.planned.tally.sentences(), *said_of_unreadable(self.unreadable))

    def _jobs(self, folder_of: Any) -> Iterator[Job]:
        """Yield what is to be written, one slide after the other; the annotations of few slides are in memory."""
        taken: set[str] = set()
        for slide in self.made.slides:
            of = self.made.images_of(slide)
            split = self.division.split_of[slide.id]
            self.planned.add(of, split)
            place = self.folder / folder_of(split)
            if len(of):
                place.mkdir(parents=True, exist_ok=True)
            for image in of.images():
                name = _free(image.name, taken)
                yield of, replace(image, name=name), place / name

    def write_manifest(self) -> None:
        """Write the record, by which a later export knows that it may replace this one, and an import what it is."""
        scheme = self.made.project.scheme
        content = {
            "by": "napari-cyto",
            "version": __version__,
            "format": self.made.label_format.name,
            "date": now_utc().date().isoformat(),
            "images_in": IMAGE_TABLE,
            "scheme": {"name": scheme.name, "version": scheme.version},
            "options": self.made.options.model_dump(mode="json", exclude={"slides"}),
            "images": {split: self.planned.images[split] for split in SPLITS},
            "cells": {split: self.planned.cells[split] for split in SPLITS},
            "boxes": {split: dict(sorted(self.planned.boxes[split].items())) for split in SPLITS},
            "algorithm": self.division.split.algorithm,
            "groups": {split: len(names) for split, names in self.division.groups.items()},
            "counts": dict(sorted(self.planned.tally.counts.items())),
            "losses": list(self.made.losses),
            "remarks": [*self.division.remarks, *self.remarks],
            "leak_allowed_because": self.made.options.leak_reason or None,
            "leaks": [finding.detail for finding in self.division.findings],
            "unreadable_tiles": [str(tile) for tile in self.unreadable],
        }
        write_manifest(self.folder, content)

    def result(self, target: Path) -> ImageSetExport:
        """Return what was written."""
        return ImageSetExport(
            target=str(target),
            format=self.made.label_format.name,
            slides=len(self.made.slides),
            images={split: self.planned.images[split] for split in SPLITS},
            cells={split: self.planned.cells[split] for split in SPLITS},
            counts={split: dict(sorted(self.planned.boxes[split].items())) for split in SPLITS},
            boxes=sum(sum(of.values()) for of in self.planned.boxes.values()),
            annotations=sum(sum(of.values()) for of in self.made.counts.values()),
            tally={kind: n for kind, n in sorted(self.planned.tally.counts.items()) if n},
            split=self.division.to_json(),
            losses=tuple(self.made.losses),
            remarks=(*self.division.remarks, *self.remarks),
            leaks=self.division.findings,
            leak_allowed_because=self.made.options.leak_reason or None,
        )


def _record(of: SlideImages, image: PlannedImage, aliases: PatientAliases) -> SlideRecord:
    slide, whole = of.slide, of.how != "cut"
    return SlideRecord(
        name=image.name,
        size_hw=image.size_hw,
        mpp=of.mpp,
        mpp_source="format" if of.mpp else "",
        # What was cut out of one slide stays together in whatever split is made of it.
        smear=slide.smear if whole else slide.smear or slide.name,
        patient=aliases.of(slide.patient),
        interpretation=slide.interpretation if whole else None,
        fingerprint=slide.fingerprint if whole and image.how != "cut" else "",
    )


def _free(name: str, taken: set[str]) -> str:
    """Return a name whose stem no other image has, however it is spelled."""
    stem, dot, suffix = name.rpartition(".")
    free, number = stem, 1
    while free.casefold() in taken:
        number += 1
        free = f"{stem}-{number}"
    taken.add(free.casefold())
    return f"{free}{dot}{suffix}"
