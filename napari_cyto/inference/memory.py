"""How large a tile may be in the memory that is free; asked of the system, without packages of any kind."""

from __future__ import annotations

import os
from pathlib import Path

from napari_cyto.errors import CytoError

BYTES_PER_PX = 450
"""What a px of a tile is taken to need at the peak of a network of the shipped kind: an estimate, on the safe side."""

SIDES_PX = (2048, 1536, 1024, 512)
_SPARE_BYTES = 512 * 2**20


def tile_side(device: str = "cpu") -> int:
    """Return the side of the tiles of a run, px of the model.

    Raises
    ------
    CytoError
        When the smallest would not fit into the memory that is free.
    """
    free = free_bytes() if device == "cpu" else None
    if free is None:
        return SIDES_PX[0]
    for side in SIDES_PX:
        if side * side * BYTES_PER_PX <= free - _SPARE_BYTES:
            return side
    raise CytoError(
        f"Looking for cells needs about {(_SPARE_BYTES + SIDES_PX[-1] ** 2 * BYTES_PER_PX) >> 20} MiB of memory, but "
        f"only {free >> 20} MiB are free; close other programs and try again."
    )


def free_bytes() -> int | None:
    """Return how much memory can be had without swapping; None where the system does not say."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as stream:
            lines = dict(line.split(":", 1) for line in stream)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
