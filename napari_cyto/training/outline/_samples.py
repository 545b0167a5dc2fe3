"""What the outline network learns on: crops round clicks with exact masks, changed in every way a slide may differ.

A crop's scale is drawn so that nuclei of every size are seen from small to filling the crop, since that is how they
come where the µm per px are unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional

from napari_cyto.domain.geometry import YX
from napari_cyto.inference.outline.outlines import click_map
from napari_cyto.synthesis.outlined_fields import OutlinedField, OutlinedTruth

Pixels = npt.NDArray[np.float32]
Random = np.random.Generator

FINEST, COARSEST = 0.35, 5.0
"""Scales of crops, px of the field per px of the crop."""

_FILL = (0.08, 0.9)
_WELL_SEEN = (0.3, 0.62)
_REDUCED = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Place:
    """Which nucleus of which field."""

    field: int
    cell: int
    nucleus: int


class OutlineSamples:
    """Crops of made-up fields, another one each time.

    Parameters
    ----------
    fields : sequence of OutlinedField
        Where they are cut from.
    side_px : int
        Side of a crop.
    most_overlap : float
        Cells on which others lie to a larger share are left out.
    """

    def __init__(self, fields: Sequence[OutlinedField], side_px: int, most_overlap: float = 0.8) -> None:
        self.fields, self.side_px = fields, side_px
        self.places = tuple(
            Place(f, c, n)
            for f, field in enumerate(fields)
            for c, cell in enumerate(field.cells)
            if cell.overlap <= most_overlap
            for n in range(len(cell.nuclei))
        )
        # No lru_cache, which a process that is started anew could not be given.
        self._reduced: dict[tuple[int, int], npt.NDArray[np.uint8]] = {}

    def draw(self, rng: Random, plain: bool = False) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return one input ``(4, n, n)``, RGB 0 to 1 and the click, and its truth ``(2, n, n)``.

        ``plain`` leaves colours, sharpness and surroundings as they are.
        """
        place = self.places[rng.integers(len(self.places))]
        field = self.fields[place.field]
        cell = field.cells[place.cell]
        nucleus = cell.nuclei[place.nucleus]
        diameter = 2 * float(np.sqrt(nucleus.mask.sum() / np.pi))
        fill = _fill(rng)
        scale = float(np.clip(diameter / (fill * self.side_px), FINEST, COARSEST))
        click = _click(rng, nucleus.mask, (nucleus.y0, nucleus.x0))
        middle = _middle(nucleus.mask, (nucleus.y0, nucleus.x0))
        share = rng.random() if rng.random() < 0.6 else 0.0
        spread = 0.03 * self.side_px * scale
        centre = tuple(
            c * (1 - share) + m * share + float(rng.normal(0, spread)) for c, m in zip(click, middle, strict=True)
        )
        rgb, masks, at = self._cut(rng, place, (centre[0], centre[1]), click, scale, diameter)
        if not plain:
            rgb, seen = changed(rng, rgb, masks[0])
            masks[1] = np.maximum(masks[1] * seen, masks[0])
        if not field.knows_cells:
            masks[1] = -1
        return np.concatenate([rgb, click_map(self.side_px, at)[None]]), masks

    def _cut(
        self, rng: Random, place: Place, centre: YX, click: YX, scale: float, diameter: float
    ) -> tuple[Pixels, Pixels, YX]:
        side = self.side_px
        cell: OutlinedTruth = self.fields[place.field].cells[place.cell]
        step = max(r for r in _REDUCED if r <= max(scale, 1))
        turn, stretch = rng.uniform(0, 2 * np.pi), np.exp(rng.normal(0, 0.08))
        flip = 1.0 if rng.random() < 0.5 else -1.0
        c, s = np.cos(turn), np.sin(turn)
        # From px of the crop to px of the field, (y, x).
        way = scale * np.array([[c, -s], [s, c]]) @ np.diag([stretch, flip / stretch])
        half = int(np.ceil(side * scale * 0.75 * stretch)) + 3 * step
        top, left = (int(np.floor((v - half) / step)) * step for v in centre)
        extent = 2 * half // step + 2
        image = _window(self._reduce(place.field, step), top // step, left // step, extent)
        nucleus, body = cell.nuclei[place.nucleus], cell.cell
        of_nucleus = nucleus.on(top, left, extent * step, extent * step)
        of_cell = body.on(top, left, extent * step, extent * step) | of_nucleus
        stack = np.stack([_averaged(of_nucleus, step), _averaged(of_cell, step)])
        joined = np.concatenate([image.transpose(2, 0, 1).astype(np.float32) / 255, stack])
        grid = (np.mgrid[0:side, 0:side] + 0.5 - side / 2).reshape(2, -1)
        grid = grid + _wobble(rng, side, diameter / scale).reshape(2, -1)
        where = (way @ grid + np.array(centre)[:, None] - np.array([[top], [left]])) / (extent * step) * 2 - 1
        grid_xy = torch.from_numpy(where[::-1].T.reshape(1, side, side, 2).astype(np.float32))
        cut = functional.grid_sample(
            torch.from_numpy(joined)[None], grid_xy, mode="bilinear", padding_mode="border", align_corners=False
        )[0].numpy()
        back = np.linalg.inv(way) @ (np.array(click) - np.array(centre)) + side / 2
        return cut[:3], (cut[3:] > 0.5).astype(np.float32), (float(back[0]), float(back[1]))

    def _reduce(self, field: int, step: int) -> npt.NDArray[np.uint8]:
        if (field, step) not in self._reduced:
            rgb = self.fields[field].rgb
            self._reduced[field, step] = rgb if step == 1 else np.asarray(Image.fromarray(rgb).reduce(step))
        return self._reduced[field, step]


def changed(rng: Random, rgb: Pixels, nucleus: Pixels) -> tuple[Pixels, Pixels]:
    """Return a crop ``(3, n, n)``, 0 to 1, as another laboratory, microscope, camera or crop might have given it.

    Returns
    -------
    tuple of ndarray
        The crop; and ``(n, n)``, 1 where it still shows what it showed.
    """
    density = -np.log(np.clip(rgb, 0.004, 1))
    if rng.random() < 0.75:
        mix = np.eye(3) + rng.normal(0, 0.12, (3, 3))
        density = np.tensordot(mix, density, 1)
    if rng.random() < 0.08:
        density = density[rng.permutation(3)]
    if rng.random() < 0.33:
        weights = rng.dirichlet((2, 2, 2))
        density = np.repeat(np.tensordot(weights, density, 1)[None], 3, axis=0)
    density = density * np.exp(rng.normal(-0.15, 0.4))
    if rng.random() < 0.4:
        density = density + rng.exponential(0.25) + rng.uniform(0, 0.15, 3)[:, None, None]
    rgb = np.exp(-np.clip(density, 0, 6))
    if rng.random() < 0.3:
        rgb = rgb * _slope(rng, rgb.shape[1])
    rgb = np.clip(rgb, 0, 1) ** np.exp(rng.normal(0, 0.22))
    if rng.random() < 0.3:
        low, high = rng.uniform(0, 0.25), rng.uniform(0.75, 1)
        rgb = low + (high - low) * rgb
    rgb = _sharpness(rng, rgb)
    seen = np.ones(rgb.shape[1:], np.float32)
    if rng.random() < 0.15:
        rgb, seen = _alone(rng, rgb, nucleus)
    if rng.random() < 0.6:
        grain = rng.normal(0, rng.exponential(0.015), (1 if rng.random() < 0.5 else 3, *rgb.shape[1:]))
        rgb = rgb + ndimage.gaussian_filter(grain, (0, 0.5, 0.5))
    rgb = np.clip(rgb, 0, 1)
    if rng.random() < 0.25:
        rgb = _compressed(rgb, int(rng.integers(30, 92)))
    return np.asarray(rgb, np.float32), seen


def _fill(rng: Random) -> float:
    """Return the share of the crop's side that the nucleus's diameter takes."""
    low, high = _WELL_SEEN if rng.random() < 0.5 else _FILL
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _click(rng: Random, mask: npt.NDArray[np.bool_], corner: tuple[int, int]) -> YX:
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    ys, xs = np.nonzero(depth > 0.2 * depth.max())
    k = rng.integers(len(ys))
    return (corner[0] + ys[k] + 0.5, corner[1] + xs[k] + 0.5)


def _middle(mask: npt.NDArray[np.bool_], corner: tuple[int, int]) -> YX:
    ys, xs = np.nonzero(mask)
    return (corner[0] + float(ys.mean()) + 0.5, corner[1] + float(xs.mean()) + 0.5)


def _window(image: npt.NDArray[np.uint8], top: int, left: int, extent: int) -> npt.NDArray[np.uint8]:
    rows = np.clip(np.arange(top, top + extent), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, left + extent), 0, image.shape[1] - 1)
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][np.ix_(rows - rows[0], columns - columns[0])]


def _wobble(rng: Random, side: int, diameter_px: float) -> Pixels:
    """Return how far each pixel of a crop is moved, ``(2, n, n)`` px: nuclei are less smooth than ovals."""
    if rng.random() < 0.4:
        return np.zeros((2, side, side), np.float32)
    coarse = rng.integers(5, 10)
    knots = rng.normal(0, rng.uniform(0, 0.045) * diameter_px, (2, coarse, coarse))
    return np.asarray(ndimage.zoom(knots, (1, side / coarse, side / coarse), order=3), np.float32)


def _averaged(mask: npt.NDArray[np.bool_], step: int) -> Pixels:
    if step == 1:
        return mask.astype(np.float32)
    rows, columns = mask.shape[0] // step, mask.shape[1] // step
    return np.asarray(mask.reshape(rows, step, columns, step).mean(axis=(1, 3)), np.float32)


def _slope(rng: Random, side: int) -> Pixels:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    turn = rng.uniform(0, 2 * np.pi)
    return np.asarray(1 - rng.uniform(0, 0.3) * (0.5 + 0.5 * (np.cos(turn) * y + np.sin(turn) * x)), np.float32)


def _sharpness(rng: Random, rgb: Pixels) -> Pixels:
    kind = rng.random()
    if kind < 0.35:
        return np.asarray(ndimage.gaussian_filter(rgb, (0, s := rng.uniform(0.4, 2.4), s)))
    if kind < 0.5:
        soft = ndimage.gaussian_filter(rgb, (0, s := rng.uniform(0.8, 2.0), s))
        return np.asarray(np.clip(rgb + rng.uniform(0.3, 1.5) * (rgb - soft), 0, 1), np.float32)
    return rgb


def _alone(rng: Random, rgb: Pixels, nucleus: Pixels) -> tuple[Pixels, Pixels]:
    """Return the crop cut out along a turned rectangle, as single cells come, and where it is still seen."""
    ys, xs = np.nonzero(nucleus)
    if len(ys) == 0:
        return rgb, np.ones(rgb.shape[1:], np.float32)
    side = rgb.shape[1]
    turn = rng.choice([0.0, rng.uniform(0, np.pi)])
    y, x = np.mgrid[0:side, 0:side] + 0.5
    u, v = np.cos(turn) * y + np.sin(turn) * x, -np.sin(turn) * y + np.cos(turn) * x
    outside = np.zeros((side, side), bool)
    for axis in (u, v):
        low, high = axis[ys, xs].min(), axis[ys, xs].max()
        reach = (high - low) * rng.uniform(0.04, 1.2, 2)
        outside |= (axis < low - reach[0]) | (axis > high + reach[1])
    band = ndimage.binary_dilation(outside, iterations=3) & ~outside
    if not band.any():
        return rgb, np.ones(rgb.shape[1:], np.float32)
    kind = rng.random()
    colour = rgb[:, band].mean(axis=1) if kind < 0.5 else np.full(3, rng.choice([0.0, 1.0, rng.random()]))
    if kind > 0.8:
        colour = rng.uniform(0, 1, 3)
    soft = ndimage.gaussian_filter(outside.astype(np.float32), rng.uniform(0.3, 1.5))
    return np.asarray(rgb * (1 - soft) + colour[:, None, None] * soft, np.float32), (~outside).astype(np.float32)


def _compressed(rgb: Pixels, quality: int) -> Pixels:
    buffer = BytesIO()
    Image.fromarray((rgb.transpose(1, 2, 0) * 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return np.asarray(np.asarray(Image.open(buffer), np.float32).transpose(2, 0, 1) / np.float32(255), np.float32)
