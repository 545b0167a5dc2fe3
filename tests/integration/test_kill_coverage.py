"""Promise: ``kill -9`` loses no more of what was looked at than the last seconds, and leaves the project intact."""

from __future__ import annotations

import importlib.util
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from napari_cyto.domain.coverage import Coverage
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.store import Project

SIZE = (1_010_000, 4000)
# One interval between two writes, one write, and the scheduling of a busy machine.
LOST_AT_MOST_S = 3.0
_PROGRAM = Path(__file__).with_name("killed_reader.py")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("killed_reader", _PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = _load()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 is a matter of POSIX")
def test_a_kill_loses_the_last_seconds_only(tmp_path: Path) -> None:
    folder = tmp_path / "read.cyto"
    with Project.create(folder, preset("bethesda")) as project:
        project.add_slides([SlideRecord(name="one", id="one", size_hw=SIZE, mpp=0.25)])
    with subprocess.Popen([sys.executable, str(_PROGRAM), str(folder)], stdout=subprocess.PIPE, text=True) as pans:
        assert pans.stdout is not None
        said = [pans.stdout.readline().split()]
        end_s = float(said[0][1]) + LOST_AT_MOST_S + 1.0
        while float(said[-1][1]) < end_s:
            said.append(pans.stdout.readline().split())
        os.kill(pans.pid, signal.SIGKILL)
        killed_s = time.monotonic()
        said += [line.split() for line in pans.stdout if len(line.split()) == 2]
    connection = sqlite3.connect(folder / "project.sqlite")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    safe = [int(step) for step, at_s in said if float(at_s) < killed_s - LOST_AT_MOST_S]
    assert safe
    expected, most = Coverage(SIZE), Coverage(SIZE)
    for step in safe[1:]:
        expected.see(_both(step), 40)
    for step, _ in said[1:]:
        most.see(_both(int(step)), 40)
    with Project.open(folder) as project:
        kept = project.coverage("one", SIZE)["anna"]
    assert (kept.seen >= expected.seen).all()
    assert kept.share(40) > 0
    assert kept.share(40) <= most.merged(kept).share(40)


def _both(step: int) -> tuple[float, float, float, float]:
    """Return what was on screen at a step and at the one before."""
    before, now = reader.view(step - 1), reader.view(step)
    return (max(before[0], now[0]), now[1], min(before[2], now[2]), now[3])
