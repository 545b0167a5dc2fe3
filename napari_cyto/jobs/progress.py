"""Lets who started long work see how far it is, and end it, without every function on the way passing that on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

ProgressCallback: TypeAlias = Callable[[int, int, str], None]
"""Takes how much is done, of how much (0 when that is not known), and of what; what it raises ends the work."""

_CALLBACK: ContextVar[ProgressCallback | None] = ContextVar("tell", default=None)


@contextmanager
def watched(report: ProgressCallback) -> Iterator[None]:
    """Call ``report`` whenever `progressed` is called within the block, in this thread."""
    token = _CALLBACK.set(report)
    try:
        yield
    finally:
        _CALLBACK.reset(token)


def progressed(done: int, total: int, of_what: str) -> None:
    """Say how far the work is; to be called at least ten times a second, costs nothing where nobody watches."""
    report = _CALLBACK.get()
    if report is not None:
        report(done, total, of_what)
