"""What a slide asks of the code that knows one family of files."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from napari_cyto.slides.slide_info import SlideInfo

RGB: TypeAlias = npt.NDArray[np.uint8]


class TileError(Exception):
    """One tile cannot be decoded; the text says why. The slide draws it hatched and goes on."""


class Backend(Protocol):
    """Reads the tiles of one file; every method may be called from several threads at once."""

    info: SlideInfo

    def tile_shape_hw(self, level: int) -> tuple[int, int]:
        """Return height and width of the tiles of a level, in its own px; border tiles are cut off."""
        ...

    def decode_tile(self, level: int, row: int, column: int) -> RGB:
        """Return the uint8 RGB pixels of one tile, ``(h, w, 3)``.

        Raises
        ------
        TileError
            When the file's bytes for it are damaged or gone.
        """
        ...

    def associated(self, name: str) -> RGB:
        """Return an extra image as uint8 RGB ``(h, w, 3)``.

        Raises
        ------
        TileError
            When it is damaged.
        """
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class StackedBackend(Backend, Protocol):
    """Reads a file with several focal planes; by itself it reads the default one."""

    def at_plane(self, plane: int) -> Backend:
        """Return what reads the tiles of a focal plane, from 0; it shares the open file."""
        ...
