"""Promise: everything of the Teach dock is on the command line, and a wrong id changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from taught_project import add_cells
from verb_calls import printed, refusal

from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.domain.taught import not_classes
from napari_cyto.store import Project


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, dict[str, int]]:
    """Two slides without pixels, 60 cells of three kinds, with vectors."""
    folder = tmp_path / "p.cyto"
    kinds: dict[str, int] = {}
    with Project.create(folder, preset("bethesda")) as project:
        project.add_slides([SlideRecord(name=name, size_hw=(640, 640)) for name in ("one", "two")])
        for slide in (0, 1):
            planted = [0] * 18 + [1] * 6 + [2] * 6
            kinds |= dict(zip(add_cells(project, planted, slide=slide, seed=slide), planted, strict=True))
    return folder, kinds


def of(kinds: dict[str, int], kind: int, count: int) -> str:
    return ",".join([cell for cell, each in kinds.items() if each == kind][:count])


def test_examples_by_id_order_the_cells_and_suggest_the_next(place, capsys):
    folder, kinds = place
    argv = ["teach", str(folder), "--class", "koilocyte", "--for", of(kinds, 1, 4), "--not", of(kinds, 0, 4)]
    made = printed([*argv, "--suggest", "20", "--top", "6", "--json"], capsys)
    assert made["examples"] == {"koilocyte": 4, "none of them": 4}
    assert made["stored"] == 8
    assert [kinds[each["id"]] for each in made["most_like"]].count(1) >= 5
    assert len(made["suggestions"]) == 20
    assert sum(each["random"] for each in made["suggestions"]) == 2
    assert all(each["reason"] and each["slide"] in ("one", "two") for each in made["suggestions"])
    assert "not enough slides to tell" in made["on_other_slides"]["sentence"]
    with Project.open(folder) as project:
        assert "koilocyte" in project.scheme
        stored = {cell.id: cell for cell in project.annotations()}
    assert sum(cell.class_id == "koilocyte" for cell in stored.values()) == 4
    assert sum(not_classes(cell.note) == ("koilocyte",) for cell in stored.values()) == 4
    # Said again it changes nothing, and what was drawn is drawn still.
    again = printed([*argv, "--suggest", "20", "--json"], capsys)
    assert again["stored"] == 0
    assert again["on_unreviewed_cells"]["drawn"] == 2


def test_a_table_of_labels_teaches(place, tmp_path, capsys):
    folder, kinds = place
    cells = list(kinds)
    rows = [f"{cell},{'LSIL' if kinds[cell] == 1 else 'not: LSIL'}" for cell in (*cells[:4], *cells[18:22])]
    table = tmp_path / "labels.csv"
    table.write_text("id,class\n" + "\n".join(rows), encoding="utf-8")
    made = printed(["teach", str(folder), "--class", "LSIL", "--from-labels", str(table), "--json"], capsys)
    assert made["examples"] == {"LSIL": 4, "none of them": 4}
    assert made["called"]


def test_what_is_wrong_is_a_sentence_and_changes_nothing(place, tmp_path, capsys):
    folder, kinds = place
    good = of(kinds, 1, 1)
    argv = ["teach", str(folder), "--class", "koilocyte"]
    assert "Expected ids of cells" in refusal([*argv, "--for", f"{good},nothing"], capsys)
    assert "Expected each cell once" in refusal([*argv, "--for", good, "--not", good], capsys)
    assert "Expected --class" in refusal(["teach", str(folder), "--for", good], capsys)
    table = tmp_path / "labels.csv"
    table.write_text("cell,class\n", encoding="utf-8")
    assert "expected the columns id and class" in refusal([*argv, "--from-labels", str(table)], capsys)
    assert "Expected vectors of the encoder 'other'" in refusal([*argv, "--encoder", "other"], capsys)
    assert "Expected the name of one slide" in refusal([*argv, "--slide", "three"], capsys)
    with Project.open(folder) as project:
        assert all(cell.class_id == "NILM" for cell in project.annotations())


def test_a_project_without_vectors_is_sent_to_embed(tmp_path, capsys):
    with Project.create(tmp_path / "q.cyto", preset("bethesda")):
        pass
    assert "napari-cyto embed" in refusal(["teach", str(tmp_path / "q.cyto"), "--class", "LSIL"], capsys)


def test_people_read_tables(place, capsys):
    from napari_cyto.cli.entry import run

    folder, kinds = place
    argv = ["teach", str(folder), "--class", "koilocyte", "--for", of(kinds, 1, 2), "--suggest", "5"]
    assert run(argv) == 0
    text = capsys.readouterr().out
    assert "Unreviewed cells most like koilocyte" in text
    assert "Cells worth a label" in text
    assert "2 examples of koilocyte and nothing against it" in " ".join(text.split())
