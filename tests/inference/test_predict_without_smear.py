"""Guards what predict says of pictures without a smear: nothing there, nothing scanned, another stain, bad numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_detectors import CENTRES, noise, spotted
from PIL import Image

from napari_cyto.cli.entry import run as command_line
from napari_cyto.inference._job import run
from napari_cyto.inference.request import PredictRequest
from napari_cyto.jobs.events import Done, Failed, Measured
from napari_cyto.store import Project

pytestmark = pytest.mark.networks


def ended(slide: Path, finder: Path, **changes: Any) -> tuple[Any, list[Any]]:
    events = list(run(PredictRequest(slide=slide, detector=str(finder), runtime="torch", **{"mpp": 1.0} | changes)))
    cells = [
        c for e in events if isinstance(e, Measured) and "cells" in e.values for c in e.values["cells"]["centres_yx"]
    ]
    return events[-1], cells


def stored(folder: Path, image: np.ndarray, suffix: str = ".png") -> Path:
    path = folder / f"p{suffix}"
    Image.fromarray(image).save(path)
    return path


@pytest.mark.parametrize("size", [(40, 50), (300, 400)])
@pytest.mark.parametrize("what", ["black", "grey", "white", "sensor", "transparent", "jpeg"])
def test_nothing_is_found_where_nothing_was_scanned(finder: Path, tmp_path: Path, size: Any, what: str) -> None:
    rng = np.random.default_rng(0)
    ground = {"black": 0, "grey": 127, "white": 255, "jpeg": 90}.get(what, 0)
    image = np.full((*size, 3), ground, np.uint8)
    if what == "sensor":
        image = rng.normal(6, 2, image.shape).clip(0, 255).astype(np.uint8)
    if what == "transparent":
        image = np.concatenate([rng.integers(0, 255, image.shape), np.zeros((*size, 1))], axis=-1).astype(np.uint8)
    end, cells = ended(stored(tmp_path, image, ".jpg" if what == "jpeg" else ".png"), finder)
    assert isinstance(end, Done)
    assert cells == []
    assert "no stained cells were found" in end.result["remarks"][0]


def test_what_lies_beside_a_scanned_half_is_left_out_and_counted(finder: Path, tmp_path: Path) -> None:
    image = np.concatenate([noise(320, 300), np.zeros((320, 300, 3), np.uint8)], axis=1)
    end, cells = ended(stored(tmp_path, image), finder)
    assert end.result["left_out_not_scanned"] > 0
    assert "where nothing was scanned" in end.result["remarks"][-1]
    assert len(cells) > 3
    assert max(x for _, x in cells) < 300 + 4


def test_a_dark_image_is_refused_unless_any_will_do(finder: Path, tmp_path: Path) -> None:
    dark = stored(tmp_path, 255 - spotted(400, CENTRES, 6))
    out = tmp_path / "p.cyto"
    end, _ = ended(dark, finder, out=out)
    assert isinstance(end, Failed)
    assert end.expected
    assert "does not look like a stained smear" in end.message
    assert "--any-picture" in end.message
    assert not out.exists()
    end, _ = ended(dark, finder, out=out, any_picture=True)
    assert "expect wrong predictions" in end.result["remarks"][0]
    with Project.open(out) as project:
        assert len(list(project.annotations())) == end.result["cells"]


@pytest.mark.parametrize(
    "words",
    [
        *[["--mpp", text] for text in ("0", "-1", "nan", "inf", "1000", "1e-9", "20.5")],
        *[["--mpp", "1", "--score-from", text] for text in ("nan", "2", "-1", "0", "inf")],
        *[["--mpp", "1", "--region", text] for text in ("nan,0,10,10", "0,0,inf,4", "5000,0,9,9", "0,-90,9,9")],
    ],
    ids=" ".join,
)
def test_a_bad_number_is_one_sentence(
    words: list[str], finder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide = stored(tmp_path, noise(96, 96))
    words = ["predict", str(slide), "--detector", str(finder), "--out", str(tmp_path / "o.geojson"), *words]
    assert command_line(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.endswith((".", "size."))
    assert "Traceback" not in said
    assert not (tmp_path / "o.geojson").exists()


def test_a_run_of_another_plan_begins_anew(finder: Path, tmp_path: Path) -> None:
    slide, folder = stored(tmp_path, noise(96, 96)), tmp_path / "run"
    first, _ = ended(slide, finder, run_folder=folder)
    requested = json.loads((folder / "request.json").read_text())
    requested["plan"] -= 1
    (folder / "request.json").write_text(json.dumps(requested))
    again, _ = ended(slide, finder, run_folder=folder)
    assert "done_before" not in again.result
    assert again.result["cells"] == first.result["cells"]
    assert ended(slide, finder, run_folder=folder)[0].result["done_before"]
