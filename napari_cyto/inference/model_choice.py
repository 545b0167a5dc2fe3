"""The models of a request: there, whole, of the right kind, and fit for the slide; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from napari_cyto.domain.classes import ClassScheme
from napari_cyto.errors import CytoError, ScaleUnknownError
from napari_cyto.inference.request import PredictRequest
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.library import bundle_named
from napari_cyto.models.suitability import fit


@dataclass(frozen=True)
class Chosen:
    """The bundles of a request, which fit what is asked of them.

    Parameters
    ----------
    detector : Bundle
        Finds cells.
    classifier : Bundle or None
        Tells their classes; without one the detector's classes count.
    """

    detector: Bundle
    classifier: Bundle | None

    @property
    def both(self) -> tuple[Bundle, ...]:
        """The bundles that are there."""
        return (self.detector,) if self.classifier is None else (self.detector, self.classifier)

    @property
    def speaker(self) -> Bundle:
        """Whose classes the cells get."""
        return self.classifier or self.detector

    @property
    def scheme(self) -> ClassScheme:
        """The classes that the cells can get."""
        return self.speaker.manifest.class_scheme()


def chosen_bundles(request: PredictRequest, *, checked: bool = True) -> Chosen:
    """Return the bundles that a request names, without torch; their weights looked at if they are to be ``checked``.

    Raises
    ------
    CytoError
        When one is not there, refused, or of the wrong kind.
    """
    detector = bundle_named(request.detector, checked=checked)
    classifier = None if request.classifier is None else bundle_named(request.classifier, checked=checked)
    for bundle, kind, what in ((detector, "detector", "detection"), (classifier, "classifier", "classification")):
        if bundle is not None and bundle.manifest.kind != kind:
            raise CytoError(f"{bundle.id} is {bundle.manifest.kind_words}, but {what} needs a {kind}.")
    return Chosen(detector, classifier)


def check_fit(
    chosen: Chosen,
    scheme: ClassScheme | None,
    mpp: float | None,
    stain: str | None,
    name: str,
    images: Iterable[object] = (),
) -> Sequence[str]:
    """Refuse models that cannot work on a slide, and return what to know of those that can.

    Parameters
    ----------
    chosen : Chosen
        The models.
    scheme : ClassScheme or None
        Of the project that takes the cells.
    mpp : float or None
        µm per level-0 px of the slide.
    stain : str or None
        Of the slide, where it is known.
    name : str
        What to call the slide.
    images : iterable of path
        Its pixel files, for a refusal.

    Raises
    ------
    CytoError
        The slide has no scale, is of another stain, or the project has not the classes; a sentence each.
    """
    found = [fit(bundle.manifest, scheme if bundle is chosen.speaker else None, [mpp], stain) for bundle in chosen.both]
    refusals = [sentence for each in found for sentence in each.refusals]
    if refusals:
        sentence = f"{name}: {' '.join(refusals)}"
        raise ScaleUnknownError(sentence, images) if any(e.lacks_scale for e in found) else CytoError(sentence)
    return [remark for each in found for remark in each.remarks]
