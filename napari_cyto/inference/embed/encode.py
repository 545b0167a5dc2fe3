"""Vectors of cells by an encoder bundle: the crop rule, colours and precision that it was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_cyto.errors import CytoError
from napari_cyto.inference.request import Runtime
from napari_cyto.inference.runtimes.choice import RuntimeRequest, crop_runtime
from napari_cyto.jobs.events import Token
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.finite_outputs import refuse_not_finite
from napari_cyto.vectors import VectorKind

if TYPE_CHECKING:
    from napari_cyto.datasets.crop_rule import CropRule


class CellEncoder:
    """An encoder at work.

    Parameters
    ----------
    bundle : Bundle
        The model.
    device : str
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:1``.
    precision : str
        ``auto``, ``fp32`` or ``bf16``.
    runtime : str
        ``torch``, ``openvino``, or ``auto`` for the faster of them that keeps the direction of the vectors.

    Raises
    ------
    CytoError
        When the bundle is no encoder, its weights do not fit, or the device or the runtime is not here.
    """

    def __init__(
        self, bundle: Bundle, device: str = "auto", precision: str = "auto", runtime: Runtime = "auto"
    ) -> None:
        self.bundle, self.manifest = bundle, bundle.manifest
        self.kind = kind_of(bundle)
        self.rule = crop_rule_of(bundle)
        self.runtime, self.remarks = crop_runtime(bundle, RuntimeRequest(device, precision, runtime))

    def vectors(self, crops: npt.NDArray[np.uint8], token: Token | None = None) -> npt.NDArray[np.float32]:
        """Return the vectors ``(n, length)`` of cells that are cut already.

        Parameters
        ----------
        crops : ndarray, uint8, RGB
            (n, windows, s, s, 3), as the crop rule cuts them.
        token : Token, optional
            Asks for a stop.

        Raises
        ------
        NotFiniteError
            When a number is NaN or infinite.
        JobCancelled
            When the user asked for it.
        """
        answers = self.runtime.outputs(crops, token)
        refuse_not_finite(self.bundle.id, answers)
        return answers.astype(np.float32)


def kind_of(bundle: Bundle, rule: CropRule | None = None) -> VectorKind:
    """Return which vectors a bundle makes: others are not comparable with them.

    Parameters
    ----------
    bundle : Bundle
        The encoder.
    rule : CropRule, optional
        How what it sees is cut out, where that is not its own rule for cells.

    Raises
    ------
    CytoError
        When it is no encoder.
    """
    manifest = bundle.manifest
    length = manifest.vector_length
    if length is None or manifest.crop_rule is None:
        raise CytoError(f"{bundle.path}: expected an encoder, got {manifest.kind_words}.")
    colour = "" if manifest.colour is None else manifest.colour.model_dump_json()
    crop = (rule or manifest.crop_rule).model_dump_json() + colour
    return VectorKind(encoder=bundle.id, sha256=bundle.sha256, crop=crop, length=length)


def crop_rule_of(bundle: Bundle) -> CropRule:
    """Return how a bundle's cells are cut out.

    Raises
    ------
    CytoError
        When it is no encoder.
    """
    kind_of(bundle)
    rule = bundle.manifest.crop_rule
    assert rule is not None, "an encoder has one"
    return rule
