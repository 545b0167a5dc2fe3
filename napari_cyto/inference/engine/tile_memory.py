"""How large a tile may be in the memory that is free; asked of the system, without packages of any kind."""

from __future__ import annotations

import psutil

from napari_cyto.errors import CytoError

BYTES_PER_PX = 350
"""What a px of a tile needs at the peak in PyTorch.

Measured with nucleus-detector on a processor, tiles of 1024 and 1536 px: 245 and 324 in fp32, 140 to 160 in bf16.
"""

OPENVINO_BYTES_PER_PX = 320
"""The same in OpenVINO, two tiles at a time: 243 to 313 in fp32, 152 in bf16, tiles of 1536 to 2560 px."""

SIDES_PX = (3072, 2560, 2048, 1792, 1536, 1280, 1024, 768, 512)
"""Sides that tiles are tried with, px of the model: of the largest a twelfth is halo, of 1024 px a quarter."""

MOST_BYTES = 2050 * 2**20
"""What a tile may need at the peak, however much is free: the window and others want some."""

FIELD_SIDES_PX = (512, 768, 1024)
"""Smaller tiles are padded to such squares by runtimes that are made ready for a shape: a field has any size."""

SPARE_BYTES = 512 * 2**20


def tile_side(device: str = "cpu", bytes_per_px: int = BYTES_PER_PX) -> int:
    """Return the side of the tiles of a run, px of the model, at most.

    Parameters
    ----------
    device : str
        Of a graphics card the memory is not asked for.
    bytes_per_px : int
        What a px of a tile needs at the peak.

    Raises
    ------
    CytoError
        When the smallest would not fit into the memory that is free.
    """
    free = free_bytes() if device == "cpu" else None
    room = MOST_BYTES if free is None else min(MOST_BYTES, free - SPARE_BYTES)
    for side in SIDES_PX:
        if side * side * bytes_per_px <= room:
            return side
    need_memory(SIDES_PX[-1] ** 2 * bytes_per_px, "Looking for cells")
    return SIDES_PX[-1]


def tiles_at_a_time(pixels: int, bytes_per_px: int, most: int) -> int:
    """Return how many tiles may be in work at a time when their size is given: ``most``, or one where memory is short.

    Parameters
    ----------
    pixels : int
        Of the largest tile, px.
    bytes_per_px : int
        What a px of a tile needs at the peak; one at a time need half of that in OpenVINO.
    most : int
        How many are in work where there is room.

    Raises
    ------
    CytoError
        When there is not room for a single one; the sentence has both figures.
    """
    free = free_bytes()
    if free is None or pixels * bytes_per_px <= free - SPARE_BYTES:
        return most
    one_bytes = pixels * (bytes_per_px // 2 if bytes_per_px == OPENVINO_BYTES_PER_PX else bytes_per_px)
    if one_bytes > free:
        raise CytoError(
            f"Resuming the unfinished run needs about {one_bytes >> 20:,} MiB of memory, but only {free >> 20:,} "
            "MiB are free. What is done is kept; close other programs and try again."
        )
    return 1


def reckoned_hw(height: int, width: int, multiple: int) -> tuple[int, int]:
    """Return the height and width that a tile costs, px: that of the next square for a field, else its own."""
    for side in FIELD_SIDES_PX:
        if max(height, width) <= side:
            return side, side
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def need_memory(needed_bytes: int, what: str) -> None:
    """Refuse what would not fit into the memory that is free.

    Raises
    ------
    CytoError
        One sentence with both figures.
    """
    free = free_bytes()
    if free is not None and needed_bytes > free - SPARE_BYTES:
        raise CytoError(
            f"{what} needs about {(SPARE_BYTES + needed_bytes) >> 20} MiB of memory, but only {free >> 20} MiB are "
            "free; close other programs and try again."
        )


def free_bytes() -> int | None:
    """Return how much memory can be had without swapping; None where the system does not say."""
    try:
        return int(psutil.virtual_memory().available)
    except (OSError, psutil.Error):
        return None
