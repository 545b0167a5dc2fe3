"""Which parts of a detector a phase trains, and how fast."""

from __future__ import annotations

from typing import Any

from torch import nn

from napari_cyto.errors import CytoError
from napari_cyto.training.config import PhaseConfig


def parameter_groups(network: Any, phase: PhaseConfig, frozen_levels: int) -> list[dict[str, Any]]:
    """Return an optimiser's groups of what a phase trains, and freeze all other parameters.

    Biases and norms are not decayed. Source: Loshchilov and Hutter 2019 for the decay; leaving out vectors is the
    custom since He et al. 2019.

    Raises
    ------
    CytoError
        When nothing is left to train.
    """
    frozen = {id(p) for part in frozen_part(network, phase, frozen_levels) for p in part.parameters()}
    of_body = {id(p) for p in network.backbone.parameters()}
    groups: list[dict[str, Any]] = []
    rates = {True: phase.lr if phase.backbone_lr is None else phase.backbone_lr, False: phase.lr}
    for of_backbone in (False, True):
        for is_matrix in (True, False):
            chosen = []
            for parameter in network.parameters():
                parameter.requires_grad_(id(parameter) not in frozen)
                mine = (id(parameter) in of_body) == of_backbone and (parameter.ndim > 1) == is_matrix
                if mine and parameter.requires_grad:
                    chosen.append(parameter)
            decay = phase.weight_decay if is_matrix else 0.0
            if chosen:
                groups.append({"params": chosen, "lr": rates[of_backbone], "weight_decay": decay})
    if not groups:
        raise CytoError("Nothing of the detector is left to train; train more than its head, or freeze fewer levels.")
    return groups


def frozen_part(network: Any, phase: PhaseConfig, frozen_levels: int) -> list[nn.Module]:
    """Return the layers that a phase leaves as they are.

    Parameters
    ----------
    network : nn.Module
        A detector.
    phase : PhaseConfig
        ``head`` leaves the whole backbone, ``top`` all but its last quarter of layers.
    frozen_levels : int
        Of the backbone's maps, counted from the finest that it computes: what makes these stays.
    """
    layers = _layers(network.backbone)
    if phase.trains == "head":
        return layers
    share = 0.75 * len(layers) if phase.trains == "top" else 0
    return layers[: max(round(share), _made_first(network.backbone, layers, frozen_levels))]


def _layers(backbone: nn.Module) -> list[nn.Module]:
    """Return the layers with parameters of their own, in their order."""
    return [m for m in backbone.modules() if any(True for _ in m.parameters(recurse=False))]


def _made_first(backbone: Any, layers: list[nn.Module], levels: int) -> int:
    """Return how many layers there are up to the end of the map number ``levels``."""
    net = getattr(getattr(backbone, "maps", None), "net", None)
    if not levels or net is None:
        return 0
    names = [str(m) for m in net.feature_info.module_name()]
    last = names[min(levels, len(names)) - 1]
    parts = dict(net.named_modules())
    part = parts.get(last) or parts.get(last.replace(".", "_"))
    if part is None:
        return 0
    own = {id(m) for m in part.modules()}
    return max((i + 1 for i, layer in enumerate(layers) if id(layer) in own), default=0)
