"""What dropped, chosen or named files mean: a project, or slides for the one that is open."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_cyto.domain.image_names import READ_SUFFIXES, reads_as_image
from napari_cyto.domain.presets import preset
from napari_cyto.session import Session
from napari_cyto.store import Project
from napari_cyto.widgets.docks.label_sources import label_format_of

SLIDE_FILTER = "Slides and images (" + " ".join(f"*{s} *{s.upper()}" for s in READ_SUFFIXES) + ");;All files (*)"
PROJECT_SUFFIX = ".cyto"
DEFAULT_SCHEME = "bethesda"


def is_ours(path: Path) -> bool:
    """Whether the window takes ``path``: a project, a slide, a folder that is one slide (DICOM), or labels."""
    return Project.is_project(path) or path.is_dir() or reads_as_image(path.name) or bool(label_format_of(path))


def open_paths(session: Session, paths: Sequence[Path]) -> None:
    """Open what the user pointed at; slides without a project get one beside the first of them.

    Raises
    ------
    CytoError
        When nothing of it can be opened.
    """
    projects = [p for p in paths if Project.is_project(p)]
    if projects:
        session.open_project(projects[0])
        return
    if session.project is None:
        open_beside(session, paths[0])
    added = session.add_slides(paths)
    if added:
        session.go_to_slide(added[0].id)


def open_beside(session: Session, slide: Path) -> None:
    """Open the project that belongs to one slide file, or create it, and say where it is.

    Raises
    ------
    CytoError
        When it can be neither opened nor created.
    """
    folder = project_beside(slide)
    if Project.is_project(folder):
        session.open_project(folder)
        return
    # The slide is tried first: a file that is no slide must not leave an empty project behind.
    _refuse_unreadable(slide)
    session.create_project(folder, preset(DEFAULT_SCHEME), slide.stem)
    session.message.emit(f"Your marks are kept in {folder}.")


def project_beside(slide: Path) -> Path:
    """Return the folder of a slide's own project: beside it, or at home where that place cannot be written."""
    place = slide.absolute().parent
    if not os.access(place, os.W_OK):
        place = Path.home() / "napari-cyto"
    return place / f"{slide.stem}{PROJECT_SUFFIX}"


def free_folder(place: Path, name: str) -> Path:
    """Return a project folder in ``place`` called ``name``, with a number where that one is taken."""
    folder = place / f"{name}{PROJECT_SUFFIX}"
    count = 1
    while folder.exists():
        count += 1
        folder = place / f"{name} {count}{PROJECT_SUFFIX}"
    return folder


def dropped_paths(urls: Iterable[object]) -> list[Path]:
    """Return the local files among dropped URLs that the window takes."""
    names = [url.toLocalFile() for url in urls]  # type: ignore[attr-defined]
    return [path for name in names if name and is_ours(path := Path(name))]


def _refuse_unreadable(slide: Path) -> None:
    from napari_cyto.slides import open_slide

    with open_slide(slide):
        return
