"""The cell classifier: one timm backbone over a cell's windows, pooling, a dense head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from napari_cyto.models.backbones import backbone_features, make_backbone

Trained = Literal["head", "top", "all"]

# The last group of layers may be a lone norm; a stage worth unfreezing has at least this share of the weights.
_TOP_SHARE = 0.1


class ClassifierSettings(BaseModel):
    """What a classifier is built from, as ``model.json`` keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str = Field(min_length=1, max_length=200)
    windows: int = Field(default=1, ge=1, le=4)
    head: int = Field(default=256, ge=0, le=8192)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    feature_dropout: float = Field(default=0.0, ge=0, lt=1)
    input_px: int | None = Field(default=None, ge=16, le=1024)


class TimmClassifier(nn.Module):
    """Backbone, global average pooling, dense ``head``, ReLU, dropout, linear.

    Parameters
    ----------
    backbone : nn.Module
        As ``make_backbone`` returns it; one for all windows.
    n_classes : int
        Outputs.
    n_windows : int
        Windows of a cell whose features are joined, so that a model may see the cell and its surroundings.
    head : int
        Width of the dense layer; 0 for none.
    dropout : float
        Share of features that are dropped in training, before the last layer.
    feature_dropout : float
        The same before the dense layer.

    Notes
    -----
    Source: Coskun et al., the classification head (dense 256, ReLU, dropout 0.5, softmax); Kupas et al. 2024 (512).
    """

    def __init__(
        self,
        backbone: nn.Module,
        n_classes: int,
        n_windows: int = 1,
        head: int = 256,
        dropout: float = 0.5,
        feature_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.backbone, self.n_windows = backbone, n_windows
        features = backbone_features(backbone) * n_windows
        first = [nn.Dropout(feature_dropout)] if feature_dropout else []
        dense = [nn.Linear(features, head), nn.ReLU()] if head else []
        self.head = nn.Sequential(*first, *dense, nn.Dropout(dropout), nn.Linear(head or features, n_classes))
        self._trained: Trained = "all"

    def features(self, crops: torch.Tensor) -> torch.Tensor:
        """Return the joined pooled features ``(b, windows * d)`` of ``crops``, as ``forward`` takes them."""
        if crops.ndim == 4:
            crops = crops.unsqueeze(1)
        if crops.ndim != 5 or crops.shape[1] != self.n_windows:
            raise ValueError(f"expected crops (b, {self.n_windows}, 3, s, s), got {tuple(crops.shape)}")
        flat = crops.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        pooled: torch.Tensor = self.backbone(flat)
        return pooled.reshape(crops.shape[0], -1)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Return logits ``(b, n_classes)`` of ``(b, windows, 3, s, s)`` or, of one window, ``(b, 3, s, s)``."""
        logits: torch.Tensor = self.head(self.features(crops))
        return logits

    def train_only(self, trained: Trained) -> None:
        """Freeze all but the head, the head and the backbone's top stage, or nothing; holds for ``train()`` too."""
        self._trained = trained
        free = {"head": set[str](), "top": top_stage(self.backbone)}.get(trained)
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(free is None or name in free)
        self.train(self.training)

    def train(self, mode: bool = True) -> TimmClassifier:
        """Set training mode; frozen parts stay in evaluation mode, so that their norms keep their statistics."""
        super().train(mode)
        if mode and self._trained != "all":
            _settle_frozen(self.backbone)
        return self

    def named_trained(self) -> tuple[dict[str, nn.Parameter], dict[str, nn.Parameter]]:
        """Return the parameters that are trained, by name: those of the head, and those of the backbone."""
        trainable = {n: p for n, p in self.named_parameters() if p.requires_grad}
        head = {n: p for n, p in trainable.items() if n.startswith("head.")}
        return head, {n: p for n, p in trainable.items() if n not in head}

    def parameter_groups(self, lr: float, backbone_lr: float | None, weight_decay: float) -> list[dict[str, Any]]:
        """Return an optimiser's groups of what is trained; biases and norms are not decayed.

        Source: Loshchilov and Hutter 2019 for the decay; leaving out vectors is the custom since He et al. 2019.
        """
        groups: list[dict[str, Any]] = []
        for part, rate in zip(self.named_trained(), (lr, lr if backbone_lr is None else backbone_lr), strict=True):
            matrices = [p for p in part.values() if p.ndim >= 2]
            vectors = [p for p in part.values() if p.ndim < 2]
            groups.append({"params": matrices, "lr": rate, "weight_decay": weight_decay})
            groups.append({"params": vectors, "lr": rate, "weight_decay": 0.0})
        return [g for g in groups if g["params"]]


def top_stage(backbone: Any) -> set[str]:
    """Return the names of the parameters of the last stage, and of what follows it, after timm's own grouping."""
    from timm.models import group_parameters

    sizes = {n: p.numel() for n, p in backbone.named_parameters()}
    groups: dict[Any, list[str]] = group_parameters(backbone, backbone.group_matcher(coarse=True))
    top: set[str] = set()
    for key in sorted(groups, reverse=True):
        top.update(n for n in groups[key] if n in sizes)
        if sum(sizes[n] for n in top) >= _TOP_SHARE * sum(sizes.values()):
            break
    return top


def build(settings: Mapping[str, Any], n_classes: int, weights: str = "none") -> TimmClassifier:
    """Return the classifier that settings of ``model.json`` describe; only the backbone can have first weights.

    Raises
    ------
    ValidationError
        When the settings are not those of a classifier.
    CytoError
        When timm does not know the backbone, or the weights do not fit.
    """
    known = ClassifierSettings.model_validate(dict(settings))
    backbone = make_backbone(known.backbone, weights, input_px=known.input_px)
    return TimmClassifier(backbone, n_classes, known.windows, known.head, known.dropout, known.feature_dropout)


def _settle_frozen(module: nn.Module) -> None:
    """Put every part into evaluation mode in which no parameter is trained."""
    for part in _frozen_parts(module):
        part.eval()


def _frozen_parts(module: nn.Module) -> Iterator[nn.Module]:
    parameters = list(module.parameters())
    if parameters and not any(p.requires_grad for p in parameters):
        yield module
        return
    for child in module.children():
        yield from _frozen_parts(child)
