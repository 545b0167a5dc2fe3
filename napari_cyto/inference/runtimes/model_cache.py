"""Models that are loaded once and stay: what makes the second question fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from napari_cyto.inference.classify import CellClassifier
from napari_cyto.inference.embed.encode import CellEncoder
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.outline.outlines import NetworkOutlines
from napari_cyto.inference.request import ComputesOn
from napari_cyto.models.bundle import Bundle

_KEPT = 4
Model = TypeVar("Model")


@dataclass
class LoadedModels:
    """Networks in memory, by what they were loaded from and for; the least recently used go first."""

    _detectors: dict[tuple[str, ...], CellDetector] = field(default_factory=dict)
    _classifiers: dict[tuple[str, ...], CellClassifier] = field(default_factory=dict)
    _encoders: dict[tuple[str, ...], CellEncoder] = field(default_factory=dict)
    _outlines: dict[tuple[str, ...], NetworkOutlines] = field(default_factory=dict)

    def detector(self, bundle: Bundle, request: ComputesOn) -> CellDetector:
        """Return the detector of a bundle, loaded the first time.

        Raises
        ------
        CytoError
            When it is no detector, or the device or runtime that was demanded is not here.
        """

        def load() -> CellDetector:
            return CellDetector(bundle, request.device, request.precision, runtime=request.runtime)

        return _loaded(self._detectors, bundle, request, load)

    def classifier(self, bundle: Bundle, request: ComputesOn) -> CellClassifier:
        """Return the classifier of a bundle, loaded the first time.

        Raises
        ------
        CytoError
            When it is no classifier, or the device or runtime that was demanded is not here.
        """

        def load() -> CellClassifier:
            return CellClassifier(bundle, request.device, request.precision, request.runtime)

        return _loaded(self._classifiers, bundle, request, load)

    def encoder(self, bundle: Bundle, request: ComputesOn) -> CellEncoder:
        """Return the encoder of a bundle, loaded the first time.

        Raises
        ------
        CytoError
            When it is no encoder, or the device or runtime that was demanded is not here.
        """

        def load() -> CellEncoder:
            return CellEncoder(bundle, request.device, request.precision, request.runtime)

        return _loaded(self._encoders, bundle, request, load)

    def outlines(self, bundle: Bundle, request: ComputesOn) -> NetworkOutlines:
        """Return the network of a bundle that outlines cells, loaded the first time.

        Raises
        ------
        CytoError
            When it is none, or the device that was demanded is not here.
        """
        return _loaded(self._outlines, bundle, request, lambda: NetworkOutlines(bundle, request.device))


def _loaded(
    kept: dict[tuple[str, ...], Model], bundle: Bundle, request: ComputesOn, load: Callable[[], Model]
) -> Model:
    """Return the model of a bundle as it was requested, from what is kept or loaded now, the most recently used."""
    key = (bundle.sha256, bundle.id, request.device, request.precision, request.runtime)
    model = kept.pop(key) if key in kept else load()
    kept[key] = model
    while len(kept) > _KEPT:
        kept.pop(next(iter(kept)))
    return model
