"""Small images to learn from, and a recipe that learns from them in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from napari_cyto.training.config import TrainConfig


@pytest.fixture(scope="session")
def tiny_fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six fields of 128 x 160 px with round cells of different colours."""
    folder = tmp_path_factory.mktemp("fields")
    rng = np.random.default_rng(3)
    for number in range(6):
        image = Image.new("RGB", (160, 128), (240, 238, 242))
        draw = ImageDraw.Draw(image)
        for _ in range(12):
            y, x, r = rng.uniform(0, 128), rng.uniform(0, 160), rng.uniform(6, 20)
            draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(int(v) for v in rng.integers(60, 220, 3)))
        image.save(folder / f"field_{number}.png")
    return folder


@pytest.fixture
def encoder_recipe() -> TrainConfig:
    return TrainConfig.model_validate(
        {
            "name": "tiny-encoder",
            "model": {
                "kind": "encoder",
                "backbone": "test_vit",
                "tokens": "both",
                "window_um": 16,
                "patches": {"side_px": 64, "mpp": 0.25},
                "views": {"global_px": 64, "local_views": 2, "local_px": 32},
                "prototypes": 32,
                "hidden": 32,
                "bottleneck": 16,
                "momentum": 0.9,
                "heat_epochs": 1,
                "frozen_prototypes": 1,
                "drop_path": 0.1,
            },
            "phases": [{"epochs": 3, "lr": 1e-3, "weight_decay": 0.04, "weight_decay_end": 0.4}],
            "batch": 8,
            "keep": "last",
            "precision": "fp32",
            "split": {"validation_share": 0.2, "test_share": 0, "share_of": "groups", "twins": False},
        }
    )
