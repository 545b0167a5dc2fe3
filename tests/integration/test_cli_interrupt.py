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
    while not cache.exists() and child.poll() is None and time.monotonic() < end_s:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    stdout, stderr = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 130, stderr
    assert stdout == ""
    assert stderr.splitlines()[-1].startswith("Cancelled")
    assert [p for p in (*cache.rglob("*"), *out.rglob("*")) if p.is_file()] == []
