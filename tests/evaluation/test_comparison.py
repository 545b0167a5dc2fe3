"""Guards that two label files are compared image by image, in µm, and that what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from verb_calls import printed, refusal

from napari_cyto.cli.entry import run
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.comparison import compare
from napari_cyto.formats import get_format
from napari_cyto.formats.format_guess import format_of

TRUTH = "x,y,label,image\n100,100,HSIL,a.png\n200,100,NILM,a.png\n50,50,HSIL,b.png\n"
PRED = "x,y,label,image\n108,106,HSIL,a.png\n200,101,HSIL,a.png\n500,500,NILM,b.png\n"


def image(name: str, mpp: float | None = 0.5) -> SlideRecord:
    return SlideRecord(name=name, size_hw=(1000, 1000), mpp=mpp)


def labels(slides: list[SlideRecord], cells: list[tuple[int, float, float, str]], **more: Any) -> LabelSet:
    marks = [Annotation(slide_id=slides[i].id, geometry=Point(y, x), class_id=c, **more) for i, y, x, c in cells]
    return LabelSet(tuple(slides), tuple(marks))


def files(folder: Path, truth: str = TRUTH, pred: str = PRED) -> list[str]:
    (folder / "truth.csv").write_text(truth, encoding="utf-8")
    (folder / "pred.csv").write_text(pred, encoding="utf-8")
    return ["evaluate", "labels", "--truth", str(folder / "truth.csv"), "--pred", str(folder / "pred.csv")]


def test_two_tables_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*files(tmp_path), "--radius-um", "5", "--mpp", "0.5", "--json"]
    detection = printed(argv, capsys)["detection"]
    assert [detection[k] for k in ("tp", "fp", "fn")] == [2, 1, 1]
    assert detection["precision"] == detection["recall"] == detection["f1"] == pytest.approx(2 / 3)
    assert detection["median_error_um"] == pytest.approx((5 + 0.5) / 2)
    hsil, nilm = (detection["per_class"][name] for name in ("HSIL", "NILM"))
    assert [hsil[k] for k in ("tp", "fp", "fn", "f1")] == [1, 1, 1, 0.5]
    assert [nilm[k] for k in ("tp", "fp", "fn", "f1")] == [0, 1, 1, 0]


def test_the_radius_is_in_micrometres(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first cell is 10 px from its detection: 5 µm at 0.5, 2.5 µm at 0.25, and the radius itself is within."""
    for radius_um, mpp, tp in (("5", "0.5", 2), ("4.99", "0.5", 1), ("2.5", "0.25", 2), ("2.49", "0.25", 1)):
        argv = [*files(tmp_path), "--radius-um", radius_um, "--mpp", mpp, "--json"]
        assert printed(argv, capsys)["detection"]["tp"] == tp


def test_people_get_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*files(tmp_path), "--radius-um", "5", "--mpp", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "all cells" in out
    assert "HSIL" in out
    assert "2 images" in out


def test_tables_that_name_no_image_are_of_the_same_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = files(tmp_path, "x,y,label\n1,1,a\n", "x,y,label\n1,2,a\n")
    assert run([*argv, "--radius-um", "5", "--mpp", "1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["detection"]["tp"] == 1
    assert "as one image" in err


def test_no_cells_at_all_is_an_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*files(tmp_path, "x,y,label\n", "x,y,label\n"), "--radius-um", "5", "--mpp", "1"]
    detection = printed([*argv, "--json"], capsys)["detection"]
    assert (detection["tp"], detection["fp"], detection["fn"], detection["f1"]) == (0, 0, 0, None)
    assert run(argv) == 0


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--radius-um", "5"], "--mpp"),
        (["--radius-um", "0", "--mpp", "1"], "radius"),
        (["--radius-um", "5", "--mpp", "-1"], "above 0"),
        (["--radius-um", "5", "--format", "nosuch"], "nosuch"),
        (["--radius-um", "5", "--format", "coco"], "truth.csv"),
    ],
)
def test_what_is_missing_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], word: str
) -> None:
    assert word in refusal([*files(tmp_path), *more], capsys)


@pytest.mark.parametrize("pred", [PRED.replace("b.png", "c.png"), PRED.replace(".png", "-other.png"), "x,y,label\n"])
def test_images_that_do_not_match_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], pred: str) -> None:
    sentence = refusal([*files(tmp_path, pred=pred), "--radius-um", "5", "--mpp", "1"], capsys)
    assert "do not match by name" in sentence
    assert "b.png" in sentence


def test_one_named_image_each_must_be_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = files(tmp_path, "x,y,label,image\n1,1,a,a.png\n", "x,y,label,image\n1,1,a,b.png\n")
    assert "do not match by name" in refusal([*argv, "--radius-um", "5", "--mpp", "1"], capsys)


def test_an_image_without_detections_can_be_declared_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [*files(tmp_path, pred="x,y,label,image\n100,100,HSIL,a.png\n"), "--radius-um", "5", "--mpp", "1"]
    assert "--missing-are-empty" in refusal(argv, capsys)
    detection = printed([*argv, "--missing-are-empty", "--json"], capsys)["detection"]
    assert [detection[k] for k in ("tp", "fp", "fn")] == [1, 0, 2]


def test_what_is_not_there_or_not_known_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = tmp_path / "truth.csv"
    known.write_text(TRUTH, encoding="utf-8")
    (tmp_path / "labels.doc").write_text("?", encoding="utf-8")
    for pred, word in ((tmp_path / "nothing.csv", "no such file"), (tmp_path / "labels.doc", "--format")):
        argv = ["evaluate", "labels", "--truth", str(known), "--pred", str(pred), "--radius-um", "5", "--mpp", "1"]
        assert word in refusal(argv, capsys)


def test_every_format_is_recognised_from_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same cells written in each format are all found again, whatever the other side's format is."""
    slides = [image("one.png"), image("two.png")]
    rng = np.random.default_rng(0)
    cells = [
        Annotation(slide_id=slides[i % 2].id, geometry=Box.around((y, x), 40, 40), class_id=c)
        for i, (y, x, c) in enumerate(zip(*rng.uniform(100, 900, (2, 12)), ["NILM", "HSIL", "LSIL"] * 4, strict=True))
    ]
    whole = LabelSet(tuple(slides), tuple(cells), ("NILM", "LSIL", "HSIL"))
    get_format("csv").write(whole, tmp_path / "truth.csv")
    for name, target in {
        "coco": "l.json",
        "cric": "t.csv",
        "csv": "p.csv",
        "geojson": "g",
        "asap": "a",
        "yolo": "y",
    }.items():
        get_format(name).write(whole, tmp_path / target)
        argv = ["evaluate", "labels", "--truth", str(tmp_path / "truth.csv"), "--pred", str(tmp_path / target)]
        detection = printed([*argv, "--radius-um", "2", "--mpp", "0.5", "--json"], capsys)["detection"]
        assert [detection[k] for k in ("tp", "fp", "fn", "macro_f1")] == [12, 0, 0, 1.0], name


GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("apacc", "apacc"),
        ("apacc/test", "apacc"),
        ("apacc/train/10030_18_18000_136000.txt", "apacc"),
        ("asap/smear_4.xml", "asap"),
        ("coco/instances.json", "coco"),
        ("cric", "cric"),
        ("cric/cells.csv", "cric"),
        ("cric/classifications.csv", "cric"),
        ("csv/semicolons.csv", "csv"),
        ("csv/tabs.tsv", "csv"),
        ("geojson", "geojson"),
        ("geojson/qupath_0.2.json", "geojson"),
        ("yolo", "yolo"),
        ("yolo/data.yaml", "yolo"),
    ],
)
def test_a_format_is_recognised_from_what_programs_write(place: str, name: str) -> None:
    assert format_of(GOLDEN / place) == name


def test_names_may_differ_in_folder_extension_and_case() -> None:
    truth = labels([image("A/One.png"), image("two.png")], [(0, 5, 5, "a"), (1, 9, 9, "a")])
    pred = labels([image("two.jpg"), image("one.jpg")], [(1, 5, 5, "a"), (0, 9, 9, "a")])
    assert compare(truth, pred, 1).detection.overall.tp == 2


def test_two_images_of_one_name_are_refused() -> None:
    truth = labels([image("a/x.png"), image("b/x.png")], [])
    with pytest.raises(CytoError, match=r"not clear which image of the truth 'x\.png'"):
        compare(truth, labels([image("x.png"), image("y.png")], []), 1)


def test_each_image_has_its_own_scale() -> None:
    truth = labels([image("a", 0.25), image("b", 1.0)], [(0, 0, 0, "c"), (1, 0, 0, "c")])
    pred = labels([image("a", None), image("b", 1.0)], [(0, 0, 12, "c"), (1, 0, 12, "c")])
    result = compare(truth, pred, 3)
    assert result.detection.overall.tp == 1
    assert result.median_error_um == 3
    assert dict(result.mpp) == {"a": 0.25, "b": 1.0}


def test_scales_that_disagree_are_refused_until_one_is_given() -> None:
    truth, pred = labels([image("a", 0.25)], []), labels([image("a", 0.5)], [])
    with pytest.raises(CytoError, match="disagree"):
        compare(truth, pred, 3)
    result = compare(truth, pred, 3, mpp=0.25)
    assert any("for example 0.5" in remark for remark in result.remarks)


def test_only_what_is_meant_as_a_cell_counts() -> None:
    """Rejected marks and regions never do; proposals do as predictions, not as the truth."""
    slide = image("a")
    cells = [(0, 5.0, 5.0, "c")]
    proposed = labels([slide], cells, status=Status.UNREVIEWED)
    region = Annotation(slide_id=slide.id, geometry=Polygon(((0, 0), (0, 9), (9, 9))), class_id=None)
    accepted = LabelSet((slide,), (*labels([slide], cells).annotations, region))
    rejected = labels([slide], cells, status=Status.REJECTED)
    assert compare(accepted, proposed, 1).detection.overall.f1 == 1
    assert compare(proposed, accepted, 1).detection.overall.fp == 1
    assert compare(accepted, rejected, 1).detection.overall.fn == 1
    assert len(compare(proposed, accepted, 1).remarks) == 2


def test_classes_that_share_no_name_are_remarked_on() -> None:
    slide = image("a")
    result = compare(labels([slide], [(0, 1, 1, "HSIL")]), labels([slide], [(0, 1, 1, "unhealthy")]), 1)
    assert result.detection.overall.tp == 1
    assert "no class in common" in result.remarks[0]


@pytest.mark.shared
def test_real_cells_find_themselves_after_a_tremor(shared: Path, tmp_path: Path) -> None:
    """CRIC's nuclei, moved by up to a micrometre, are found but for none; without classes to mistake, F1 is 1."""
    truth = get_format("cric").read(shared / "cric" / "cells.csv")
    rng = np.random.default_rng(1)
    moved = []
    scale = {slide.id: slide.mpp or 0 for slide in truth.slides}
    once = {(a.slide_id, a.geometry, a.class_id): a for a in truth.annotations}  # CRIC has two of its cells twice
    for a in once.values():
        dy, dx = rng.uniform(-0.7, 0.7, 2) / scale[a.slide_id]
        centre = a.geometry.centre_yx
        moved.append(
            Annotation(slide_id=a.slide_id, geometry=Point(centre[0] + dy, centre[1] + dx), class_id=a.class_id)
        )
    result = compare(truth, LabelSet(truth.slides, tuple(moved)), 6)
    assert result.detection.overall.f1 == 1
    assert result.detection.macro_f1 == 1
    assert result.median_error_um is not None
    assert 0.3 < result.median_error_um < 0.7


def test_a_cell_that_the_truth_has_twice_counts_once_and_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "x,y,label,image\n100,100,HSIL,a.png\n100,100,HSIL,a.png\n100,100,LSIL,a.png\n"
    argv = [*files(tmp_path, table, "x,y,label,image\n100,100,HSIL,a.png\n"), "--radius-um", "5", "--mpp", "0.5"]
    found = printed([*argv, "--json"], capsys)
    assert [found["detection"][k] for k in ("tp", "fp", "fn")] == [1, 0, 1]
    assert any("are counted once: 1" in remark for remark in found["remarks"])
    assert any("1 shape more than one class" in remark for remark in found["remarks"])


@pytest.mark.parametrize(
    ("row", "words"), [("nan,1,HSIL,a.png", "got 'nan'. Correct it."), ("0.1,0.2,HSIL,a.png", "fractions of the image")]
)
def test_advice_and_refusals_are_those_of_an_evaluation(
    row: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [*files(tmp_path, pred=f"x,y,label,image\n{row}\n"), "--radius-um", "5", "--mpp", "0.5"]
    said = refusal(argv, capsys)
    assert words in said
    assert "--skip-bad" not in said
