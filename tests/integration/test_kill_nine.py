"""Promise: ``kill -9`` at any moment loses nothing that was acknowledged, and leaves the database intact.

An editor says what it is about to do, does it, and says that it is done. It is killed at random moments, at least 50
times, and 200 times in the nightly run. Afterwards the project must hold exactly what was acknowledged, or that and
the one step that was under way.
"""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import IO

import pytest

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import Edit, apply
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project

KILLS = 200 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 50
MOST_KILLS = 8 * KILLS
"""On a slow disk few kills fall between a commit and its acknowledgement: they go on until one did."""
_PROGRAM = Path(__file__).with_name("killed_editor.py")


def _load_program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("killed_editor", _PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


editor = _load_program()


@dataclass
class _Model:
    """What the project must hold."""

    state: dict[str, Annotation] = field(default_factory=dict)
    done: list[Edit] = field(default_factory=list)
    undone: list[Edit] = field(default_factory=list)
    steps: int = 0

    def after(self, word: str, seed: int, step: int) -> _Model:
        if word not in ("undo", "redo"):
            edit = editor.edit_for(word, seed, step, self.state)
            return _Model(apply(edit, self.state), [*self.done, edit], [], self.steps + 1)
        if word == "undo" and self.done:
            *done, edit = self.done
            return _Model(apply(edit.inverse(), self.state), done, [*self.undone, edit], self.steps + 1)
        if word == "redo" and self.undone:
            *undone, edit = self.undone
            return _Model(apply(edit, self.state), [*self.done, edit], undone, self.steps + 1)
        return self

    def is_in(self, folder: Path) -> bool:
        with Project.open(folder) as project:
            state = {cell.id: cell for cell in project.annotations()}
            counted = sum(project.counts().values())
            found = project.count_in_box("one", (-1.0, -1.0, 1e6, 1e6))
            assert counted == found == len(state)
            return state == self.state and sum(entry.seq for entry in project.history(1)) == self.steps


def _run_and_kill(talk: IO[str], listen: IO[str], seed: int, model: _Model) -> tuple[_Model, _Model]:
    """Start an editor, kill it, and return what it acknowledged, and that with the step that was under way."""
    chance = random.Random(seed)
    talk.write(f"{seed}\n")
    talk.flush()
    enough, pause_s = chance.randint(0, 6), chance.choice([0.0, chance.uniform(0, 0.01)])
    child, heard, under_way = 0, 0, model
    while True:
        if child and heard >= enough:
            time.sleep(pause_s)
            os.kill(child, signal.SIGKILL)
            enough = sys.maxsize
        match listen.readline().split():
            case ["started", number]:
                child = int(number)
            case ["about", step, word]:
                under_way = model.after(word, seed, int(step))
            case ["done", _]:
                model, heard = under_way, heard + 1
            case ["gone"]:
                return model, under_way
            case other:
                raise AssertionError(f"The editor broke off by itself: {other}")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 is a matter of POSIX")
def test_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "killed.cyto"
    with Project.create(folder, preset("bethesda")) as project:
        project.add_slides([SlideRecord(name="one", id="one")])
    model, acknowledged, under_way_kept = _Model(), 0, 0
    program = [sys.executable, str(_PROGRAM), str(folder)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as editors:
        assert editors.stdin is not None
        assert editors.stdout is not None
        for seed in range(MOST_KILLS):
            if seed >= KILLS and under_way_kept:
                break
            before = model.steps
            safe, under_way = _run_and_kill(editors.stdin, editors.stdout, seed, model)
            acknowledged += safe.steps - before
            connection = sqlite3.connect(folder / "project.sqlite")
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.close()
            if safe.is_in(folder):
                model = safe
            else:
                assert under_way.is_in(folder), f"kill {seed}: acknowledged edits are missing, or others appeared"
                model, under_way_kept = under_way, under_way_kept + 1
        editors.stdin.close()
    # Unless kills fell both between and into the steps, the test would have shown little.
    assert acknowledged > KILLS
    assert model.steps > acknowledged
