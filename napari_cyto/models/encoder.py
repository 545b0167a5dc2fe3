"""The encoder: one timm network over a cell's window, whose tokens or pooled map become one vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from napari_cyto.errors import CytoError
from napari_cyto.models.backbones import backbone_features, make_backbone

Tokens = Literal["pooled", "cls", "patches", "both"]


class EncoderSettings(BaseModel):
    """What an encoder is built from, as ``model.json`` keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str = Field(min_length=1, max_length=200)
    tokens: Tokens = Field(
        default="pooled", description="What makes the vector; a convolutional network has no tokens."
    )
    windows: int = Field(default=1, ge=1, le=4)
    input_px: int = Field(ge=16, le=1024)
    length: int = Field(ge=1, le=16_384, description="Numbers of a vector.")
    projected: bool = Field(
        default=False, description="Whether a linear layer brings what the network gives to ``length`` numbers."
    )


class TimmEncoder(nn.Module):
    """A timm network that ends in one vector a cell.

    Parameters
    ----------
    network : nn.Module
        As ``make_backbone`` returns it.
    tokens : str
        ``pooled``: what the network itself ends in; ``cls``: its class token; ``patches``: the mean of its patches'
        tokens; ``both``: the two joined, as DINOv2's linear probes take them (Oquab et al. 2023, section 7.1).
    windows : int
        Windows of a cell whose vectors are joined.
    projection : nn.Linear, optional
        What brings the joined vectors to fewer numbers, for example those of a principal component analysis.

    Raises
    ------
    CytoError
        When tokens are asked of a network that has none.
    """

    def __init__(
        self, network: Any, tokens: Tokens = "pooled", windows: int = 1, projection: nn.Linear | None = None
    ) -> None:
        super().__init__()
        if tokens != "pooled" and not is_transformer(network):
            raise CytoError(
                f"This network has no tokens, so no vector can be made of its {tokens}; take 'pooled' instead."
            )
        if tokens in ("cls", "both") and network.cls_token is None:
            raise CytoError(f"This network has no class token, which '{tokens}' needs; take 'patches' instead.")
        self.network, self.tokens, self.windows = network, tokens, windows
        self.projection = projection

    @property
    def has_attention(self) -> bool:
        """Whether ``attention`` can tell what it looks at."""
        return is_transformer(self.network)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(b, length)`` of ``(b, windows, 3, s, s)`` or, of one window, ``(b, 3, s, s)``."""
        crops = self._windowed(crops)
        vectors = self._vectors(crops.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        joined = vectors.reshape(crops.shape[0], -1)
        return joined if self.projection is None else self.projection(joined)

    def attention(self, crops: torch.Tensor) -> torch.Tensor:
        """Return how much the last layer's class token attends to each patch of a cell's first window.

        Returns
        -------
        Tensor
            (b, heads, rows, columns); each head's sum over patches and prefix tokens is 1, so over patches below 1.

        Raises
        ------
        CytoError
            When the network is no vision transformer with a class token.

        Notes
        -----
        Source: Caron et al. 2021 (DINO), section 4.2.2.
        """
        if not self.has_attention or self.network.cls_token is None:
            raise CytoError("This encoder has no class token that attends to anything, so there is no map of it.")
        last = self.network.blocks[-1]
        seen: list[torch.Tensor] = []
        hook = last.attn.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        images = self._windowed(crops)[:, 0].contiguous(memory_format=torch.channels_last)
        try:
            self.network.forward_features(images)
        finally:
            hook.remove()
        weights = attention_weights(last.attn, seen[0])
        rows, columns = (-(-side // step) for side, step in zip(images.shape[-2:], self._patch_px(), strict=True))
        patches = weights[:, :, 0, self.network.num_prefix_tokens :]
        return patches.reshape(*patches.shape[:2], rows, columns)

    def _patch_px(self) -> tuple[int, int]:
        height, width = self.network.patch_embed.patch_size
        return int(height), int(width)

    def _windowed(self, crops: torch.Tensor) -> torch.Tensor:
        if crops.ndim == 4:
            crops = crops.unsqueeze(1)
        if crops.ndim != 5 or crops.shape[1] != self.windows:
            raise ValueError(f"expected crops (b, {self.windows}, 3, s, s), got {tuple(crops.shape)}")
        return crops

    def _vectors(self, images: torch.Tensor) -> torch.Tensor:
        if self.tokens == "pooled":
            pooled: torch.Tensor = self.network(images)
            return pooled
        tokens = self.network.forward_features(images)
        of_class, of_patches = tokens[:, 0], tokens[:, self.network.num_prefix_tokens :].mean(dim=1)
        return {
            "cls": of_class,
            "patches": of_patches,
            "both": torch.cat([of_class, of_patches], dim=1),
        }[self.tokens]


def is_transformer(network: Any) -> bool:
    """Whether a network of timm is a plain vision transformer, whose tokens and attention can be read."""
    return all(hasattr(network, name) for name in ("blocks", "num_prefix_tokens", "patch_embed", "cls_token"))


def attention_weights(attention: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Return the weights ``(b, heads, n, n)`` of one of timm's attention layers for its input ``(b, n, d)``.

    The layer itself never holds them where the library computes attention in one fused step.
    """
    batch, count, width = tokens.shape
    joined = attention.qkv(tokens).reshape(batch, count, 3, attention.num_heads, width // attention.num_heads)
    queries, keys, _ = joined.permute(2, 0, 3, 1, 4).unbind(0)
    queries, keys = attention.q_norm(queries), attention.k_norm(keys)
    weights: torch.Tensor = ((queries * attention.scale) @ keys.transpose(-2, -1)).softmax(dim=-1)
    return weights


def unprojected_length(network: Any, tokens: Tokens, windows: int = 1) -> int:
    """Return how many numbers a network gives for a cell, before any projection."""
    return windows * backbone_features(network) * (2 if tokens == "both" else 1)


def build(settings: Mapping[str, Any], _n_classes: int, weights: str = "none") -> TimmEncoder:
    """Return the encoder that settings of ``model.json`` describe; an encoder has no classes.

    Raises
    ------
    ValidationError
        When the settings are not those of an encoder.
    CytoError
        When timm does not know the network, it has no such tokens, its vectors have another length, or the weights
        do not fit.
    """
    known = EncoderSettings.model_validate(dict(settings))
    network = make_backbone(known.backbone, weights, input_px=known.input_px)
    given = unprojected_length(network, known.tokens, known.windows)
    if not known.projected and given != known.length:
        raise CytoError(f"Expected an encoder of vectors of {known.length} numbers, got one of {given}.")
    projection = nn.Linear(given, known.length) if known.projected else None
    return TimmEncoder(network, known.tokens, known.windows, projection)
