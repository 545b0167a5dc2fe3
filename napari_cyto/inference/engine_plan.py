"""What a run will do on one slide, worked out before its first pixel is computed: tiles, threshold, what is skipped."""

from __future__ import annotations

from dataclasses import dataclass

from napari_cyto.domain.geometry import YXYX
from napari_cyto.errors import CytoError
from napari_cyto.inference.detecting import SEAM_PX, SLACK_PX, CellDetector
from napari_cyto.inference.detection_tiles import Tile
from napari_cyto.inference.engine_tiles import plan_tiles, stained_tiles
from napari_cyto.inference.memory import SIDES_PX, reckoned_hw, tile_side
from napari_cyto.inference.model_view import ModelView, SlidePixels, model_view
from napari_cyto.inference.runtime import DetectorRuntime
from napari_cyto.inference.settling import Settling
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
    """

    view: ModelView
    mpp: float | None
    tiles: tuple[Tile, ...]
    skipped: int
    bounds_yxyx: YXYX
    score_from: float
    apart_px: float

    @property
    def scale(self) -> float:
        """Level-0 px per px of the model."""
        return self.view.scale

    @property
    def megapixels(self) -> float:
        """What is looked at, halos not counted, Mpx of the model."""
        sides = ((t.core_yxyx[2] - t.core_yxyx[0], t.core_yxyx[3] - t.core_yxyx[1]) for t in self.tiles)
        return sum(height * width for height, width in sides) / 1e6

    def settling(self) -> Settling:
        """Return what merges the cells of these tiles."""
        return Settling(self.tiles, self.apart_px, SEAM_PX, SLACK_PX)

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
    stain = stain_of(view.pixels, mpp, region_yxyx) if stain is None else stain
    largest = tile_side(detector.device, detector.runtime.bytes_per_px) if tile_px is None else tile_px
    tiles, wanted = _cheapest(detector.runtime, (height, width), bounds, largest, stain, view.scale)
    decision = manifest.decision
    return Plan(
        view=view,
        mpp=mpp,
        tiles=tuple(wanted),
        skipped=len(tiles) - len(wanted),
        bounds_yxyx=bounds,
        score_from=decision.score_threshold if score_from is None else score_from,
        apart_px=0.0 if manifest.mpp is None else decision.merge_um / manifest.mpp,
    )


def _cheapest(
    runtime: DetectorRuntime,
    size_hw: tuple[float, float],
    bounds: YXYX,
    largest: int,
    stain: Stain,
    scale: float,
) -> tuple[list[Tile], list[Tile]]:
    """Return the tiles of the side that costs least, and those of them to look at; the larger where it is equal.

    Small ones have more halo, large ones more that nobody asked for.
    """
    smallest, ways = 2 * runtime.halo + runtime.multiple, []
    for side in sorted({max(s, smallest) for s in (*SIDES_PX, largest) if s <= largest}):
        tiles = plan_tiles(size_hw, side, runtime.halo, runtime.multiple, bounds)
        height = max((tile.height for tile in tiles), default=side)
        width = max((tile.width for tile in tiles), default=side)
        ways.append((height, width, tiles, stained_tiles(tiles, stain, scale)))

    def cost(way: tuple[int, int, list[Tile], list[Tile]]) -> tuple[int, int]:
        height, width = reckoned_hw(way[0], way[1], runtime.multiple)
        return (len(way[3]) * height * width, -height * width)

    fault: CytoError | None = None
    for height, width, tiles, wanted in sorted(ways, key=cost):
        try:
            runtime.ready(height, width)
        except CytoError as error:
            fault = error
            continue
        return tiles, wanted
    assert fault is not None
    raise fault
