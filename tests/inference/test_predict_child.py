"""Guards the warm process beside the window: it answers, stops within a second, and its death is told in a sentence."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Cancelled
from napari_cyto.session import Session
from napari_cyto.widgets.docks.predict._predictor import Predictor

pytestmark = pytest.mark.networks

PATIENCE_S = 280.0


@pytest.fixture
def predictor(tmp_path: Path) -> Iterator[Predictor]:
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    session = Session("ann")
    session.projects.create(tmp_path / "p.cyto", preset("bethesda"))
    (record,) = session.slides.add([tmp_path / "noise.png"])
    session.slides.go_to(record.id)
    session.facts.set_mpp(1.0)
    session.set_view((0.0, 0.0, 200.0, 200.0))
    made = Predictor(session)
    yield made
    made.close()
    session.close()


def wait(predictor: Predictor, until: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < end_s
        predictor.poll()
        time.sleep(0.01)


def ended(predictor: Predictor) -> list[Any]:
    said: list[Any] = []
    predictor.finished.connect(said.append)
    predictor.failed.connect(said.append)
    return said


def test_a_field_a_cancelled_slide_and_a_killed_child(predictor: Predictor, finder: Path) -> None:
    said, arrived = ended(predictor), []
    predictor.arrived.connect(arrived.append)
    predictor.ask("field", str(finder))
    wait(predictor, lambda: bool(said))
    project = predictor.session.need_project()
    first = list(project.annotations())
    assert said.pop().stored.added == sum(arrived) == len(first) > 0
    assert all(max(a.geometry.centre_yx) <= 200 for a in first)
    pid = predictor.link.pid

    begun: list[tuple[int, int, str]] = []
    predictor.advanced.connect(lambda *step: begun.append(step))
    predictor.ask("slide", str(finder))
    wait(predictor, lambda: bool(begun))
    predictor.cancel()
    wait(predictor, lambda: bool(said))
    assert isinstance(said.pop(), Cancelled)

    begun.clear()
    predictor.ask("slide", str(finder))
    wait(predictor, lambda: bool(begun))
    os.kill(predictor.link.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    wait(predictor, lambda: bool(said))
    assert "stopped from outside" in said.pop()
    assert len(list(project.annotations())) >= len(first)

    predictor.ask("field", str(finder))
    wait(predictor, lambda: bool(said))
    assert said.pop().stored.added == 0
    assert predictor.link.pid != pid


def test_what_cannot_work_is_refused_at_once(predictor: Predictor, finder: Path) -> None:
    with pytest.raises(CytoError, match="Select one region"):
        predictor.ask("region", str(finder))
    with pytest.raises(CytoError, match="no model"):
        predictor.ask("field", "nobody")
    predictor.session.set_view((5000.0, 0.0, 6000.0, 100.0))
    with pytest.raises(CytoError, match="outside the slide"):
        predictor.ask("field", str(finder))
    assert not predictor.running
    assert not predictor.link.alive


def test_weights_that_are_not_whole_are_refused_by_the_child_in_a_sentence(
    predictor: Predictor, finder: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(finder, damaged)
    weights = damaged / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    said = ended(predictor)
    predictor.ask("field", str(damaged))
    wait(predictor, lambda: bool(said))
    assert "damaged or was replaced" in str(said.pop())
    assert not predictor.running
