"""Promise: import and evaluate tell the format from the source, say what they took it for, and refuse where two fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_cyto.cli.entry import run

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("place", "title"),
    [
        ("voc", "Pascal VOC"),
        ("labelstudio/export.json", "Label Studio JSON"),
        ("cvat/annotations.xml", "CVAT for images 1.1"),
        ("coco/instances.json", "COCO"),
    ],
)
def test_import_without_a_format(place: str, title: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", str(GOLDEN / place), str(tmp_path / "p.cyto"), "--json"]) == 0
    printed = capsys.readouterr()
    assert f"looks like {title}; it is read as" in printed.err
    assert json.loads(printed.out)["annotations_added"] > 0


def test_import_of_what_looks_like_two_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("asap/smear_4.xml", "voc/Annotations/field_1.xml"):
        (tmp_path / Path(place).name).write_bytes((GOLDEN / place).read_bytes())
    assert run(["import", str(tmp_path), str(tmp_path / "p.cyto")]) == 2
    assert "may be asap (ASAP XML) or voc (Pascal VOC); put the format before it" in capsys.readouterr().err


def test_import_names_what_came_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(GOLDEN / "labelstudio" / "export.json")
    assert run(["import", "coco", source, str(tmp_path / "p.cyto")]) == 2
    assert "expected COCO, got Label Studio JSON; import it as labelstudio." in capsys.readouterr().err


def test_import_of_nothing_and_of_an_unknown_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", str(tmp_path / "nothing.json"), str(tmp_path / "p.cyto")]) == 2
    assert "there is no such file or folder" in capsys.readouterr().err
    assert run(["import", "cocoo", str(tmp_path / "nothing.json"), str(tmp_path / "p.cyto")]) == 2
    assert "There is no format 'cocoo'" in capsys.readouterr().err


def test_evaluate_reads_qupaths_centroids_by_the_scale_that_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_text("image,x,y,class\na.png,100,120,HSIL\n", encoding="utf-8")
    table = "Image,Class,Centroid X µm,Centroid Y µm\na.png,HSIL,25,30\n"
    (tmp_path / "p.csv").write_text(table, encoding="utf-8")
    words = [
        "evaluate",
        "labels",
        "--truth",
        str(tmp_path / "t.csv"),
        "--pred",
        str(tmp_path / "p.csv"),
        "--radius-um",
        "1",
    ]
    assert run([*words, "--mpp", "0.25", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["detection"]["tp"] == 1


@pytest.mark.parametrize("named", [(), ("--format", "coco")])
def test_evaluate_reads_coco_results_by_their_truth(
    named: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 100}],
        "categories": [{"id": 1, "name": "HSIL"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}],
    }
    results = [
        {"image_id": 1, "category_id": 1, "bbox": [11, 10, 20, 20], "score": 0.9},
        {"image_id": 1, "category_id": 1, "keypoints": [1, 1, 2], "score": 0.9},
    ]
    for name, content in (("truth.json", truth), ("pred.json", results)):
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    words = ["evaluate", "labels", "--truth", str(tmp_path / "truth.json"), "--pred", str(tmp_path / "pred.json")]
    assert run([*words, "--radius-um", "5", "--mpp", "0.5", "--json", *named]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["detection"]["tp"] == 1
    assert "1 pose left out" in printed.err


@pytest.fixture
def project(tmp_path: Path) -> Path:
    assert run(["import", str(GOLDEN / "coco" / "instances.json"), str(tmp_path / "p.cyto"), "--json"]) == 0
    return tmp_path / "p.cyto"


def test_a_project_is_evaluated_as_it_is(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    rules = ["--radius-um", "5", "--mpp", "0.25", "--json"]
    truth = str(GOLDEN / "coco" / "instances.json")
    for argv in (["--truth", str(project), "--pred", truth], ["--truth", truth, "--pred", str(project)]):
        assert run(["evaluate", "labels", *argv, *rules]) == 0
        found = json.loads(capsys.readouterr().out)["detection"]
        assert (found["tp"] > 0, found["fp"], found["fn"]) == (True, 0, 0)


def test_a_project_is_no_label_file_to_import(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["import", str(project), str(project.with_name("other.cyto"))]) == 2
    err = capsys.readouterr().err
    assert "expected label files, got a napari-cyto project; open it, or export its labels and import those." in err
