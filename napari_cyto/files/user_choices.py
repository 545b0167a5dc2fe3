"""What a user chose, kept for the next time: small JSON files of values, apart from any project."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from napari_cyto.errors import CytoError, system_sentence
from napari_cyto.files.atomic import write_text
from napari_cyto.files.user_folders import user_data_dir

T = TypeVar("T")


def read_choice(name: str, made: Callable[[Mapping[str, Any]], T], usual: T, path: Path | None = None) -> T:
    """Return what was chosen last.

    Parameters
    ----------
    name : str
        Of the file in the user's folder.
    made : callable
        Makes a value of what was kept; a `ValueError`, `TypeError`, `KeyError` or `OverflowError` of it means that
        this makes no sense.
    usual : object
        What it is where nothing was kept, or nothing that can be read or makes sense.
    path : Path, optional
        Another file.
    """
    try:
        kept = json.loads((path or user_data_dir() / name).read_text(encoding="utf-8"))
        return made(kept) if isinstance(kept, dict) else usual
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return usual


def write_choice(name: str, values: Mapping[str, Any], path: Path | None = None) -> None:
    """Keep what was chosen, of two windows the later choice; parameters as in `read_choice`.

    Raises
    ------
    CytoError
        When the user's folder cannot be written.
    """
    try:
        write_text(path or user_data_dir() / name, json.dumps(values))
    except OSError as error:
        raise CytoError(system_sentence(error)) from error
