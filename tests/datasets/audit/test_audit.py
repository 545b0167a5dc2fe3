"""Promise: an audit finds each kind of leak and fault that is put into a good dataset, and nothing in a good one."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from napari_cyto.datasets import ApaccExportOptions, AuditReport, audit_job, export_apacc
from napari_cyto.datasets._crops import pad_centred
from napari_cyto.datasets.audit._checks import all_checks
from napari_cyto.datasets.audit._folder_subject import read_rgb
from napari_cyto.datasets.audit.crop_prints import CropPrints, make_print, without_white_frame
from napari_cyto.datasets.audit.job import audit
from napari_cyto.datasets.audit.near_duplicates import pairs_across
from napari_cyto.datasets.audit.report import Finding, Severity, report
from napari_cyto.datasets.audit.subject import Audited, AuditedCell
from napari_cyto.domain.edits import remove
from napari_cyto.domain.geometry import Box
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Cancelled, CancelToken
from napari_cyto.store import Project


def kinds(report: AuditReport, severity: str = "error") -> set[str]:
    return {f.kind for f in report.findings if f.severity == severity}


@pytest.fixture
def good(make_project, run, tmp_path: Path) -> Path:
    """A dataset of three smears without a fault."""
    made = make_project(slides=3, smear=["1", "2", "3"])
    run(export_apacc(made.folder, tmp_path / "good", ApaccExportOptions(overview=False)))
    return tmp_path / "good"


def one(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


def test_a_good_dataset_passes_with_its_class_shares(good: Path) -> None:
    report = audit(good)
    assert report.ok
    assert kinds(report) == kinds(report, "warning") == set()
    said = report.to_json()
    assert said["ok"] is True
    shares = next(f for f in said["findings"] if f["kind"] == "class_shares")
    assert {row["class"] for row in shares["rows"]} == {"healthy", "rubbish", "unhealthy"}
    assert all(set(f) >= {"kind", "detail", "severity", "rows"} for f in said["findings"])


@pytest.mark.parametrize("layout", ["published", "slices", "flat", "crops"])
def test_the_layouts_of_others_are_understood(good: Path, tmp_path: Path, layout: str) -> None:
    there = tmp_path / layout
    if layout == "published":
        shutil.copytree(good / "slices", there / "Smear slices")
        shutil.copytree(good / "cells", there / "Cell images")
    elif layout == "flat":
        there.mkdir()
        for path in (good / "slices").glob("*/*"):
            shutil.copy(path, there)
    else:
        shutil.copytree(good / ("cells" if layout == "crops" else "slices"), there)
    report = audit(there)
    assert report.ok
    assert ("no_sides" in kinds(report, "info")) == (layout == "flat")
    assert ("class_shares" in kinds(report, "info")) == (layout != "crops")


def move_smear(good: Path) -> None:
    source = one(good, "slices/train/*.txt")
    name = source.stem.rsplit("_", 2)[0]
    shutil.copy(source, good / "slices/test" / f"{name}_2000_0.txt")
    shutil.copy(source.with_suffix(".png"), good / "slices/test" / f"{name}_2000_0.png")
    (good / "slices/test" / f"{name}_2000_0.txt").write_text("")


def jpeg(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg", quality=70)
    with Image.open(file) as image:
        return np.asarray(image)


def copy_crop(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def spoil(good: Path) -> None:
        source = max((good / "cells/train").glob("*/*.png"), key=lambda p: p.stat().st_size)
        target = one(good, "cells/test/healthy/*.png")
        Image.fromarray(np.ascontiguousarray(change(read_rgb(source)))).save(target)

    return spoil


def write_line(text: str) -> Callable[[Path], None]:
    def spoil(good: Path) -> None:
        path = one(good, "slices/train/*.txt")
        path.write_text(path.read_text() + text)

    return spoil


SPOILED = {
    "same_smear": move_smear,
    "duplicate_crop": copy_crop(lambda a: a),
    "near_duplicate_crop": copy_crop(jpeg),
    "near_duplicate_crop, turned": copy_crop(lambda a: np.rot90(a)),
    "near_duplicate_crop, mirrored": copy_crop(lambda a: a[:, ::-1]),
    "near_duplicate_crop, scaled": copy_crop(lambda a: np.asarray(Image.fromarray(a).resize((90, 90)))),
    "near_duplicate_crop, darker": copy_crop(
        lambda a: np.asarray(ImageEnhance.Brightness(Image.fromarray(a)).enhance(0.8))
    ),
    "duplicate_crop, padded": copy_crop(pad_centred),
    "same_image": lambda good: shutil.copy(one(good, "slices/train/*.png"), one(good, "slices/test/*.png")),
    "label_outside": write_line("0 0.99 0.5 0.1 0.1\n"),
    "label_outside, wholly": write_line("0 5 0.5 0.1 0.1\n"),
    "two_classes": write_line("0 0.9 0.9 0.04 0.04\n2 0.9 0.9 0.04 0.04\n"),
    "unknown_class": write_line("7 0.5 0.5 0.1 0.1\n"),
    "bad_label": write_line("0 0.5 0.5\n"),
    "missing_label": lambda good: one(good, "slices/train/*.txt").unlink(),
    "missing_image": lambda good: one(good, "slices/train/*.png").unlink(),
    "bad_image": lambda good: one(good, "slices/train/*.png").write_bytes(b"no image"),
    "crop_class": lambda good: (good / "cells/train/healthy").rename(good / "cells/train/helthy"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_each_fault_is_found_by_name_with_its_rows(good: Path, case: str) -> None:
    SPOILED[case](good)
    kind = case.split(",")[0]
    report = audit(good)
    assert not report.ok
    assert kind in kinds(report)
    finding = next(f for f in report.findings if f.kind == kind)
    assert finding.rows
    assert finding.detail.endswith(".")
    assert finding.leak == (kind in {"same_smear", "duplicate_crop", "near_duplicate_crop", "same_image"})


def test_a_patient_of_two_smears_is_known_from_the_record(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=3, smear=["1", "2", "3"], patient=["P", "P", "Q"], side=["train", "test", "train"])
    options = ApaccExportOptions(overview=False, crops=False, allow_leak="a test")
    run(export_apacc(made.folder, tmp_path / "out", options))
    report = audit(tmp_path / "out")
    assert "same_patient" in kinds(report)


def test_blank_glass_in_both_sets_is_no_leak(good: Path) -> None:
    glass = Image.new("RGB", (80, 80), (243, 242, 240))
    for side in ("train", "test"):
        for i in range(3):
            glass.save(good / f"cells/{side}/rubbish/{side}_0-0_{i}_9-9_2021-07-07.png")
            Image.new("RGB", (2000, 2000), "white").save(good / f"slices/{side}/{side}{i}_0_0.png", compress_level=1)
            (good / f"slices/{side}/{side}{i}_0_0.txt").write_text("")
    report = audit(good)
    assert report.ok
    assert "empty_slices" in kinds(report, "info")


def test_a_class_that_only_one_side_has_is_a_warning(good: Path) -> None:
    write_line("3 0.5 0.5 0.1 0.1\n")(good)
    assert "class_on_one_side" in kinds(audit(good), "warning")


def two_slices(sides: tuple[str, str], boxes: tuple[Box, Box], offsets=((0, 0), (0, 2000))) -> Audited:
    slides = [
        SlideRecord(name=f"s{i}", stem=f"s{i}", smear="s", side=sides[i], size_hw=(2000, 2000), offset_yx=offsets[i])
        for i in range(2)
    ]
    cells = [AuditedCell(s.id, "healthy", "healthy", box, 1) for s, box in zip(slides, boxes, strict=True)]
    return Audited("two", slides, cells)


HALVES = (Box(100, 1950, 160, 2000), Box(100, 0, 160, 30))


def test_halves_of_a_cell_in_two_slices_are_found() -> None:
    [found] = [f for f in all_checks(two_slices(("train", "train"), HALVES)) if f.kind == "shared_box"]
    assert (found.severity, found.leak) == ("warning", False)
    [across] = [f for f in all_checks(two_slices(("train", "test"), HALVES)) if f.kind == "shared_box"]
    assert (across.severity, across.leak) == ("error", True)
    assert across.rows[0]["smear"] == "s"


def test_the_same_box_in_overlapping_slices_is_found() -> None:
    boxes = (Box(100, 1500, 160, 1560), Box(101, 500, 161, 560))
    audited = two_slices(("train", "train"), boxes, ((0, 0), (0, 1000)))
    assert "shared_box" in {f.kind for f in all_checks(audited)}


@pytest.mark.parametrize(
    "boxes",
    [
        (Box(100, 1950, 160, 2000), Box(101, 0, 160, 30)),  # other rows: two cells that both touch the border
        (Box(100, 1900, 160, 1990), Box(100, 0, 160, 30)),  # does not reach the border
    ],
)
def test_neighbours_at_a_border_are_two_cells(boxes: tuple[Box, Box]) -> None:
    assert "shared_box" not in {f.kind for f in all_checks(two_slices(("train", "train"), boxes))}


def test_a_project_is_audited_by_its_own_sets_or_the_planned_ones(make_project) -> None:
    made = make_project(slides=3)
    report = audit(made.folder)
    assert report.ok
    assert "planned_split" in kinds(report, "info")
    with Project.open(made.folder) as project:
        for record, side in zip(project.slides(), ("train", "test", "train"), strict=True):
            project.update_slide(replace(record, side=side, smear="one"))
    report = audit(made.folder)
    assert not report.ok
    assert "same_smear" in kinds(report)


def test_a_project_of_one_slide_says_that_it_cannot_be_divided(make_project) -> None:
    assert "no_split" in kinds(audit(make_project(slides=1).folder), "info")


@pytest.mark.parametrize("slides", [0, 1, 3])
def test_a_project_without_a_single_annotation_can_be_audited(make_project, slides: int, tmp_path: Path) -> None:
    folder = make_project(slides=slides, cells=1).folder if slides else tmp_path / "empty.cyto"
    with Project.open(folder) if slides else Project.create(folder, preset("apacc")) as project:
        marks = list(project.annotations())
        if marks:
            project.apply(remove(marks, "clear"), "me")
    report = audit(folder)
    assert report.ok
    assert "no_split" in kinds(report, "info")


def test_a_missing_slide_file_does_not_stop_an_audit(make_project) -> None:
    made = make_project(slides=3)
    Path(made.slides[1].path).unlink()
    report = audit(made.folder)
    assert "missing_image" in kinds(report, "warning")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + bytes(9), None], ids=["empty", "cut off", "other"])
def test_a_broken_image_of_a_project_is_a_finding_and_the_rest_is_audited(make_project, content: bytes | None) -> None:
    made = make_project(slides=3, side=["train", "test", "train"], smear=["1", "2", "1"])
    path = Path(made.slides[1].path)
    if content is None:
        Image.new("RGB", (50, 60)).save(path)
    else:
        path.write_bytes(content)
    report = audit(made.folder)
    [found] = [f for f in report.findings if f.kind == "bad_image"]
    assert (found.severity, found.rows[0]["slide"]) == ("error", path.name)
    assert "class_shares" in kinds(report, "info")


def test_a_slice_whose_pixels_are_cut_off_is_a_finding_and_the_rest_is_audited(good: Path) -> None:
    shutil.rmtree(good / "cells")
    image = one(good, "slices/train/*.png")
    image.write_bytes(image.read_bytes()[:2000])
    report = audit(good)
    assert "bad_image" in kinds(report)
    assert "class_shares" in kinds(report, "info")


def test_one_bad_line_hides_no_other_and_the_good_ones_are_audited(good: Path) -> None:
    write_line("0 0.5 0.5\nx 0.5 0.5 0.1 0.1\n0 5 0.5 0.1 0.1\n")(good)
    report = audit(good)
    [found] = [f for f in report.findings if f.kind == "bad_label"]
    assert len(found.rows) == 2
    assert "label_outside" in kinds(report)


def on_one_slide(*cells: tuple[Box, str, bool], mpp: float | None = 0.25) -> list[str]:
    slide = SlideRecord(name="a", size_hw=(2000, 2000), mpp=mpp)
    audited = Audited("a", [slide], [AuditedCell(slide.id, c, c, box, is_point=p) for box, c, p in cells])
    return [f.kind for f in all_checks(audited) if f.kind in ("same_box", "two_classes")]


def test_the_same_box_twice_and_one_box_with_two_classes_are_found() -> None:
    box, near, beside = Box(100, 100, 160, 160), Box(101, 102, 161, 161), Box(100, 130, 160, 190)
    assert on_one_slide((box, "HSIL", False), (box, "HSIL", False)) == ["same_box"]
    assert on_one_slide((box, "HSIL", False), (near, "HSIL", False)) == ["same_box"]
    assert on_one_slide((box, "HSIL", False), (near, "NILM", False)) == ["two_classes"]
    assert on_one_slide((box, "HSIL", False), (beside, "NILM", False)) == []


def test_points_are_the_same_by_their_distance_and_not_by_what_is_put_round_them() -> None:
    first, near, next_cell = (Box.around((500, x), 180, 180) for x in (500, 506, 515))
    assert on_one_slide((first, "HSIL", True), (near, "HSIL", True)) == ["same_box"]
    assert on_one_slide((first, "HSIL", True), (near, "HSIL", True), mpp=0.5) == []
    assert on_one_slide((first, "HSIL", True), (near, "NILM", True), mpp=None) == ["two_classes"]
    assert on_one_slide((first, "HSIL", True), (next_cell, "HSIL", True)) == []


def test_a_summary_without_errors_does_not_pass_over_warnings() -> None:
    found = report("a", [Finding("same_box", Severity.WARNING, "One.")])
    assert found.ok
    assert "1 kind of warning" in found.summary


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CytoError, match="Expected APACC label files or crops"):
        audit(tmp_path)
    with pytest.raises(CytoError, match="Expected a project or the folder of a data set"):
        audit(tmp_path / "nothing")


def test_the_job_ends_with_the_report(good: Path, run) -> None:
    ended = run(audit_job(good))
    assert ended.result == audit(good).to_json()
    assert ended.progress


def test_white_frames_do_not_count_in_a_print() -> None:
    rng = np.random.default_rng(0)
    cell = rng.integers(0, 200, (40, 60, 3), dtype=np.uint8)
    padded = pad_centred(cell)
    assert np.array_equal(without_white_frame(padded), cell)
    assert make_print(padded).digest == make_print(cell).digest
    white = np.full((30, 30, 3), 255, dtype=np.uint8)
    assert without_white_frame(white) is white
    assert not make_print(white).telling


def test_thousands_of_different_crops_have_no_pair_and_one_hidden_copy_is_found() -> None:
    rng = np.random.default_rng(1)
    train, test = CropPrints(), CropPrints()
    blobs = [
        np.asarray(Image.fromarray(rng.integers(0, 255, (5, 5, 3), dtype=np.uint8)).resize((40, 40), 3))
        for _ in range(3000)
    ]
    for i, blob in enumerate(blobs):
        (test if i % 5 == 0 else train).add(str(i), blob)
    assert pairs_across(train, test) == ()
    test.add("copy", jpeg(blobs[1]))
    [pair] = pairs_across(train, test)
    assert (pair.train, pair.test) == ("1", "copy")
    assert not pair.identical


def test_another_format_is_not_passed_as_a_tree_without_errors(tmp_path: Path) -> None:
    """A box outside of its image (0 5 0.5 0.1 0.1) in a YOLO folder was audited as "no error"."""
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "images" / "a.png")
    (tmp_path / "labels" / "a.txt").write_text("0 5 0.5 0.1 0.1\n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text("names: [HSIL]\ntrain: images\n", encoding="utf-8")
    with pytest.raises(CytoError, match="import it into a project and audit the project"):
        audit(tmp_path)


def test_labels_beside_an_apacc_tree_are_reported(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "10030_18_18000_136000.txt").write_text("0 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 5 0.5 0.1 0.1\n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text("names: [HSIL]\n", encoding="utf-8")
    assert "not_audited" in kinds(audit(tmp_path), "warning")


def test_a_crowd_of_labels_on_one_cell_is_reported_once_each() -> None:
    """Every label was paired with every other: 20,000 of them took the square of their number."""
    slide = SlideRecord(name="a", size_hw=(4000, 4000), mpp=0.25)
    crowd = [AuditedCell(slide.id, "HSIL", "HSIL", Box(5, 5, 105, 105))] * 1500
    apart = [AuditedCell(slide.id, "NILM", "NILM", Box(y, 500, y + 80, 580)) for y in range(0, 4000, 100)]
    one_of_another = AuditedCell(slide.id, "LSIL", "LSIL", Box(6, 6, 105, 105))
    found = {f.kind: f for f in all_checks(Audited("a", [slide], [*crowd, *apart, one_of_another]))}
    assert len(found["same_box"].rows) == 1499
    assert len(found["two_classes"].rows) == 1


def test_an_audit_is_cancelled_wherever_it_is(good: Path) -> None:
    token = CancelToken()
    token.cancel()
    *_, end = audit_job(good, token=token)
    assert isinstance(end, Cancelled)
    assert end.message == "Cancelled. Nothing was changed."
