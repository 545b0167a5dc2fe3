"""What the project store warns of while something is done, to be said in the window too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_STORE = "napari_cyto.store"


class _Kept(logging.Handler):
    def __init__(self, sentences: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._sentences = sentences

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the sentence."""
        self._sentences.append(record.getMessage())


@contextmanager
def warnings_heard() -> Iterator[list[str]]:
    """Give a list that is filled with the sentences that the store warns of within the block."""
    sentences: list[str] = []
    handler, log = _Kept(sentences), logging.getLogger(_STORE)
    log.addHandler(handler)
    try:
        yield sentences
    finally:
        log.removeHandler(handler)
