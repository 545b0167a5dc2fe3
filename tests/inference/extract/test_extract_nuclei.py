"""Guards the extraction with the models that ship: the cells of a made-up field come out, each in a crop of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.cli.entry import run
from napari_cyto.store import Project
from napari_cyto.synthesis.outlined_fields import make_field

pytestmark = pytest.mark.networks


def test_most_nuclei_of_a_made_up_field_are_extracted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    field = make_field(9_000, 600)
    Image.fromarray(field.rgb).save(tmp_path / "field.png")
    out = tmp_path / "field.cyto"
    words = ["extract", str(tmp_path / "field.png"), "--out", str(out), "--mpp", str(field.mpp), "--json"]
    assert run(words) == 0, capsys.readouterr().err
    with Project.open(out) as project:
        boxes = np.array([a.geometry.bounds_yxyx for a in project.annotations()])
    middles = []
    for cell in field.cells:
        nucleus = cell.nuclei[0].on(0, 0, 600, 600)
        if nucleus.sum() == cell.nuclei[0].mask.sum():
            ys, xs = np.nonzero(nucleus)
            middles.append((ys.mean(), xs.mean()))
    found = [bool(((boxes[:, :2] <= m) & (m < boxes[:, 2:])).all(1).any()) for m in middles]
    assert len(middles) > 15
    assert np.mean(found) >= 0.85
