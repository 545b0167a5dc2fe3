"""Training tiles of a detector: pixels turned and zoomed, and the cells moved with them, exactly."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_cyto.datasets.colour_match import ColourMatch, match_for
from napari_cyto.datasets.training.annotated_area import RULE, AreaRule
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.errors import CytoError, SlideError
from napari_cyto.inference.model_view import RGB, WHITE, ImagePixels, ModelView, SlidePixels, model_view
from napari_cyto.models.manifest import ColourTarget
from napari_cyto.slides import Slide, open_slide
from napari_cyto.training.config import AugmentConfig
from napari_cyto.training.detector._tile_places import (
    Floats,
    TileBudget,
    TileKind,
    TilePlace,
    drawn_centre,
    drawn_turn,
    tiles_worth,
)

KEPT_PX = 16_000_000
"""Pictures up to this many px of the model are kept in memory, resampled once, 3 bytes a px."""

MEMORY_PX = 700_000_000
_OPEN = 16


@dataclass(frozen=True)
class TrainingTile:
    """A tile with its cells.

    Parameters
    ----------
    pixels : ndarray, uint8, RGB
        (tile, tile, 3).
    points_yx : ndarray, (n, 2), float64
        Centres of the cells, px of the tile.
    sizes_hw : ndarray, (n, 2), float64
        Heights and widths, px of the tile; NaN where only a point is known.
    classes : ndarray, (n,), intp
        Classes.
    counted : ndarray or None, (m,), bool
        Which of ``anchors`` lie where it is known what is a cell; None: all do.
    """

    pixels: RGB
    points_yx: Floats
    sizes_hw: Floats
    classes: npt.NDArray[np.intp]
    counted: npt.NDArray[np.bool_] | None


class TileSource:
    """Tiles of slides at a model's scale.

    Parameters
    ----------
    slides : sequence of TrainingSlide
        The training side.
    mpp : float
        µm per px of the model.
    tile_px : int
        Side of a tile.
    augment : AugmentConfig
        How tiles are turned and zoomed.
    colour : ColourTarget, optional
        What colours are brought to.
    rule : AreaRule
        Which part of a slide counts that nobody annotated whole.
    """

    def __init__(
        self,
        slides: Sequence[TrainingSlide],
        mpp: float,
        tile_px: int,
        augment: AugmentConfig,
        colour: ColourTarget | None = None,
        rule: AreaRule = RULE,
    ) -> None:
        self.slides, self.mpp, self.tile_px, self.augment, self.colour = list(slides), mpp, tile_px, augment, colour
        self.known = [rule.area(slide) for slide in self.slides]
        self._open: OrderedDict[int, tuple[Slide | None, ModelView, ColourMatch | None]] = OrderedDict()
        self._kept_px, self._lock = 0, threading.Lock()

    def measure(self, number: int) -> TileBudget:
        """Open a slide for the first time and return how many tiles an epoch takes of it.

        Raises
        ------
        SlideError
            When it cannot be read.
        CytoError
            When its scale is unknown, or it is one cell and no field.
        """
        slide = self.slides[number]
        if slide.centred:
            raise CytoError(f"{slide.name}: it shows one cell only, from which no detector can learn where cells are.")
        _, view, _ = self._view(number)
        return tiles_worth(slide, self.known[number], view.size_hw, self.tile_px)

    def tile(
        self,
        number: int,
        rng: np.random.Generator,
        anchors_yx: Floats | None = None,
        kind: TileKind = "cells",
    ) -> TrainingTile:
        """Return a random tile of slide ``number``; ``anchors_yx`` (px of the tile) are told whether they count."""
        slide = self.slides[number]
        _, view, _ = self._view(number)
        known = self.known[number]
        centre = drawn_centre(slide, known, view.size_hw, view.scale, self.tile_px, rng, kind)
        return self.tile_at(number, TilePlace(centre, drawn_turn(self.augment, rng)), anchors_yx)

    def tile_at(self, number: int, place: TilePlace, anchors_yx: Floats | None = None) -> TrainingTile:
        """Return the tile of slide ``number`` at a place."""
        slide, (_, view, colour) = self.slides[number], self._view(number)
        points = place.on_tile(slide.centres_yx / view.scale, self.tile_px)
        inside = ((points >= 0) & (points < self.tile_px)).all(axis=1)
        sides_px = (slide.boxes_yxyx[:, 2:] - slide.boxes_yxyx[:, :2])[inside] / view.scale
        counted = None
        if not self.known[number].is_everywhere and anchors_yx is not None:
            counted = self.known[number].contains(place.on_slide(anchors_yx, self.tile_px) * view.scale)
        pixels = _turned(view, place, self.tile_px)
        return TrainingTile(
            pixels if colour is None else colour(pixels),
            points[inside],
            turned_sizes(sides_px, place),
            slide.class_index[inside],
            counted,
        )

    def close(self) -> None:
        """Let go of all slides."""
        with self._lock:
            for slide, _, _ in self._open.values():
                if slide is not None:
                    slide.close()
            self._open.clear()

    def _view(self, number: int) -> tuple[Slide | None, ModelView, ColourMatch | None]:
        with self._lock:
            if number not in self._open:
                self._open[number] = self._opened(self.slides[number])
                self._make_room()
            self._open.move_to_end(number)
            return self._open[number]

    def _opened(self, known: TrainingSlide) -> tuple[Slide | None, ModelView, ColourMatch | None]:
        slide = open_slide(known.path)
        view = model_view(SlidePixels(slide), known.mpp, self.mpp, known.name)
        colour = match_for(slide, self.colour)
        height, width = view.size_hw
        if height * width > KEPT_PX or self._kept_px + height * width > MEMORY_PX:
            return slide, view, colour
        kept = KeptView(ImagePixels(view.read(0, 0, height, width)), view.scale)
        if slide.unreadable:
            raise SlideError(str(slide.unreadable[0]))
        self._kept_px += height * width
        slide.close()
        return None, kept, colour

    def _make_room(self) -> None:
        still_open = [n for n, (slide, _, _) in self._open.items() if slide is not None]
        for number in still_open[:-_OPEN]:
            slide, _, _ = self._open.pop(number)
            if slide is not None:
                slide.close()


class KeptView(ModelView):
    """A picture that was brought to the model's scale once, and is read without resampling it again."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width, px of the model."""
        return self.pixels.size_hw

    def read(self, y0: int, x0: int, height: int, width: int) -> RGB:
        """Return a rectangle, uint8 RGB ``(height, width, 3)``."""
        return self.pixels.read(0, y0, x0, height, width)


def turned_sizes(sizes_hw: Floats, place: TilePlace) -> Floats:
    """Return sizes of boxes on the tile; one that is turned by half a right angle is as high as it is wide.

    A box says nothing of what lies inside, so the cell is taken for an ellipse that fills it.

    Source: the extent of a turned ellipse, ``sqrt((h cos)^2 + (w sin)^2)``.
    """
    into = np.linalg.inv(place.turn)
    return np.sqrt((np.asarray(sizes_hw, np.float64) ** 2) @ (into.T**2))


def _turned(view: ModelView, place: TilePlace, tile_px: int) -> RGB:
    """Return the pixels of a tile, resampled bilinearly; white beyond the slide."""
    corners = np.array([[0, 0], [0, tile_px], [tile_px, 0], [tile_px, tile_px]], dtype=np.float64)
    reach = place.on_slide(corners, tile_px)
    y0, x0 = (math.floor(v) - 2 for v in reach.min(axis=0))
    y1, x1 = (math.ceil(v) + 2 for v in reach.max(axis=0))
    read = view.read(y0, x0, y1 - y0, x1 - x0)
    turn = place.turn
    origin = place.on_slide(np.zeros((1, 2)), tile_px)[0] - (y0, x0)
    # PIL asks for the place in the source of each px of the result, x first, centres at integers + 0.5 as here.
    affine = (turn[1, 1], turn[1, 0], origin[1], turn[0, 1], turn[0, 0], origin[0])
    white = (WHITE, WHITE, WHITE)
    tile = Image.fromarray(read).transform(
        (tile_px, tile_px), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR, fillcolor=white
    )
    return np.asarray(tile)
