"""What a runtime does, whichever library runs the network: cells of a tile, outputs of crops."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_cyto.jobs.events import Token
from napari_cyto.models.found_cells import FoundCells

RGB = npt.NDArray[np.uint8]


class DetectorRuntime(Protocol):
    """A detector's network, ready."""

    title: str
    """What people read, such as ``OpenVINO fp32``."""
    device: str
    halo: int
    """How far a cell's surroundings reach that have a say in it, px of the input."""
    multiple: int
    """Tiles start at multiples of this many px."""
    bytes_per_px: int
    """What a px of a tile needs at the peak, measured for networks of the shipped kind."""
    side_px: int | None
    """The side of its input, px, where it takes no other: tiles are then no larger. None where any size will do."""

    def ready(self, height: int, width: int) -> None:
        """Have all that tiles of a height and width, px, need.

        Raises
        ------
        CytoError
            When that cannot be; smaller ones may be possible.
        """
        ...

    def cells(self, pixels: RGB, floor: float, token: Token | None = None) -> FoundCells:
        """Return what scores ``floor`` or more on a tile, uint8 RGB ``(h, w, 3)``, colours matched already.

        Called from several threads at a time.

        Raises
        ------
        JobCancelled
            When the token says so, in the midst of the network too.
        """
        ...


class CropRuntime(Protocol):
    """The network of a classifier or an encoder, ready."""

    title: str
    device: str

    def outputs(self, crops: RGB, token: Token | None = None) -> npt.NDArray[np.float64]:
        """Return raw outputs, logits or vectors ``(n, C)``, of cells ``(n, windows, s, s, 3)``, uint8 RGB.

        Raises
        ------
        JobCancelled
            When the token says so.
        """
        ...
