"""Guards that two runs on one thing at one moment never mix: the second is refused, those on other things are not."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from made_detectors import noise
from PIL import Image

from napari_cyto.files.lock import IN_USE
from napari_cyto.inference._job import run
from napari_cyto.inference.many_slides import SeveralRequest, run_several
from napari_cyto.inference.request import PredictRequest
from napari_cyto.jobs.events import Done, Failed, Measured
from napari_cyto.store import Project
from napari_cyto.training.config import TrainConfig
from napari_cyto.training.run import train

pytestmark = pytest.mark.networks


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two slides of coloured noise, of several tiles each."""
    folder = tmp_path_factory.mktemp("slides")
    for name, width in (("one.png", 352), ("two.png", 330)):
        Image.fromarray(noise(320, width)).save(folder / name)
    return folder / "one.png", folder / "two.png"


def requested(finder: Path, slide: Path, out: Path, **changes: Any) -> PredictRequest:
    values = {"slide": slide, "detector": str(finder), "mpp": 1.0, "tile_px": 192, "precision": "fp32", "out": out}
    return PredictRequest(**values | {"run_folder": out / "predict" / slide.stem, "runtime": "torch"} | changes)


def several(finder: Path, slide: Path, out: Path) -> SeveralRequest:
    return SeveralRequest(slides=(slide,), detector=str(finder), mpp=1.0, precision="fp32", out=out, runtime="torch")


def cells(folder: Path) -> list[str]:
    with Project.open(folder) as project:
        return sorted(repr((a.geometry, a.class_id, a.scores)) for a in project.annotations())


def test_a_second_run_on_a_slide_is_refused_and_one_on_another_slide_is_not(
    finder: Path, slides: tuple[Path, Path], tmp_path: Path
) -> None:
    one, two = slides
    assert isinstance(list(run(requested(finder, one, tmp_path / "alone.cyto")))[-1], Done)
    out = tmp_path / "both.cyto"
    with closing(run(requested(finder, one, out))) as first:
        assert any(isinstance(event, Measured) for event in first)
        for changes in ({}, {"score_from": 0.9}, {"again": True}):
            refused = list(run(requested(finder, one, out, **changes)))[-1]
            assert isinstance(refused, Failed)
            assert refused.expected
            assert refused.message == (
                f"one.png: another run is predicting on it into {out}; wait until it ends, or stop it and try again."
            )
        assert (out / "predict" / "one" / "tiles.bin").stat().st_size
        *_, end = first
    assert isinstance(end, Done)
    assert cells(out) == cells(tmp_path / "alone.cyto")
    with closing(run(requested(finder, one, out, again=True))) as first:
        assert any(isinstance(event, Measured) for event in first)
        assert isinstance(list(run(requested(finder, two, out)))[-1], Done)
    # Who gives up lets go.
    assert isinstance(list(run(requested(finder, one, out, again=True)))[-1], Done)


def test_a_run_that_comes_second_to_a_new_project_says_that_all_is_done(
    finder: Path, slides: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "new.cyto"
    with closing(run(requested(finder, slides[0], out))) as late:
        next(late)
        assert isinstance(list(run(requested(finder, slides[0], out)))[-1], Done)
        before = cells(out)
        *_, end = late
    assert isinstance(end, Done)
    assert end.result["done_before"]
    assert cells(out) == before


def test_a_second_run_for_a_file_is_refused_whatever_it_asks(
    finder: Path, slides: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "cells.geojson"
    with closing(run_several(several(finder, slides[0], out))) as first:
        next(first)
        refused = list(run_several(several(finder, slides[1], out)))[-1]
        assert isinstance(refused, Failed)
        assert refused.expected
        assert refused.message == f"{out}: another run is writing it; wait until it ends, or give another name."
        *_, end = first
    assert isinstance(end, Done), end
    assert json.loads(out.read_text())["features"]
    assert not (tmp_path / "cells.geojson.run" / IN_USE).exists()


def test_a_second_training_into_one_folder_is_refused_from_the_first_moment(
    tiny_cells: Path, tiny_recipe: TrainConfig, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    with closing(train(tiny_recipe, (f"folders:{tiny_cells}",), out)) as first:
        next(first)
        # As long as nobody has written down whose run it is.
        (tmp_path / "model.run" / "process.json").unlink()
        for resume in (False, True):
            refused = list(train(tiny_recipe, (f"folders:{tiny_cells}",), out, resume=resume))[-1]
            assert isinstance(refused, Failed)
            assert refused.expected
            assert "a run is in progress there" in refused.message
    assert isinstance(list(train(tiny_recipe, (f"folders:{tiny_cells}",), out))[-1], Done)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["new.cyto", "new.geojson"])
def test_of_two_programs_that_begin_together_one_predicts(
    finder: Path, slides: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    words = ["predict", slides[0], "--detector", finder, "--mpp", "1"]
    for turn in range(5):
        out = tmp_path / f"{turn}" / name
        out.parent.mkdir()
        command = [sys.executable, "-m", "napari_cyto", *map(str, words), "--out", str(out)]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        outcome = [program.communicate(timeout=300) for program in both]
        assert 0 in [program.returncode for program in both], outcome
        for program, (_, said) in zip(both, outcome, strict=True):
            assert program.returncode == 0 or (program.returncode == 2 and "another run is" in said), said
        if name.endswith(".cyto"):
            found = cells(out)
            assert found
            assert len(found) == len(set(found))
