"""Starting anew with the allocator's settings, which are read only when a process starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from napari_cyto.training.allocator import ALLOCATOR


def start_with_allocator() -> None:
    """Replace this process by the same one with the settings, unless it has them; a verb calls it before it begins.

    glibc gives freed memory back after each layer of a network and faults it in again, which costs a factor of two to
    three.
    """
    if not sys.platform.startswith("linux") or all(name in os.environ for name in ALLOCATOR):
        return
    started = Path(sys.argv[0] if sys.argv else "")
    if started.name != "napari-cyto" and started.parts[-2:] != ("napari_cyto", "__main__.py"):
        return  # called from a program, which must not be replaced
    sys.stdout.flush()
    sys.stderr.flush()
    environment = {**os.environ, **{n: v for n, v in ALLOCATOR.items() if n not in os.environ}}
    os.execve(sys.executable, [sys.executable, "-m", "napari_cyto", *sys.argv[1:]], environment)
