"""Small made cells and fields to train on, and recipes that take seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.training.config import TrainConfig

CELLS_OF_SETS = {"train": 12, "validation": 6, "test": 6}
NUCLEUS_PX = {"NILM": 4, "HSIL": 11}


def cell_image(class_id: str, rng: np.random.Generator) -> np.ndarray:
    """A pale cell with a dark nucleus, large in HSIL; uint8 (40, 40, 3)."""
    y, x = np.mgrid[:40, :40] - 19.5 + rng.normal(0, 1, 2)[:, None, None]
    pixels = np.full((40, 40, 3), 215.0) + rng.normal(0, 6, (40, 40, 3))
    pixels[np.hypot(y, x) < NUCLEUS_PX[class_id] + rng.normal(0, 0.5)] -= (120, 130, 70)
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of 24 cells a class, divided into the three sides."""
    root = tmp_path_factory.mktemp("cells")
    rng = np.random.default_rng(0)
    for side, n in CELLS_OF_SETS.items():
        for class_id in NUCLEUS_PX:
            folder = root / side / class_id
            folder.mkdir(parents=True)
            for i in range(n):
                Image.fromarray(cell_image(class_id, rng)).save(folder / f"{side}-{class_id}-{i}.png")
    return root


@pytest.fixture
def tiny_recipe() -> TrainConfig:
    """Two epochs of timm's smallest network."""
    return TrainConfig.model_validate(
        {
            "name": "tiny",
            "model": {
                "kind": "classifier",
                "backbone": "test_efficientnet",
                "weights": "none",
                "crop_rule": {"windows": [40], "unit": "px", "size_px": 32},
                "head": 8,
                "dropout": 0.2,
            },
            "phases": [{"epochs": 2, "lr": 0.01}],
            "batch": 8,
            "precision": "fp32",
            "split": {"twins": False, "overrides": ["unknown-patient", "few-groups"]},
        }
    )


def field_image(rng: np.random.Generator, path: Path) -> list[tuple[float, float, str]]:
    """Write a field of 128 px with nine dark cells of two kinds, and return x, y and class of each."""
    y, x = np.mgrid[:128, :128] + 0.5
    field = np.full((128, 128, 3), 240.0)
    cells = []
    for row in range(3):
        for column in range(3):
            cy, cx = 22 + 42 * row + rng.uniform(-8, 8), 22 + 42 * column + rng.uniform(-8, 8)
            kind = int(rng.integers(2))
            inside = np.clip(np.hypot(y - cy, x - cx) - (4 + 3 * kind), 0, 1)[..., None]
            colour = np.array([[90.0, 60, 140], [40, 30, 60]][kind])
            field = field * inside + colour * (1 - inside)
            cells.append((cx, cy, ("NILM", "HSIL")[kind]))
    Image.fromarray(field.astype(np.uint8)).save(path)
    return cells


@pytest.fixture(scope="session")
def tiny_fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine fields with nine cells each, as CRIC's folder."""
    folder = tmp_path_factory.mktemp("fields")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    lines = ["image,width,height,px_per_cric_px,image_id,cell_id,bethesda,x,y"]
    for number in range(9):
        name = f"field{number}.png"
        for x, y, kind in field_image(rng, folder / "images" / name):
            lines.append(f"{name},128,128,0.228,{number},{len(lines)},{kind},{x:.3f},{y:.3f}")
    (folder / "cells.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def tiny_detector() -> TrainConfig:
    """Point proposals on timm's smallest network."""
    return TrainConfig.model_validate(
        {
            "name": "tiny-detector",
            "model": {
                "kind": "detector",
                "backbone": "test_resnet",
                "weights": "none",
                "mpp": 1.0,
                "tile_px": 96,
                "stride": 8,
                "width": 16,
                "levels": 2,
                "merge_um": 4.0,
            },
            "batch": 4,
            "precision": "fp32",
            "split": {"overrides": ("few-groups",), "twins": False},
        }
    )


@pytest.fixture(scope="session")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that was never trained, and finds something everywhere."""
    from made_detectors import write_finder

    return write_finder(tmp_path_factory.mktemp("models"))
