"""Which slides are meant by files and folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_cyto.domain.image_names import reads_as_image
from napari_cyto.errors import CytoError


def slide_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the slides that paths name, each once: files as they are, of a folder all that look like slides.

    A folder of DICOM files is one slide; below folders nothing is looked for.

    Raises
    ------
    CytoError
        When a path is not there, or a folder has no slide.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise CytoError(f"{path} does not exist; it may have been moved or renamed.")
        for each in [path] if path.is_file() else _in_folder(path):
            found.setdefault(each.absolute())
    return tuple(found)


def _in_folder(folder: Path) -> list[Path]:
    try:
        inside = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise CytoError(f"{folder}: the folder cannot be read ({error.strerror or error}).") from error
    if any(p.suffix.lower() == ".dcm" for p in inside):
        return [folder]
    slides = [p for p in inside if p.is_file() and reads_as_image(p.name)]
    slides += [p for p in inside if p.is_dir() and any(c.suffix.lower() == ".dcm" for c in p.iterdir())]
    if not slides:
        raise CytoError(f"{folder}: there is no slide in this folder; give slide files, or a folder that has some.")
    return sorted(slides)
