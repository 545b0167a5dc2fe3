"""Foreign networks: what a bundle says of a graph in ONNX, which runs in OpenVINO and never in torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from napari_cyto.errors import CytoError
from napari_cyto.models._tensor_file import stored_tensors
from napari_cyto.models.bundle import WEIGHTS_NAME, Bundle
from napari_cyto.models.manifest import Kind, ModelManifest, Normalisation
from napari_cyto.models.openvino_library import openvino_version
from napari_cyto.models.torch_installed import has_torch

Output: TypeAlias = Literal["yolo", "boxes", "points", "scores", "features"]
ScoreKind: TypeAlias = Literal["auto", "probabilities", "logits"]
Tokens: TypeAlias = Literal["pooled", "cls", "patches", "both"]

TENSOR_NAME = "onnx"
"""The bytes of the graph's file lie in the bundle's weights as one tensor of uint8 of this name."""

ARCHITECTURE_OF: Mapping[Kind, str] = {
    "detector": "onnx-detector",
    "classifier": "onnx-classifier",
    "encoder": "onnx-encoder",
}
OUTPUTS_OF: Mapping[Kind, tuple[Output, ...]] = {
    "detector": ("yolo", "boxes", "points", "scores"),
    "classifier": ("scores",),
    "encoder": ("features",),
}
OVERLAP = 0.5
"""Boxes that overlap more are one cell, as of our own detectors; Source: Ren et al. 2015, section 3."""

MAX_HALO_PX = 512

NORMALISATIONS: Mapping[str, Normalisation] = {
    "imagenet": Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "half": Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "unit": Normalisation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "raw": Normalisation(mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255)),
}
"""By the names that people know: ImageNet's; -1 to 1; 0 to 1; 0 to 255."""


class OnnxSettings(BaseModel):
    """What ``model.json`` keeps of a foreign network, besides classes, scale and normalisation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: Output
    outputs: tuple[str, ...] = Field(default=(), max_length=8, description="Names in the graph, in the order read.")
    layout: Literal["", "v5", "v8", "end-to-end"] = Field(default="", description="Of a YOLO's output.")
    scores: ScoreKind = Field(default="auto", description="Whether scores are probabilities, or logits as they come.")
    sizes: bool = Field(default=False, description="Whether it tells how large a cell is.")
    first_label: int = Field(default=1, ge=0, le=1, description="What a network of boxes calls the first class.")
    overlap: float = Field(default=OVERLAP, gt=0, lt=1, description="Boxes that overlap more are one cell.")
    halo_px: int = Field(default=0, ge=0, le=MAX_HALO_PX, description="Margin in which tiles overlap, px of the input.")
    tokens: Tokens = Field(default="pooled", description="Which tokens make the vector, where it gives them.")
    length: int | None = Field(default=None, ge=1, le=16_384, description="Numbers of an encoder's vector.")
    at_once: int | None = Field(default=None, ge=1, le=64, description="Cells that it takes at a time; None for any.")

    @field_validator("outputs")
    @classmethod
    def _are_short(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if any(len(name) > 1_000 for name in names):
            raise ValueError("expected names of at most 1,000 characters")
        return names


def is_onnx(manifest: ModelManifest) -> bool:
    """Whether a model is a foreign network, kept as ONNX."""
    return manifest.architecture in ARCHITECTURE_OF.values()


def can_run(manifest: ModelManifest) -> bool:
    """Whether what runs a model is installed: OpenVINO for a foreign network, else torch."""
    return openvino_version() is not None if is_onnx(manifest) else has_torch()


def settings_of(manifest: ModelManifest) -> OnnxSettings:
    """Return the settings of a foreign network.

    Raises
    ------
    ValidationError
        When they are not such.
    """
    return OnnxSettings.model_validate(manifest.settings)


def graph_bytes(bundle: Bundle) -> bytes:
    """Return the ONNX file that a bundle holds; its hash is checked anew.

    Raises
    ------
    CytoError
        When the weights' file is not the one that the manifest tells of, or holds anything else.
    """
    content = bundle.weights_bytes()
    tensors = stored_tensors(content, bundle.path / WEIGHTS_NAME)
    if [(t.name, t.dtype, len(t.shape)) for t in tensors] != [(TENSOR_NAME, "U8", 1)]:
        raise CytoError(
            f"{bundle.path / WEIGHTS_NAME}: expected one tensor {TENSOR_NAME!r} that holds an ONNX file, got "
            f"{', '.join(t.name[:40] for t in tensors[:5])}; add the network again."
        )
    return content[tensors[0].start : tensors[0].end]


def build(settings: Mapping[str, Any], n_classes: int, weights: str = "none") -> Any:  # noqa: ARG001
    """Refuse: a foreign network is no torch network.

    Raises
    ------
    ValidationError
        When the settings are none of such a network.
    CytoError
        Always otherwise.
    """
    OnnxSettings.model_validate(dict(settings))
    raise CytoError(
        "Expected a network of torch, got one that is kept as ONNX: it runs in OpenVINO, and cannot be trained further."
    )
