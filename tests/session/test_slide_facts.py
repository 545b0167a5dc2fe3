"""Promise: whose slides are can be said in window and command line, for splits that keep a person together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from napari_cyto.cli.verbs import build
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.files.reader import keep_reader, reader_name
from napari_cyto.session import Session
from napari_cyto.store import Project
from napari_cyto.store.slide_details import checked_fact, parsed_setting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    project = Project.create(tmp_path / "p.cyto", preset("bethesda"), "p")
    project.add_slides([SlideRecord(name=name) for name in ("a 1.svs", "a 2.svs", "b.svs")])
    project.close()
    return tmp_path / "p.cyto"


def facts(folder: Path) -> list[tuple[str, str]]:
    with Project.open(folder) as project:
        return [(r.patient, r.smear) for r in project.slides()]


def run(*words: str) -> dict[str, object]:
    done = CliRunner().invoke(build(["slides"]), ["slides", *words, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return dict(json.loads(done.stdout))


def test_patient_and_smear_are_set_from_the_command_line(folder: Path) -> None:
    reported = run(str(folder), "--set", "a *:patient=P7", "--set", "b.svs:smear=S 2")
    assert reported["changed"] == 3
    assert facts(folder) == [("P7", ""), ("P7", ""), ("", "S 2")]
    run(str(folder), "--set", "a 1.svs:patient=")
    assert facts(folder)[0] == ("", "")


@pytest.mark.parametrize("words", ["a 1.svs:patient", "patient=P7", "a 1.svs:age=40", "c.svs:patient=P7"])
def test_a_setting_that_means_nothing_changes_nothing(folder: Path, words: str) -> None:
    with pytest.raises(CytoError):
        run(str(folder), "--set", "b.svs:patient=P1", "--set", words)
    assert facts(folder) == [("", "")] * 3


def test_values_are_trimmed_and_readable() -> None:
    assert parsed_setting("a.svs:smear= 12 ") == ("a.svs", "smear", "12")
    with pytest.raises(CytoError, match="readable"):
        checked_fact("patient", "P\n7")


def test_the_window_changes_them_and_says_what_was_before(folder: Path) -> None:
    session = Session("anna")
    session.projects.open(folder)
    ids = [r.id for r in session.need_project().slides()]
    heard: list[None] = []
    session.project_changed.connect(lambda: heard.append(None))
    before = session.facts.set(ids[:2], {"patient": " P9 "})
    assert [r.patient for r in before] == ["", ""]
    assert session.need_slide().patient == "P9"
    assert len(heard) == 1
    assert session.facts.set(ids[:2], {"patient": "P9"}) == ()
    session.close()
    assert facts(folder) == [("P9", ""), ("P9", ""), ("", "")]


def test_the_reader_is_the_author_here_and_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "data"))
    login = reader_name()
    assert Session().author == login
    session = Session()
    session.set_reader(" Dr. A. Vesalius ")
    assert session.author == reader_name() == Session().author == "Dr. A. Vesalius"
    with pytest.raises(CytoError, match="readable"):
        keep_reader("  ")
    assert reader_name() == "Dr. A. Vesalius"
