"""What a run will do on one slide, worked out before its first pixel is computed: tiles, threshold, what is skipped."""

from __future__ import annotations

from dataclasses import dataclass

from napari_cyto.domain.geometry import YXYX, grown
from napari_cyto.errors import CytoError
from napari_cyto.inference._checkpoint import KeptTiles
from napari_cyto.inference.engine._early_results import IncrementalMerge
from napari_cyto.inference.engine.detect import SEAM_PX, SLACK_PX, CellDetector
from napari_cyto.inference.engine.tile_grid import Tile, plan_tiles, stained_tiles
from napari_cyto.inference.engine.tile_memory import SIDES_PX, reckoned_hw, tile_side
from napari_cyto.inference.model_view import ModelView, SlidePixels, model_view
from napari_cyto.inference.runtimes.runtime import DetectorRuntime
from napari_cyto.models.manifest import ModelManifest
from napari_cyto.slides import Slide
from napari_cyto.slides.stain import Stain, stain_of

PLAN_VERSION = 2
"""Counts up when the same request would look at other tiles, or keep other cells: unfinished runs begin anew."""


@dataclass(frozen=True)
class Plan:
    """One slide's run.

    Parameters
    ----------
    view : ModelView
        The slide at the detector's scale.
    mpp : float or None
        µm per level-0 px.
    tiles : tuple of Tile
        What is looked at, px of the model.
    skipped : int
        Tiles in which nothing stands out from bare glass, or which were not scanned.
    bounds_yxyx : tuple of float
        Cells with their centre in here are told of, px of the model.
    score_from : float
        Lower scores are not told.
    apart_px : float
        Cells nearer than this are one, px of the model.
    side_px : int
        The side that the tiles were cut with, px of the model.
    """

    view: ModelView
    mpp: float | None
    tiles: tuple[Tile, ...]
    skipped: int
    bounds_yxyx: YXYX
    score_from: float
    apart_px: float
    side_px: int = 0

    @property
    def scale(self) -> float:
        """Level-0 px per px of the model."""
        return self.view.scale

    @property
    def megapixels(self) -> float:
        """What is looked at, halos not counted, Mpx of the model."""
        sides_px = ((t.core_yxyx[2] - t.core_yxyx[0], t.core_yxyx[3] - t.core_yxyx[1]) for t in self.tiles)
        return sum(height * width for height, width in sides_px) / 1e6

    def merge(self) -> IncrementalMerge:
        """Return what merges the cells of these tiles."""
        return IncrementalMerge(self.tiles, self.apart_px, SEAM_PX, SLACK_PX)

    def level0(self, tile: Tile) -> YXYX:
        """Return the core of a tile, level-0 px."""
        y0, x0, y1, x1 = (v * self.scale for v in tile.core_yxyx)
        return (y0, x0, y1, x1)


def make_plan(
    slide: Slide,
    mpp: float | None,
    detector: CellDetector,
    region_yxyx: YXYX | None = None,
    tile_px: int | None = None,
    score_from: float | None = None,
    stain: Stain | None = None,
    kept: KeptTiles | None = None,
) -> Plan:
    """Return the plan of a run.

    Parameters
    ----------
    slide : Slide
        Where to look.
    mpp : float or None
        µm per level-0 px.
    detector : CellDetector
        With which model.
    region_yxyx : tuple of float, optional
        Level-0 px; everything when not given.
    tile_px : int, optional
        Side of a tile with its halo, px of the model, at most; by the memory at hand when not given.
    score_from : float, optional
        Lower scores are not told; the model's threshold when not given.
    stain : Stain, optional
        What `look_over` found for this slide and region; found out here when not given.
    kept : KeptTiles, optional
        The tiles of an unfinished run, which stay whatever memory is free now, unless they are none of this slide.

    Raises
    ------
    CytoError
        When the model needs µm and ``mpp`` is unknown, or there is not memory enough for the smallest tile.
    SlideError
        When the slide cannot be read.
    """
    manifest = detector.manifest
    view = model_view(SlidePixels(slide), mpp, manifest.mpp, slide.info.name)
    height, width = (length / view.scale for length in slide.info.size_hw)
    bounds = (0.0, 0.0, height, width)
    if region_yxyx is not None:
        y0, x0, y1, x1 = view.to_model(region_yxyx)
        bounds = (max(y0, 0.0), max(x0, 0.0), min(y1, height), min(x1, width))
    apart_px = 0.0 if manifest.mpp is None else manifest.decision.merge_um / manifest.mpp
    # A surer cell just beyond a region takes the place of one in it, as it would on the whole slide.
    y0, x0, y1, x1 = grown(bounds, apart_px)
    searched = (max(y0, 0.0), max(x0, 0.0), min(y1, height), min(x1, width))
    stain = stain_of(view.pixels, mpp, region_yxyx) if stain is None else stain
    way = None if kept is None else _as_before(detector.runtime, (height, width), searched, kept, stain, view.scale)
    if way is None:
        largest = tile_side(detector.device, detector.runtime.bytes_per_px) if tile_px is None else tile_px
        way = _cheapest(detector.runtime, (height, width), searched, largest, stain, view.scale)
    return Plan(
        view=view,
        mpp=mpp,
        tiles=tuple(way.selected),
        skipped=len(way.tiles) - len(way.selected),
        bounds_yxyx=bounds,
        score_from=threshold(manifest, score_from),
        apart_px=apart_px,
        side_px=way.side_px,
    )


def threshold(manifest: ModelManifest, score_from: float | None) -> float:
    """Return the score from which on cells are told: as asked for, else the model's own."""
    return manifest.decision.score_threshold if score_from is None else score_from


@dataclass(frozen=True)
class _Tiling:
    """One way to divide a slide: its tiles, and those of them to look at."""

    side_px: int
    tiles: list[Tile]
    selected: list[Tile]

    @classmethod
    def of(
        cls,
        runtime: DetectorRuntime,
        size_hw: tuple[float, float],
        bounds: YXYX,
        side_px: int,
        stain: Stain,
        scale: float,
    ) -> _Tiling:
        side = max(side_px, 2 * runtime.halo + runtime.multiple)
        tiles = plan_tiles(size_hw, side, runtime.halo, runtime.multiple, bounds)
        return cls(side, tiles, stained_tiles(tiles, stain, scale))

    @property
    def largest_hw(self) -> tuple[int, int]:
        height = max((tile.height for tile in self.tiles), default=self.side_px)
        return height, max((tile.width for tile in self.tiles), default=self.side_px)


def _as_before(
    runtime: DetectorRuntime, size_hw: tuple[float, float], bounds: YXYX, kept: KeptTiles, stain: Stain, scale: float
) -> _Tiling | None:
    """Return the way in which an unfinished run divided a slide; None where it cannot be had again."""
    for side in SIDES_PX if kept.side_px is None else (kept.side_px,):
        way = _Tiling.of(runtime, size_hw, bounds, side, stain, scale)
        if tuple((t.y0, t.x0, t.height, t.width) for t in way.selected) != kept.tiles:
            continue
        try:
            runtime.ready(*way.largest_hw)
        except CytoError:
            return None
        return way
    return None


def _cheapest(
    runtime: DetectorRuntime,
    size_hw: tuple[float, float],
    bounds: YXYX,
    largest: int,
    stain: Stain,
    scale: float,
) -> _Tiling:
    """Return the way whose tiles cost least; that with the larger ones where it is equal.

    Small ones have more halo, large ones more that nobody asked for.
    """
    smallest = 2 * runtime.halo + runtime.multiple
    sides_px = sorted({max(s, smallest) for s in (*SIDES_PX, largest) if s <= largest})
    if runtime.side_px is not None:
        sides_px = [runtime.side_px]
    ways = [_Tiling.of(runtime, size_hw, bounds, side, stain, scale) for side in sides_px]

    def cost(way: _Tiling) -> tuple[int, int]:
        height, width = reckoned_hw(*way.largest_hw, runtime.multiple)
        return (len(way.selected) * height * width, -height * width)

    fault: CytoError | None = None
    for way in sorted(ways, key=cost):
        try:
            runtime.ready(*way.largest_hw)
        except CytoError as error:
            fault = error
            continue
        return way
    assert fault is not None
    raise fault
