"""Promise: a project from a stranger runs nothing, is refused where it is not ours, and is not changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from napari_cyto.errors import DamagedError, JobCancelled, SlideError, StoreError
from napari_cyto.slides import open_slide
from napari_cyto.store import Project
from napari_cyto.store.recovery import maintenance as care
from tests.store.strangers import ROWS, SCHEMAS, ask_everything, make_project, with_schema, with_value


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strangers") / "sound.cyto"
    make_project(folder)
    return folder


@pytest.fixture
def strange(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "strange.cyto"))


def _answers_of(folder: Path) -> str:
    """Ask a project for everything, and return the sentence that refuses it, empty where none does."""
    before = (folder / "project.sqlite").read_bytes()
    try:
        with Project.open(folder) as project:
            ask_everything(project)
        sentence = ""
    except StoreError as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert len(sentence) < 1_000
    assert (folder / "project.sqlite").read_bytes() == before
    return sentence


def test_a_project_of_our_own_is_not_refused(strange: Path) -> None:
    assert _answers_of(strange) == ""


@pytest.mark.parametrize("script", SCHEMAS, ids=lambda text: text[:40])
def test_what_runs_by_itself_is_refused_before_anything_is_read(strange: Path, script: str) -> None:
    with_schema(strange, script)
    before = (strange / "project.sqlite").read_bytes()
    with pytest.raises(DamagedError, match="is damaged or foreign"):
        Project.open(strange)
    assert (strange / "project.sqlite").read_bytes() == before
    assert sorted(path.name for path in strange.iterdir()) == ["project.sqlite"]


def _is_named(folder: Path, table: str, column: str, value: object) -> None:
    with_value(folder, table, column, value)
    sentence = _answers_of(folder)
    assert "damaged" in sentence or "version" in sentence
    assert sentence.count("damaged or foreign") <= 1


@pytest.mark.parametrize(("table", "column", "value"), ROWS[::5], ids=lambda part: f"{part!s:.24}")
def test_a_value_that_is_not_ours_is_named(strange: Path, table: str, column: str, value: object) -> None:
    _is_named(strange, table, column, value)


@pytest.mark.nightly
@pytest.mark.parametrize(("table", "column", "value"), ROWS, ids=lambda part: f"{part!s:.24}")
def test_each_value_that_is_not_ours_is_named(strange: Path, table: str, column: str, value: object) -> None:
    _is_named(strange, table, column, value)


def test_a_statement_that_runs_is_given_up_when_somebody_asks(strange: Path) -> None:
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c"
    with Project.open(strange) as project:
        project.stop_when(lambda: True)
        with (
            pytest.raises(JobCancelled, match="Nothing of this step was stored"),
            project._database.read() as connection,
        ):
            connection.exec_driver_sql(endless).all()
        project.stop_when(None)
        ask_everything(project)


def test_a_rescue_names_what_would_run(strange: Path, tmp_path: Path) -> None:
    with_schema(strange, SCHEMAS[0])
    came = care.rescue(strange, tmp_path / "rescued.cyto")
    assert [text for text in came.lost if text.startswith("the trigger 't', which no project has")]
    assert _answers_of(tmp_path / "rescued.cyto") == ""


@pytest.mark.parametrize("script", ["", SCHEMAS[3]])
def test_a_project_that_is_taken_for_a_slide_is_refused_and_not_touched(strange: Path, script: str) -> None:
    """The slide library knows slides that are databases, and would make a log beside ours."""
    with_schema(strange, script)
    before = {path.name: path.read_bytes() for path in strange.iterdir()}
    with pytest.raises(SlideError, match="open the project's folder"):
        open_slide(strange / "project.sqlite")
    assert {path.name: path.read_bytes() for path in strange.iterdir()} == before
