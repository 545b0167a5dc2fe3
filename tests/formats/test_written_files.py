"""Promise: what each format writes does not change by accident; the files in ``golden/written`` are the measure.

``NAPARI_CYTO_NEW_GOLDEN=1 pytest tests/formats/test_written_files.py`` writes them anew, for a look at the difference.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from napari_cyto.domain.label_set import LabelSet
from napari_cyto.errors import FormatError, ScaleUnknownError
from napari_cyto.formats import get_format

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("geojson", "geojson", {}),
    ("geojson", "geojson_bounds", {"origin": "bounds", "bounds_offset_yx": (10, 20), "include_rejected": True}),
    ("coco", "coco.json", {"include_proposed": True}),
    ("yolo", "yolo", {"box_um": {"NILM": 45.0}}),
    ("cric", "classifications.csv", {}),
    ("cric", "cells.csv", {"layout": "scaled"}),
    ("asap", "asap", {}),
    ("csv", "plain.csv", {"more_columns": False}),
    ("csv", "all.csv", {"include_rejected": True}),
    ("apacc", "apacc", {"include_proposed": True, "all_slices": True}),
]


@pytest.mark.parametrize(("name", "file_name", "options"), CASES, ids=[c[1] for c in CASES])
def test_bytes(
    name: str, file_name: str, options: dict[str, Any], sample: LabelSet, golden: Path, tmp_path: Path
) -> None:
    labels = sample
    if name == "apacc":
        as_apacc = {"NILM": "healthy", "LSIL": "unhealthy", "HSIL": "unhealthy"}
        cells = tuple(replace(a, class_id=as_apacc.get(a.class_id or "")) for a in sample.annotations)
        labels = replace(sample, annotations=tuple(a for a in cells if a.class_id is not None), classes=())
    target, expected = tmp_path / file_name, golden / "written" / file_name
    get_format(name).write(labels, target, **options)
    if os.environ.get("NAPARI_CYTO_NEW_GOLDEN"):
        shutil.rmtree(expected, ignore_errors=True)
        expected.parent.mkdir(exist_ok=True)
        (shutil.copytree if target.is_dir() else shutil.copy)(target, expected)
    assert contents(target) == contents(expected)


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in files}


@pytest.mark.parametrize("name", ["geojson", "coco", "yolo", "cric", "asap", "csv"])
def test_what_is_left_out_or_changed_is_said_before_writing(name: str, sample: LabelSet) -> None:
    said = " ".join(get_format(name).losses(sample))
    assert "1 rejected annotation is left out." in said
    regions = "region" in said
    assert regions == (name not in ("geojson", "asap"))
    assert ("The author of" in said) == (name not in ("geojson", "csv"))


def test_unknown_options_and_formats_are_refused_in_one_sentence(sample: LabelSet, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="option colour is not right"):
        get_format("csv").write(sample, tmp_path / "a.csv", colour="red")
    with pytest.raises(FormatError, match="default_box_um"):
        get_format("coco").losses(sample, default_box_um=-1)
    with pytest.raises(FormatError, match="no format 'xls'"):
        get_format("xls")


def test_points_without_scale_are_refused_where_boxes_are_needed(sample: LabelSet, tmp_path: Path) -> None:
    unscaled = replace(sample, slides=tuple(replace(s, mpp=None) for s in sample.slides))
    for name, target in (("coco", "a.json"), ("yolo", "yolo"), ("apacc", "apacc")):
        with pytest.raises((FormatError, ScaleUnknownError), match=r"µm per px is unknown|APACC knows"):
            get_format(name).write(unscaled, tmp_path / target)
        assert list(tmp_path.iterdir()) == []
    get_format("coco").write(unscaled, tmp_path / "a.json", assumed_mpp=0.5)


def test_several_slides_do_not_go_into_one_file(sample: LabelSet, tmp_path: Path) -> None:
    for name in ("geojson", "asap"):
        with pytest.raises(FormatError, match=r"expected one slide for one .*, got 2"):
            get_format(name).write(sample, tmp_path / f"a{get_format(name).suffix}")


def test_slides_of_the_same_name_get_files_of_their_own(sample: LabelSet, tmp_path: Path) -> None:
    slides = tuple(replace(s, name="../Con.svs") for s in sample.slides)
    for name in ("geojson", "asap", "yolo"):
        get_format(name).write(replace(sample, slides=slides), tmp_path / name)
        written = [p for p in (tmp_path / name).rglob("*") if p.suffix in (".geojson", ".xml", ".txt")]
        assert len(written) == 2
        assert all(".." not in p.name and p.stem.lower() != "con" for p in written)
    assert {p.name for p in tmp_path.iterdir()} == {"geojson", "asap", "yolo"}
