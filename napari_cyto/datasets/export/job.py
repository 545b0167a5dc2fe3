"""One door to all exports: the labels of a project in any format, with what the format declares to be special."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from napari_cyto.datasets._exchange_options import ApaccExportOptions, LabelExportOptions
from napari_cyto.datasets.export.apacc import export_apacc
from napari_cyto.datasets.export.image_sets.image_options import ImageExportOptions
from napari_cyto.datasets.export.image_sets.job import export_images
from napari_cyto.datasets.export.labels import export_labels
from napari_cyto.errors import CytoError, StoreError
from napari_cyto.formats import get_format, written_format
from napari_cyto.formats.image_sets import ImageSetFormat
from napari_cyto.jobs.events import Event, Failed, Token
from napari_cyto.jobs.outcome import ending_once
from napari_cyto.store import Project

ExportOptions = ApaccExportOptions | LabelExportOptions


def export_options(format_name: str) -> type[ApaccExportOptions | LabelExportOptions]:
    """Return the model of what is chosen for an export into a format, besides what its writer takes."""
    chosen = get_format(format_name)
    if chosen.capabilities.slices:
        return ApaccExportOptions
    return ImageExportOptions if isinstance(chosen, ImageSetFormat) else LabelExportOptions


def export_fields(format_name: str) -> type[BaseModel]:
    """Return the model whose fields a person fills in for an export into a format; forms and flags come from it."""
    chosen = get_format(format_name)
    return ApaccExportOptions if chosen.capabilities.slices else chosen.options_type


def export(
    format_name: str,
    project_folder: Path,
    target: Path,
    options: ExportOptions | None = None,
    token: Token | None = None,
    any_project: bool = False,
) -> Iterator[Event]:
    """Write a project in a format; a job. The target is complete or as it was.

    Parameters
    ----------
    format_name : str
        One of ``formats.WRITTEN``.
    project_folder : Path
        The project.
    target : Path
        The file or folder to be.
    options : ApaccExportOptions or LabelExportOptions, optional
        How; the former for a format of slices, of which the latter write the label files alone. With
        ``ImageExportOptions`` a format that detectors are trained from is written with its images.
    token : Token, optional
        Asks for a stop.
    any_project : bool
        Whether an untouched export of another project may be replaced, as where the project is but a step on the way.

    Yields
    ------
    Event
        Losses as ``Noted``; ``Done.result`` has counts and losses.
    """
    steps = _chosen(format_name, Path(project_folder), Path(target), options, token, any_project)
    return _naming_images(ending_once(steps), Path(project_folder))


def _naming_images(steps: Iterator[Event], project_folder: Path) -> Iterator[Event]:
    """Yield the steps; a refusal for want of a slide's scale says where its pixel file lies now."""
    for event in steps:
        if isinstance(event, Failed) and event.without_scale:
            found = []
            with Project.open(project_folder) as project:
                for slide in project.slides():
                    if slide.path in event.without_scale:
                        with suppress(StoreError):
                            found.append(str(project.slide_path(slide)))
            event = replace(event, without_scale=tuple(found) or event.without_scale)
        yield event


def _chosen(
    format_name: str,
    project_folder: Path,
    target: Path,
    options: ExportOptions | None,
    token: Token | None,
    any_project: bool,
) -> Iterator[Event]:
    of_slices = written_format(format_name).capabilities.slices
    if of_slices and not isinstance(options, LabelExportOptions):
        yield from export_apacc(project_folder, target, options, token, any_project)
    elif isinstance(options, ApaccExportOptions):
        raise CytoError(f"Expected the options of labels in {format_name}, got those of an APACC export.")
    elif isinstance(options, ImageExportOptions):
        yield from export_images(format_name, project_folder, target, options, token, any_project)
    else:
        yield from export_labels(format_name, project_folder, target, options, token, any_project)
