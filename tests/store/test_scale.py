"""Promise: an edit, a view and a count cost with many thousand cells what they cost with a few hundred.

Counted in steps of SQLite's virtual machine, which unlike seconds do not depend on who else uses the computer.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add, replace_all
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project

_GRAIN = 20
_SIDE_PX = 200_000.0


class _Meter:
    """Counts the steps of every connection of a project."""

    def __init__(self, project: Project) -> None:
        self.steps = 0
        project._database.engine.dispose()
        event.listen(project._database.engine, "connect", self._listen)

    def _listen(self, connection: sqlite3.Connection, _record: object) -> None:
        def count() -> int:
            self.steps += _GRAIN
            return 0

        connection.set_progress_handler(count, _GRAIN)

    def of(self, work: Callable[[], object]) -> int:
        before = self.steps
        work()
        return self.steps - before


@contextmanager
def _project_of(folder: Path, n: int) -> Iterator[tuple[Project, list[Annotation]]]:
    chance = random.Random(0)
    ids = preset("bethesda").ids
    cells = [
        Annotation(
            slide_id="one",
            geometry=Point(chance.uniform(0, _SIDE_PX), chance.uniform(0, _SIDE_PX)),
            class_id=ids[i % len(ids)],
            status=Status.UNREVIEWED if i % 3 else Status.ACCEPTED,
        )
        for i in range(n)
    ]
    with Project.create(folder, preset("bethesda")) as project:
        project.add_slides([SlideRecord(name="one", id="one")])
        project.apply(add(cells, "Import"), "Ana")
        yield project, cells


def _costs(folder: Path, n: int) -> dict[str, int]:
    """Return the steps that each kind of work takes, summed over some places."""
    costs: dict[str, int] = {}
    reach = _SIDE_PX / 2 * (10 / n) ** 0.5
    with _project_of(folder, n) as (project, cells):
        meter = _Meter(project)
        for cell in random.Random(1).sample(cells, 30):
            y, x = cell.geometry.centre_yx
            other = replace(cell, class_id="HSIL" if cell.class_id == "NILM" else "NILM")
            new = replace(cell, id=f"new {cell.id}")
            work: dict[str, Callable[[], object]] = {
                "relabel": lambda a=cell, b=other: project.apply(replace_all([(a, b)], "Relabel"), "Ana"),
                "undo relabel": lambda: project.undo("Ana"),
                "add": lambda a=new: project.apply(add([a], "Draw"), "Ana"),
                "undo add": lambda: project.undo("Ana"),
                "counts": lambda: project.counts("one"),
                "nearest": lambda at=(y, x): project.nearest("one", at, 20.0),
                "cell at": lambda at=(y, x): project.cell_at("one", at, 20.0, bounds_count=True),
                "view": lambda at=(y - reach, x - reach, y + reach, x + reach): project.in_box("one", at),
                "step": lambda a=cell: project.neighbour("one", a, 1, "SCC", True),
                "open": lambda: Project.open(folder).close(),
            }
            for name, task in work.items():
                costs[name] = costs.get(name, 0) + meter.of(task)
    return costs


def test_work_on_one_cell_does_not_grow_with_how_many_there_are(tmp_path: Path) -> None:
    few = _costs(tmp_path / "few.cyto", 300)
    many = _costs(tmp_path / "many.cyto", 30_000)
    assert {name: (few[name], n) for name, n in many.items() if n > 1.5 * few[name] + 30 * _GRAIN} == {}


@pytest.mark.nightly
def test_a_million_cells_come_in_as_one_step_and_go_as_one(tmp_path: Path) -> None:
    with _project_of(tmp_path / "million.cyto", 1_000_000) as (project, _):
        assert sum(project.counts().values()) == 1_000_000
        assert project.history()[0].count == 1_000_000
        assert project.undo("Ana") is not None
        assert project.counts() == {}
        assert project.redo("Ana") is not None
        assert sum(project.counts("one").values()) == 1_000_000
