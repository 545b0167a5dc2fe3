"""Draw what lies between the epithelial cells: polymorphs, red cells, rods, debris, mucus."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from napari_cyto.synthesis import _noise as noise
from napari_cyto.synthesis._noise import Field
from napari_cyto.synthesis._nucleus import PSF_UM
from napari_cyto.synthesis._outline import covered, depth, oval_outline, roughened, tilted
from napari_cyto.synthesis._sprite import Sprite, make_sprite

Draw = Callable[[np.random.Generator, float], Sprite]


def _grid(half_px: float) -> tuple[Field, Field]:
    half = int(np.ceil(half_px))
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    return y, x


def draw_polymorph(rng: np.random.Generator, mpp: float) -> Sprite:
    """Return a neutrophil: 2 to 4 dark lobes in a pale body of 9 to 12 µm; dyes: body outer, inner, haematoxylin."""
    um = 1 / mpp
    y, x = _grid(9 * um)
    body_um = rng.uniform(4.6, 6.0)
    inside, _ = depth(roughened(rng, oval_outline(rng.uniform(1, 1.25)), 0.06, 6), y, x, body_um * um)
    body = covered(inside, 3.0) * rng.uniform(0.1, 0.4)
    lobes = np.zeros_like(y)
    heading, cy, cx = rng.uniform(0, 2 * np.pi), *(rng.uniform(-1.2, 1.2, 2) * um)
    for _ in range(rng.integers(2, 5)):
        radius = rng.uniform(1.6, 2.3) * um
        lobe, _ = depth(
            roughened(rng, oval_outline(rng.uniform(1, 1.5)), 0.08, 5),
            *tilted(y - cy, x - cx, rng.uniform(0, np.pi)),
            radius,
        )
        lobes = np.maximum(lobes, covered(lobe, 1.5) * rng.uniform(0.85, 1.0))
        heading += rng.uniform(-1.4, 1.4)
        cy, cx = cy + 1.55 * radius * np.sin(heading), cx + 1.55 * radius * np.cos(heading)
        cy, cx = (float(np.clip(v, -3.6 * um, 3.6 * um)) for v in (cy, cx))
    grain = 1 + 0.12 * noise.patch_like(rng, y, max(0.6, 0.35 * um))
    blur_px = np.hypot(PSF_UM, 0.9 * (rng.random() < 0.12)) * um
    cover = np.maximum(covered(inside), covered(lobes - 0.5, 0.1))
    return make_sprite([body, 0 * body, lobes * 0.8 * grain], cover, blur_px=float(blur_px))


def draw_red_cell(rng: np.random.Generator, mpp: float) -> Sprite:
    """Return an erythrocyte, 6 to 7.5 µm, paler in the middle or drawn out; dyes: outer, inner tone."""
    um = 1 / mpp
    radius = rng.uniform(2.7, 3.5) * um
    y, x = _grid(2.2 * radius + 3)
    y, x = tilted(y, x, rng.uniform(0, np.pi))
    inside, ratio = depth(roughened(rng, oval_outline(rng.uniform(1, 2.2)), 0.05, 5), y, x, float(radius))
    density = covered(inside, 1.5) * (0.62 + 0.25 * np.clip(ratio, 0, 1) ** 2) * rng.uniform(0.7, 1.1)
    return make_sprite([density, 0 * density], covered(inside), blur_px=PSF_UM * um)


def draw_rods(rng: np.random.Generator, mpp: float) -> Sprite:
    """Return a loose patch of lactobacilli, each about 0.7 x 2 to 7 µm; dye: bacterial blue."""
    um = 1 / mpp
    y, _x = _grid(48 * um)
    size = y.shape[0]
    density = np.zeros_like(y)
    for _ in range(int(rng.integers(20, 110))):
        cy, cx = size / 2 + np.clip(rng.normal(0, 0.24, 2), -0.48, 0.48) * size
        angle, length = rng.uniform(0, np.pi), rng.uniform(1.5, 7) * um
        steps = np.arange(-length / 2, length / 2, 0.5)
        bend = rng.normal(0, 0.012) * steps**2 / um
        ys = cy + np.sin(angle) * steps + np.cos(angle) * bend
        xs = cx + np.cos(angle) * steps - np.sin(angle) * bend
        keep = (ys > 2) & (ys < size - 3) & (xs > 2) & (xs < size - 3)
        density[ys[keep].astype(int), xs[keep].astype(int)] = rng.uniform(0.25, 0.8)
    thick = ndimage.gaussian_filter(density, 0.24 * um) * (0.75 * um**0.5)
    return make_sprite([np.clip(thick, 0, 0.9)], covered(thick * 4), blur_px=PSF_UM * um)


def draw_debris(rng: np.random.Generator, mpp: float) -> Sprite:
    """Return a ragged, granular fragment of 8 to 30 µm; dyes: outer, inner tone, haematoxylin."""
    um = 1 / mpp
    radius = float(np.exp(rng.uniform(np.log(5), np.log(17)))) * um
    y, x = _grid(2.0 * radius)
    inside, ratio = depth(roughened(rng, oval_outline(rng.uniform(1, 2)), 0.28, 16), y, x, radius)
    clumps = noise.patch_like(rng, y, 1.4 * um)
    fine = noise.patch_like(rng, y, max(0.7, 0.4 * um))
    present = np.clip(0.55 + 0.6 * clumps + 0.35 * fine - 0.35 * ratio**3, 0, 1.2) * covered(inside, 1.5 * um)
    dark = np.clip(clumps * 0.7 + 0.5 * fine - 0.7, 0, 1) * covered(inside) * rng.uniform(0, 0.9)
    share = rng.uniform(0.3, 0.8)
    return make_sprite([present * share, present * (0.8 - share), dark], covered(inside), blur_px=PSF_UM * um * 1.3)


def draw_granules(rng: np.random.Generator, mpp: float) -> Sprite:
    """Return keratohyaline granules scattered round a nucleus; dye: haematoxylin."""
    um = 1 / mpp
    y, _x = _grid(20 * um)
    size = y.shape[0]
    density = np.zeros_like(y)
    for _ in range(int(rng.integers(12, 55))):
        cy, cx = (size / 2 + np.clip(rng.normal(0, 0.2, 2), -0.45, 0.45) * size).astype(int)
        density[cy, cx] += rng.uniform(0.5, 1.6)
    spots = ndimage.gaussian_filter(density, 0.33 * um) * (2 * np.pi * (0.33 * um) ** 2)
    return make_sprite([np.clip(spots * 0.7, 0, 0.9)], covered(spots - 0.1), blur_px=PSF_UM * um)


def draw_mucus(rng: np.random.Generator, mpp: float) -> Sprite:
    """Return a translucent strand drawn out along x, some 300 µm long; dye: mucus blue."""
    um = 1 / mpp
    height, width = int(rng.uniform(40, 130) * um), int(rng.uniform(160, 420) * um)
    strands = noise.stretched(rng, height, width, round(5 * um, 1), stretch=9, angle=rng.normal(0, 0.08))
    fine = noise.stretched(rng, height, width, round(1.2 * um, 1), stretch=12, angle=rng.normal(0, 0.08))
    v = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    u = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    faded = np.clip(2 - 2 * np.maximum(np.abs(v), np.abs(u)) ** 2, 0, 1)
    envelope = np.clip(0.75 - np.abs(v) ** 1.3 - np.abs(u) ** 1.6 + 0.4 * strands, 0, 1) * faded
    threads = 0.55 * np.exp(-((strands / 0.16) ** 2)) + 0.35 * np.exp(-((fine / 0.25) ** 2))
    density = envelope * (0.2 + threads) * rng.uniform(0.4, 0.9)
    return make_sprite([density.astype(np.float32)], covered(envelope - 0.1, 0.1), blur_px=PSF_UM * um * 2)


SMALL: dict[str, tuple[Draw, int]] = {
    "polymorph": (draw_polymorph, 48),
    "red cell": (draw_red_cell, 24),
    "rods": (draw_rods, 12),
    "debris": (draw_debris, 40),
    "granules": (draw_granules, 16),
    "mucus": (draw_mucus, 9),
}
