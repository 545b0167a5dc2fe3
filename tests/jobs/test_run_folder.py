"""Guards the folder between a run and whoever watches it: whole lines, wishes that are heard, processes that ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_cyto.errors import CytoError
from napari_cyto.files.processes import process_mark, runs
from napari_cyto.jobs.events import Advanced, CancelToken, Done, Failed, Measured, Noted
from napari_cyto.jobs.run_folder import FolderToken, RunFolder, from_dict, to_dict

EVENTS = (
    Advanced(1, 2, "x"),
    Noted("µm"),
    Measured({"epoch": 1, "metrics": {"F1": 0.5}}),
    Failed("no", True),
    Done({"bundle": "b"}),
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder.of(tmp_path / "model")
    run.begin({"config": {}}, resumed=False)
    return run


def test_events_come_back_as_they_went(folder: RunFolder) -> None:
    for event in EVENTS:
        folder.append(event)
    lines, end = folder.events()
    assert tuple(from_dict(line) for line in lines) == EVENTS
    assert folder.events(end) == ([], end)
    assert all(line["time"].endswith("+00:00") for line in lines)
    assert from_dict({"event": "from a later version"}) is None


def test_a_half_written_line_waits(folder: RunFolder) -> None:
    whole = json.dumps(to_dict(EVENTS[1])).encode()
    path = folder.path / "events.jsonl"
    path.write_bytes(whole + b"\n" + whole[:10])
    lines, end = folder.events()
    assert len(lines) == 1
    with path.open("ab") as stream:
        stream.write(whole[10:] + b"\n")
    assert len(folder.events(end)[0]) == 1


def test_going_on_keeps_whole_lines_only(folder: RunFolder) -> None:
    folder.append(EVENTS[0])
    with (folder.path / "events.jsonl").open("ab") as stream:
        stream.write(b'{"event": "adva')
    folder.begin({}, resumed=True)
    folder.append(EVENTS[1])
    assert [line["event"] for line in folder.events()[0]] == ["advanced", "noted"]
    folder.begin({}, resumed=False)
    assert folder.events() == ([], 0)


def test_wishes_are_heard(folder: RunFolder) -> None:
    token = FolderToken(folder)
    assert not token.cancelled()
    folder.ask("pause")
    time.sleep(0.15)
    assert token.paused()
    assert not token.cancelled()
    folder.ask("cancel")
    time.sleep(0.15)
    assert token.cancelled()
    assert not token.paused()
    folder.begin({}, resumed=True)
    assert folder.wish() == "go"


def test_a_token_hears_its_program_too(folder: RunFolder) -> None:
    own = CancelToken()
    token = FolderToken(folder, own)
    own.cancel()
    assert token.cancelled()


def test_a_broken_control_file_means_go_on(folder: RunFolder) -> None:
    (folder.path / "control.json").write_text('{"wish": "explode"')
    assert folder.wish() == "go"


def test_another_process_at_work_is_not_disturbed(folder: RunFolder) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        result = {"pid": sleeper.pid, "started": "", "mark": process_mark(sleeper.pid)}
        (folder.path / "process.json").write_text(json.dumps(result))
        assert folder.is_running()
        with pytest.raises(CytoError, match="in progress"):
            folder.begin({}, resumed=True)
    finally:
        sleeper.kill()
        # Not waited for yet: it has ended all the same, and its number is still taken.
        deadline = time.monotonic() + 10
        while folder.is_running() and time.monotonic() < deadline:
            time.sleep(0.02)
        ended = not folder.is_running()
        sleeper.wait()
        sleeper.stdin.close()  # type: ignore[union-attr]
    assert ended
    folder.begin({}, resumed=True)


def test_processes_are_distinguished() -> None:
    assert runs(os.getpid(), process_mark(os.getpid()))
    assert not runs(-1)
    assert not runs(2**22 + 12345)
    if process_mark(os.getpid()) is not None:
        assert not runs(os.getpid(), "0")
