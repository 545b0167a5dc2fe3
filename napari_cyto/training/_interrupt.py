"""Leaving a training step in its middle: on a CPU one step of a large network takes longer than a person waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from napari_cyto.errors import JobCancelled
from napari_cyto.jobs.events import Token


@contextmanager
def interruptible(network: Any, token: Token | None) -> Iterator[None]:
    """Look at the token after each layer, forwards and backwards, while the block runs.

    Raises
    ------
    JobCancelled
        Out of the forward or backward pass.
    """
    if token is None:
        yield
        return

    def look(*_: Any) -> None:
        if token.cancelled():
            raise JobCancelled("Cancelled.")

    def after(_module: Any, _inputs: Any, output: Any) -> None:
        look()
        if getattr(output, "requires_grad", False):
            output.register_hook(look)

    leaves = [m for m in network.modules() if not any(True for _ in m.children())]
    hooks = [m.register_forward_hook(after) for m in leaves]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
