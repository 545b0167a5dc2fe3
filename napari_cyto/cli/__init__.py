"""Every job without a screen: ``napari-cyto VERB``.

JSON for machines goes to stdout, progress for people to stderr. Exit code 0: done; 2: one sentence on stderr says
what was wrong; 130 or 143: interrupted, targets as they were; 1: a bug, with its traceback.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from types import FrameType


class _CtrlC(KeyboardInterrupt):
    """Ctrl-C, of a class of its own.

    Where a plain KeyboardInterrupt passes through code in a string, as in what makes dataclasses, CPython remembers it
    and ends the process by the signal however it was dealt with.
    """


def _ctrl_c(_number: int, _frame: FrameType | None) -> None:
    raise _CtrlC


def main(argv: Sequence[str] | None = None) -> None:
    """Run the verb that ``argv`` (else the command line) names, and leave the process with its exit code."""
    from napari_cyto.cli.entry import run
    from napari_cyto.cli.output import printable_streams

    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _ctrl_c)
    with printable_streams():
        try:
            code = run(list(sys.argv[1:] if argv is None else argv))
        except Exception:  # noqa: BLE001  a bug, whose traceback may hold names from files, too
            traceback.print_exc()
            code = 1
    sys.exit(code)
