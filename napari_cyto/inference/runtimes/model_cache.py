"""Models that are loaded once and stay: what makes the second question fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from napari_cyto.inference.classify import CellClassifier
from napari_cyto.inference.embed.encode import CellEncoder
from napari_cyto.inference.engine.detect import CellDetector
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

    def detector(self, bundle: Bundle, request: ComputesOn) -> CellDetector:
        """Return the detector of a bundle, loaded the first time.

        Raises
        ------
        CytoError
            When it is no detector, or the device or runtime that was demanded is not here.
        """
        key = (bundle.sha256, bundle.id, request.device, request.precision, request.runtime)
        if key not in self._detectors:
            self._detectors[key] = CellDetector(bundle, request.device, request.precision, runtime=request.runtime)
        return _used(self._detectors, key)

    def classifier(self, bundle: Bundle, request: ComputesOn) -> CellClassifier:
        """Return the classifier of a bundle, loaded the first time.

        Raises
        ------
        CytoError
            When it is no classifier, or the device or runtime that was demanded is not here.
        """
        key = (bundle.sha256, bundle.id, request.device, request.precision, request.runtime)
        if key not in self._classifiers:
            self._classifiers[key] = CellClassifier(bundle, request.device, request.precision, request.runtime)
        return _used(self._classifiers, key)

    def encoder(self, bundle: Bundle, request: ComputesOn) -> CellEncoder:
        """Return the encoder of a bundle, loaded the first time.

        Raises
        ------
        CytoError
            When it is no encoder, or the device or runtime that was demanded is not here.
        """
        key = (bundle.sha256, bundle.id, request.device, request.precision, request.runtime)
        if key not in self._encoders:
            self._encoders[key] = CellEncoder(bundle, request.device, request.precision, request.runtime)
        return _used(self._encoders, key)


def _used(kept: dict[tuple[str, ...], Model], key: tuple[str, ...]) -> Model:
    model = kept[key] = kept.pop(key)
    while len(kept) > _KEPT:
        kept.pop(next(iter(kept)))
    return model
