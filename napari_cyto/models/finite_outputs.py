"""Whether a network's answers are numbers: NaN would be stored as a class, or lose cells, without a word.

Outputs are looked at before they are read: a comparison with NaN is false, so a detector whose maps are NaN would find
no cells, and a classifier would call each cell the first class. Nothing here imports torch before a network is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_cyto.errors import CytoError
from napari_cyto.models._probe_fields import probe, probe_shapes
from napari_cyto.models.manifest import ModelManifest

if TYPE_CHECKING:
    from torch import nn


class NotFiniteError(CytoError):
    """A network's answers hold NaN or infinity.

    Parameters
    ----------
    name : str
        What people call the model.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name}: its output contains NaN or infinity, so the run stops and nothing is stored for this image. "
            "The model is damaged or its normalisation is wrong: check it with `napari-cyto models verify`, and use "
            "another model or a fresh copy."
        )
        self.name = name

    def __reduce__(self) -> tuple[object, ...]:
        # A worker's process sends it back.
        return (type(self), (self.name,))


def is_finite(outputs: Any) -> bool:
    """Whether arrays or tensors, in whatever they are packed, hold neither NaN nor infinity."""
    if isinstance(outputs, Mapping):
        return all(map(is_finite, outputs.values()))
    if isinstance(outputs, list | tuple):
        return all(map(is_finite, outputs))
    if isinstance(outputs, np.ndarray):
        return bool(np.isfinite(outputs).all())
    return bool(outputs.isfinite().all()) if hasattr(outputs, "isfinite") else True


def refuse_not_finite(name: str, outputs: Any) -> None:
    """Stop where outputs are no numbers.

    Raises
    ------
    NotFiniteError
        Naming the model.
    """
    if not is_finite(outputs):
        raise NotFiniteError(name)


@contextmanager
def watched(network: nn.Module, name: str) -> Iterator[None]:
    """Look at what a network's ``scoring_parts`` put out while the block runs.

    Detectors of boxes drop what is not above a threshold themselves, NaN with it: their answer shows nothing of it.

    Raises
    ------
    NotFiniteError
        When a part's outputs are no numbers.
    """

    def look(_module: nn.Module, _inputs: Any, outputs: Any) -> None:
        refuse_not_finite(name, outputs)

    hooks = [part.register_forward_hook(look) for part in getattr(network, "scoring_parts", ())]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def try_network(network: nn.Module, manifest: ModelManifest, device: Any = "cpu") -> None:
    """Run a network once on a fixed picture, and demand numbers.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    manifest : ModelManifest
        Of its bundle.
    device : str or torch.device
        Where it is.

    Raises
    ------
    NotFiniteError
        When its answers hold NaN or infinity.
    CytoError
        When it cannot run, or tells of another number of classes than the manifest.
    """
    import torch

    pixels = torch.from_numpy(probe(probe_shapes(manifest)[0])).float() / 255
    mean, std = (torch.tensor(each) for each in (manifest.normalisation.mean, manifest.normalisation.std))
    images = torch.movedim((pixels - mean) / std, -1, -3).to(device)
    if manifest.kind == "outline":
        # Its fourth channel is the click.
        images = torch.cat([images, torch.zeros_like(images[:, :1])], dim=1)
    try:
        with torch.inference_mode(), watched(network, manifest.id):
            outputs = network(images)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        said = " ".join(str(error).split())[:160]
        raise CytoError(f"{manifest.id}: the network cannot process its own input size ({said}).") from error
    refuse_not_finite(manifest.id, outputs)
    if manifest.kind == "classifier" and tuple(outputs.shape) != (len(pixels), len(manifest.classes)):
        raise CytoError(
            f"{manifest.id}: for {len(pixels)} cells of {len(manifest.classes)} classes its answer has the shape "
            f"{tuple(outputs.shape)}, so settings and classes do not belong together."
        )
    length = manifest.vector_length
    if length is not None and tuple(outputs.shape) != (len(pixels), length):
        raise CytoError(
            f"{manifest.id}: expected {len(pixels)} vectors of {length} numbers, got the shape {tuple(outputs.shape)}, "
            "so settings and weights do not belong together."
        )
