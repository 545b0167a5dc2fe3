"""Continue from a bundle: all of its weights where the new model is made alike, else its backbone's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_cyto.errors import CytoError
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.state_dicts import backbone_part, fill_backbone, mismatch, shapes


def continue_from(
    network: Any, parent: Bundle, architecture: str, settings: Mapping[str, Any], class_ids: Sequence[str]
) -> str:
    """Fill a network with the weights of the model that it continues from.

    Parameters
    ----------
    network : nn.Module
        As ``registry.build`` returns it for what follows.
    parent : Bundle
        The model to continue from.
    architecture : str
        Of the new model.
    settings : mapping
        Of the new model.
    class_ids : sequence of str
        Of the new model, in the order of its outputs.

    Returns
    -------
    str
        What was taken over, as a sentence for people.

    Raises
    ------
    CytoError
        When the parent's weights are not those that its manifest tells of, or it has another backbone.
    """
    known = parent.manifest
    state = parent.state_dict()
    if known.architecture == architecture and known.class_ids == tuple(class_ids):
        fault = mismatch(shapes(network.state_dict()), shapes(state))
        if not fault:
            network.load_state_dict(state, strict=True)
            return f"Continues from {parent.id} with all of its weights."
        if dict(known.settings) == dict(settings):
            raise CytoError(f"{parent.path}: the weights do not fit the settings in its manifest: {fault}.")
    backbone = getattr(network, "backbone", None)
    part = backbone_part(state)
    if backbone is None or not part:
        raise CytoError(f"{parent.path}: nothing of {known.architecture} can be taken over into {architecture}.")
    filled, of = fill_backbone(backbone, part, f"the backbone's weights of {parent.id}")
    why = "its classes are others" if known.class_ids != tuple(class_ids) else "it is made otherwise"
    return f"Continues from {parent.id} with {filled} of {of} tensors of its backbone only, because {why}."
