"""Guards Ctrl-C: a job that is interrupted says so, exits as shells expect, and leaves nothing half-made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE_S = 120.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT that one process can send another")
def test_an_interrupted_demo_leaves_nothing_half_made(tmp_path: Path) -> None:
    cache, out = tmp_path / "cache", tmp_path / "out"
    child = subprocess.Popen(
        [sys.executable, "-m", "napari_cyto", "demo", "--headless", "--out", str(out)],
        env=os.environ | {"NAPARI_CYTO_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end_s = time.monotonic() + PATIENCE_S
    while not _begun(cache) and child.poll() is None and time.monotonic() < end_s:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 130, stderr
    assert stdout == ""
    assert stderr.splitlines()[-1].startswith("Cancelled")
    assert [p for p in (*cache.glob("[!l]*/**/*"), *out.rglob("*")) if p.is_file()] == []


def _begun(cache: Path) -> bool:
    """Whether there is more than the folder of logs."""
    return cache.is_dir() and any(p.name != "logs" for p in cache.iterdir())


_IN_A_STRING = """
import signal
# A parent in the background of a shell may have left it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from napari_cyto.cli import main, verbs
def build(_words):
    return lambda **_: exec("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)")
verbs.build = build
main(["info", "smear.tif"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT that one process can send another")
def test_an_interrupt_while_code_in_a_string_runs_has_the_code_of_others() -> None:
    """What makes dataclasses runs such code: by chance the process then died of the signal, after its sentence."""
    ended = subprocess.run([sys.executable, "-c", _IN_A_STRING], capture_output=True, text=True, timeout=PATIENCE_S)
    assert ended.returncode == 130
    assert ended.stderr == "Interrupted; existing files are untouched.\n"
