"""Small made cells to train on, and a recipe that takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.training.config import TrainConfig

SIDES = {"train": 12, "validation": 6, "test": 6}
NUCLEUS_PX = {"NILM": 4, "HSIL": 11}


def cell_picture(class_id: str, rng: np.random.Generator) -> np.ndarray:
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
    for side, n in SIDES.items():
        for class_id in NUCLEUS_PX:
            folder = root / side / class_id
            folder.mkdir(parents=True)
            for i in range(n):
                Image.fromarray(cell_picture(class_id, rng)).save(folder / f"{side}-{class_id}-{i}.png")
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
