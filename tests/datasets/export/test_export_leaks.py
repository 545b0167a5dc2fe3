"""Promise: an export that would put one cell, smear or patient on both sides is mended where it can be, or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.datasets import ApaccExportOptions, export_apacc, preview
from napari_cyto.datasets.audit.job import audit
from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.files.atomic import EXPORT_RECORD
from napari_cyto.store import Project

FAST = ApaccExportOptions(overview=False, crops=False)


def test_a_smear_in_both_sets_is_refused_with_the_rows_unless_a_reason_is_given(make_project, run, tmp_path) -> None:
    made = make_project(slides=3, smear=["A", "A", "B"], side=["train", "test", "train"])
    ended = run(export_apacc(made.folder, tmp_path / "out", FAST))
    assert "refused because two of its sets would share data" in ended.refusal
    assert "smear A" in ended.refusal
    assert "made-0.png" in ended.refusal
    assert not (tmp_path / "out").exists()
    assert not preview(made.folder, options=FAST).ok
    reason = "the two slides are of different regions"
    allowed = FAST.model_copy(update={"overrides": ("leak",), "reason": reason})
    assert preview(made.folder, options=allowed).ok
    assert run(export_apacc(made.folder, tmp_path / "out", allowed)).result["leak_allowed_because"] == reason
    record = json.loads((tmp_path / "out" / EXPORT_RECORD).read_text())
    assert record["leak_allowed_because"] == reason
    assert record["leaks"][0]["kind"] == "same_smear"
    assert run(export_apacc(made.folder, tmp_path / "new", FAST.model_copy(update={"published": False}))).result


def test_a_patient_in_both_sets_is_refused(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=2, patient=["Jane", "Jane"], side=["train", "test"])
    assert "patient" in run(export_apacc(made.folder, tmp_path / "out", FAST)).refusal


def twin_fields(tmp_path: Path, make_project: Callable, side: tuple[str, str] = ("", "")) -> Path:
    """Four fields, two of which show the same place with an offset, under unrelated names."""
    made = make_project(slides=4, cells=6, size_hw=(400, 500))
    first = made.slides[0]
    shifted = tmp_path / "pixels" / "unrelated.png"
    Image.fromarray(np.asarray(Image.open(first.path))[30:, 20:]).save(shifted)
    twin = SlideRecord(name="unrelated.png", path=str(shifted), size_hw=(370, 480), mpp=0.25, side=side[1])
    moved = [
        Annotation(slide_id=twin.id, geometry=a.geometry.translated(-30, -20), class_id=a.class_id)
        for a in made.cells
        if a.slide_id == first.id
    ]
    with Project.open(made.folder) as project:
        project.add_slides([twin])
        project.apply(add(moved, "x"), "me")
        if side[0]:
            for record in project.slides()[:4]:
                project.update_slide(replace(record, side=side[0]))
    return made.folder


@pytest.mark.parametrize("seed", range(3))
def test_fields_that_overlap_without_anybody_saying_so_go_to_one_side(make_project, run, tmp_path, seed: int) -> None:
    folder = twin_fields(tmp_path, make_project)
    options = ApaccExportOptions(overview=False, seed=seed, test_share=0.4)
    ended = run(export_apacc(folder, tmp_path / "out", options))
    side_of = {p.stem: p.parent.name for p in (tmp_path / "out/slices").rglob("*.txt")}
    assert side_of["unrelated_0_0"] == side_of["made-0_0_0"]
    for below in ("slices", "cells"):
        for path in (tmp_path / "out" / below).rglob("unrelated_*"):
            assert side_of["unrelated_0_0"] in path.parts
    assert audit(tmp_path / "out").ok
    counts = {s: len(list((tmp_path / "out/cells" / s).rglob("*.png"))) for s in ("train", "test")}
    assert counts == {s: sum(ended.result["counts"][s].values()) for s in counts}


def test_the_same_cell_in_both_sets_of_a_given_split_is_refused(make_project, run, tmp_path: Path) -> None:
    folder = twin_fields(tmp_path, make_project, side=("train", "test"))
    refusal = run(export_apacc(folder, tmp_path / "out", FAST)).refusal
    assert re.search(r"of the test set (is|are) in the training set too", refusal)
    assert "unrelated_0-0" in refusal
    assert not (tmp_path / "out").exists()
