"""A reader who pans over a slide until the program is killed: the other half of ``test_kill_coverage.py``."""

from __future__ import annotations

import os
import sys
import time

from napari_cyto.session import Session
from napari_cyto.session.coverage_recorder import CoverageRecorder

STEP_PX, SAMPLE_S, KEEP_EVERY_S = 100.0, 0.01, 0.3


def view(step: int) -> tuple[float, float, float, float]:
    """Return what is on screen at a step, level-0 px."""
    return (step * STEP_PX, 0.0, step * STEP_PX + 1000.0, 4000.0)


def main() -> None:
    """Pan, and say each step that was taken down."""
    session = Session("anna")
    session.projects.open(sys.argv[1])
    recorder = CoverageRecorder(session, KEEP_EVERY_S)
    for step in range(10_000):
        recorder.sample(view(step), 40)
        os.write(1, f"{step} {time.monotonic()}\n".encode())
        time.sleep(SAMPLE_S)


if __name__ == "__main__":
    main()
