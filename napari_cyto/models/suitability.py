"""Whether a model may be used on a project's slides: its classes, its stain, the µm per px it needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from napari_cyto.domain.classes import ClassScheme
from napari_cyto.domain.presets import PRESETS, map_between, preset
from napari_cyto.errors import HOW_TO_ESTIMATE, CytoError, SchemeError
from napari_cyto.formats.cric import MPP as CRIC_MPP
from napari_cyto.models.manifest import ModelManifest

# Pixels this much larger than those of the training slides lack detail that the model was trained on.
_COARSER = 1.5
# What a slide has that was scanned at 40x, as nearly all training slides are; for cards that do not say it.
_USUAL_UM = 0.25
_CRIC = "cric:"


@dataclass(frozen=True, slots=True)
class Fit:
    """How a model fits.

    Parameters
    ----------
    refusals : tuple of str
        Why it may not be used, as sentences; empty when it may.
    remarks : tuple of str
        What to know when it is used all the same.
    lacks_scale : bool
        Whether a refusal is that the µm per px of a slide is unknown.
    """

    refusals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    lacks_scale: bool = False

    @property
    def sentences(self) -> list[str]:
        """All of them, refusals first."""
        return [*self.refusals, *self.remarks]


def fit(
    manifest: ModelManifest,
    scheme: ClassScheme | None = None,
    mpps: Iterable[float | None] = (),
    stain: str | None = None,
) -> Fit:
    """Return whether and how a model fits.

    Parameters
    ----------
    manifest : ModelManifest
        The model's.
    scheme : ClassScheme, optional
        The project's classes; not looked at when not given.
    mpps : iterable of float or None
        µm per level-0 px of the slides that are meant, None where unknown.
    stain : str, optional
        The slides' stain, where it is known.
    """
    refusals, remarks = [], []
    if scheme is not None:
        try:
            class_translation(manifest, scheme)
        except CytoError as error:
            refusals.append(str(error))
    if stain and stain.casefold() != manifest.stain.casefold():
        refusals.append(f"The model {manifest.id} knows the stain {manifest.stain}, but the slides are {stain}.")
    slides = list(mpps)
    unknown = sum(m is None for m in slides)
    if needs_um(manifest) and unknown:
        whose = "the slide" if len(slides) == 1 else f"{unknown} of {len(slides)} slides"
        refusals.append(
            f"The model {manifest.id} sees cells at {manifest.mpp:.3g} µm per px, and of {whose} the µm per px is "
            f"unknown; enter it first. {HOW_TO_ESTIMATE}."
        )
    remarks += _too_coarse(manifest, [m for m in slides if m is not None])
    return Fit(tuple(refusals), tuple(remarks), needs_um(manifest) and unknown > 0)


def trained_um(manifest: ModelManifest) -> float | None:
    """Return the µm per px of the coarsest slide that a model was trained on; None where its card does not say it.

    A crop enlarged for the network holds no more detail than the slide that it was cut from: ``manifest.mpp``, which
    is of the input, does not tell what the model has seen.
    """
    stated = manifest.card.data.get("mpp_um")
    if isinstance(stated, list | tuple) and stated and all(isinstance(m, int | float) for m in stated):
        return max(map(float, stated))
    rows = manifest.card.data.get("sources")
    sources = [str(row.get("source", "")) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return CRIC_MPP if sources and all(source.startswith(_CRIC) for source in sources) else None


def _too_coarse(manifest: ModelManifest, mpps: Iterable[float]) -> list[str]:
    """Return what to say of slides whose pixels are larger than those that the model was trained on."""
    if manifest.mpp is None:
        return []
    trained, coarsest = trained_um(manifest), max(mpps, default=0.0)
    if coarsest <= _COARSER * max(manifest.mpp, trained or _USUAL_UM):
        return []
    seen = (
        f"was trained on slides of {trained:.3g} µm per px"
        if trained is not None
        else f"sees cells at {manifest.mpp:.3g} µm per px"
    )
    return [
        f"The model {manifest.id} {seen}, and a slide here has {coarsest:.3g}: details that it relies on are "
        "missing there, so expect more errors."
    ]


def needs_um(manifest: ModelManifest) -> bool:
    """Return whether the model can only be used where the µm per px of a slide are known."""
    return manifest.mpp is not None


def labels_scheme(manifest: ModelManifest) -> ClassScheme:
    """Return the scheme that labelled cells are brought to for a model: its own.

    One that ships is known whole, with classes that the model has not learned; a user's by the model's classes alone.
    """
    own = manifest.class_scheme()
    if manifest.scheme in PRESETS and set(own.ids) <= set((whole := preset(manifest.scheme)).ids):
        return whole
    return own


def class_translation(manifest: ModelManifest, scheme: ClassScheme) -> tuple[str, ...]:
    """Return the class of ``scheme`` that each output of the model stands for, in the order of the outputs.

    Classes of the same id are the same; where some are missing, the map that ships from the model's scheme to
    this one is asked.

    Raises
    ------
    CytoError
        When an output has no counterpart; the sentence lists them.
    """
    missing = [i for i in manifest.class_ids if i not in scheme]
    if not missing:
        return manifest.class_ids
    fault = (
        f"The model {manifest.id} answers with {', '.join(missing)}, for which the project's scheme {scheme.name!r} "
        f"({', '.join(scheme.ids)}) has no class; add them to the scheme or choose another model."
    )
    try:
        bridge = map_between(manifest.class_scheme(), scheme)
        return tuple(bridge.apply(i) for i in manifest.class_ids)
    except SchemeError:
        raise CytoError(fault) from None
