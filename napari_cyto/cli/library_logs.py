"""What libraries log and warn of, kept out of the way of the sentences on stderr: in a file, or with --verbose.

What this program itself warns of is said on stderr, a line each.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

VERBOSE = "--verbose"
_OWN = "napari_cyto"
_FORMAT = "%(asctime)s %(name)s %(levelname)s %(message)s"


@contextmanager
def library_logs(verbose: bool) -> Iterator[None]:
    """Send logs and warnings to ``logs/napari-cyto.log`` in the user's cache folder, or to stderr, for a block."""
    handler, root = _handler(verbose), logging.getLogger()
    handler.setFormatter(logging.Formatter(_FORMAT))
    root.addHandler(handler)
    own, said = logging.getLogger(_OWN), logging.StreamHandler(sys.stderr)
    said.setLevel(logging.WARNING)
    if not verbose:
        own.addHandler(said)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        own.removeHandler(said)
        # On a full disk what libraries said is what is lost.
        with suppress(OSError):
            handler.close()


def _handler(verbose: bool) -> logging.Handler:
    from napari_cyto.files.user_folders import log_path

    if verbose:
        return logging.StreamHandler(sys.stderr)
    path = log_path("napari-cyto")
    if path is None:
        return logging.NullHandler()
    return _QuietFile(path, encoding="utf-8", errors="backslashreplace", delay=True)


class _QuietFile(logging.FileHandler):
    """A file whose full disk puts no traceback on stderr for each line that is not kept."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Let go of the line."""
