"""Every job without a screen: ``napari-cyto VERB``.

JSON for machines goes to stdout, progress for people to stderr. Exit code 0: done; 2: one sentence on stderr says
what was wrong; 130 or 143: interrupted, targets as they were; 1: a bug, with its traceback.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run the verb that ``argv`` (else the command line) names, and leave the process with its exit code."""
    from napari_cyto.cli.printing import printable_streams
    from napari_cyto.cli.running import run

    with printable_streams():
        try:
            code = run(list(sys.argv[1:] if argv is None else argv))
        except Exception:  # noqa: BLE001  a bug, whose traceback may hold names from files, too
            traceback.print_exc()
            code = 1
    sys.exit(code)
