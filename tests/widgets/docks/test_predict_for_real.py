"""Promise: clicks alone propose cells, and a process of models that is shot down takes nothing along but its run."""

from __future__ import annotations

import os
import signal

import pytest

from napari_cyto.widgets.docks.predict._run import PredictionRun
from napari_cyto.widgets.docks.predict.dock import PredictDock

ANSWERED_WITHIN_MS = 240_000


def until_ended(bench, run: PredictionRun) -> None:
    bench.qtbot.waitUntil(lambda: not run.predictor.running and run.run.isEnabled(), timeout=ANSWERED_WITHIN_MS)


@pytest.mark.networks
@pytest.mark.timeout(600)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot shoot a process down")
def test_a_child_that_is_killed_is_reported_in_the_window_and_the_next_run_works(window_bench):
    bench, run = window_bench, window_bench.dock(PredictDock).run
    bench.mark(3)
    bench.click(run.scopes["slide"])
    bench.click(run.run)
    bench.qtbot.waitUntil(lambda: run.predictor.link.pid is not None, timeout=ANSWERED_WITHIN_MS)
    os.kill(run.predictor.link.pid, signal.SIGKILL)
    until_ended(bench, run)
    assert "stopped from outside" in run.words.text()
    assert [a.status.value for a in bench.session.project.annotations()].count("accepted") == 3
    bench.click(run.run)
    until_ended(bench, run)
    assert "new predictions" in run.words.text()
    statuses = [a.status.value for a in bench.session.project.annotations()]
    assert statuses.count("accepted") == 3
    assert statuses.count("proposed") > 0
