"""Leave a network in its middle: on a processor one large tile takes longer than a person waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from napari_cyto.errors import JobCancelled
from napari_cyto.jobs.events import Token


@contextmanager
def interruptible(network: Any, token: Token | None) -> Iterator[None]:
    """Look at the token before each layer of a torch network while the block runs.

    Raises
    ------
    JobCancelled
        Out of the network.
    """
    if token is None or not hasattr(network, "modules"):
        yield
        return

    def look(*_: Any) -> None:
        if token.cancelled():
            raise JobCancelled("Cancelled. What was found so far is kept.")

    leaves = [m for m in network.modules() if not any(True for _ in m.children())]
    hooks = [m.register_forward_pre_hook(look) for m in leaves]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
