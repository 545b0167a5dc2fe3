"""Which label format a dropped file or folder looks like; the import dialog shows it and a person decides."""

from __future__ import annotations

from pathlib import Path

from napari_cyto.formats.format_guess import fitting_formats
from napari_cyto.store import Project


def label_format_of(path: Path) -> str:
    """Return the name of the format of a label file or folder, or an empty text for what holds no labels."""
    if path.is_dir() and Project.is_project(path):
        return ""
    return next(iter(fitting_formats(path)), "")
