"""Guards the verb ``evaluate``: the four things that it evaluates, and the sentence for whatever does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from verb_calls import refusal

from napari_cyto.cli import evaluate_model as model_evaluation
from napari_cyto.cli.entry import run
from napari_cyto.cli.evaluate import named
from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.evaluation import bundle_scores
from napari_cyto.evaluation.class_maps import class_map
from napari_cyto.evaluation.ki67 import ki67_of
from napari_cyto.store import Project

TRUTH = "x,y,label,image\n100,100,SCC,a.png\n200,100,NILM,a.png\n"
PRED = "x,y,label,image\n100,101,HSIL,a.png\n200,101,NILM,a.png\n"


@pytest.fixture
def no_torch_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the verb run on made-up models where torch is not installed."""
    monkeypatch.setattr(model_evaluation, "start_for_networks", lambda what: None)


@pytest.fixture
def faked(evaluate_source: Any, made: Any, monkeypatch: pytest.MonkeyPatch, no_torch_needed: None) -> None:
    """Whatever bundle is named, it is the made-up one."""
    monkeypatch.setattr(
        bundle_scores,
        "evaluate_bundle",
        lambda name, *args: evaluate_source(made.bundle(name if name == "detector" else "classifier"), *args),
    )


@pytest.mark.parametrize("kind", ["classifier", "detector"])
def test_a_bundle_is_reported_as_json_and_as_tables(
    faked: None, made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    source = f"cric:{made.cric_folder(tmp_path / 'cric')}"
    assert run(["evaluate", "model", kind, "--data", source, "--draws", "100", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["kind"] == kind
    assert "report" not in printed
    report = tmp_path / "report"
    assert run(["evaluate", "model", kind, "--data", source, "--draws", "100", "--report", str(report)]) == 0
    out = capsys.readouterr().out
    assert "HSIL+ recall" in out
    assert str(report / "index.html") in out
    assert (report / "evaluation.json").is_file()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["model"], ("MODEL",)),
        (["model", "made-up"], ("--data SRC",)),
        (["model", "made-up", "--data", "cric:x", "--mpp", "1"], ("--mpp",)),
        (["labels", "--truth", "a.csv"], ("--truth FILE", "--pred FILE")),
        (["labels", "--truth", "a.csv", "--pred", "b.csv", "--side", "all"], ("--side",)),
        (["grid", "--data", "cric:x"], ("--out DIR",)),
        (["grid", "--data", "cric:x", "--out", "o", "--report", "r"], ("--report",)),
        (["ki67", "a.csv", "--data", "cric:x"], ("--data",)),
        (["model", "made-up", "--data", "cric:x", "--side", "left"], ("--side: expected", "got 'left'")),
        (["model", "made-up", "--data", "cric:x", "--radius-um", "0"], ("--radius-um: expected", "got '0'")),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    no_torch_needed: None, capsys: pytest.CaptureFixture[str], argv: list[str], words: tuple[str, ...]
) -> None:
    sentence = refusal(["evaluate", *argv], capsys)
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["b", "--data", "x", "--radius-um", "5"], ["model", "b", "--data", "x", "--radius-um", "5"]),
        (["--truth", "a", "--pred=b", "--json"], ["labels", "--truth", "a", "--pred=b", "--json"]),
        (["--grid", "--data", "a", "--grid-all", "--out", "o"], ["grid", "--data", "a", "--all", "--out", "o"]),
        (["--ki67", "a.csv", "--format", "csv"], ["ki67", "a.csv", "--format", "csv"]),
        (["--json", "--ki67=a.csv"], ["ki67", "--json", "a.csv"]),
    ],
)
def test_a_call_of_the_former_version_is_understood_with_a_hint(
    old: list[str], new: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert named(old) == new
    assert f"evaluate {new[0]}" in capsys.readouterr().err
    assert named(new) == new
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("mpp", ["1000", "1e-9", "0.049", "20.1", "nan", "inf", "-1"])
def test_a_scale_that_no_microscope_gives_is_refused(
    mpp: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 1e-9 µm per px every cell lies within 6 µm of any detection: all found, and nothing said."""
    (tmp_path / "truth.csv").write_text(TRUTH, encoding="utf-8")
    argv = ["evaluate", "labels", "--truth", str(tmp_path / "truth.csv"), "--pred", str(tmp_path / "truth.csv")]
    assert "0.05 to 20" in refusal([*argv, "--radius-um", "5", "--mpp", mpp], capsys)


@pytest.mark.parametrize("radius_um", ["0", "-3", "201", "1e9", "nan", "inf"])
def test_a_radius_wider_than_any_cell_is_refused(
    radius_um: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "truth.csv").write_text(TRUTH, encoding="utf-8")
    argv = [
        "evaluate",
        "labels",
        "--truth",
        str(tmp_path / "truth.csv"),
        "--pred",
        str(tmp_path / "truth.csv"),
        "--mpp",
        "1",
    ]
    assert "--radius-um" in refusal([*argv, "--radius-um", radius_um], capsys)


def test_without_torch_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("napari_cyto.models.torch_installed.has_torch", lambda: False)
    assert "napari-cyto[models]" in refusal(["evaluate", "model", "made-up", "--data", "cric:x"], capsys)


def test_label_files_are_compared_through_a_class_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "truth.csv").write_text(TRUTH, encoding="utf-8")
    (tmp_path / "pred.csv").write_text(PRED, encoding="utf-8")
    (tmp_path / "pairs.json").write_text('{"SCC": "bad", "HSIL": "bad"}', encoding="utf-8")
    argv = ["evaluate", "labels", "--truth", str(tmp_path / "truth.csv"), "--pred", str(tmp_path / "pred.csv")]
    argv += ["--radius-um", "5", "--mpp", "1", "--json"]
    assert run(argv) == 0
    plain = json.loads(capsys.readouterr().out)["detection"]["per_class"]
    assert (plain["SCC"]["fn"], plain["HSIL"]["fp"]) == (1, 1)
    assert run([*argv, "--class-map", "bethesda-4"]) == 0
    four = json.loads(capsys.readouterr().out)["detection"]["per_class"]
    assert {name: counts["tp"] for name, counts in four.items()} == {"HSIL": 1, "NILM": 1}
    assert run([*argv, "--class-map", str(tmp_path / "pairs.json")]) == 0
    assert json.loads(capsys.readouterr().out)["detection"]["per_class"]["bad"]["tp"] == 1
    assert "There is no class map 'nosuch'" in refusal([*argv, "--class-map", "nosuch"], capsys)


def test_maps_lead_into_a_scheme_or_out_of_one_and_drop_nothing(tmp_path: Path) -> None:
    assert class_map("bethesda-4", ["SCC", "NILM", "light_dysplastic"]) == {
        "SCC": "HSIL",
        "NILM": "NILM",
        "light_dysplastic": "LSIL",
    }
    assert class_map("herlev", ["light_dysplastic", "NILM"]) == {"light_dysplastic": "LSIL", "NILM": "NILM"}
    assert class_map("apacc", ["HSIL", "unhealthy"]) == {"HSIL": "unhealthy", "unhealthy": "unhealthy"}
    with pytest.raises(CytoError, match="rubbish, other"):
        class_map("bethesda-4", ["rubbish", "other", "NILM"])
    with pytest.raises(CytoError, match="no counterpart"):
        class_map("ki67", ["NILM"])
    pairs = tmp_path / "pairs.yaml"
    pairs.write_text("a: b\n", encoding="utf-8")
    assert class_map(str(pairs), ["a", "c"]) == {"a": "b", "c": "c"}
    for spoiled in ("- a\n", "a: 1\n", "a: ''\n", "a:\n"):
        pairs.write_text(spoiled, encoding="utf-8")
        with pytest.raises(CytoError):
            class_map(str(pairs), ["a"])
    with pytest.raises(CytoError):
        class_map(str(tmp_path / "gone.json"), ["a"])


def tumour(n_positive: int, n_negative: int, *regions: Polygon) -> LabelSet:
    slide = SlideRecord(name="smear 1", size_hw=(1000, 2000))
    classes = ["tumour-positive"] * n_positive + ["tumour-negative"] * n_negative
    marks = [
        Annotation(slide_id=slide.id, geometry=Point(500, 2.5 + 2 * i), class_id=c, status=Status.UNREVIEWED)
        for i, c in enumerate(classes)
    ]
    marks.append(Annotation(slide_id=slide.id, geometry=Point(1, 1), class_id="other-positive"))
    marks.append(
        Annotation(slide_id=slide.id, geometry=Point(500, 3), class_id="tumour-positive", status=Status.REJECTED)
    )
    marks += [Annotation(slide_id=slide.id, geometry=r, class_id=None, note="hot spot") for r in regions]
    return LabelSet((slide,), tuple(marks))


def test_ki67_counts_each_slide_and_region() -> None:
    left = Polygon(((0, 0), (0, 400), (1000, 400), (1000, 0)))
    printed = ki67_of(tumour(150, 450, left)).to_json()
    assert printed["all"]["index"] == 0.25
    assert (printed["all"]["count"], printed["all"]["warning"]) == (600, "")
    (slide,) = printed["slides"]
    (region,) = slide["regions"]
    assert (region["region"], region["positive"], region["negative"]) == ("hot spot", 150, 49)
    assert "199 tumour cells" in region["warning"]
    assert (printed["other_cells"], printed["proposed_cells"]) == (1, 600)
    json.dumps(printed, allow_nan=False)
    with pytest.raises(CytoError, match="--class-map"):
        ki67_of(LabelSet((), ()))


def test_ki67_from_a_file_and_from_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "cells.csv"
    table.write_text("x,y,label\n1,1,tumour-positive\n5,5,neg\n9,9,neg\n", encoding="utf-8")
    pairs = tmp_path / "pairs.json"
    pairs.write_text('{"neg": "tumour-negative"}', encoding="utf-8")
    assert run(["evaluate", "ki67", str(table), "--class-map", str(pairs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["all"]["index"] == pytest.approx(1 / 3)
    with Project.create(tmp_path / "p.cyto", preset("ki67")) as project:
        labels = tumour(3, 1)
        project.add_slides(labels.slides)
        project.apply(edits.add(labels.annotations, "Marked"), "someone")
    assert run(["evaluate", "ki67", str(tmp_path / "p.cyto")]) == 0
    out = capsys.readouterr().out
    assert "75.0 %" in out
    assert "fewer than 500" in out
    assert "smear 1" in out
    table.write_text("x,y,label\n1,1,NILM\n", encoding="utf-8")
    assert "the classes here are NILM" in refusal(["evaluate", "ki67", str(table)], capsys)
    assert "no such file" in refusal(["evaluate", "ki67", str(tmp_path / "gone.csv")], capsys)


def test_a_grids_table_is_printed(
    no_torch_needed: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from napari_cyto.evaluation.grid_table import DetectorRow, GridTable
    from napari_cyto.jobs.events import Done
    from napari_cyto.training import grid_job

    requested = SimpleNamespace()

    def run_grid(sources: Any, out: Path, train: Any, config: Any, together: bool, token: Any) -> Any:
        requested.__dict__.update(sources=sources, train=train, together=together, radius_um=config.radius_um)
        score = {"recall": 0.5, "precision": None, "f1": 0.1, "median_error_um": 2.0}
        row = DetectorRow(trained_on="a", tested_on="b", side="all", n=1234, **score)
        table = GridTable(kind="detector", recipe="light", sources={}, rows=(row,), warnings=("Mind.",))
        yield Done(replace(table, report="r", csv="c", json="j"))

    monkeypatch.setattr(grid_job, "run_grid", run_grid)
    argv = ["evaluate", "grid", "--data", "cric:a", "--data", "cric:b", "--out", "o", "--all"]
    assert run([*argv, "--set", "batch=4", "--radius-um", "7"]) == 0
    out = capsys.readouterr().out
    assert "1,234" in out
    assert "Mind." in out
    assert (requested.sources, requested.together, requested.radius_um) == (["cric:a", "cric:b"], True, 7)
    assert (requested.train.batch, requested.train.model.kind) == (4, "classifier")
    assert run([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["n"] == 1234
    assert "got 'nosuch'" in refusal([*argv, "--recipe", "nosuch"], capsys)
