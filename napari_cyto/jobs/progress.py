"""Lets who started long work see how far it is, and end it, without every function on the way passing that on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

Tell: TypeAlias = Callable[[int, int, str], None]
"""Takes how much is done, of how much (0 when that is not known), and of what; what it raises ends the work."""

_TELL: ContextVar[Tell | None] = ContextVar("tell", default=None)


@contextmanager
def watched(tell: Tell) -> Iterator[None]:
    """Call ``tell`` whenever `progressed` is called within the block, in this thread."""
    token = _TELL.set(tell)
    try:
        yield
    finally:
        _TELL.reset(token)


def progressed(done: int, total: int, of_what: str) -> None:
    """Say how far the work is; to be called at least ten times a second, costs nothing where nobody watches."""
    tell = _TELL.get()
    if tell is not None:
        tell(done, total, of_what)
