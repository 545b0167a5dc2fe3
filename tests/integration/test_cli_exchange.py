"""Guards the main road on the command line: labels in, APACC dataset out, audited, and the same cells back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_cyto.cli.entry import run
from napari_cyto.store import Project

SIZE = 2000


def printed(argv: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[Any, str]:
    """Run a verb with --json; return its object and what stderr said."""
    assert run([*argv, "--json"]) == code, capsys.readouterr().err
    out, err = capsys.readouterr()
    return (json.loads(out) if out else None), err


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Four fields with noise, so that no two crops are alike, and a COCO file of three cells on each."""
    rng = np.random.default_rng(7)
    images, cells = [], []
    for number in range(1, 5):
        name = f"field{number}.png"
        field = rng.integers(0, 255, (60, 60, 3), np.uint8)
        Image.fromarray(field).resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(
            tmp_path / name, compress_level=1, dpi=(101600, 101600)
        )
        images.append({"id": number, "file_name": name, "width": SIZE, "height": SIZE})
        for corner, category in ((100, 1), (700, 2), (1500, 2)):
            box = [corner + 50 * number, corner, 80, 60]
            cells.append({"id": len(cells) + 1, "image_id": number, "category_id": category, "bbox": box})
    categories = [{"id": 1, "name": "HSIL"}, {"id": 2, "name": "NILM"}]
    path = tmp_path / "cells.json"
    path.write_text(json.dumps({"images": images, "annotations": cells, "categories": categories}), encoding="utf-8")
    return path


def cells_of(folder: Path) -> list[tuple[str | None, tuple[float, ...]]]:
    with Project.open(folder) as project:
        return sorted((a.class_id, a.geometry.bounds_yxyx) for a in project.annotations())


def test_labels_in_dataset_out_and_the_same_cells_back(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, out = tmp_path / "study.cyto", tmp_path / "dataset"
    printed(["import", "coco", str(labels), str(project), "--scheme", "bethesda"], capsys)
    assert len(cells_of(project)) == 12
    written, _ = printed(["export", "apacc", str(project), str(out), "--test-share", "0.25"], capsys)
    counts = written["counts"]
    assert sum(n for side in counts.values() for n in side.values()) == 12
    assert set(counts) == {"train", "test"}
    report, _ = printed(["audit", str(out)], capsys)
    assert report["ok"] is True
    again = tmp_path / "again.cyto"
    printed(["import", "apacc", str(out), str(again)], capsys)
    names = {"HSIL": "unhealthy", "NILM": "healthy"}
    assert cells_of(again) == sorted((names[str(c)], box) for c, box in cells_of(project))


def test_people_read_the_counts_as_a_table(labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "study.cyto"
    assert run(["import", "coco", str(labels), str(project), "--scheme", "bethesda"]) == 0
    assert run(["export", "apacc", str(project), str(tmp_path / "out"), "--pad-224", "--border", "drop"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("unhealthy", "healthy", "train", "test", "all cells"))


def test_a_leak_is_refused_in_one_sentence_unless_a_reason_is_given(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, out = tmp_path / "study.cyto", tmp_path / "out"
    printed(["import", "coco", str(labels), str(project), "--scheme", "bethesda"], capsys)
    with Project.open(project) as opened:
        from dataclasses import replace

        for number, slide in enumerate(opened.slides()):
            opened.update_slide(replace(slide, smear="one", side="train" if number % 2 else "test"))
    _, sentence = printed(["export", "apacc", str(project), str(out)], capsys, code=2)
    assert sentence.count("\n") == 1
    assert not out.exists()
    written, _ = printed(["export", "apacc", str(project), str(out), "--allow-leak", "one smear only"], capsys)
    assert written["leak_allowed_because"] == "one smear only"
    report, sentence = printed(["audit", str(out)], capsys, code=2)
    assert report["ok"] is False
    assert any(f["kind"] for f in report["findings"])
    assert sentence.count("\n") == 1


def test_a_refused_import_makes_no_project(labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels.write_text('{"images": []', encoding="utf-8")
    _, sentence = printed(["import", "coco", str(labels), str(tmp_path / "study.cyto")], capsys, code=2)
    assert "cells.json" in sentence
    assert not (tmp_path / "study.cyto").exists()


@pytest.mark.parametrize(
    ("option", "value", "word"), [("--test-share", "2", "test-share"), ("--border", "nowhere", "border")]
)
def test_an_option_out_of_its_range_is_named(
    option: str, value: str, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, sentence = printed(["export", "apacc", str(tmp_path), str(tmp_path / "out"), option, value], capsys, code=2)
    assert word in sentence


@pytest.mark.parametrize(
    ("verb", "format_name", "offered", "idle"),
    [
        ("import", "apacc", "--slide", "--stem-style"),
        ("import", "coco", "--outlines", "--assumed-mpp"),
        ("import", "csv", "--class-map", "--more-columns"),
        ("export", "geojson", "--object-type", "--cell-outline"),
        ("export", "yolo", "--assumed-mpp", "--image-width"),
    ],
)
def test_only_options_that_make_a_difference_are_offered(
    verb: str, format_name: str, offered: str, idle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([verb, format_name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert offered in shown
    assert idle not in shown


def test_the_scale_of_crics_images_can_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, project = tmp_path / "classifications.csv", tmp_path / "p.cyto"
    table.write_text("image_filename,bethesda_system,nucleus_x,nucleus_y\na.png,HSIL,5,6\n", encoding="utf-8")
    printed(["import", "cric", str(table), str(project), "--mpp", "0.5"], capsys)
    with Project.open(project) as opened:
        assert [slide.mpp for slide in opened.slides()] == [0.5]


@pytest.mark.shared
def test_cric_goes_in_whole(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "cric.cyto"
    printed(["import", "cric", str(shared / "cric"), str(project)], capsys)
    with Project.open(project) as opened:
        slides = opened.slides()
        assert len(slides) == 175
        assert sum(opened.counts().values()) == 4274  # two nuclei are in the table twice
        assert all(s.mpp is not None and 0.228 <= s.mpp <= 0.228 / 0.92 for s in slides)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "levels", "mpp"),
    [
        ("cric_fields.mrxs", 4, 0.228),
        ("CMU-1-Small-Region.svs", 1, 0.499),
        ("tcga_two_levels_no_mpp.svs", 2, None),
        ("generic_six_levels_odd_mpp.tiff", 6, None),
    ],
)
def test_info_of_real_slides(
    name: str, levels: int, mpp: float | None, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, _ = printed(["info", str(shared / "slides" / name)], capsys)
    expected = {"vendor", "width", "height", "levels", "downsamples", "mpp", "mpp_source", "objective", "associated"}
    assert expected <= set(known)
    assert known["levels"] == levels == len(known["downsamples"])
    assert known["mpp"] == mpp
    assert (known["mpp_source"] == "file") is (mpp is not None)
