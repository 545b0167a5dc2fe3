"""Architectures by name; each one's code, and torch with it, is imported only when one is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from napari_cyto.errors import CytoError
from napari_cyto.models.manifest import Kind, first_fault


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture that bundles may name.

    Parameters
    ----------
    name : str
        What ``model.json`` calls it.
    kind : str
        ``classifier``, ``detector``, ``encoder``, ``slide`` or ``outline``.
    title : str
        What people read.
    module : str
        Module of ``napari_cyto.models`` with ``build(settings, n_classes, weights) -> nn.Module``.
    """

    name: str
    kind: Kind
    title: str
    module: str


ARCHITECTURES = {
    a.name: a
    for a in (
        Architecture("timm-classifier", "classifier", "Backbone, pooling, dense head", "classifier"),
        Architecture("timm-encoder", "encoder", "Network that gives a vector a cell", "encoder"),
        Architecture("gated-attention", "slide", "Gated attention over a slide's cells or patches", "attention_mil"),
        Architecture("outline-unet", "outline", "Outline of the cell under a click", "outline_network"),
        Architecture("timm-encoder-head", "classifier", "Encoder with a head taught in clicks", "encoder_head"),
        Architecture("p2p", "detector", "Point proposals (Patherea-P2P)", "point_detector"),
        Architecture("fcrn", "detector", "Density regression (FCRN)", "fcrn"),
        Architecture("faster-rcnn", "detector", "Two-stage boxes (Faster R-CNN)", "box_detectors"),
        Architecture("retinanet", "detector", "One-stage boxes (RetinaNet)", "box_detectors"),
        Architecture("onnx-classifier", "classifier", "Network of your own (ONNX)", "onnx_network"),
        Architecture("onnx-detector", "detector", "Network of your own (ONNX)", "onnx_network"),
        Architecture("onnx-encoder", "encoder", "Network of your own (ONNX)", "onnx_network"),
    )
}


def architecture(name: str) -> Architecture:
    """Return the architecture called ``name``.

    Raises
    ------
    CytoError
        When there is none of that name.
    """
    if name not in ARCHITECTURES:
        raise CytoError(
            f"The architecture {name[:80]!r} is unknown; this version knows {', '.join(ARCHITECTURES)}. "
            "A newer napari-cyto may know it."
        )
    return ARCHITECTURES[name]


def planned_shapes(name: str, settings: Mapping[str, Any], n_classes: int) -> dict[str, tuple[int, ...]] | None:
    """Return the shape of each tensor of a network that is not built: no memory is taken for any of them.

    Parameters
    ----------
    name, settings, n_classes
        As ``build`` takes them.

    Returns
    -------
    dict or None
        By name; None for a network that cannot be planned so.

    Raises
    ------
    CytoError
        As ``build``.
    """
    import torch

    from napari_cyto.models._state_dicts import shapes

    try:
        with torch.device("meta"):
            return shapes(build(name, settings, n_classes).state_dict())
    except (NotImplementedError, RuntimeError):
        # A backbone that reckons with its own weights while it is made.
        return None


def build(name: str, settings: Mapping[str, Any], n_classes: int, weights: str = "none") -> Any:
    """Return a network with random weights, all but the backbone's first ones, float32, on the CPU.

    Parameters
    ----------
    name : str
        One of ``ARCHITECTURES``.
    settings : mapping
        What its module builds it from; kept in ``model.json``. A module of several architectures is told which
        under ``"architecture"``.
    n_classes : int
        Classes of cells, background not counted.
    weights : str
        The backbone's first weights, as ``make_backbone`` takes them; random ones too when not given.

    Raises
    ------
    CytoError
        When the name is unknown, the settings are not its own, or the weights cannot be had.
    """
    known = architecture(name)
    module = import_module(f"napari_cyto.models.{known.module}")
    try:
        return module.build(settings, n_classes, weights)
    except ValidationError as error:
        raise CytoError(f"The settings of the architecture {name!r} are wrong: {first_fault(error)}") from error
