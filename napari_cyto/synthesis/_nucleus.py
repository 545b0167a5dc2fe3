"""Draw a nucleus: outline, chromatin, membrane, nucleoli."""

from __future__ import annotations

import numpy as np

from napari_cyto.synthesis import _noise as noise
from napari_cyto.synthesis._noise import Field
from napari_cyto.synthesis._outline import covered, depth, oval_outline, roughened, tilted
from napari_cyto.synthesis._specs import Nucleus
from napari_cyto.synthesis._sprite import Sprite, make_sprite

# Point spread of a 40x 0.75 NA objective in green light is about 0.2 µm (0.21 wavelength / NA) plus the scanner's own.
PSF_UM = 0.2


def draw_nucleus(
    rng: np.random.Generator, spec: Nucleus, mpp: float, tilt: float = 0.0, defocus_um: float = 0.0
) -> Sprite:
    """Return one nucleus with a single dye (haematoxylin).

    Parameters
    ----------
    rng : Generator
        Decides the looks.
    spec : Nucleus
        What kind.
    mpp : float
        µm per px.
    tilt : float
        Angle of its long axis, radians.
    defocus_um : float
        Extra blur, standard deviation in µm.
    """
    radius_px = np.sqrt(rng.uniform(*spec.area_um2) / np.pi) / mpp
    aspect = rng.uniform(*spec.aspect)
    outline = roughened(rng, oval_outline(aspect), spec.irregularity, 6)
    blur_px = float(np.hypot(PSF_UM, defocus_um)) / mpp
    half = int(np.ceil(radius_px * outline.max() + 3 * blur_px + 2))
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    inside, ratio = depth(outline, *tilted(y, x, tilt), float(radius_px))
    cover = covered(inside)
    density = _chromatin(rng, spec, inside, ratio, mpp) * cover
    return make_sprite([density], cover, blur_px=blur_px)


def _chromatin(rng: np.random.Generator, spec: Nucleus, inside: Field, ratio: Field, mpp: float) -> Field:
    height, width = inside.shape
    grain_px = max(0.6, spec.grain_um / mpp / 2)
    clumps = noise.patch(rng, height, width, round(grain_px, 1))
    coarse = noise.patch(rng, height, width, round(grain_px * 3, 1))
    texture = 1 + spec.chromatin * (0.7 * clumps + 0.5 * coarse)
    membrane_px = 0.45 / mpp
    membrane = spec.membrane * np.exp(-(((inside - membrane_px) / membrane_px) ** 2))
    base = rng.uniform(*spec.density) * (1.04 - 0.12 * ratio**2)
    density = base * (np.clip(texture, 0.45, 1.7) + membrane)
    if rng.random() < spec.nucleoli:
        density = density + _nucleoli(rng, inside, mpp)
    return np.asarray(np.clip(density, 0.05, 1), dtype=np.float32)


def _nucleoli(rng: np.random.Generator, inside: Field, mpp: float) -> Field:
    height, width = inside.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    spots = np.zeros_like(inside)
    for _ in range(rng.integers(1, 3)):
        cy, cx = np.array([height, width]) * rng.uniform(0.36, 0.64, 2)
        radius_px = rng.uniform(0.7, 1.2) / mpp
        distance = np.hypot(y - cy, x - cx)
        spots += 0.5 * np.exp(-((distance / radius_px) ** 4))
        spots -= 0.2 * np.exp(-(((distance - 2 * radius_px) / radius_px) ** 2))
    return spots
