"""Which class scheme a training set is joined in: the one asked for, else that of the project it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_cyto.datasets.training.sources import SourceSpec, parse_source
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.presets import PRESETS, preset
from napari_cyto.errors import CytoError
from napari_cyto.formats.schemes import load_scheme
from napari_cyto.store import Project

USUAL = "bethesda"
"""What sources that are no project are joined in."""


def named_scheme(name: str) -> ClassScheme:
    """Return a scheme that ships, that of the project in a folder, or that of a ``.yaml`` or ``.json`` file.

    Raises
    ------
    CytoError
        When there is no such scheme, or the project cannot be opened.
    """
    if name in PRESETS:
        return preset(name)
    place = Path(name).expanduser()
    if not Project.is_project(place):
        return load_scheme(place)
    with Project.open(place) as project:
        return project.scheme


def scheme_name_of(project: Project) -> str:
    """Return what `named_scheme` finds a project's scheme by: its name where it ships, unchanged, else the folder."""
    scheme = project.scheme
    return (
        scheme.name
        if scheme.name in PRESETS and scheme.same_but_for_names(preset(scheme.name))
        else str(project.folder)
    )


def scheme_name_for(sources: Iterable[SourceSpec]) -> str:
    """Return what `named_scheme` finds the sources' scheme by: that of the first project among them, else ``USUAL``.

    Raises
    ------
    StoreError
        When that project cannot be opened.
    """
    for spec in sources:
        if spec.kind == "project" and Project.is_project(spec.path):
            with Project.open(spec.path) as project:
                return scheme_name_of(project)
    return USUAL


def refuse_unreadable(sources: Iterable[str]) -> None:
    """Refuse sources that are not there, and projects that cannot be opened, before anything is written.

    Raises
    ------
    CytoError
        Saying why.
    """
    for spec in map(parse_source, sources):
        if spec.kind == "project":
            refuse_no_project(spec.path)
            Project.open(spec.path).close()
        elif not spec.path.exists():
            raise CytoError(f"Expected a folder with annotated cells, got {spec.path}, which does not exist.")


def refuse_no_project(path: Path) -> None:
    """Refuse a source without a kind that is no project.

    Raises
    ------
    CytoError
        Saying how other data is named.
    """
    if not Project.is_project(path):
        raise CytoError(f"Expected a project, or other data as cric:DIR, apacc:DIR or folders:DIR, got {path}.")
