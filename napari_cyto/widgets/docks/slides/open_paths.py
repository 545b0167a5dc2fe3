"""What dropped, chosen or named files mean: a project, or slides for the one that is open."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_cyto.datasets.import_.known_slides import slide_in, where_in
from napari_cyto.datasets.import_.slide_match import record_of_file
from napari_cyto.datasets.import_.source_kind import likely_format
from napari_cyto.domain.image_names import READ_SUFFIXES, bare_name, reads_as_image
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError, ProjectThereError, SlideError
from napari_cyto.files.safe_names import free_place
from napari_cyto.session import Session
from napari_cyto.store import Project

SLIDE_FILTER = "Slides and images (" + " ".join(f"*{s} *{s.upper()}" for s in READ_SUFFIXES) + ");;All files (*)"
PROJECT_SUFFIX = ".cyto"
DEFAULT_SCHEME = "bethesda"


def is_ours(path: Path) -> bool:
    """Whether the window takes ``path``: a project, a slide, a folder that is one slide (DICOM), or labels."""
    return Project.is_project(path) or path.is_dir() or reads_as_image(path.name) or bool(likely_format(path))


def open_paths(session: Session, paths: Sequence[Path]) -> None:
    """Open what the user pointed at; slides without a project get one beside the first of them.

    A folder stands for the slides in it and in its subfolders, unless it is itself one slide (DICOM).

    Raises
    ------
    CytoError
        When nothing of it can be opened.
    """
    projects = [p for p in paths if Project.is_project(p)]
    if projects:
        session.projects.open(projects[0])
        return
    files = [file for path in paths for file in slides_in(path)]
    if not files:
        names = " and ".join(path.name for path in paths)
        raise SlideError(f"Expected slides or a project, got {names} without any slide or image.")
    if session.project is None:
        open_beside(session, files[0])
    added = session.slides.add(files)
    if added:
        session.slides.go_to(added[0].id)
    if files != list(paths):
        count = f"1 slide of {paths[0].name} is" if len(added) == 1 else f"{len(added):,} slides of {paths[0].name} are"
        session.message.emit(f"{count} in the project; {len(files) - len(added):,} could not be opened.")


def slides_in(path: Path) -> list[Path]:
    """Return the slide and image files that a dropped file or folder stands for, in the order of their names."""
    if not path.is_dir() or _is_one_slide(path):
        return [path]
    return sorted(
        file
        for file in path.rglob("*")
        if reads_as_image(file.name) and file.is_file() and not _is_beside_the_point(file, path)
    )


def _is_one_slide(folder: Path) -> bool:
    try:
        _refuse_unreadable(folder)
    except CytoError:
        return False
    return True


def _is_beside_the_point(file: Path, folder: Path) -> bool:
    """Whether a file is a disk's own (``._a.png``), or lies in a project of ours, which keeps pictures of cells."""
    parts = file.relative_to(folder).parts
    inner = [folder.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
    return any(p.startswith(".") or p == "__MACOSX" for p in parts) or any(Project.is_project(p) for p in inner)


def open_beside(session: Session, slide: Path) -> None:
    """Open the project that belongs to one slide file, or create it, and say where it is.

    Raises
    ------
    CytoError
        When it can be neither opened nor created.
    """
    folder = project_beside(slide)
    if Project.is_project(folder):
        session.projects.open(folder)
        return
    # The slide is tried first: a file that is no slide must not leave an empty project behind.
    _refuse_unreadable(slide)
    try:
        session.projects.create(folder, preset(DEFAULT_SCHEME), folder.name.removesuffix(PROJECT_SUFFIX))
    except ProjectThereError:
        # Another window was faster.
        session.projects.open(folder)
        return
    session.message.emit(f"Your annotations are saved in {folder}.")


def project_beside(slide: Path) -> Path:
    """Return the folder of a slide's own project: beside it, or at home where that place cannot be written.

    A project of that name which holds other slides is another slide's: two patients' ``001.png`` never share one.
    """
    place = slide.absolute().parent
    if not os.access(place, os.W_OK):
        place = Path.home() / "napari-cyto"
    name = bare_name(slide.name)
    for count in itertools.count(1):
        folder = place / f"{name}{'' if count == 1 else f' {count}'}{PROJECT_SUFFIX}"
        if not folder.exists() or (Project.is_project(folder) and _is_of(folder, slide)):
            return folder
    raise AssertionError


def _is_of(folder: Path, slide: Path) -> bool:
    """Whether a project holds a slide, or none at all."""
    try:
        with Project.open(folder) as project:
            slides, where = project.slides(), where_in(project)
            places = [place.resolve() for each in slides if (place := where(each)) is not None]
            if slide.resolve() in places or not slides:
                return True
            # One whose files are gone may be this one's from before it moved.
            return len(places) < len(slides) and slide_in(project, record_of_file(slide)) is not None
    except CytoError:
        return False


def free_folder(place: Path, name: str) -> Path:
    """Return a project folder in ``place`` called ``name``, with a number where that one is taken."""
    return free_place(place, name, PROJECT_SUFFIX, " ")


def local_paths(urls: Iterable[object]) -> list[Path]:
    """Return the local files and folders among dropped URLs, whatever they are."""
    return [Path(name) for url in urls if (name := url.toLocalFile())]  # type: ignore[attr-defined]


def dropped_paths(urls: Iterable[object]) -> list[Path]:
    """Return the local files among dropped URLs that the window takes."""
    return [path for path in local_paths(urls) if is_ours(path)]


def _refuse_unreadable(slide: Path) -> None:
    from napari_cyto.slides import open_slide

    with open_slide(slide):
        return
