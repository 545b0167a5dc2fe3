"""Promise: a report tells what a model of slides said, what it rests on and whether it still holds; blind, nothing."""

from __future__ import annotations

import html
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from interpreted_slides import KIND, planted_project
from slide_score_samples import score_of_cells

from napari_cyto.domain.edits import remove, replace_all
from napari_cyto.domain.geometry import Point
from napari_cyto.jobs.events import Done
from napari_cyto.reporting import slide_score
from napari_cyto.reporting.job import ReportOptions, write_result
from napari_cyto.reporting.slide_score import ReportedScore, reported_scores
from napari_cyto.store import Project
from napari_cyto.vectors import (
    SCORE_NOTICE,
    Attention,
    SlideScore,
    cell_vectors,
    digest_of,
    keep_score,
    open_vectors,
    vectors_folder,
)


@pytest.fixture
def project(tmp_path: Path) -> Any:
    """A project of two slides of ten cells, the second of which a model scored."""
    with Project.open(planted_project(tmp_path / "p.cyto", slides=2, cells=10).folder) as opened:
        record = opened.slides()[1]
        found = cell_vectors(opened, KIND, record.id)
        weights = np.full(10, 0.02, np.float32)
        weights[3] = 0.82
        keep_score(opened, record.id, scored(found), Attention(found.ids, found.centres_yx, weights))
        yield opened


def scored(found: Any) -> SlideScore:
    return score_of_cells(vectors=KIND.folder_name, digest=digest_of(found.ids, found.vectors), mpp=0.25)


def reported(project: Project) -> ReportedScore:
    (found,) = reported_scores(project, project.slides()[1])
    return found


def test_page_and_json_tell_the_score_and_a_blind_report_hides_it(project: Project, tmp_path: Path) -> None:
    def facts(**options: Any) -> Any:
        *_, last = write_result(project.folder, tmp_path / "r.html", options=ReportOptions(overwrite=True, **options))
        assert isinstance(last, Done), last
        return {each.name: each for each in last.result.result.slides}

    one = facts()["s01.svs"].to_json()["scores"][0]
    page = html.unescape((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert (one["score"], one["low"], one["high"], one["model"], one["out_of_date"]) == (0.8, 0.7, 0.9, "m", "")
    assert one["most_attended"][0]["attention"] == pytest.approx(0.82)
    assert one["most_attended"][0]["class_id"] == "NILM"
    assert "HSIL or worse: 0.80 (0.70 to 0.90 over seeds), from 10 cells (model m, 2026-01-01)." in page
    assert one["sentence"] in page
    assert SCORE_NOTICE in page
    assert facts(blind=True)["s01.svs"].scores == ()
    blind = html.unescape((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "HSIL or worse" not in blind
    assert "0.80" not in blind


def test_what_has_changed_since_makes_it_out_of_date(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    record = project.slides()[1]
    assert reported(project).out_of_date == ""
    first, second, third = cell_vectors(project, KIND, record.id).ids[:3]

    def edited(edit: Any) -> None:
        project.apply(edit, "Ana")

    here = project.annotation(first)
    edited(replace_all([(here, replace(here, class_id="HSIL"))], "Call"))
    assert reported(project).changes == (), "another class is no other vector"
    edited(replace_all([(a := project.annotation(second), replace(a, geometry=Point(9.0, 9.0)))], "Move"))
    assert reported(project).changes == ("1 cell moved",)
    edited(remove([project.annotation(third)], "Remove"))
    assert reported(project).changes == ("1 cell removed", "1 cell moved")
    monkeypatch.setattr(
        slide_score, "find_model", lambda _name: SimpleNamespace(manifest=SimpleNamespace(weights_sha256="b" * 64))
    )
    said = reported(project).out_of_date
    assert said.startswith("Out of date: the library has another model called m, ")
    assert said.endswith("; score the slide again.")


def test_other_vectors_and_damaged_files_make_it_out_of_date(project: Project) -> None:
    record = project.slides()[1]
    found = cell_vectors(project, KIND, record.id)
    for place in vectors_folder(project).glob(f"{KIND.folder_name}/*"):
        place.unlink()
    assert reported(project).changes == ("the vectors of its cells are gone",)
    others = np.asarray(found.vectors, np.float32) + 1
    open_vectors(project, KIND).add(found.ids, [record.id] * len(found.ids), found.centres_yx, others)
    assert reported(project).changes == ("the vectors of its cells are others",)
    for place in vectors_folder(project).glob("attention/*/*.npz"):
        place.write_bytes(b"nothing")
    assert reported(project).changes == ("what the model looked at cannot be read",)
    assert reported(project).score.score == 0.8
