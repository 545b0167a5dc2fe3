"""Draw a cell's body: outline, folds, creases, grain, rim, and the koilocyte's halo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_cyto.synthesis import _noise as noise
from napari_cyto.synthesis._noise import Field
from napari_cyto.synthesis._nucleus import PSF_UM
from napari_cyto.synthesis._outline import Radii, covered, depth, oval_outline, polygon_outline, roughened, tilted
from napari_cyto.synthesis._specs import Body
from napari_cyto.synthesis._sprite import Sprite, make_sprite
from napari_cyto.synthesis._tapered import draw_tapered

_LINE_UM = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """A flat piece of cytoplasm on its pixel grid: depth inside it (px) and share of the way to its edge."""

    y: Field
    x: Field
    inside: Field
    ratio: Field
    radius_px: float
    anchor_yx: tuple[float, float]


def draw_body(
    rng: np.random.Generator, spec: Body, mpp: float, nucleus_area_px: float, tilt: float = 0.0, defocus_um: float = 0.0
) -> Sprite:
    """Return one cell body with two dyes, the outer and the inner tone of its cytoplasm.

    Parameters
    ----------
    rng : Generator
        Decides the looks.
    spec : Body
        What kind.
    mpp : float
        µm per px.
    nucleus_area_px : float
        Area of the nucleus that it must fit, px²; used where the kind has a nucleus:cytoplasm ratio.
    tilt : float
        Angle of its long axis, radians.
    defocus_um : float
        Extra blur, standard deviation in µm.
    """
    blur_px = float(np.hypot(PSF_UM, defocus_um)) / mpp
    if spec.nc_ratio is not None:
        radius_px = float(np.sqrt(nucleus_area_px / rng.uniform(*spec.nc_ratio) / np.pi))
    else:
        radius_px = float(rng.uniform(*spec.diameter_um)) / mpp / 2
    sheet, outline = _sheet(rng, spec, radius_px, tilt, int(np.ceil(3 * blur_px + 2)))
    density, cover = _folded(rng, spec, sheet, outline, mpp)
    if spec.halo_um is not None:
        density = density * _halo(rng, spec.halo_um, sheet, mpp)
    inner = _inner_share(rng, sheet)
    return make_sprite([density * (1 - inner), density * inner], cover, blur_px=blur_px, anchor_yx=sheet.anchor_yx)


def _sheet(
    rng: np.random.Generator, spec: Body, radius_px: float, tilt: float, margin: int
) -> tuple[_Sheet, Radii | None]:
    if spec.form in ("spindle", "tadpole"):
        drawn = draw_tapered(rng, spec.form, rng.uniform(*spec.aspect), radius_px, tilt, margin)
        return _Sheet(drawn.y, drawn.x, drawn.inside, drawn.ratio, radius_px, drawn.anchor_yx), None
    if spec.form == "plate":
        outline = polygon_outline(rng, int(rng.integers(4, 8)), spec.roundness)
        outline = roughened(rng, outline, 0.045, 26)
    else:
        outline = roughened(rng, oval_outline(rng.uniform(*spec.aspect)), 0.09, 7)
    half = int(np.ceil(radius_px * outline.max())) + margin
    grid = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    y, x = tilted(grid[0], grid[1], tilt)
    inside, ratio = depth(outline, y, x, radius_px)
    return _Sheet(y, x, inside, ratio, radius_px, (half + 0.5, half + 0.5)), outline


def _folded(
    rng: np.random.Generator, spec: Body, sheet: _Sheet, outline: Radii | None, mpp: float
) -> tuple[Field, Field]:
    """Return density and cover, a flap beyond one line folded back over the sheet where chance has it so."""
    cover = covered(sheet.inside, 1.5)
    density = _thickness(rng, spec, sheet, mpp) * cover
    for _ in range(2 if outline is not None and rng.random() < 0.3 else 1):
        if outline is None or rng.random() >= spec.fold:
            break
        angle = rng.uniform(0, 2 * np.pi)
        line_px = sheet.radius_px * rng.uniform(0.6, 0.85)
        bow = rng.uniform(-0.15, 0.15) / sheet.radius_px
        beyond = np.cos(angle) * sheet.y + np.sin(angle) * sheet.x - line_px
        sideways = -np.sin(angle) * sheet.y + np.cos(angle) * sheet.x
        beyond = beyond + bow * sideways**2 + noise.patch_like(rng, beyond, 5 / mpp) * 0.7 / mpp
        shift = np.maximum(-2 * beyond, 0)
        flap, _ = depth(outline, sheet.y + np.cos(angle) * shift, sheet.x + np.sin(angle) * shift, sheet.radius_px)
        kept = covered(-beyond, 1.5)
        crest = 0.5 * np.exp(-((beyond / (0.8 / mpp)) ** 2)) * cover
        density = (density + covered(flap, 1.5) * density * 0.85 * (beyond < 0) + crest * density) * kept
        cover = cover * kept
    return density, cover


def _thickness(rng: np.random.Generator, spec: Body, sheet: _Sheet, mpp: float) -> Field:
    height, width = sheet.y.shape
    um = 1 / mpp
    slope = rng.uniform(0.05, 0.35) if spec.form == "plate" else 0.15
    density = 1 - slope * np.minimum(sheet.ratio, 1) ** 2
    waves = noise.patch(rng, height, width, round(6 * um, 1))
    density = density * np.clip(1 + 0.13 * waves + 0.1 * noise.patch(rng, height, width, round(2 * um, 1)), 0.5, 1.6)
    fine = noise.patch(rng, height, width, round(max(0.7, 0.3 * um), 1))
    density = density * (1 + 0.22 * spec.grain * fine)
    if spec.creases > 0:
        density = density * (1 + spec.creases * _creases(rng, height, width, um))
    line = spec.rim * 0.55 * np.exp(-(((sheet.inside - 2 * _LINE_UM * um) / (_LINE_UM * um + 0.6)) ** 2))
    uneven = np.clip(0.7 + 0.5 * noise.patch(rng, height, width, round(8 * um, 1)), 0.15, 1.6)
    return np.asarray((density + line * uneven) * rng.uniform(*spec.density), dtype=np.float32)


def _creases(rng: np.random.Generator, height: int, width: int, um: float) -> Field:
    """Return thin wrinkles: where a field drawn out along one direction passes through zero."""
    angle = rng.uniform(0, np.pi)
    lines = np.zeros((height, width), dtype=np.float32)
    for sigma_um, strength in ((4.5, 1.0), (2.2, 0.7), (1.1, 0.35)):
        field = noise.stretched(
            rng, height, width, round(sigma_um * um, 1), stretch=4.5, angle=angle + rng.normal(0, 0.25)
        )
        present = np.clip(noise.patch(rng, height, width, round(7 * um, 1)) - 0.05, 0, 1.3)
        lines += strength * np.exp(-((field / 0.13) ** 2)) * present
    return lines


def _halo(rng: np.random.Generator, halo_um: tuple[float, float], sheet: _Sheet, mpp: float) -> Field:
    """Return what a koilocyte's cavity leaves of the cytoplasm: a third inside, a thickened rampart round it."""
    height, width = sheet.y.shape
    radius_px = min(rng.uniform(*halo_um) / mpp, 0.68 * sheet.radius_px)
    outline = roughened(rng, oval_outline(rng.uniform(1, 1.35)), 0.07, 9)
    inside, _ = depth(outline, sheet.y, sheet.x, radius_px)
    um = 1 / mpp
    cleared = covered(inside, 1.2 * um)
    rampart = 0.55 * np.exp(-(((inside + 1.5 * um) / (1.8 * um)) ** 2))
    wisps = 0.12 * np.clip(noise.patch(rng, height, width, round(0.8 * um, 1)), -1, 2)
    return np.asarray(1 + rampart - cleared * (0.72 + rampart - wisps), dtype=np.float32)


def _inner_share(rng: np.random.Generator, sheet: _Sheet) -> Field:
    """Return how much of each pixel's dye is the inner tone: more towards the middle, unevenly."""
    height, width = sheet.y.shape
    uneven = noise.patch(rng, height, width, 24.0)
    return np.asarray(1 / (1 + np.exp(7 * (sheet.ratio - rng.uniform(0.4, 0.75)) - 0.8 * uneven)), dtype=np.float32)
