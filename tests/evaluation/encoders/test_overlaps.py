"""Promise: photographs of one place are found, whatever their names say; images of different places are not joined."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from napari_cyto.evaluation.encoders._overlaps import overlapping_images, overlapping_owners


def ending(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def field(seed: int, side: int = 400) -> npt.NDArray[np.float32]:
    """A field of view with nuclei of chance sizes, and some texture."""
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.normal(0, 1, (side, side)), 3)
    image = 190 + 60 * texture
    y, x = np.mgrid[:side, :side]
    for cy, cx, r in zip(*rng.uniform(0, side, (2, 25)), rng.uniform(6, 16, 25), strict=True):
        image -= 80 * ndimage.gaussian_filter(((y - cy) ** 2 + (x - cx) ** 2 < r * r).astype(float), 2)
    return np.clip(image, 0, 255).astype(np.float32)


def photographed(image: npt.NDArray[np.float32], seed: int) -> npt.NDArray[np.float32]:
    """The same place again: other exposure, other noise."""
    return (0.9 * image + 12 + np.random.default_rng(seed).normal(0, 3, image.shape)).astype(np.float32)


def test_a_planted_leak_is_found_and_nothing_else() -> None:
    fields = [field(seed) for seed in range(8)]
    images = [f[100:220, 80:220] for f in fields]
    owners = [f"image {k}" for k in range(8)]
    images.append(photographed(fields[3][130:260, 110:230], 1))  # overlaps image 3, shifted by 30 px both ways
    owners.append("image 8")
    found = ending(overlapping_images(images, owners))
    assert [(i, j) for i, j, _ in found] == [(3, 8)]
    assert found[0][2] >= 0.85


def test_images_of_one_owner_are_not_compared() -> None:
    one = field(1)
    images = [one[:150, :150], photographed(one[20:170, 20:170], 1)]
    assert ending(overlapping_images(images, ["a", "a"])) == []


def test_pairs_are_remembered_until_a_file_changes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))
    one = field(1)
    paths = [str(tmp_path / f"{k}.png") for k in range(2)]
    for path, part in zip(paths, (one[:150, :150], photographed(one[20:170, 20:170], 1)), strict=True):
        Image.fromarray(part.astype(np.uint8)).save(path)
    assert ending(overlapping_owners(paths, ["a", "b"])) == (("a", "b"),)
    assert ending(overlapping_owners(paths, ["a", "b"])) == (("a", "b"),)
    Image.fromarray(field(2)[:150, :150].astype(np.uint8)).save(paths[1])
    assert ending(overlapping_owners(paths, ["a", "b"])) == ()
