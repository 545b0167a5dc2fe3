"""The slide that the viewing benchmark looks at: cheap to make, as hard on a JPEG decoder as a real one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_cyto.slides.tiff_writer import write_pyramid

MPP_UM = 0.25
_PATCH_PX = 1024


def cache_folder() -> Path:
    """Return where benchmarks keep what is dear to make."""
    base = os.environ.get("NAPARI_CYTO_CACHE") or Path.home() / ".cache" / "napari-cyto"
    folder = Path(base) / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def make_slide(side_px: int) -> Path:
    """Return the path of a slide of ``side_px`` x ``side_px`` px, made on the first call."""
    path = cache_folder() / f"viewing-{side_px}.tiff"
    if not path.exists():
        patches = _patches(np.random.default_rng(0))
        write_pyramid(path, (side_px, side_px), lambda y, x, h, w: _block(patches, y, x, h, w), mpp=MPP_UM)
    return path


def _patches(rng: np.random.Generator) -> list[np.ndarray]:
    """Return textured patches: blotches for cytoplasm, dark blobs for nuclei, the grain of a camera."""
    shape = (_PATCH_PX, _PATCH_PX)
    patches = []
    for _ in range(6):
        cytoplasm = ndimage.gaussian_filter(rng.standard_normal(shape), 24) * 60
        cytoplasm = np.clip(cytoplasm, 0, 1)
        nuclei = np.zeros(shape)
        nuclei[tuple(rng.integers(0, _PATCH_PX, (2, 90)))] = 1
        nuclei = np.clip(ndimage.gaussian_filter(nuclei, 6) * 400, 0, 1)
        grain = ndimage.gaussian_filter(rng.standard_normal((*shape, 3)), (0.8, 0.8, 0)) * 8
        rgb = np.array([238, 236, 240.0]) - cytoplasm[..., None] * np.array([70, 20, 30.0])
        rgb -= nuclei[..., None] * np.array([90, 110, 60.0])
        patches.append(np.clip(rgb + grain, 0, 255).astype(np.uint8))
    return patches


def _block(patches: list[np.ndarray], y0: int, x0: int, height: int, width: int) -> np.ndarray:
    number = (y0 // _PATCH_PX) * 7919 + (x0 // _PATCH_PX) * 104_729
    patch = patches[number % len(patches)]
    if number % 2:
        patch = patch[::-1]
    if number % 3:
        patch = patch.transpose(1, 0, 2)
    return np.ascontiguousarray(patch[:height, :width])
