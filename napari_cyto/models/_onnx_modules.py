"""Our networks with outputs that others can read: points, score maps, boxes, probabilities, vectors."""

from __future__ import annotations

import torch
from torch import nn

from napari_cyto.models.bundle import Bundle
from napari_cyto.models.manifest import Decision
from napari_cyto.models.point_detector import PointDetector


class _Points(nn.Module):
    def __init__(self, network: PointDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        points, sizes, logits = self.network(images)
        found = (points.flip(-1), logits.softmax(-1))
        return (*found, sizes.flip(-1)) if self.network.sizes else found


class _ScoreMaps(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.network(images).clamp(min=0),)


class _Boxes(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = self.network(images)[0]
        return found["boxes"], found["labels"], found["scores"]


class _Probabilities(nn.Module):
    """Calibrated as the bundle says; of one view."""

    def __init__(self, network: nn.Module, decision: Decision, n_classes: int) -> None:
        super().__init__()
        self.network, self.temperature = network, decision.temperature
        self.register_buffer("offsets", torch.tensor(decision.logit_offsets or (0.0,) * n_classes))

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.softmax(self.network(crops) / self.temperature + self.offsets, -1),)


class _Vectors(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.network(crops),)


def exportable(bundle: Bundle) -> tuple[nn.Module, tuple[str, ...]]:
    """Return a bundle's network with outputs that others can read, and the names of these.

    Raises
    ------
    CytoError
        When it cannot be loaded.
    """
    known, network = bundle.manifest, bundle.load_network()
    made: nn.Module
    names: tuple[str, ...]
    if known.kind == "encoder":
        made, names = _Vectors(network), ("features",)
    elif known.kind == "classifier":
        made, names = _Probabilities(network, known.decision, len(known.classes)), ("probabilities",)
    elif isinstance(network, PointDetector):
        made = _Points(network)
        names = ("points", "scores", "sizes") if network.sizes else ("points", "scores")
    elif known.architecture == "fcrn":
        made, names = _ScoreMaps(network), ("scores_map",)
    else:
        made, names = _Boxes(network), ("boxes", "labels", "scores")
    return made.eval(), names
