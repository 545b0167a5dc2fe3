"""A detector that is loaded, and what it finds on one tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.colour_match import ColourMatch
from napari_cyto.domain.geometry import YXYX, points_in_box
from napari_cyto.errors import CytoError
from napari_cyto.inference.engine._unscanned_area import SIDE_UM, UNKNOWN_MPP, not_scanned
from napari_cyto.inference.engine.tile_grid import Tile
from napari_cyto.inference.model_view import ModelView
from napari_cyto.inference.request import Runtime
from napari_cyto.inference.runtimes.choice import RuntimeRequest, detector_runtime
from napari_cyto.inference.runtimes.runtime import DetectorRuntime
from napari_cyto.jobs.events import Token
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.found_cells import FoundCells
from napari_cyto.models.manifest import ModelManifest

SLACK_PX = 1.0
"""Cells this far outside a tile's core are told too, so that rounding loses none on a seam, px of the model."""
SEAM_PX = 3.0
"""Two tiles' cells nearer than this are one, px of the model."""


@dataclass(frozen=True)
class ShownTile:
    """A tile with its pixels.

    Parameters
    ----------
    tile : Tile
        Where it lies.
    pixels : ndarray, uint8 (h, w, 3)
        RGB as on the slide.
    view : ModelView
        The slide at the model's scale.
    mpp : float or None
        µm per level-0 px.
    colour : ColourMatch or None
        What brings the slide's colours to the model's.
    """

    tile: Tile
    pixels: npt.NDArray[np.uint8]
    view: ModelView
    mpp: float | None
    colour: ColourMatch | None

    @classmethod
    def read(cls, tile: Tile, view: ModelView, mpp: float | None, colour: ColourMatch | None) -> ShownTile:
        """Return a tile with its pixels.

        Raises
        ------
        SlideError
            When the slide cannot be read.
        """
        return cls(tile, view.read(tile.y0, tile.x0, tile.height, tile.width), view, mpp, colour)

    @property
    def bounds_yxyx(self) -> YXYX:
        """The part of the slide, level-0 px, whose pixels may be looked at for the cells of this tile."""
        # Around its cells it is looked whether anything was scanned.
        around = 2 * SIDE_UM / (self.mpp or UNKNOWN_MPP)
        tile, scale = self.tile, self.view.scale
        y1, x1 = tile.y0 + tile.height, tile.x0 + tile.width
        return (tile.y0 * scale - around, tile.x0 * scale - around, y1 * scale + around, x1 * scale + around)


class CellDetector:
    """A detector, loaded and ready.

    Parameters
    ----------
    bundle : Bundle
        Its weights and all that is known of it.
    device : str
        ``auto``, ``cpu``, ``cuda`` ...
    precision : str
        ``auto`` (bf16 where the device computes in it), ``fp32`` or ``bf16``.
    runtime : str
        ``torch``, in which models are judged; ``openvino``; or ``auto`` for the faster of them that keeps the
        bundle's tolerance.

    Raises
    ------
    CytoError
        When the bundle is no detector, or the device or the runtime is not here.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str = "auto",
        precision: str = "auto",
        runtime: Runtime = "torch",
    ) -> None:
        if bundle.manifest.kind != "detector":
            raise CytoError(f"Expected a detector, got {bundle.id}, which is {bundle.manifest.kind_words}.")
        found, remarks = detector_runtime(bundle, RuntimeRequest(device, precision, runtime))
        self._start(bundle.manifest, found, remarks)

    @classmethod
    def of_network(cls, manifest: ModelManifest, network: Any, run: Callable[[Any], Any]) -> CellDetector:
        """Return the detector of a torch network that is in memory; ``run`` takes prepared tiles to its raw outputs."""
        from napari_cyto.inference.runtimes.torch_runtime import TorchDetector

        self = cls.__new__(cls)
        self._start(manifest, TorchDetector(network, run, manifest.normalisation, name=manifest.id))
        return self

    @classmethod
    def of_runtime(cls, manifest: ModelManifest, runtime: DetectorRuntime) -> CellDetector:
        """Return the detector that a network is, whatever runs it."""
        self = cls.__new__(cls)
        self._start(manifest, runtime)
        return self

    def _start(self, manifest: ModelManifest, runtime: DetectorRuntime, remarks: tuple[str, ...] = ()) -> None:
        self.manifest, self.runtime, self.remarks = manifest, runtime, remarks

    @property
    def device(self) -> str:
        """What it computes on: ``cpu``, ``cuda`` ..."""
        return self.runtime.device

    def cells_of(
        self, shown: ShownTile, floor: float, token: Token | None = None
    ) -> tuple[FoundCells, npt.NDArray[np.bool_]]:
        """Return the cells that a tile tells of, px of the model, and which of them lie where nothing was scanned.

        Parameters
        ----------
        shown : ShownTile
            Where to look.
        floor : float
            Lower scores are not told.
        token : Token, optional
            Asks to stop.

        Raises
        ------
        JobCancelled
            When ``token`` says so.
        """
        tile, pixels, view, mpp = shown.tile, shown.pixels, shown.view, shown.mpp
        rgb = pixels if shown.colour is None else shown.colour(pixels)
        found = own_cells(self.runtime.cells(rgb, floor, token), tile)
        return found, not_scanned(found.points_yx, tile, pixels, view, None if mpp is None else mpp * view.scale)


def own_cells(cells: FoundCells, tile: Tile) -> FoundCells:
    """Return the cells whose centre is in a tile's core, or next to it, moved to the slide's frame."""
    points = cells.points_yx + np.array([tile.y0, tile.x0], dtype=np.float64)
    return replace(cells, points_yx=points).at(np.flatnonzero(points_in_box(points, tile.core_yxyx, SLACK_PX)))
