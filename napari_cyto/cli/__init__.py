"""Every job without a screen: ``napari-cyto VERB``.

JSON for machines goes to stdout, progress for people to stderr. Exit code 0: done; 2: one sentence on stderr says
what was wrong; 130 or 143: interrupted, targets as they were; 1: a bug, with its traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run the verb that ``argv`` (else the command line) names, and leave the process with its exit code."""
    from napari_cyto.cli.running import run

    sys.exit(run(list(sys.argv[1:] if argv is None else argv)))
