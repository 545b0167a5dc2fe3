"""Promise: a reading is blind, nothing else opens for its reader, finishing locks it, and a crash is mended."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from made_sets import LOOK, made_sets
from read_project import SLIDES, as_reader, nested, read_project  # noqa: F401  a fixture
from verb_calls import printed, refusal

from napari_cyto.cli.entry import run
from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Point
from napari_cyto.errors import CytoError, StoreError
from napari_cyto.readings import course
from napari_cyto.readings._content import content
from napari_cyto.readings.assignment import Request, assign
from napari_cyto.readings.given_cells import GivenCells
from napari_cyto.readings.reading import Draw, DrawnCell, Mode
from napari_cyto.readings.reading_results import CANNOT_SAY, class_shares, results
from napari_cyto.session import Session
from napari_cyto.store import Project
from napari_cyto.store.kept_sets import keep_looks, keep_sets


def classify(folder: Path, say, reader: str = "Ana", reading_id: str = "r1") -> None:
    """Give each cell what ``say`` makes of its number; None skips it."""
    with Project.open(course.begin(folder, reading_id, reader), reader=reader) as own:
        given = GivenCells(own)
        for number in range(len(given.cells)):
            class_id = say(number)
            if class_id is None:
                given.skip()
            else:
                own.apply(given.edit(class_id), reader)
                given.go_on()


def test_from_assignment_to_results_on_the_command_line(tmp_path, as_reader, capsys):  # noqa: F811
    folder = read_project(tmp_path / "p.cyto")
    made = printed(
        ["reading", "assign", str(folder), "--to", "Ana", "--random", "12", "--known", "0.25", "--json"], capsys
    )
    assert made["reading"]["cells"] == 16
    assert "is for Ana" in refusal(["reading", "begin", str(folder), "r1"], capsys)
    as_reader("Ana")
    place = printed(["reading", "begin", str(folder), "r1", "--json"], capsys)["place"]
    assert "16 of 16 cells" in refusal(["reading", "finish", str(folder), "r1"], capsys)
    classify(folder, lambda n: None if n == 3 else "HSIL")
    seen = printed(["reading", "status", place, "r1", "--json"], capsys)
    assert (seen["cells"], seen["classified"], seen["skipped"]) == (16, 15, 1)
    # Nothing else of the project opens, by whatever verb, nor a backup or a copy of it.
    backup = folder / "backups" / "older.sqlite"
    backup.parent.mkdir(exist_ok=True)
    shutil.copy2(folder / "project.sqlite", backup)
    out = str(tmp_path / "out")
    for argv in (
        ["slides", str(folder)],
        ["export", "csv", str(folder), out],
        ["report", str(folder), "--out", out],
        ["project", "rescue", str(folder), out],
        ["project", "restore", str(folder), "--list"],
        ["audit", str(backup)],
        ["reading", "results", str(folder)],
        ["reading", "assign", str(folder), "--to", "Ben"],
        ["measure", str(folder)],
    ):
        assert "Ana has begun the reading r1" in refusal(argv, capsys), argv
    with pytest.raises(StoreError, match="r1"):
        Session("Ana").projects.open(folder)
    done = printed(["reading", "finish", str(folder), "r1", "--json"], capsys)
    assert done["state"] == "finished"
    with Project.open(place) as own, pytest.raises(StoreError, match="is locked"):
        own.undo("Ana")
    as_reader("Lead")
    [result] = printed(["reading", "results", str(folder), "--json"], capsys)["readings"]
    assert result["cells"] == 15
    assert sum(each["share"]["value"] for each in result["shares"]) == pytest.approx(1)
    assert result["sensitivity"]["value"] == 1
    assert result["specificity"]["value"] == 0
    assert run(["reading", "results", str(folder)]) == 0
    assert "sensitivity" in capsys.readouterr().out


def test_cells_whose_class_is_ambiguous_go_to_a_second_reader_who_is_not_shown_why(tmp_path, as_reader, capsys):  # noqa: F811
    folder = read_project(tmp_path / "p.cyto")
    order = ["reading", "assign", str(folder), "--to", "Ana", "--ambiguous", "--json"]
    assert "models calibrate-sets" in refusal(order, capsys)
    origin = f"model:finder@{'a' * 64}"
    with Project.open(folder) as project:
        keep_sets(project, origin, made_sets(), is_local=False)
        keep_looks(project, dict.fromkeys(SLIDES, LOOK))
        project.apply(edits.add([predicted(n, origin) for n in range(6)], "Predict"), "finder")
    assert "not with" in refusal([*order, "--mode", "free"], capsys)
    made = printed([*order, "--slide", "s0"], capsys)["reading"]
    assert (made["cells"], made["population"]) == (3, "ambiguous cells")
    as_reader("Ana")
    classify(folder, lambda n: "HSIL" if n else "NILM")
    for verb in ("list", "status"):
        assert "ambiguous" not in str(
            printed(["reading", verb, str(folder), *["r1"][: verb == "status"], "--json"], capsys)
        )
    course.finish(folder, "r1", "Ana")
    (found,) = printed(["reading", "results", str(folder), "--json"], capsys)["readings"]
    assert found["population"] == "ambiguous cells"
    assert [(s["class_id"], s["cells"]) for s in found["shares"]] == [("HSIL", 2), ("NILM", 1)]


def predicted(n: int, origin: str) -> Annotation:
    """Return a prediction, every other one of which is as likely normal as high-grade."""
    shares = (("NILM", 0.5), ("HSIL", 0.5)) if n % 2 else (("NILM", 1.0),)
    return Annotation(
        slide_id=SLIDES[0],
        geometry=Point(3000.0 + 50 * n, 3000.0),
        class_id="NILM",
        status=Status.UNREVIEWED,
        author="finder",
        origin=origin,
        scores=shares,
    )


@settings(max_examples=4, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hidden=st.integers(1, 2**31), seed=st.integers(0, 2**31), cells=st.integers(4, 40), count=st.integers(1, 20))
def test_what_is_hidden_changes_nothing_that_a_reader_can_get_at(
    tmp_path,
    as_reader,  # noqa: F811
    capsys,
    monkeypatch,
    hidden,
    seed,
    cells,
    count,
):
    """Other classes, scores, notes, sizes, authors, statuses, order of creation, and what others looked at."""
    monkeypatch.setattr("napari_cyto.readings._register.moment", lambda: "2026-01-01T00:00:00+00:00")
    requests = (
        Request(reader="Ana", strategy="random", count=count, seed=seed),
        Request(reader="Ben", mode=Mode.FREE, seed=seed),
    )
    seen = []
    for each in (0, hidden):
        home = tmp_path / "home"
        shutil.rmtree(home, ignore_errors=True)
        folder = read_project(home / "p.cyto", each, cells)
        for request in requests:
            as_reader("Lead")
            assign(folder, request, "Lead")
        texts = []
        for number, request in enumerate(requests, 1):
            as_reader(request.reader)
            place = course.begin(folder, f"r{number}", request.reader)
            texts += _said(folder, place, f"r{number}", home / f"out{number}", capsys)
        seen.append(texts)
    assert seen[0] == seen[1]


def _said(folder: Path, place: Path, reading_id: str, out: Path, capsys) -> list[object]:
    """Return all that the verbs say and write of a reading that has begun."""
    texts: list[object] = []
    for argv in (
        ["reading", "status", str(folder), reading_id, "--json"],
        ["reading", "list", str(folder), "--json"],
        ["slides", str(place), "--json"],
        ["export", "csv", str(place), str(out / "csv")],
        ["export", "geojson", str(place), str(out / "geojson")],
    ):
        assert run(argv) == 0
        texts.append(capsys.readouterr().out)
    with Project.open(place) as own:
        texts.append(content(own))
        assert not list(own.annotations())
        if reading_id == "r1":
            assert [record.name for record in own.slides()] == [f"Slide {n + 1}" for n in range(len(own.slides()))]
    # The list of an export names the project by where and when its folder was made, and the rest by its content.
    written = sorted(path for path in out.rglob("*") if path.is_file() and path.name != "napari-cyto-export.json")
    assert len(written) > 2
    return [*texts, *((path.name, path.read_bytes()) for path in written)]


def test_a_kill_while_finishing_loses_nothing_and_a_change_afterwards_shows(tmp_path, as_reader):  # noqa: F811
    folder = read_project(tmp_path / "p.cyto")
    assign(folder, Request(reader="Ana", slides=("s0",)), "Lead")
    classify(folder, lambda _n: "LSIL")

    killed = (
        "import os, signal, sys; from pathlib import Path; from napari_cyto.readings import _register, course;"
        "_register.put = lambda *_: os.kill(os.getpid(), signal.SIGKILL);"
        "course.finish(Path(sys.argv[1]), 'r1', 'Ana')"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(folder)], check=False).returncode == -signal.SIGKILL
    with pytest.raises(StoreError, match="r1"):
        Project.open(folder, reader="Ana")
    done = course.finish(folder, "r1", "Ana")
    assert len(done.sha256) == 64
    # Only by another program can it be changed from here, and results say so.
    with Project.open(nested(folder), past_gate=True) as own:
        own._of_reading = {}
        own.set_setting("reading.skipped", ["x"])
    with pytest.raises(CytoError, match="is not what Ana finished"):
        results(folder, "Lead")


def test_a_reading_takes_the_work_of_its_reader_alone(tmp_path, as_reader):  # noqa: F811
    folder = read_project(tmp_path / "p.cyto")
    assign(folder, Request(reader="Ana", strategy="random", count=3), "Lead")
    assign(folder, Request(reader="Ben", mode=Mode.FREE, slides=("s1",), region_yxyx=(0, 0, 500, 500)), "Lead")
    with pytest.raises(StoreError, match="only Ana can open it"):
        Project.open(course.begin(folder, "r1", "Ana"))
    as_reader("Ben")
    with Project.open(course.begin(folder, "r2", "Ben")) as own:
        mine = Annotation(slide_id=SLIDES[1], geometry=Point(9, 9), class_id="HSIL", author="Ben")
        own.apply(edits.add([mine], "Add"), "Ben")
        model = Annotation(slide_id=SLIDES[1], geometry=Point(9, 9), class_id="HSIL", origin="model:m@0")
        with pytest.raises(StoreError, match="takes no predictions"):
            own.apply(edits.add([model], "Predict"), "Ben")
        with pytest.raises(StoreError, match="takes only what Ben annotates"):
            own.apply(edits.remove([mine], "Delete"), "Cleo")
        with pytest.raises(StoreError, match="no imported annotations"), own.bulk():
            pass
    course.hand_back(folder, "r2", "Ben")
    Project.open(folder).close()
    as_reader("Ana")
    with Project.open(nested(folder, "r1")) as own, pytest.raises(StoreError, match="none can be added"):
        own.apply(edits.add([mine], "Add"), "Ana")


def test_a_repeat_has_the_same_cells_in_another_order_and_a_shown_opinion_is_kept(tmp_path, as_reader):  # noqa: F811
    folder = read_project(tmp_path / "p.cyto", cells=60)
    assign(
        folder, Request(reader="Ana", strategy="stratified", count=20, known_share=0.5, seed=3, opinion=True), "Lead"
    )
    as_reader("Ana")
    classify(folder, lambda n: ("NILM", "HSIL")[n % 2])
    course.finish(folder, "r1", "Ana")
    assign(folder, Request(reader="Ana", repeat_of="r1"), "Ana")
    assign(folder, Request(reader="Ana", repeat_of="r1", after_days=3), "Ana")
    with pytest.raises(CytoError, match="may begin on"):
        course.begin(folder, "r3", "Ana")
    classify(folder, lambda _n: "HSIL", reading_id="r2")
    with Project.open(nested(folder, "r1"), past_gate=True) as one, Project.open(nested(folder, "r2")) as two:
        first, again = GivenCells(one), GivenCells(two)
        assert {c.yx for c in first.cells} == {c.yx for c in again.cells}
        assert [c.yx for c in first.cells] != [c.yx for c in again.cells]
        assert not {c.id for c in first.cells} & {c.id for c in again.cells}
        assert again.is_turned
        assert any(a.scores for a in one.annotations())
    course.finish(folder, "r2", "Ana")
    found = {each.reading: each for each in results(folder, "Lead")}
    # The model said HSIL of each cell that has a score, and Ana did of every second cell.
    right, wrong = found["r1"].followed_right, found["r1"].followed_wrong
    assert right.n > 0
    assert wrong.n > 0
    assert 0 < wrong.value < 1
    assert right.n + wrong.n <= found["r1"].sensitivity.n + found["r1"].specificity.n
    assert 0.2 < found["r2"].same_class.value < 0.8


def test_a_window_that_has_the_project_open_lets_go_of_it_when_its_reader_begins_elsewhere(
    tmp_path,
    as_reader,  # noqa: F811
):
    folder = read_project(tmp_path / "p.cyto")
    assign(folder, Request(reader="Ana", strategy="random", count=3), "Lead")
    as_reader("Ana")
    session, said = Session("Ana"), []
    session.message.connect(said.append)
    session.projects.open(folder)
    course.begin(folder, "r1", "Ana")
    session.poll()
    assert session.project is None
    assert "was begun in another window" in said[-1]
    lead = Session("Lead")
    lead.projects.open(folder)
    with pytest.raises(StoreError, match="Ana has begun"):
        lead.set_reader("Ana")
    assert lead.author == "Lead"
    lead.close()


def test_shares_weigh_back_without_bias():
    rng = np.random.default_rng(0)
    truth = {"a": rng.random(400) < 0.02, "b": rng.random(40) < 0.5}
    sizes = tuple((name, len(values)) for name, values in truth.items())
    due = sum(int(v.sum()) for v in truth.values()) / 440
    found, covered = [], 0
    for _ in range(400):
        cells, said = [], {}
        for name, values in truth.items():
            for i in rng.choice(len(values), 20, replace=False):
                cell_id = f"{name}{i}"
                cells.append(DrawnCell(cell_id, "", "s", 0.0, 0.0, name, 20 / len(values)))
                said |= {cell_id: "HSIL"} if values[i] else {}
        shares = {each.class_id: each.share for each in class_shares(Draw(tuple(cells), sizes), said)}
        found.append(shares["HSIL"].value)
        covered += shares["HSIL"].low <= due <= shares["HSIL"].high
        assert shares["HSIL"].value + shares[CANNOT_SAY].value == pytest.approx(1)
    assert covered / 400 > 0.9
    assert abs(np.mean(found) - due) < 3 * np.std(found) / np.sqrt(400)
