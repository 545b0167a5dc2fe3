"""Promise: a snapshot is what was on screen, says scale, magnification and light, and replaces no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from microscope_hand import ALT, CTRL, SHIFT, Hand
from PIL import Image
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_cyto.widgets.microscope._snapshot import bar_um


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_what_is_on_screen_is_kept_with_its_scale(hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[Any] = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_a, **_k: (str(names.pop()), "PNG image (*.png)"))
    hand.key("4", CTRL)
    hand.key("P")
    hand.click(hand.middle)
    hand.key("F")
    hand.move(hand.middle + QPoint(90, 60))
    plain, annotated, lit = (tmp_path / name for name in ("plain.png", "cells.tif", "lit.png"))
    names += [plain]
    hand.key("S")
    with Image.open(plain) as image:
        assert image.text["Description"] == (
            "smear_a.tif; 40x (0.25 µm per px of the screen); light of the file; without annotations"
        )
        assert image.width == hand.native.width()
    names += [annotated]
    hand.key("S", ALT)
    with Image.open(annotated) as image:
        assert image.tag_v2[270].endswith("light of the file; with annotations")
        assert (image.tag_v2[296], float(image.tag_v2[282])) == (3, pytest.approx(40_000)), "px per cm: 0.25 um each"
    middle = (slice(hand.middle.y() - 4, hand.middle.y() + 4), slice(hand.middle.x() - 4, hand.middle.x() + 4))
    differs = np.abs(pixels(plain) - pixels(annotated)).sum(-1)
    assert differs[middle].min() > 0, "the cell is in one of them"
    around = differs.copy()
    around[hand.middle.y() - 12 : hand.middle.y() + 12, hand.middle.x() - 12 : hand.middle.x() + 12] = 0
    assert not around[: hand.native.height()].any(), "and nothing else is: no tool, no circle in either"
    assert hand.window.microscope.circle.is_shown
    um = bar_um(hand.native.width() * 0.25)
    on_white = pixels(plain)[hand.native.height() - 40 : hand.native.height() - 13, -100:-13]
    assert np.all(on_white == 0, axis=2).sum(1).max() == pytest.approx(um / 0.25, abs=1)
    before = plain.read_bytes()
    hand.key("Up", ALT)
    names += [plain]
    hand.key("S")
    assert "replaces no file" in hand.said[-1]
    assert plain.read_bytes() == before
    names += [tmp_path / "lit"]
    hand.key("S")
    with Image.open(lit) as image:
        assert "light changed: brightness +2 %" in image.text["Description"]
    hand.key("S", SHIFT)
    copied = QApplication.clipboard().image()
    assert (copied.width(), copied.height()) == (pixels(lit).shape[1], pixels(lit).shape[0])
    names += [""]
    hand.key("S")
    assert {path.name for path in tmp_path.glob("*.png")} == {"plain.png", "lit.png", "field.png"}


@pytest.mark.parametrize(("width_um", "bar"), [(1000, 200), (400, 100), (79, 10), (8000, 2000), (0.5, 0.1)])
def test_the_bar_is_a_round_length_of_at_most_a_quarter(width_um: float, bar: float) -> None:
    assert bar_um(width_um) == pytest.approx(bar)
