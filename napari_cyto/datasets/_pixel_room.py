"""Room for the pixels of a training set: in memory, or on the disk where they are many."""

from __future__ import annotations

import shutil
import tempfile

import numpy as np
import numpy.typing as npt
import psutil

from napari_cyto.errors import CytoError

_FALLBACK_BYTES = 2 * 2**30


def pixel_room(
    shape: tuple[int, ...], what: str, remedy: str, memory_bytes: int | None = None
) -> npt.NDArray[np.uint8]:
    """Return an array for pixels, in memory or, when they are many, in a file that goes with it.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    what : str
        What it is for, with its number, as in ``1,000 cells``.
    remedy : str
        What to do, besides freeing space, where the disk is too small.
    memory_bytes : int, optional
        What is held in memory at most; a quarter of this machine's by default.

    Raises
    ------
    CytoError
        When there is too little space on the disk.
    """
    needed = int(np.prod(shape, dtype=np.int64))
    if needed <= (_quarter_of_memory() if memory_bytes is None else memory_bytes):
        return np.empty(shape, dtype=np.uint8)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    # A full disk kills a process that writes to a mapped file, without a word.
    if free < needed * 1.05:
        raise CytoError(
            f"Expected {needed / 1e9:.1f} GB of free disk space in {folder} for {what}, got {free / 1e9:.1f} GB; free "
            f"some space, {remedy}, or set TMPDIR to a folder on another disk."
        )
    with tempfile.TemporaryFile(prefix="napari-cyto-pixels-") as file:
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)


def _quarter_of_memory() -> int:
    try:
        return int(psutil.virtual_memory().total) // 4
    except (OSError, psutil.Error):
        return _FALLBACK_BYTES
