"""The project that takes proposals: opened or made, with the slide in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.presets import PRESETS, preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.slides import Slide, fingerprint
from napari_cyto.store import Project


def there(folder: Path) -> Project | None:
    """Open the project in ``folder``; None where one can be made.

    Raises
    ------
    CytoError
        When something else is there, or it cannot be read.
    """
    if Project.is_project(folder):
        return Project.open(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise CytoError(f"{folder} is there, but it is no project; choose one, or a folder that is not there yet.")
    return None


def made(folder: Path, scheme: ClassScheme) -> Project:
    """Make a project in ``folder`` whose classes are those of a model, and open it.

    Raises
    ------
    StoreError
        When the place cannot be written.
    """
    return Project.create(folder, project_scheme(scheme), folder.name.removesuffix(".cyto"))


def believed_mpp(project: Project | None, slide: Slide) -> float | None:
    """Return µm per level-0 px of a slide: what the project knows goes before what the file says."""
    known = None if project is None else _known(project, slide)
    return slide.info.mpp if known is None or known.mpp is None else known.mpp


def _known(project: Project, slide: Slide) -> SlideRecord | None:
    return project.find_slide(fingerprint=fingerprint(slide.info.path), path=slide.info.path)


def project_scheme(scheme: ClassScheme) -> ClassScheme:
    """Return the scheme that ships where it has all of a model's classes, for its keys; else the model's own."""
    if scheme.name in PRESETS:
        shipped = preset(scheme.name)
        if all(i in shipped for i in scheme.ids):
            return shipped
    return scheme


def record_for(project: Project, slide: Slide, mpp: float | None) -> SlideRecord:
    """Return the project's record of an open slide, which is added when it is not there.

    Parameters
    ----------
    project : Project
        Open.
    slide : Slide
        Its file.
    mpp : float or None
        µm per level-0 px that the user said; kept with the project where it knew none.

    Raises
    ------
    StoreError
        When the project cannot be written.
    """
    info, known = slide.info, _known(project, slide)
    if known is None:
        known_mpp, source = (info.mpp, info.mpp_source) if info.mpp is not None else (mpp, "user" if mpp else "")
        known = SlideRecord(
            name=info.name,
            path=str(info.path),
            size_hw=info.size_hw,
            mpp=known_mpp,
            mpp_source=source,
            fingerprint=fingerprint(info.path),
        )
        project.add_slides([known])
    elif known.mpp is None and mpp is not None:
        known = replace(known, mpp=mpp, mpp_source="user")
        project.update_slide(known)
    return known
