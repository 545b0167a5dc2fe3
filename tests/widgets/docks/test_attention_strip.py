"""Promise: what an encoder attends to is shown over the cell under review on demand, without torch in the window."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Point
from napari_cyto.models.library import add_model, find_model, remove_model
from napari_cyto.widgets.docks.review.dock import ReviewDock

pytestmark = pytest.mark.networks

LONGEST_MS = 60_000
MADE = """
import sys
import torch
from napari_cyto.models.bundle import write_bundle
from napari_cyto.models.encoder import build
torch.manual_seed(0)
known = {"backbone": "test_vit", "tokens": "both", "input_px": 32, "length": 128}
fields = {"kind": "encoder", "architecture": "timm-encoder", "settings": known, "classes": (), "mpp": None}
rule = {"windows": (48.0,), "unit": "px", "size_px": 32}
write_bundle(sys.argv[1], fields | {"input_px": 32, "crop_rule": rule}, build(known, 0).state_dict())
"""


@pytest.fixture
def seer(tmp_path: Path) -> str:
    """A vision transformer in the library."""
    subprocess.run([sys.executable, "-c", MADE, str(tmp_path / "seer")], check=True)
    if find_model("seer") is not None:
        remove_model("seer")
    add_model(tmp_path / "seer")
    return "seer"


def test_it_is_off_at_first_shows_the_cell_under_review_and_says_where_it_cannot(bench: Any, seer: str) -> None:
    project = bench.session.project
    slide = project.slides()[0]
    chance = np.random.default_rng(1)
    made = [
        Annotation(
            slide_id=slide.id,
            geometry=Point(*chance.uniform(100, 400, 2)),
            class_id="HSIL",
            status=Status.UNREVIEWED,
            origin=origin_of_model("finder", "0" * 64),
            scores=(("HSIL", round(0.9 - 0.1 * n, 2)), ("NILM", round(0.1 + 0.1 * n, 2))),
        )
        for n in range(4)
    ]
    project.apply(edits.add(made, "Run detection"), "finder")
    dock = bench.dock(ReviewDock)
    dock.refresh()
    bench.settle()
    strip = dock.attention
    assert strip.box.isHidden()
    assert not strip.job.running

    bench.click(strip.toggle)
    strip.encoder.setCurrentIndex(strip.encoder.findData("cell-encoder"))
    strip.encoder.activated.emit(strip.encoder.currentIndex())
    bench.qtbot.waitUntil(lambda: "no vision transformer" in strip.job.words.text(), timeout=LONGEST_MS)
    assert strip.image.isHidden()
    dock.gallery.go(1)
    bench.settle()
    assert not strip.job.running, "a sentence that was told holds for the next cell, too"

    strip.encoder.setCurrentIndex(strip.encoder.findData(seer))
    strip.encoder.activated.emit(strip.encoder.currentIndex())
    bench.qtbot.waitUntil(lambda: not strip.image.isHidden(), timeout=LONGEST_MS)
    assert strip.image.pixmap().width() == 2 * strip.image.pixmap().height()
    assert "last layer of seer" in strip.words.text()
    first = strip.image.pixmap().toImage()
    dock.gallery.go(2)
    bench.settle()
    assert not strip.image.isHidden(), "cells that come next were looked at with it"
    assert strip.image.pixmap().toImage() != first
    assert not strip.job.running

    bench.click(strip.toggle)
    assert strip.box.isHidden()
