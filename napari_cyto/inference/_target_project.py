"""The project that takes proposals: opened or made, with the slide in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_cyto.datasets.import_.known_slides import How, KnownSlide, at_new_place, slide_in
from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.presets import PRESETS, preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError, ProjectThereError
from napari_cyto.slides import Slide, fingerprint
from napari_cyto.store import Project
from napari_cyto.store.database.place import is_free

# Where in a project what is done of its runs is kept.
RUNS = "predict"


def there(folder: Path) -> Project | None:
    """Open the project in ``folder``; None where one can be made.

    Raises
    ------
    CytoError
        When something else is there, or it cannot be read.
    """
    if Project.is_empty_database(folder):
        return None
    if Project.is_project(folder):
        project = Project.open(folder)
        project.back_up_before("prediction")
        return project
    # A run that ended before its project was made has left its records there.
    if not is_free(folder, but=RUNS):
        raise CytoError(
            f"{folder} exists, but is not a project; choose a project, or a folder that does not exist yet."
        )
    return None


def made(folder: Path, scheme: ClassScheme) -> Project:
    """Make a project in ``folder`` whose classes are those of a model, and open it.

    One that another program has made since it was looked for is opened.

    Raises
    ------
    CytoError
        When the place cannot be written, or the project there lacks a class of the model.
    """
    try:
        return Project.create(folder, project_scheme(scheme))
    except ProjectThereError:
        project = Project.open(folder)
    lacking = [class_id for class_id in scheme.ids if class_id not in project.scheme]
    if lacking:
        project.close()
        raise CytoError(
            f"Another program has just created {folder} with classes other than the model's; it lacks "
            f"{', '.join(lacking)}. Nothing was stored in it; choose another project, or map the classes."
        )
    return project


def believed_mpp(project: Project | None, slide: Slide) -> float | None:
    """Return µm per level-0 px of a slide: what the project knows goes before what the file says."""
    known = None if project is None else _known(project, slide)
    return slide.info.mpp if known is None or known.slide.mpp is None else known.slide.mpp


def _known(project: Project, slide: Slide) -> KnownSlide | None:
    return slide_in(project, _record(slide))


def _record(slide: Slide) -> SlideRecord:
    info = slide.info
    return SlideRecord(
        name=info.name,
        path=str(info.path),
        size_hw=info.size_hw,
        mpp=info.mpp,
        mpp_source=info.mpp_source if info.mpp is not None else "",
        fingerprint=fingerprint(info.path),
    )


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
    found = _known(project, slide)
    new = _record(slide)
    if found is None:
        added = new if new.mpp is not None or mpp is None else replace(new, mpp=mpp, mpp_source="user")
        project.add_slides([added])
        return added
    known = at_new_place(found.slide, new) if found.how is How.MOVED else found.slide
    if known.mpp is None and mpp is not None:
        known = replace(known, mpp=mpp, mpp_source="user")
    if known != found.slide:
        project.update_slide(known)
    return known
