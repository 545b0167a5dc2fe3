"""What an export is going to write and lose, shown before it is started."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_cyto.datasets._exchange_options import ApaccExportOptions, LabelExportOptions
from napari_cyto.datasets.audit.report import Finding
from napari_cyto.datasets.export._apacc_plan import ExportPlan, plan_export
from napari_cyto.datasets.export._reading_rate import Reading
from napari_cyto.datasets.export.image_sets.image_options import ImageExportOptions
from napari_cyto.datasets.export.image_sets.job import ImageSet, needed_images
from napari_cyto.datasets.export.labels import labels_to_write, loss_sentences
from napari_cyto.datasets.splits.leaks import LEAK_WORDS, shared_ties
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.formats import LabelFormat, written_format
from napari_cyto.formats.apacc.apacc_format import SETS
from napari_cyto.formats.apacc.names import SLICE_SIDE
from napari_cyto.jobs.events import Done, Event, Token
from napari_cyto.jobs.outcome import Steps, ending_once
from napari_cyto.store import Project

_JPEG_BYTES_PER_PX = 0.5
_BYTES_PER_PX = 1.6
"""Of a slice as PNG. Measured on CRIC fields of 1280 x 960 px, 2.0 MB each; their padding costs next to nothing."""


@dataclass(frozen=True, slots=True)
class ExportPreview:
    """What an export would do.

    Parameters
    ----------
    problem : str
        Why it would be refused, one sentence; empty when it would not.
    losses : tuple of str
        What would not be carried.
    findings : tuple of Finding
        Leaks that are known without looking at pixels.
    split : mapping
        The tables of ``Split.to_json``; empty for formats without a split.
    slices, cells : mapping
        Slices or images, and cells, by set; or under ``all``.
    piece : str
        What ``slices`` are: a slice, an image or a slide.
    estimated_bytes : int
        About how much will be written; 0 when it is too little to matter.
    """

    problem: str = ""
    losses: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    split: Mapping[str, Any] | None = None
    slices: Mapping[str, int] | None = None
    cells: Mapping[str, int] | None = None
    piece: str = "slide"
    estimated_bytes: int = 0

    @property
    def ok(self) -> bool:
        """Whether the export would go ahead."""
        return not self.problem

    @property
    def summary(self) -> str:
        """The audit's verdict in one sentence."""
        if self.findings:
            return "Two sets would share data: " + " ".join(f.detail for f in self.findings)
        if self.problem or self.split is None:
            return self.problem or "This format has no training and test set."
        compared = "crops" if self.piece == "slice" else "cells"
        return f"No patient, smear or slide is in two sets; {compared} are compared while writing."

    def to_json(self) -> dict[str, Any]:
        """Return the preview as JSON-able values."""
        return {
            "ok": self.ok,
            "problem": self.problem,
            "verdict": self.summary,
            "losses": list(self.losses),
            "findings": [f.to_json() for f in self.findings],
            "split": dict(self.split or {}),
            "slices": dict(self.slices or {}),
            "cells": dict(self.cells or {}),
            "piece": self.piece,
            "estimated_bytes": self.estimated_bytes,
        }


def preview(
    project: Project | Path,
    format_name: str = "apacc",
    options: ApaccExportOptions | LabelExportOptions | None = None,
) -> ExportPreview:
    """Return what an export would do; reads no pixels and writes nothing.

    Parameters
    ----------
    project : Project or Path
        An open project, or its folder.
    format_name : str
        One of ``formats.FORMATS``.
    options : ApaccExportOptions or LabelExportOptions, optional
        The former for a format of slices.
    """
    return _preview(project, format_name, options, lambda _number: None)


def preview_job(
    project_folder: Path,
    format_name: str = "apacc",
    options: ApaccExportOptions | LabelExportOptions | None = None,
    token: Token | None = None,
) -> Iterator[Event]:
    """Preview as a job, which tells how many annotations it has read; ``Done.result`` is the `ExportPreview`."""

    def steps() -> Steps:
        reading, folder = Reading(token), Path(project_folder)
        # Images are planned from the annotations once they are counted: they are gone through twice.
        total = _number(folder) * (2 if isinstance(options, ImageExportOptions) else 1)
        found = yield from reading.follow(
            lambda: _preview(folder, format_name, options, reading.take), "Reading", total, (0.0, 1.0)
        )
        yield Done(found)

    return ending_once(steps())


def _number(project_folder: Path) -> int:
    """Return how many annotations a project has; 0 where it cannot be read, which the preview says."""
    try:
        with Project.open(project_folder) as project:
            return sum(project.status_counts().values())
    except CytoError:
        return 0


_OnBatch = Callable[[int], None]


def _preview(
    project: Project | Path,
    format_name: str,
    options: ApaccExportOptions | LabelExportOptions | None,
    on_batch: _OnBatch,
) -> ExportPreview:
    try:
        if isinstance(project, Path):
            with Project.open(project) as opened:
                return _of_project(opened, format_name, options, on_batch)
        return _of_project(project, format_name, options, on_batch)
    except JobCancelled:
        raise
    except CytoError as error:
        return ExportPreview(problem=str(error))


def _of_project(
    project: Project, format_name: str, options: ApaccExportOptions | LabelExportOptions | None, on_batch: _OnBatch
) -> ExportPreview:
    label_format = written_format(format_name)
    if label_format.capabilities.slices and not isinstance(options, LabelExportOptions):
        chosen = options or ApaccExportOptions()
        return _apacc(plan_export(project, chosen, on_batch), chosen)
    if isinstance(options, ImageExportOptions) and needed_images(project, label_format, options):
        return _image_set(project, label_format, options, on_batch)
    if isinstance(options, ApaccExportOptions):
        raise CytoError(f"Expected the options of labels in {format_name}, got those of an APACC export.")
    with labels_to_write(project, label_format, options or LabelExportOptions(), on_batch) as (labels, writer):
        losses = loss_sentences(label_format, labels, writer)
        return ExportPreview(losses=losses, cells={"all": len(labels.annotations)}, slices={"all": len(labels.slides)})


def _image_set(
    project: Project, label_format: LabelFormat, options: ImageExportOptions, on_batch: _OnBatch
) -> ExportPreview:
    with labels_to_write(project, label_format, options, on_batch) as (labels, writer):
        made = ImageSet(project, labels, label_format, writer, options)
        made.count()
        division = made.divided()
        planned = made.planned(division)
    links = options.images == "link"
    problem = _leak_words(division.findings) if not options.leak_reason else ""
    losses = (*made.losses, *division.remarks, *planned.tally.sentences())
    size = round(planned.pixels * (_BYTES_PER_PX if options.tile_type == "png" else _JPEG_BYTES_PER_PX))
    tables = division.to_json()
    return ExportPreview(
        problem, losses, division.findings, tables, planned.images, planned.cells, "image", 0 if links else size
    )


def _leak_words(findings: Iterable[Finding]) -> str:
    """Return why an export is refused that shares data between its sets; nothing where it does not."""
    leak = " ".join(finding.detail for finding in findings)
    return f"{LEAK_WORDS}. {leak}" if leak else ""


def _apacc(plan: ExportPlan, options: ApaccExportOptions) -> ExportPreview:
    findings = shared_ties([p.slide for p in plan.slides], plan.split.sets)
    slices, cells, size = dict.fromkeys(SETS, 0), dict.fromkeys(SETS, 0), 0.0
    for slide in plan.slides:
        side = plan.split.sets[slide.slide.id]
        height, width = slide.slide.size_hw or (SLICE_SIDE, SLICE_SIDE)
        for piece in slide.slices:
            slices[side] += 1
            cells[side] += len(piece.cells)
            px = min(SLICE_SIDE, height - piece.y0) * min(SLICE_SIDE, width - piece.x0)
            size += px * _BYTES_PER_PX * (2 if options.overview and piece.cells else 1)
            if options.crops:
                size += _BYTES_PER_PX * sum(c.box.size_hw[0] * c.box.size_hw[1] for c in piece.cells)
    problem = _leak_words(findings) if not options.leak_reason else ""
    return ExportPreview(problem, plan.losses, findings, plan.split.to_json(), slices, cells, "slice", round(size))
