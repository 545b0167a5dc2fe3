"""What the Export dock asks for, as one value; from it come the job that writes and the one that looks ahead."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_cyto.datasets import (
    ApaccExportOptions,
    ImageExportOptions,
    LabelExportOptions,
    export,
    export_fields,
    export_options,
    preview_job,
)
from napari_cyto.formats import get_format
from napari_cyto.formats.label_format import idle_options
from napari_cyto.jobs.child import JobFunction

# What has a place of its own in the dock, or would need a table to be entered.
_SPLIT_HIDDEN = ("validation_share", "share_of", "fold", "folds", "fill", "overrides", "reason")
_APACC_HIDDEN = ("class_map", "crop_date", "overwrite", *_SPLIT_HIDDEN)
_LABEL_HIDDEN = ("box_um",)


def hidden_options(format_name: str) -> Collection[str]:
    """Return the fields that the form leaves out."""
    if issubclass(export_fields(format_name), ApaccExportOptions):
        return _APACC_HIDDEN
    return (*_LABEL_HIDDEN, *sorted(idle_options(get_format(format_name).options_type, "writing")))


def has_image_sets(format_name: str) -> bool:
    """Whether a format is written with images and split as well."""
    return export_options(format_name) is ImageExportOptions


def is_divided(format_name: str, images: str) -> bool:
    """Whether an export has a split; ``images`` is the value of ``ImageExportOptions.images``."""
    return get_format(format_name).capabilities.slices or (has_image_sets(format_name) and images != "none")


def is_folder(format_name: str, images: str) -> bool:
    """Whether an export is a folder; ``images`` is the value of ``ImageExportOptions.images``."""
    return get_format(format_name).target_kind == "folder" or is_divided(format_name, images)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One export as the dock's controls say.

    Parameters
    ----------
    format : str
        One of ``formats.FORMATS``.
    project_folder, target : Path
        From where, and where to.
    options : mapping
        Values of ``export_fields(format)`` by field name.
    image_set : mapping
        Values of ``ImageExportOptions`` by field name, for a format that is written with images.
    leak_reason : str
        Why train and test may share data; empty: they may not.
    overwrite : bool
        Whether a file that is no export, or an export that was changed, may be replaced.
    """

    format: str
    project_folder: Path
    target: Path
    options: Mapping[str, Any]
    image_set: Mapping[str, Any] = field(default_factory=dict)
    leak_reason: str = ""
    overwrite: bool = False

    def job(self) -> tuple[JobFunction, dict[str, Any]]:
        """Return the job that writes, and its arguments."""
        where = {"project_folder": self.project_folder, "target": self.target, "options": self.checked_options()}
        return export, {"format_name": self.format, **where}

    def look_ahead(self) -> tuple[JobFunction, dict[str, Any]]:
        """Return the job that says what would be written, and its arguments."""
        options = self.checked_options()
        return preview_job, {"format_name": self.format, "project_folder": self.project_folder, "options": options}

    def checked_options(self) -> ApaccExportOptions | LabelExportOptions:
        """Return the options as the jobs take them; what the format needs of the project it finds there itself."""
        if issubclass(export_fields(self.format), ApaccExportOptions):
            return ApaccExportOptions(**self.options, **self._leak_allowed(), overwrite=self.overwrite)
        if has_image_sets(self.format):
            chosen = {**self.image_set, **self._leak_allowed()}
            return ImageExportOptions(**chosen, writer=dict(self.options), overwrite=self.overwrite)
        return LabelExportOptions(writer=dict(self.options), overwrite=self.overwrite)

    def _leak_allowed(self) -> dict[str, Any]:
        return {"overrides": ("leak",), "reason": self.leak_reason} if self.leak_reason else {}
