"""Promise: a table of interpretations reaches the right slides, completely or not at all, and is told row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from verb_calls import printed

from napari_cyto.cli.entry import run
from napari_cyto.datasets.import_.interpretation_table import export_interpretations, import_interpretations
from napari_cyto.domain.interpretation import Interpretation
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError
from napari_cyto.store import Project

PRINT = "a" * 32


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "p.cyto", preset("bethesda")) as project:
        names = ("P1/slide.svs", "P2/slide.svs", "case_1.mrxs", "case_10.mrxs", "printed.tif")
        slides = [SlideRecord(name=name, id=f"id{number}", size_hw=(90, 80)) for number, name in enumerate(names)]
        slides[-1] = SlideRecord(name="printed.tif", id="id4", fingerprint=PRINT, size_hw=(90, 80))
        project.add_slides(slides)
        yield project


def table(tmp_path: Path, *lines: str, header: str = "slide,interpretation,by,date") -> Path:
    path = tmp_path / "table.csv"
    path.write_text("\n".join((header, *lines)), encoding="utf-8")
    return path


def test_slides_are_found_by_the_rule_of_the_house(project: Project, tmp_path: Path) -> None:
    rows = ("P2/slide,ASCUS,Ana,2024-05-01", "case_1,HSIL,,", f"{PRINT},NILM,,", "case,LSIL,,", "other.svs,NILM,,")
    read = import_interpretations(project, table(tmp_path, *rows), "Cy")
    assert [slide.interpretation for slide in project.slides()] == [
        None,
        Interpretation("ASC-US", "Ana", "2024-05-01"),
        Interpretation("HSIL"),
        None,
        Interpretation("NILM"),
    ]
    assert (read.rows, read.given, read.unknown, read.without) == (5, 3, ("case", "other.svs"), 2)
    again = import_interpretations(project, table(tmp_path, "case_1,LSIL,,", f"{PRINT},NILM,,"), "Cy")
    assert (again.given, again.replaced, again.unchanged) == (0, 1, 1)
    assert "1 replaced" in again.words
    assert len(project.interpretation_history("id2")) == 2


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (("slide.svs,HSIL,,",), r"line 2: 'slide.svs' matches 2 slides of the project \(P1/slide.svs, P2/slide.svs\)"),
        (("case_1,HSIL,,", "case_1,NILM,,"), "line 3: 'case_1' is HSIL in a row before, and NILM here"),
        (("case_1,HSIL,,", "case_1.mrxs,HSIL,,"), "line 3: 'case_1.mrxs' is the slide 'case_1.mrxs', and so is"),
        (("case_1,HSIL,,", "case_10,CIN,,"), "line 3: expected one of the categories"),
        (("case_1,HSIL,Ana,yesterday",), "line 2: expected a date as 2024-05-01, got 'yesterday'"),
        ((",HSIL,,",), "line 2: expected the name of a slide"),
    ],
)
def test_a_row_that_is_unclear_or_wrong_refuses_the_whole_table(
    project: Project, tmp_path: Path, rows: tuple[str, ...], words: str
) -> None:
    with pytest.raises(FormatError, match=words):
        import_interpretations(project, table(tmp_path, *rows), "Cy")
    assert not any(slide.interpretation for slide in project.slides())


def test_a_table_without_the_columns_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="interpretation"):
        import_interpretations(project, table(tmp_path, "a,b", header="slide,what"), "Cy")


def test_what_is_written_is_read_again(project: Project, tmp_path: Path) -> None:
    said = {"id0": Interpretation("SCC", "=Ana", "2024-05-01"), "id3": Interpretation("Unsatisfactory")}
    project.interpret(said, "Cy")
    assert export_interpretations(project, tmp_path / "out.csv") == 2
    project.interpret(dict.fromkeys(said), "Cy")
    assert import_interpretations(project, tmp_path / "out.csv", "Cy").given == 2
    assert project.slide("id0").interpretation == said["id0"]


def test_the_verb_sets_reads_and_writes(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(project.folder)
    found = printed(["slides", folder, "--set", "case_*:interpretation=hsil", "--by", "Ana", "--json"], capsys)
    assert [each["interpretation"] and each["interpretation"]["category"] for each in found["slides"]] == [
        None,
        None,
        "HSIL",
        "HSIL",
        None,
    ]
    assert found["slides"][2]["interpretation"]["by"] == "Ana"
    source, out = table(tmp_path, "printed.tif,negative,,", "nobody,LSIL,,"), tmp_path / "out.csv"
    argv = ["slides", folder, "--interpretations", str(source), "--interpretations-out", str(out), "--json"]
    found = printed(argv, capsys)
    assert found["interpretations"]["unknown"] == ["nobody"]
    assert (found["changed"], found["interpretations_written"]) == (1, 3)
    assert run(["slides", folder, "--set", "case_1.mrxs:interpretation=", "--json"]) == 0
    assert project.slide("id2").interpretation is None
    assert run(["slides", folder]) == 0
    assert "HSIL (Ana" in capsys.readouterr().out


@pytest.mark.parametrize("format_name", ["coco", "geojson"])
def test_label_files_carry_it_there_and_back(
    project: Project, tmp_path: Path, format_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Interpretation("HSIL", "Ana", "2024-05-01")
    project.interpret({"id2": said}, "Ana")
    out = tmp_path / ("labels" if format_name == "geojson" else "labels.json")
    printed(["export", format_name, str(project.folder), str(out), "--json"], capsys)
    for target, known in ((tmp_path / "new.cyto", None), (project.folder, Interpretation("NILM"))):
        if known is not None:
            project.interpret({"id2": None}, "Ana")
        printed(["import", format_name, str(out), str(target), "--json"], capsys)
        with Project.open(target) as read:
            assert [s.interpretation for s in read.slides() if s.name == "case_1.mrxs"] == [said]
    project.interpret({"id2": Interpretation("NILM")}, "Ana")
    printed(["import", format_name, str(out), str(project.folder), "--json"], capsys)
    assert project.slide("id2").interpretation == Interpretation("NILM")
