"""Promise: an export is APACC to the byte, whole or not there, and nothing of it leaks."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from napari_cyto.datasets import ApaccExportOptions, export_apacc, import_labels, preview
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add, replace_all
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.files.atomic import EXPORT_RECORD
from napari_cyto.formats.apacc.label_lines import COLOURS
from napari_cyto.formats.apacc.names import parse_crop_name, parse_stem
from napari_cyto.jobs.events import Failed
from napari_cyto.slides import shared_cache
from napari_cyto.store import Project

FAST = ApaccExportOptions(overview=False, crops=False)


def labels(out: Path) -> dict[str, str]:
    return {p.relative_to(out / "slices").as_posix(): p.read_text() for p in sorted((out / "slices").rglob("*.txt"))}


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def slide_file(
    folder: Path, name: str, size_hw: tuple[int, int], colour: tuple[int, int, int] = (200, 180, 220)
) -> Path:
    path = folder / name
    noise = np.random.default_rng(len(name)).integers(0, 20, (*size_hw, 3), dtype=np.uint8)
    Image.fromarray(np.asarray(colour, dtype=np.uint8) - noise).save(path, compress_level=1)
    return path


def project_of(folder: Path, marks: dict[Path, list], scheme: str = "apacc", **facts: object) -> Path:
    """Make a project of image files with geometries, or (geometry, class) pairs, on them."""
    with Project.create(folder, preset(scheme)) as project:
        for path, shapes in marks.items():
            record = SlideRecord(name=path.name, path=str(path), size_hw=pixels_of(path).shape[:2], **facts)
            project.add_slides([record])
            pairs = [s if isinstance(s, tuple) else (s, preset(scheme).ids[0]) for s in shapes]
            if pairs:
                project.apply(
                    add([Annotation(slide_id=record.id, geometry=g, class_id=c) for g, c in pairs], "x"), "me"
                )
    return folder


def test_fields_that_are_written_take_no_room_among_the_tiles_in_view(tmp_path: Path, run) -> None:
    files = [slide_file(tmp_path, f"field-{k}.png", (60, 60)) for k in range(3)]
    project = project_of(tmp_path / "p.cyto", {path: [Box(10, 10, 40, 40)] for path in files})
    before = shared_cache().nbytes
    run(export_apacc(project, tmp_path / "out", FAST))
    assert len(labels(tmp_path / "out")) == 3
    assert shared_cache().nbytes == before


def test_the_tree_has_slices_labels_crops_and_overviews_for_each_side(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=3)
    out = tmp_path / "out"
    result = run(export_apacc(made.folder, out, ApaccExportOptions(crop_date=date(2021, 7, 7)))).result
    assert sorted(p.name for p in out.iterdir()) == sorted([EXPORT_RECORD, "cells", "overview", "slices"])
    assert result["slices"] == {"train": 2, "test": 1}
    assert result["cells"] == len(made.cells)
    for side in ("train", "test"):
        stems = {p.stem for p in (out / "slices" / side).glob("*.png")}
        assert stems == {p.stem for p in (out / "slices" / side).glob("*.txt")}
        assert stems == {p.stem for p in (out / "overview" / side).glob("*.png")}
        for stem in stems:
            assert pixels_of(out / "slices" / side / f"{stem}.png").shape == (2000, 2000, 3)
            name = parse_stem(stem)
            assert (name.y0, name.x0) == (0, 0)
        crops = sorted((out / "cells" / side).rglob("*.png"))
        assert len(crops) == sum(result["counts"][side].values())
        lines = {stem: (out / "slices" / side / f"{stem}.txt").read_text().splitlines() for stem in stems}
        for path in crops:
            crop = parse_crop_name(path.name)
            number, x, y, width, height = lines[f"{crop.smear}_{crop.x0}_{crop.y0}"][crop.number - 1].split()
            assert path.parent.name == {"0": "healthy", "1": "rubbish", "2": "unhealthy", "3": "bothcells"}[number]
            assert pixels_of(path).shape[:2] == (round(float(height) * 2000), round(float(width) * 2000))
            assert (crop.y, crop.x) == (int(float(y) * 2000), int(float(x) * 2000))
            assert crop.day == date(2021, 7, 7)


def test_pixels_of_slices_and_crops_are_those_of_the_slide_and_the_rest_is_white(tmp_path: Path, run) -> None:
    path = slide_file(tmp_path, "wide.png", (900, 2500))
    project = project_of(tmp_path / "p.cyto", {path: [Box(100, 2100, 160, 2190), Box(10, 10, 50, 70)]})
    run(export_apacc(project, tmp_path / "out", ApaccExportOptions(all_to_train=True)))
    pixels = pixels_of(path)
    right = pixels_of(tmp_path / "out/slices/train/wide_2000_0.png")
    assert np.array_equal(right[:900, :500], pixels[:, 2000:])
    assert (right[900:] == 255).all()
    assert (right[:, 500:] == 255).all()
    crop = next((tmp_path / "out/cells/train/healthy").glob("wide_2000-0_1_145-130_*.png"))
    assert np.array_equal(pixels_of(crop), pixels[100:160, 2100:2190])


def test_cells_of_one_patient_all_go_to_train_and_it_is_said(tmp_path: Path, run) -> None:
    path = slide_file(tmp_path, "only.png", (900, 900))
    project = project_of(tmp_path / "p.cyto", {path: [Box(10, 10, 50, 70)]})
    ended = run(export_apacc(project, tmp_path / "out"))
    assert (tmp_path / "out/slices/train/only_0_0.txt").is_file()
    assert not list((tmp_path / "out/slices").glob("test/*"))
    assert any("There is no test set" in note for note in ended.notes)
    assert "one patient" in ended.result["split"]["algorithm"]


def test_overviews_show_the_collections_colours_and_slices_stay_clean(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=2)
    run(export_apacc(made.folder, tmp_path / "out"))
    drawn = next((tmp_path / "out/overview/train").glob("*.png"))
    pixels, clean = pixels_of(drawn), pixels_of(tmp_path / "out/slices/train" / drawn.name)
    for class_id in ("healthy", "rubbish", "unhealthy"):
        colour = ImageColor.getrgb(COLOURS[class_id])
        assert (pixels == colour).all(-1).any()
        assert not (clean == colour).all(-1).any()


def test_crops_are_padded_with_white_and_never_stretched(tmp_path: Path, run) -> None:
    path = slide_file(tmp_path, "s.png", (900, 900))
    project = project_of(tmp_path / "p.cyto", {path: [Box(100, 100, 151, 180), Box(300, 300, 700, 360)]})
    ended = run(export_apacc(project, tmp_path / "out", ApaccExportOptions(all_to_train=True, pad_crops_px=224)))
    small, large = sorted((tmp_path / "out/cells/train/healthy").glob("*.png"))
    pixels = pixels_of(path)
    padded = pixels_of(small)
    assert padded.shape == (224, 224, 3)
    assert np.array_equal(padded[86:137, 72:152], pixels[100:151, 100:180])
    assert (padded[:86] == 255).all()
    assert pixels_of(large).shape == (400, 224, 3)
    assert any("larger than the padded size" in note for note in ended.notes)


def test_only_slices_with_cells_unless_all_are_requested(tmp_path: Path, run) -> None:
    path = slide_file(tmp_path, "s.png", (2100, 4100))
    project = project_of(tmp_path / "p.cyto", {path: [Box(100, 100, 150, 150)]})
    options = FAST.model_copy(update={"test_share": 0})
    run(export_apacc(project, tmp_path / "some", options))
    assert list(labels(tmp_path / "some")) == ["train/s_0_0.txt"]
    run(export_apacc(project, tmp_path / "all", options.model_copy(update={"all_slices": True})))
    written = labels(tmp_path / "all")
    assert set(written) == {f"train/s_{x}_{y}.txt" for x in (0, 2000, 4000) for y in (0, 2000)}
    assert [text for name, text in written.items() if name != "train/s_0_0.txt"] == [""] * 5


@pytest.mark.parametrize(
    ("border", "expected"),
    [
        ("centre", {"train/s_0_0.txt": "0 0.985 0.0375 0.03 0.025\n"}),
        (
            "every",
            {
                "train/s_0_0.txt": "0 0.985 0.0375 0.03 0.025\n",
                "train/s_2000_0.txt": "0 0.01 0.0375 0.02 0.025\n",
            },
        ),
        ("drop", {"train/s_0_0.txt": "0 0.0375 0.0375 0.025 0.025\n"}),
    ],
)
def test_a_cell_on_a_slice_border_is_treated_as_stated(border: str, expected: dict, tmp_path: Path, run) -> None:
    path = slide_file(tmp_path, "s.png", (500, 2600))
    shapes = [Box(50, 1940, 100, 2040)] + ([Box(50, 50, 100, 100)] if border == "drop" else [])
    project = project_of(tmp_path / "p.cyto", {path: shapes})
    options = ApaccExportOptions(overview=False, crops=False, all_to_train=True, border=border)
    ended = run(export_apacc(project, tmp_path / "out", options))
    assert labels(tmp_path / "out") == expected
    assert any("border" in note for note in ended.notes)
    assert json.loads((tmp_path / "out" / EXPORT_RECORD).read_text())["border"] == border


def test_only_accepted_cells_are_written_and_the_rest_is_counted(tmp_path: Path, run) -> None:
    path = slide_file(tmp_path, "s.png", (500, 500))
    shapes = [Box(10 * i, 10, 10 * i + 30, 40) for i in range(4)]
    outline = Polygon(((200.0, 200.0), (200.0, 260.0), (240.0, 230.0)))
    region = (Polygon(((0.0, 0.0), (0.0, 400.0), (400.0, 400.0))), None)
    folder = project_of(tmp_path / "p.cyto", {path: [*shapes, outline, region]})
    with Project.open(folder) as project:
        marks = [a for a in project.annotations() if isinstance(a.geometry, Box)]
        project.apply(replace_all([(marks[0], replace(marks[0], status=Status.UNREVIEWED))], "x"), "me")
        project.apply(replace_all([(marks[1], replace(marks[1], status=Status.REJECTED))], "x"), "me")
    options = FAST.model_copy(update={"test_share": 0})
    ended = run(export_apacc(folder, tmp_path / "out", options))
    assert ended.result["cells"] == 3
    said = " ".join(ended.notes)
    for words in ("1 region (", "1 unreviewed", "1 rejected", "1 outline is"):
        assert words in said
    more = run(export_apacc(folder, tmp_path / "out", options.model_copy(update={"include_proposed": True})))
    assert more.result["cells"] == 4


def test_points_become_boxes_of_their_class_in_um_and_need_the_scale(tmp_path: Path, run) -> None:
    path = slide_file(tmp_path, "s.png", (900, 900))
    options = FAST.model_copy(update={"test_share": 0})
    known = project_of(tmp_path / "k.cyto", {path: [Point(400, 500)]}, mpp=0.25, mpp_source="user")
    run(export_apacc(known, tmp_path / "k", options))
    assert labels(tmp_path / "k") == {"train/s_0_0.txt": "0 0.25 0.2 0.08 0.08\n"}  # 40 µm are 160 px
    unknown = project_of(tmp_path / "u.cyto", {path: [Point(400, 500)]})
    refusal = run(export_apacc(unknown, tmp_path / "u", options)).refusal
    assert "s.png" in refusal
    assert "Expected the µm per px of" in refusal
    run(export_apacc(unknown, tmp_path / "u", options.model_copy(update={"point_px": 100})))
    assert labels(tmp_path / "u") == {"train/s_0_0.txt": "0 0.25 0.2 0.05 0.05\n"}


def test_bethesda_becomes_apacc_and_a_class_without_counterpart_is_refused_by_name(tmp_path: Path, run) -> None:
    path = slide_file(tmp_path, "s.png", (500, 500))
    options = FAST.model_copy(update={"test_share": 0})
    classes = ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC", "rubbish", "bothcells")
    shapes = [(Box(10, 10 + 40 * i, 40, 40 + 40 * i), c) for i, c in enumerate(classes)]
    folder = project_of(tmp_path / "b.cyto", {path: shapes}, "bethesda")
    result = run(export_apacc(folder, tmp_path / "b", options)).result
    assert result["counts"]["train"] == {"bothcells": 1, "healthy": 1, "rubbish": 1, "unhealthy": 5}
    first = preset("ki67").ids[0]
    other = project_of(tmp_path / "k.cyto", {path: [(Box(1, 1, 30, 30), first)]}, "ki67")
    refusal = run(export_apacc(other, tmp_path / "k", options)).refusal
    assert first in refusal
    assert "No APACC class" in refusal
    own = options.model_copy(update={"class_map": {first: "unhealthy"}})
    assert run(export_apacc(other, tmp_path / "k", own)).result["counts"]["train"] == {"unhealthy": 1}


def test_two_slides_of_one_name_and_dangerous_names_stay_apart_and_inside(tmp_path: Path, run) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = slide_file(tmp_path / "a", "x.png", (300, 300)), slide_file(tmp_path / "b", "x.png", (310, 310))
    folder = project_of(tmp_path / "p.cyto", {first: [Box(10, 10, 60, 60)], second: [Box(20, 20, 60, 60)]})
    with Project.open(folder) as project:
        project.update_slide(replace(project.slides()[0], smear="../../CON"))
    third = slide_file(tmp_path, "y.png", (300, 320))
    with Project.open(folder) as project:
        record = SlideRecord(name="x.PNG", path=str(third), size_hw=(300, 320))
        project.add_slides([record])
        mark = Annotation(slide_id=record.id, geometry=Box(5, 5, 50, 50), class_id="healthy")
        project.apply(add([mark], "x"), "me")
    run(export_apacc(folder, tmp_path / "deep/out", FAST))
    stems = [Path(name).stem for name in labels(tmp_path / "deep/out")]
    assert len(stems) == len({s.casefold() for s in stems}) == 3
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["out"]
    assert "x_0_0" in stems
    assert "x-2_0_0" in stems


def test_an_exported_tree_read_and_exported_again_is_the_same_to_the_byte(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=4, size_hw=(700, 2300), smear=["10030_18", "669-15", "669-15", "s 4"])
    run(export_apacc(made.folder, tmp_path / "one"))
    read = run(import_labels("apacc", tmp_path / "one", tmp_path / "again.cyto")).result
    assert read["annotations_added"] == len(made.cells)
    run(export_apacc(tmp_path / "again.cyto", tmp_path / "two", ApaccExportOptions(seed=99)))
    for below in ("slices/train", "slices/test"):
        one = {p.name: p.read_bytes() for p in (tmp_path / "one" / below).iterdir()}
        assert one == {p.name: p.read_bytes() for p in (tmp_path / "two" / below).iterdir()}
        assert one


def test_an_empty_slice_of_an_imported_tree_keeps_its_empty_file(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=2, size_hw=(300, 2300), cells=4)
    run(export_apacc(made.folder, tmp_path / "one", ApaccExportOptions(overview=False, all_slices=True)))
    run(import_labels("apacc", tmp_path / "one", tmp_path / "again.cyto"))
    run(export_apacc(tmp_path / "again.cyto", tmp_path / "two", FAST))
    assert labels(tmp_path / "one") == labels(tmp_path / "two")
    assert len(labels(tmp_path / "two")) == 4


def test_a_project_without_cells_or_without_its_slide_file_is_refused_in_one_sentence(
    make_project, run, tmp_path
) -> None:
    path = slide_file(tmp_path, "s.png", (300, 300))
    bare = project_of(tmp_path / "bare.cyto", {path: []})
    assert "no cells to export" in run(export_apacc(bare, tmp_path / "out", FAST)).refusal
    made = make_project(slides=2)
    Path(made.slides[0].path).unlink()
    assert "made-0.png" in run(export_apacc(made.folder, tmp_path / "out", FAST)).refusal


def test_damaged_tiles_are_reported_and_recorded(tmp_path: Path, run) -> None:
    path = slide_file(tmp_path, "s.png", (300, 300))
    project = project_of(tmp_path / "p.cyto", {path: [Box(10, 10, 60, 60)]})
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = b"\0" * (len(data) - len(data) // 2)
    path.write_bytes(data)
    ended = run(export_apacc(project, tmp_path / "out", FAST.model_copy(update={"test_share": 0})))
    assert any("cannot be read" in note for note in ended.notes)
    assert json.loads((tmp_path / "out" / EXPORT_RECORD).read_text())["unreadable_tiles"]


def test_patients_are_not_named_in_the_record(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=3, patient=["Jane Doe", "Jane Doe", "John Doe"], smear=["1", "2", "3"])
    run(export_apacc(made.folder, tmp_path / "out", FAST))
    text = (tmp_path / "out" / EXPORT_RECORD).read_text()
    rows = {row["smear"]: row["patient"] for row in json.loads(text)["slides"]}
    assert rows["1"] == rows["2"] != rows["3"]
    assert "Doe" not in json.dumps(json.loads(text)["slides"])


def test_the_preview_says_what_the_export_then_does(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=5)
    seen = preview(made.folder)
    result = run(export_apacc(made.folder, tmp_path / "out")).result
    assert seen.ok
    assert dict(seen.slices or {}) == result["slices"]
    assert {s: sum(c.values()) for s, c in result["counts"].items()} == seen.cells
    assert seen.split == result["split"]
    assert seen.estimated_bytes > 0
    assert isinstance(seen.to_json()["verdict"], str)


def test_a_project_that_is_none_ends_in_one_sentence(tmp_path: Path) -> None:
    last = list(export_apacc(tmp_path / "nothing.cyto", tmp_path / "out"))[-1]
    assert isinstance(last, Failed)
    assert last.expected
