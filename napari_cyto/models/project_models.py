"""Which models a project uses: one that finds cells, one that tells their class; nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

from napari_cyto.errors import CytoError, ScaleUnknownError
from napari_cyto.models.bundle import read_bundle
from napari_cyto.models.library import Entry, add_model, find_model
from napari_cyto.models.manifest import Kind, ModelManifest
from napari_cyto.models.suitability import Fit, fit
from napari_cyto.store import Project

SETTING = "model."


def use_model(project: Project | None, path: Path) -> str:
    """Add the model in ``path`` to the library, unless it is there, and make it the project's of its kind.

    Returns
    -------
    str
        The model's id.

    Raises
    ------
    CytoError
        When it is refused, does not fit the project, or the library has another one of that id.
    """
    bundle = read_bundle(path)
    if project is not None and (found := fit_of(bundle.manifest, project)).refusals:
        sentence = " ".join(found.refusals)
        images = [project.slide_path(slide) for slide in project.slides() if slide.mpp is None and slide.path]
        raise ScaleUnknownError(sentence, images) if found.lacks_scale else CytoError(sentence)
    known = find_model(bundle.id)
    if known is None or known.manifest is None or known.manifest.weights_sha256 != bundle.sha256:
        add_model(path)
    if project is not None:
        project.set_setting(SETTING + bundle.manifest.kind, {"id": bundle.id, "sha256": bundle.sha256})
    return bundle.id


def model_of(project: Project, kind: Kind) -> tuple[str, str] | None:
    """Return id and hash of the model that a project uses for ``kind``, if it uses one."""
    chosen = project.setting(SETTING + kind, None)
    return (str(chosen["id"]), str(chosen["sha256"])) if isinstance(chosen, dict) else None


def is_used(project: Project | None, entry: Entry) -> bool:
    """Whether ``project`` uses the model."""
    manifest = entry.manifest
    if project is None or manifest is None:
        return False
    return model_of(project, manifest.kind) == (manifest.id, manifest.weights_sha256)


def fit_of(manifest: ModelManifest, project: Project) -> Fit:
    """Return how a model fits the classes of a project and the scale of its slides."""
    return fit(manifest, project.scheme, (slide.mpp for slide in project.slides()))
