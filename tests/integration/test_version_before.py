"""Guards that what the version before wrote is read, continued and used: a project, models, unfinished runs, an export.

``golden/version_before.zip`` was written by the version before the parts of the house moved: pictures of made cells, a
project of a class scheme of its own (cells of each shape, a region, three authors, proposals in each state, an undone
step, what was looked at and kept), two models that were never trained, a prediction and a training that were stopped,
a finished prediction, and an APACC export. ``expected.json`` is what that version said of them.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from verb_calls import printed

from napari_cyto.cli.entry import run
from napari_cyto.domain.annotation import Status
from napari_cyto.domain.edits import replace_all
from napari_cyto.store import Project

ARCHIVE = Path(__file__).resolve().parents[1] / "golden" / "version_before.zip"
SLIDES = ("Abstrich Ä.png", "smear_b.png")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all of it, where the commands are given."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def expected(place: Path) -> dict[str, Any]:
    return json.loads((place / "expected.json").read_text(encoding="utf-8"))


def rows(project: Project) -> list[list[Any]]:
    names = {slide.id: slide.name for slide in project.slides()}
    found = project.annotations()
    return sorted(
        [
            a.id,
            names[a.slide_id],
            repr(a.geometry),
            a.class_id,
            str(a.status),
            a.author,
            a.note,
            list(map(list, a.scores)),
        ]
        for a in found
    )


def test_a_project_opens_as_it_was_left_and_its_steps_are_undone(place: Path, expected: dict[str, Any]) -> None:
    with Project.open(place / "project.cyto") as project:
        assert project.name == expected["name"]
        assert [c.id for c in project.scheme.classes] == expected["scheme"]
        slides = [{n: getattr(s, n) for n in ("name", "mpp", "smear", "patient")} for s in project.slides()]
        assert slides == [{n: v for n, v in slide.items() if n != "path"} for slide in expected["slides"]]
        assert [Path(s.path).relative_to(place) for s in project.slides()] == [Path("slides", n) for n in SLIDES]
        assert rows(project) == expected["annotations"]
        assert [[e.label, e.author] for e in project.history()] == expected["history"]
        assert project.setting("session.slide") == expected["settings"]["session.slide"]
        [first] = [slide for slide in project.slides() if slide.name == SLIDES[0]]
        assert list(project.coverage(first.id, (480, 640))) == ["Dr. Müller"]
        assert {"HSIL": 5.0, "NILM": 1.0} in project.model_costs().values()
        before = project.counts()
        undone = project.undo("Dr. Müller")
        assert undone is not None
        assert undone.label == expected["undo"]
        assert project.counts() == {**before, "HSIL": before["HSIL"] - 1, "NILM": before["NILM"] + 1}


def test_its_proposals_are_reviewed_and_reported(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Project.open(place / "project.cyto") as project:
        waiting = [a for a in project.annotations() if a.status is Status.UNREVIEWED]
        assert waiting
        accepted = [(a, replace(a, status=Status.ACCEPTED)) for a in waiting[:3]]
        project.apply(replace_all(accepted, "Review"), "Dr. Neu")
        assert sum(a.status is Status.UNREVIEWED for a in project.annotations()) == len(waiting) - 3
    record = printed(["report", "project.cyto", "--out", "report.json", "--json"], capsys)
    assert record["slides"] == 2


def test_it_is_exported_as_before_and_over_the_export_of_before(
    place: Path, expected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    record = expected["exported"]
    labels = {p.relative_to("apacc"): p.read_bytes() for p in Path("apacc/slices").rglob("*.txt")}
    crops = {p.relative_to("apacc") for p in Path("apacc/cells").rglob("*.png")}
    classes = ("NILM=healthy", "HSIL=unhealthy", "Hefe=rubbish")
    words = [word for each in classes for word in ("--class-map", each)]
    words += ["--crop-date", "2026-12-01", "--allow-leak", "Made pictures.", "--json"]
    again = printed(["export", "apacc", "project.cyto", "apacc", *words], capsys)
    assert (again["counts"], again["cells"]) == (record["counts"], record["cells"])
    assert {p.relative_to("apacc"): p.read_bytes() for p in Path("apacc/slices").rglob("*.txt")} == labels
    assert {p.relative_to("apacc") for p in Path("apacc/cells").rglob("*.png")} == crops


@pytest.mark.parametrize("name", ["finder", "namer"])
def test_its_models_are_whole(place: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "verify", str(place / name)]) == 0
    assert f"{name}: intact" in capsys.readouterr().out
    shown = printed(["models", "show", str(place / name), "--json"], capsys)
    assert [c["id"] for c in shown["classes"]] == ["NILM", "HSIL", "Hefe"]
    assert shown["card"]["summary"] == "Never trained; for tests."


@pytest.mark.networks
def test_its_unfinished_prediction_goes_on_and_its_finished_one_stays_done(
    place: Path, expected: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--detector", "finder", "--mpp", "1.0", "--runtime", "torch", "--any-picture", "--json"]
    first = ["predict", f"slides/{SLIDES[0]}", *words, "--score-from", "0.85"]
    assert run([*first, "--out", "project.cyto"]) == 0
    out, err = capsys.readouterr()
    assert "resuming: 2 of 12 tiles are done" in err
    [result] = json.loads(out)["done"]
    assert (result["tiles"], result["tiles_done_before"]) == (12, 2)
    assert result["cells"] > 50

    second = ["predict", f"slides/{SLIDES[1]}", *words, "--classifier", "namer", "--score-from", "0.35"]
    done = printed([*second, "--out", "project.cyto"], capsys)
    [before] = expected["predicted"]["done"]
    record = before | {"slide": done["done"][0]["slide"], "done_before": True}
    assert list(done["done"][0].items()) == list(record.items())
    assert list(done) == list(expected["predicted"])


@pytest.mark.networks
def test_its_unfinished_training_goes_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in (place / "unfinished.run" / "events.jsonl").read_text("utf-8").splitlines()]
    [epoch] = [line["values"] for line in lines if line["event"] == "measured"]
    record = printed(["train", "classifier", "--out", "unfinished", "--resume", "--json"], capsys)
    assert (record["epochs"], record["side"]) == (3, "test")
    kept = json.loads((place / "unfinished.run" / "checkpoint.json").read_text("utf-8"))
    history = kept["progress"]["history"]
    assert history[0] == epoch
    assert [list(each) for each in history] == [list(epoch)] * 3
    shown = printed(["models", "show", "unfinished", "--json"], capsys)
    assert shown["card"]["metrics"]["judged"] is True
