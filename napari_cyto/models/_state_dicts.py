"""Named tensors: the same layer under the names that timm gives it in different wrappings, and strict filling."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from napari_cyto.errors import CytoError

# Of ours (encoders have a network), of trainers, and of torchvision, whose detectors have a body that makes maps.
_WRAPPERS = ("module.", "detector.", "net.", "model.", "backbone.", "network.", "body.", "maps.")
_OF_BACKBONE = re.compile(r"(?:(?:module|detector|net|model)\.)*backbone\.|network\.")
# A backbone of maps lacks the last layers before the pooling; less than this share is another backbone.
_SHARED = 0.8
# features_only flattens `stages.0` to `stages_0` so that it can stop between them.
_FLATTENED = re.compile(r"^(stem|stages|layers|blocks|features)_(\d+)(?=\.)")


def plain_name(name: str) -> str:
    """Return what a tensor of a backbone is called in timm's plain network."""
    changed = True
    while changed:
        changed = False
        for wrapper in _WRAPPERS:
            if name.startswith(wrapper):
                name, changed = name[len(wrapper) :], True
    return _FLATTENED.sub(r"\1.\2", name)


def without_wrappers(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors under their plain names."""
    return {plain_name(name): tensor for name, tensor in state.items()}


def backbone_part(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the backbone's tensors of a whole model, under their plain names; none where it has no backbone."""
    return without_wrappers({n: t for n, t in state.items() if _OF_BACKBONE.match(n)})


def fill(net: Any, state: Mapping[str, Any], what: str, *, spare_ok: bool = False) -> None:
    """Load tensors into a network, every one of its own; names are compared in their plain form.

    Parameters
    ----------
    net : nn.Module
        What is filled.
    state : mapping of str to Tensor
        Under their plain names.
    what : str
        What they are, for the sentence.
    spare_ok : bool
        Whether there may be tensors that the network has no place for.

    Raises
    ------
    CytoError
        When one is missing, has another shape, or is too many; the sentence names the first of each.
    """
    own = net.state_dict()
    plain = {name: plain_name(name) for name in own}
    fault = mismatch({plain[n]: tuple(t.shape) for n, t in own.items()}, shapes(state), spare_ok)
    if fault:
        raise CytoError(f"{what[:1].upper()}{what[1:]} do not fit: {fault}.")
    net.load_state_dict({name: state[plain[name]] for name in own}, strict=True)


def fill_backbone(net: Any, state: Mapping[str, Any], what: str) -> tuple[int, int]:
    """Load another model's backbone, which may have been cut shorter or less short than this one.

    Parameters
    ----------
    net : nn.Module
        A backbone: the plain network, or its maps.
    state : mapping of str to Tensor
        The other backbone's tensors under their plain names.
    what : str
        Whose they are, for the sentence.

    Returns
    -------
    tuple of int
        The tensors that were filled, and those that there are.

    Raises
    ------
    CytoError
        When a shape differs or too few have the same name: it is another backbone.
    """
    own = net.state_dict()
    shared = {name: state[plain_name(name)] for name in own if plain_name(name) in state}
    own_shapes = {name: tuple(tensor.shape) for name, tensor in own.items() if name in shared}
    fault = mismatch(own_shapes, shapes(shared))
    if not fault and len(shared) < _SHARED * len(own):
        fault = f"only {len(shared)} of {len(own)} tensors have the same names"
    if fault:
        raise CytoError(f"{what[:1].upper()}{what[1:]} do not fit: {fault}; it is another backbone.")
    net.load_state_dict(shared, strict=False)
    return len(shared), len(own)


def shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def mismatch(
    expected: Mapping[str, tuple[int, ...]], came: Mapping[str, tuple[int, ...]], spare_ok: bool = False
) -> str:
    """Return in words how two sets of named shapes differ, or nothing."""
    missing = [n for n in expected if n not in came]
    spare = [] if spare_ok else [n for n in came if n not in expected]
    other = [n for n in expected if n in came and expected[n] != came[n]]
    said = []
    if missing:
        said.append(f"{len(missing)} tensors are missing ({missing[0]} is the first)")
    if spare:
        said.append(f"{len(spare)} are unknown to the network ({spare[0]} is the first)")
    if other:
        first = other[0]
        said.append(f"{len(other)} have another shape ({first}: expected {expected[first]}, got {came[first]})")
    return "; ".join(said)
