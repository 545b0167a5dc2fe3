"""Cells of a picture, a region or a whole slide, by a detector's bundle: prepare, run, read, merge."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_cyto.datasets.colour_match import ColourMatch, colour_statistics, match_for
from napari_cyto.domain.geometry import YXYX, points_in_box
from napari_cyto.errors import CytoError
from napari_cyto.inference._detections import Detections, boxes_around
from napari_cyto.inference.engine._merge import surest_apart
from napari_cyto.inference.engine._run_tiles import stained_tiles
from napari_cyto.inference.engine._unscanned_area import not_scanned
from napari_cyto.inference.engine.tile_grid import Tile, detection_tiles
from napari_cyto.inference.model_view import ModelView, PicturePixels, SlidePixels, model_view
from napari_cyto.inference.request import Runtime
from napari_cyto.inference.runtimes.choice import DetectorRuntime, Wanted, detector_runtime
from napari_cyto.jobs.events import Token
from napari_cyto.jobs.outcome import stop_if_cancelled
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.found_cells import FoundCells
from napari_cyto.models.manifest import ModelManifest
from napari_cyto.slides import Slide
from napari_cyto.slides.stain import stain_of

FLOOR = 0.02
"""Scores below it are not told: no threshold worth having lies there."""

TILE_PX = 1024
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
    tile_px : int
        Side of the tiles that the network sees, px of the model, at most.
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
        tile_px: int = TILE_PX,
        runtime: Runtime = "torch",
    ) -> None:
        if bundle.manifest.kind != "detector":
            raise CytoError(f"{bundle.id} is a {bundle.manifest.kind}, but finding cells needs a detector.")
        found, remarks = detector_runtime(bundle, Wanted(device, precision, runtime))
        self._start(bundle.manifest, found, tile_px, remarks)

    @classmethod
    def of_network(
        cls, manifest: ModelManifest, network: Any, run: Callable[[Any], Any], tile_px: int = TILE_PX
    ) -> CellDetector:
        """Return the detector of a torch network that is in memory; ``run`` takes prepared tiles to its raw outputs."""
        from napari_cyto.inference.runtimes.torch_runtime import TorchDetector

        self = cls.__new__(cls)
        self._start(manifest, TorchDetector(network, run, manifest.normalisation, name=manifest.id), tile_px)
        return self

    @classmethod
    def of_runtime(cls, manifest: ModelManifest, runtime: DetectorRuntime) -> CellDetector:
        """Return the detector that a network is, whatever runs it."""
        self = cls.__new__(cls)
        self._start(manifest, runtime, TILE_PX)
        return self

    def _start(
        self, manifest: ModelManifest, runtime: DetectorRuntime, tile_px: int, remarks: tuple[str, ...] = ()
    ) -> None:
        self.manifest, self.runtime, self.remarks = manifest, runtime, remarks
        # Nothing is left between the halos of smaller ones.
        self.tile_px = max(tile_px, 2 * runtime.halo + runtime.multiple)

    @property
    def device(self) -> str:
        """What it computes on: ``cpu``, ``cuda`` ..."""
        return self.runtime.device

    def detect_picture(self, rgb: npt.NDArray[np.uint8], mpp: float | None, token: Token | None = None) -> Detections:
        """Return the cells of a picture in memory, uint8 RGB ``(h, w, 3)``, of ``mpp`` µm per px."""
        view = model_view(PicturePixels(rgb), mpp, self.manifest.mpp, "The picture")
        target = self.manifest.colour
        colour = None if target is None else ColourMatch(colour_statistics(rgb), target)
        return self._detected(view, mpp, None, colour, token)

    def detect(
        self, slide: Slide, mpp: float | None, region_yxyx: YXYX | None = None, token: Token | None = None
    ) -> Detections:
        """Return the cells of a slide, or of a region of it, all scores from ``FLOOR`` on.

        Parameters
        ----------
        slide : Slide
            Where to look.
        mpp : float or None
            µm per level-0 px.
        region_yxyx : tuple of float, optional
            Half-open, level-0 px; a cell belongs to it when its centre does. The answer is that of the whole slide
            for this region, as far as the network does not see beyond a tile's halo.
        token : Token, optional
            Asks to stop, which it does between tiles.

        Raises
        ------
        CytoError
            When the model counts in µm and ``mpp`` is unknown.
        JobCancelled
            When ``token`` says so.
        """
        view = model_view(SlidePixels(slide), mpp, self.manifest.mpp, slide.info.name)
        return self._detected(view, mpp, region_yxyx, match_for(slide, self.manifest.colour), token)

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

    def _detected(
        self,
        view: ModelView,
        mpp: float | None,
        region_yxyx: YXYX | None,
        colour: ColourMatch | None,
        token: Token | None,
    ) -> Detections:
        region = None if region_yxyx is None else view.to_model(region_yxyx)
        size, halo, multiple = view.size_hw, self.runtime.halo, self.runtime.multiple
        stain = stain_of(view.pixels, mpp, region_yxyx)
        told = []
        for tile in stained_tiles(detection_tiles(size, self.tile_px, halo, multiple, region), stain, view.scale):
            stop_if_cancelled(token)
            found, lost = self.cells_of(ShownTile.read(tile, view, mpp, colour), FLOOR, token)
            told.append(found.at(~lost))
        height, width = (length / view.scale for length in view.pixels.size_hw)
        bounds = (0.0, 0.0, height, width) if region is None else region
        return merged(told, self.manifest, view.scale, mpp, bounds)


def own_cells(cells: FoundCells, tile: Tile) -> FoundCells:
    """Return the cells whose centre is in a tile's core, or next to it, moved to the slide's frame."""
    points = cells.points_yx + np.array([tile.y0, tile.x0], dtype=np.float64)
    return replace(cells, points_yx=points).at(np.flatnonzero(points_in_box(points, tile.core_yxyx, SLACK_PX)))


def merged(
    told: Iterable[FoundCells], manifest: ModelManifest, scale: float, mpp: float | None, bounds_yxyx: YXYX
) -> Detections:
    """Return the cells of all tiles, each once, in level-0 px.

    Parameters
    ----------
    told : iterable of FoundCells
        What the tiles told.
    manifest : ModelManifest
        For what is near enough to be one cell, and for the usual sizes.
    scale : float
        Level-0 px per px of the model.
    mpp : float or None
        µm per level-0 px.
    bounds_yxyx : tuple of float
        Only centres in here count, px of the model.
    """
    parts = list(told)
    classes = len(manifest.classes)
    points = np.concatenate([np.empty((0, 2)), *(p.points_yx for p in parts)])
    sizes = np.concatenate([np.empty((0, 2)), *(p.sizes_hw for p in parts)])
    scores = np.concatenate([np.empty(0), *(p.scores for p in parts)])
    shares = np.concatenate([np.empty((0, classes)), *(p.class_scores for p in parts)])
    tiles = np.repeat(np.arange(len(parts)), [len(p.scores) for p in parts])
    apart = 0.0 if manifest.mpp is None else manifest.decision.merge_um / manifest.mpp
    kept = surest_apart(points, scores, apart, tiles, SEAM_PX)
    kept = kept[points_in_box(points[kept], bounds_yxyx)]
    centres, told_shares = points[kept] * scale, shares[kept]
    usual_um = np.array([c.box_um for c in manifest.classes])[told_shares.argmax(axis=1)] if len(kept) else np.empty(0)
    boxes = boxes_around(centres, sizes[kept] * scale, usual_um / (mpp or 1.0))
    return Detections(centres, boxes, scores[kept], told_shares)
