"""Promise: an import, and its undo, change a project as a whole or not at all, whatever ends them in the middle."""

from __future__ import annotations

import csv
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from napari_cyto.datasets import ImportOptions, import_labels
from napari_cyto.domain.presets import preset
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done
from napari_cyto.store import Project

# Its name is also that of the function.
MODULE = sys.modules[import_labels.__module__]
OPTIONS = ImportOptions(add_classes=True, author="me")


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "BATCH", 2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Labels of two slides that no project has, with a class that no scheme has."""
    path = tmp_path / "cells.csv"
    with path.open("w", newline="") as file:
        rows = [(f"S{place % 2}", 10 + 5 * place, 20, "NILM" if place % 2 else "mine") for place in range(8)]
        csv.writer(file).writerows([("image", "x", "y", "label"), *rows])
    return path


@pytest.fixture
def there(tmp_path: Path, source: Path, run) -> Path:
    """A project with slides, annotations and a history of its own."""
    first = source.with_name("first.csv")
    first.write_text("image,x,y,label\nS0,1,2,NILM\nS7,3,4,HSIL\n")
    with Project.create(tmp_path / "p.cyto", preset("bethesda")):
        pass
    run(import_labels("csv", first, tmp_path / "p.cyto", OPTIONS))
    return tmp_path / "p.cyto"


def dump(project: Path) -> list[str]:
    """Return all that a project's database holds, as SQL, its index of boxes included."""
    with sqlite3.connect(project / "project.sqlite") as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [f"{name}: {row}" for name in tables for row in connection.execute(f"SELECT * FROM {name}")]
    connection.close()
    return sorted(rows)


@contextmanager
def at_statement(number: int, act: Callable[[], None]) -> Iterator[list[str]]:
    """Act before statement ``number`` of those that write; gives the statements so far."""
    met: list[str] = []

    def before(_connection, _cursor, statement: str, *_: object) -> None:
        if statement.split()[0] in ("INSERT", "UPDATE", "DELETE"):
            met.append(statement)
            if len(met) == number:
                act()

    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield met
    finally:
        event.remove(Engine, "before_cursor_execute", before)


def full() -> None:
    raise OSError(28, "No space left on device")


def test_a_failure_at_any_statement_of_an_import_leaves_the_project_as_it_was(there, source, run) -> None:
    before, number = dump(there), 0
    while True:
        number += 1
        with at_statement(number, full) as met:
            outcome = list(import_labels("csv", source, there, OPTIONS))[-1]
        if isinstance(outcome, Done):
            break
        assert "disk is full" in outcome.message
        assert dump(there) == before, f"after a failure at {met[-1]}"
    assert number > 12
    assert dump(there) != before
    with Project.open(there) as project:
        assert sum(project.counts().values()) == 10
        assert "mine" in project.scheme


def test_a_failure_at_any_statement_of_its_undo_leaves_the_project_as_it_was(there, source, run) -> None:
    run(import_labels("csv", source, there, OPTIONS))
    before, number = dump(there), 0
    while True:
        number += 1
        with Project.open(there) as project, at_statement(number, full) as met:
            try:
                project.undo("me")
                break
            except OSError:
                pass
        assert dump(there) == before, f"after a failure at {met[-1]}"
    assert number > 5
    with Project.open(there) as project:
        assert sum(project.counts().values()) == 2
        project.redo("me")
        assert sum(project.counts().values()) == 10


def test_a_failure_at_any_statement_of_a_first_import_leaves_nothing(tmp_path: Path, source: Path) -> None:
    before, number = sorted(tmp_path.iterdir()), 0
    while True:
        number += 1
        with at_statement(number, full):
            outcome = list(import_labels("csv", source, tmp_path / "new.cyto", OPTIONS))[-1]
        if isinstance(outcome, Done):
            break
        assert sorted(tmp_path.iterdir()) == before
    assert number > 10


@pytest.mark.parametrize("after", range(1, 5))
def test_cancelling_while_annotations_are_stored_leaves_the_project_as_it_was(there, source, after: int) -> None:
    before, token = dump(there), CancelToken()
    for step in import_labels("csv", source, there, OPTIONS, token):
        if isinstance(step, Advanced) and step.message.startswith("Storing") and step.done == 2 * after:
            token.cancel()
    assert isinstance(step, Cancelled)
    assert step.message == "Cancelled. Nothing was stored."
    assert dump(there) == before


def killed(source: Path, project: Path, statement: int) -> None:
    """Import in a process that the system kills before a statement."""
    test = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_import_all_or_nothing import *
MODULE.BATCH = 2
with at_statement({statement}, lambda: os.kill(os.getpid(), 9)):
    list(import_labels("csv", Path({str(source)!r}), Path({str(project)!r}), OPTIONS))
"""
    ended = subprocess.run([sys.executable, "-c", test], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_import_leaves_the_project_as_it_was(there: Path, source: Path) -> None:
    before = dump(there)
    killed(source, there, 11)
    assert dump(there) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_a_killed_first_import_left_is_swept_by_the_next(tmp_path: Path, source: Path, run) -> None:
    killed(source, tmp_path / "new.cyto", 11)
    left = list(tmp_path.glob(".new.cyto.partial-*"))
    assert left
    living = tmp_path / left[0].name.replace(left[0].name.split("-")[-2], str(os.getpid()))
    living.mkdir()
    run(import_labels("csv", source, tmp_path / "new.cyto", OPTIONS))
    assert list(tmp_path.glob(".new.cyto.*")) == [living], "what a living process owns is not swept"


def test_a_refused_first_import_sweeps_and_leaves_nothing(tmp_path: Path, source: Path) -> None:
    source.write_text("image,x,y,label\nS0,1,nowhere,NILM\n")
    before = sorted(tmp_path.iterdir())
    list(import_labels("csv", source, tmp_path / "new.cyto", OPTIONS))
    assert sorted(tmp_path.iterdir()) == before


def test_what_another_program_wrote_while_an_import_was_prepared_is_seen(there, source, monkeypatch, run) -> None:
    real, calls = MODULE._planned, []

    def planned(*args):
        plan = yield from real(*args)
        calls.append(plan)
        if len(calls) == 1:
            run(import_labels("csv", source, there, OPTIONS))
        return plan

    monkeypatch.setattr(MODULE, "_planned", planned)
    result = run(import_labels("csv", source, there, OPTIONS)).result
    assert (result["slides_added"], result["annotations_added"], result["already_there"]) == (0, 0, 8)
    with Project.open(there) as project:
        assert len(project.slides()) == len({s.name for s in project.slides()})


def test_two_first_imports_into_one_place_are_both_there(tmp_path: Path, source: Path, monkeypatch, run) -> None:
    other = source.with_name("other.csv")
    other.write_text("image,x,y,label\nS9,1,2,NILM\n")
    real, calls = MODULE._into, []

    def into(*args):
        yield from real(*args)
        if not calls:
            calls.append(1)
            run(import_labels("csv", other, tmp_path / "new.cyto", OPTIONS))

    monkeypatch.setattr(MODULE, "_into", into)
    result = run(import_labels("csv", source, tmp_path / "new.cyto", OPTIONS)).result
    assert (result["created"], result["annotations_added"]) == (False, 8)
    with Project.open(tmp_path / "new.cyto") as project:
        assert sum(project.counts().values()) == 9
    assert not list(tmp_path.glob(".new*"))


def test_something_else_that_came_to_the_place_meanwhile_is_kept(tmp_path: Path, source: Path, monkeypatch) -> None:
    real = MODULE._into

    def into(*args):
        yield from real(*args)
        (tmp_path / "new.cyto").mkdir()
        (tmp_path / "new.cyto/thesis.txt").write_text("years")

    monkeypatch.setattr(MODULE, "_into", into)
    outcome = list(import_labels("csv", source, tmp_path / "new.cyto", OPTIONS))[-1]
    assert "is not a project" in outcome.message
    assert ".partial" not in outcome.message
    assert [path.name for path in (tmp_path / "new.cyto").iterdir()] == ["thesis.txt"]
    assert not list(tmp_path.glob(".new*"))
