"""Detectors that were never trained, a perfect one for made pictures, and such pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from napari_cyto.domain.presets import preset
from napari_cyto.models.bundle import write_bundle
from napari_cyto.models.manifest import ModelClass
from napari_cyto.models.raw_cells import RawCells
from napari_cyto.models.registry import build

SETTINGS = {"backbone": "test_resnet", "stride": 8, "width": 16, "levels": 2, "input_px": 96}
CLASSES = [ModelClass.of(c).model_dump() for c in preset("bethesda").classes]
UNWRITTEN = {
    "id": "x",
    "weights_sha256": "0" * 64,
    "weights_bytes": 1,
    "created_utc": "2026-01-01T00:00:00+00:00",
    "made_by": "",
}
"""What only writing gives a manifest."""

CENTRES = np.array([(y, x) for y in range(20, 390, 37) for x in range(15, 390, 41)], dtype=np.float64)
"""Of cells on a picture of 400 px, some of them on what will be borders of tiles."""


def detector_fields(classes: list[dict[str, Any]] = CLASSES, **changes: Any) -> dict[str, Any]:
    """What ``model.json`` says of a small point detector that sees 1 µm a px."""
    fields = {"kind": "detector", "architecture": "p2p", "settings": SETTINGS, "classes": classes}
    return fields | {"mpp": 1.0, "input_px": 96} | changes


def untrained(n_classes: int = len(CLASSES)) -> Any:
    """A point detector that finds something everywhere, the same each time."""
    torch.manual_seed(0)
    network = build("p2p", SETTINGS, n_classes)
    with torch.no_grad():
        network.sort.one.weight.normal_(std=0.5)
        network.place.one.weight.normal_(std=0.05)
    return network.eval()


def write_finder(folder: Path) -> Path:
    """Write an untrained detector of Bethesda's classes as a bundle."""
    fields = detector_fields(decision={"merge_um": 12.0, "score_threshold": 0.02})
    return write_bundle(folder / "finder", fields, untrained().state_dict()).path


class Spots:
    """Tells of dark spots where they are, as a perfect detector of some classes would."""

    halo, multiple = 32, 32

    def __init__(self, n_classes: int = 1) -> None:
        self.n_classes = n_classes

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return images

    def decode(self, outputs: torch.Tensor, floor: float) -> list[RawCells]:
        from scipy import ndimage

        dark = -outputs[0].mean(0).numpy().astype(np.float64)
        labels, n = ndimage.label(dark > 0)
        whole = [i for i in range(1, n + 1) if (dark * (labels == i)).sum() > 2]
        centres = np.array(ndimage.center_of_mass(dark * (labels > 0), labels, whole)).reshape(-1, 2) + 0.5
        points = torch.from_numpy(centres).float()
        scores = torch.full((len(points),), 0.9)
        shares = scores[:, None].repeat(1, self.n_classes) / self.n_classes
        return [RawCells(points, torch.full_like(points, float("nan")), scores, shares)]


def spotted(size: int, centres_yx: np.ndarray, radius: float) -> np.ndarray:
    """A white picture with dark spots, uint8 (size, size, 3)."""
    y, x = np.mgrid[:size, :size] + 0.5
    image = np.full((size, size), 255.0)
    for cy, cx in centres_yx:
        image = np.minimum(image, 255 * np.clip(np.hypot(y - cy, x - cx) - radius, 0, 1))
    return np.repeat(image[..., None], 3, axis=2).astype(np.uint8)


def noise(height: int, width: int) -> np.ndarray:
    """A picture of coloured noise without fine detail, uint8 (height, width, 3)."""
    small = np.random.default_rng(3).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
