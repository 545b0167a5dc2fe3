"""Gated attention over the cells or patches of a slide: one score a slide, from networks of several seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
from torch import nn

BagKind = Literal["cells", "patches"]


class MilSettings(BaseModel):
    """What a slide's model is built from, as ``model.json`` keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int = Field(ge=1, le=16_384, description="Numbers of a vector.")
    hidden: int = Field(default=64, ge=4, le=2_048)
    attention: int = Field(default=32, ge=2, le=2_048)
    dropout: float = Field(default=0.25, ge=0, lt=1)
    seeds: int = Field(default=5, ge=1, le=50, description="Networks, each trained from another seed.")
    positive: str = Field(max_length=40, description="The least severe category of the report that counts as positive.")
    bag: BagKind = Field(default="cells", description="What a slide is made of.")
    patch_um: float | None = Field(default=None, gt=1, le=2_000, description="Side of a patch, µm.")
    encoder: str = Field(max_length=80, description="Id of the encoder of the vectors.")
    encoder_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Hash of its weights.")
    crop: str = Field(max_length=10_000, description="Crop rule of the vectors, as they are kept by it.")
    calibration: tuple[FiniteFloat, FiniteFloat] | None = Field(
        default=None, description="Slope and intercept that bring the mean logit to a share of held-out slides."
    )


class GatedAttention(nn.Module):
    """One network: vectors are reduced, weighed, averaged, and the average classified.

    Notes
    -----
    Source: Ilse, Tomczak and Welling, Attention-based Deep Multiple Instance Learning, ICML 2018, equations 7 to 9.
    """

    def __init__(self, length: int, hidden: int, attention: int, dropout: float) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.Linear(length, hidden), nn.ReLU(), nn.Dropout(dropout))
        self.content = nn.Linear(hidden, attention)
        self.gate = nn.Linear(hidden, attention)
        self.weigh = nn.Linear(attention, 1)
        self.classify = nn.Linear(hidden, 1)

    def forward(self, bag: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logit of a bag ``(n, length)``, a scalar, and the attention on each instance, ``(n,)``, sum 1."""
        reduced = self.reduce(bag)
        weights = self.weigh(torch.tanh(self.content(reduced)) * torch.sigmoid(self.gate(reduced)))[:, 0]
        attention = torch.softmax(weights, dim=0)
        return self.classify(attention @ reduced)[0], attention


class AttentionMil(nn.Module):
    """Networks of several seeds on the same vectors, which are brought to mean 0 and standard deviation 1 first."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, settings: MilSettings) -> None:
        super().__init__()
        sizes = (settings.length, settings.hidden, settings.attention, settings.dropout)
        self.networks = nn.ModuleList([GatedAttention(*sizes) for _ in range(settings.seeds)])
        self.register_buffer("mean", torch.zeros(settings.length))
        self.register_buffer("std", torch.ones(settings.length))

    def forward(self, bag: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits ``(seeds,)`` and attention ``(seeds, n)`` of a bag of vectors ``(n, length)``."""
        scaled = (bag - self.mean) / self.std
        answers = [network(scaled) for network in self.networks]
        return torch.stack([logit for logit, _ in answers]), torch.stack([weights for _, weights in answers])


def build(settings: Mapping[str, Any], _n_classes: int, _weights: str = "none") -> AttentionMil:
    """Return the networks that settings of ``model.json`` describe; a slide's model has no classes of cells.

    Raises
    ------
    ValidationError
        When the settings are not those of such a model.
    """
    return AttentionMil(MilSettings.model_validate(dict(settings)))
