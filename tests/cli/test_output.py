"""Promise: what a terminal would obey in names, notes and errors from files is shown, never sent, in any verb."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.cli.entry import run
from napari_cyto.cli.job_follower import follow
from napari_cyto.cli.output import print_facts, print_json, print_table, printable, printable_streams
from napari_cyto.jobs.events import Advanced, Done, Noted

ESCAPE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\r\x7f"
OBEYED = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), *"\u061c\u200e\u200f\u2028\u2029"} - {"\n", "\t"}
OBEYED |= {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


@given(st.text())
def test_nothing_that_a_terminal_obeys_passes_and_all_else_does(text: str) -> None:
    shown = printable(text)
    assert not OBEYED & set(shown)
    if not OBEYED & set(text):
        assert shown == text


def test_tables_facts_progress_notes_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    with printable_streams():
        print_facts([(ESCAPE, ESCAPE + "\nDone: a line of its own")])
        print_table(ESCAPE, [ESCAPE, "b"], [[ESCAPE + "[bold]", 1]])
        follow(lambda _token: iter([Advanced(1, 2, ESCAPE), Noted(ESCAPE), Done({})]), ESCAPE)
        print(ESCAPE)
        print(ESCAPE, file=sys.stderr)
    out, err = capsys.readouterr()
    assert not OBEYED & set(out + err)
    assert "\\x1b]0;owned\\x07" in out
    assert "\nDone" not in out
    with printable_streams():
        print_json({"name": ESCAPE})
    out, _ = capsys.readouterr()
    assert not OBEYED & set(out)
    assert json.loads(out) == {"name": ESCAPE}


def test_errors_and_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "l.csv"
    labels.write_text(f"x,y,{ESCAPE.strip()}\n1,2,3\n")
    for argv in (["info", str(tmp_path / ESCAPE)], [ESCAPE], ["import", "csv", str(labels), str(tmp_path / "p.cyto")]):
        assert run(argv) == 2
        out, err = capsys.readouterr()
        assert err
        assert not OBEYED & set(out + err)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
@pytest.mark.parametrize(
    "words",
    [
        ["info", "PIPE"],
        ["slides", "PIPE"],
        ["import", "csv", "PIPE", "new.cyto"],
        ["import", "geojson", "PIPE", "new.cyto"],
        ["export", "csv", "held.cyto", "out.csv"],
        ["export", "csv", "PIPE", "out.csv"],
        ["models", "verify", "PIPE"],
    ],
)
def test_pipes_are_refused_without_waiting(
    tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "PIPE")
    (tmp_path / "held.cyto").mkdir()
    os.mkfifo(tmp_path / "held.cyto" / "project.sqlite")
    named = [str(tmp_path / word) if word in ("PIPE", "new.cyto", "held.cyto", "out.csv") else word for word in words]
    assert run(named) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_bug_shows_its_traceback_without_obeying_it() -> None:
    code = (
        "import napari_cyto.cli.entry as r; from napari_cyto.cli import main\n"
        "def broken(argv): raise RuntimeError('\\x1b[2J')\n"
        "r.run = broken; main(['x'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "\x1b" not in done.stderr
