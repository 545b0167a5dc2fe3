"""A classifier that was taught on vectors: the encoder that made them, their length set to 1, and one linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from napari_cyto.models.registry import build as build_architecture

_LEAST_LENGTH = 1e-6


class EncoderHeadSettings(BaseModel):
    """What it is built from, as ``model.json`` keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: dict[str, Any] = Field(description="Those of the encoder's own bundle.")
    length: int = Field(ge=1, le=16_384, description="Numbers of a vector.")


class EncoderHead(nn.Module):
    """Logits of cells: ``linear(v / |v|)`` of the vector v that an encoder gives.

    Parameters
    ----------
    encoder : nn.Module
        As its own bundle has it.
    length : int
        Numbers of a vector.
    n_classes : int
        Outputs.
    """

    def __init__(self, encoder: nn.Module, length: int, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(length, n_classes)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Return logits ``(b, n_classes)`` of ``(b, windows, 3, s, s)`` or, of one window, ``(b, 3, s, s)``."""
        vectors = self.encoder(crops)
        lengths = vectors.norm(dim=1, keepdim=True).clamp(min=_LEAST_LENGTH)
        logits: torch.Tensor = self.head(vectors / lengths)
        return logits


def build(settings: Mapping[str, Any], n_classes: int, weights: str = "none") -> EncoderHead:
    """Return the classifier that settings of ``model.json`` describe; only the encoder can have first weights.

    Raises
    ------
    ValidationError
        When the settings are not those of such a classifier.
    CytoError
        When timm does not know the encoder's network, or the weights do not fit.
    """
    known = EncoderHeadSettings.model_validate(dict(settings))
    encoder = build_architecture("timm-encoder", known.encoder, 0, weights)
    return EncoderHead(encoder, known.length, n_classes)
