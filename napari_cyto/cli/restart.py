"""Starting anew with the allocator's settings, which are read only when a process starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from napari_cyto.jobs.allocator import ALLOCATOR
from napari_cyto.models.torch_installed import need_torch


def start_for_networks(what: str) -> None:
    """Do what a verb that runs networks begins with: refuse where PyTorch is missing, take the allocator's settings.

    Raises
    ------
    CytoError
        When PyTorch is not installed; ``what`` is the word for the job.
    """
    need_torch(what)
    start_with_allocator()


def start_with_allocator() -> None:
    """Replace this process by the same one with the settings, unless it has them.

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
