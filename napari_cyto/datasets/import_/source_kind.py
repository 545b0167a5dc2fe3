"""What a path is to whoever asks for labels: a project, label files of one format, or neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_cyto.domain.label_set import LabelSet
from napari_cyto.errors import FormatError
from napari_cyto.formats import get_format
from napari_cyto.formats.bad_rows import without_skipping
from napari_cyto.formats.format_guess import fitting_formats, format_of
from napari_cyto.formats.labels_outside import refuse_fractions
from napari_cyto.store import Project


def likely_format(path: Path) -> str:
    """Return the first format that ``path`` looks like, or an empty text for a project and for what holds no labels."""
    return "" if Project.is_project(path) else next(iter(fitting_formats(path)), "")


def format_to_import(path: Path, how: str) -> str:
    """Return the name of the one label format that ``path`` looks like.

    Parameters
    ----------
    path : Path
        A label file or folder.
    how : str
        What a person can do where that is not clear, for the sentence that refuses.

    Raises
    ------
    FormatError
        When it is a project, is not there, or looks like no format or like several.
    """
    if Project.is_project(path):
        raise FormatError(
            "expected label files, got a napari-cyto project; open it, or export its labels and import those.", path
        )
    return format_of(path, how)


def read_labels(path: Path, format_name: str | None, how: str, **reader: Any) -> LabelSet:
    """Return the labels of a project, or of a label file or folder of any format.

    Parameters
    ----------
    path : Path
        A project, a label file or a folder of them.
    format_name : str or None
        The format of label files; None to tell it from what is in them.
    how : str
        What a person can do where the format is not clear, for the sentence that refuses.
    **reader
        Options of the format's reader.

    Raises
    ------
    CytoError
        When it cannot be read whole: a row that an import may leave out would be missing from what is reported.
    """
    if Project.is_project(path):
        with Project.open(path) as project:
            return project.label_set()
    try:
        labels = get_format(format_name or format_of(path, how)).read(path, **reader)
    except FormatError as error:
        raise FormatError(without_skipping(error.reason), error.path, error.line) from error
    refuse_fractions(labels, path)
    return labels
