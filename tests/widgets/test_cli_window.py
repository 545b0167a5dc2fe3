"""Guards the verbs that open a window: what they show, and what they say where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import napari
import numpy as np
import pytest
from PIL import Image

from napari_cyto.cli.entry import run
from napari_cyto.domain.presets import preset
from napari_cyto.store import Project
from napari_cyto.widgets.window import session_for

pytestmark = pytest.mark.smoke


@pytest.fixture
def field(tmp_path: Path) -> Path:
    path = tmp_path / "field.png"
    Image.fromarray(np.full((300, 400, 3), 220, np.uint8)).save(path)
    return path


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, qapp: object) -> Iterator[list[str]]:
    """What the windows showed when napari's event loop would have begun; they are closed then."""
    names: list[str] = []

    def look_and_close() -> None:
        viewer = napari.current_viewer()
        assert viewer is not None
        session = session_for(viewer)
        names.append(session.slide.name if session.slide is not None else "")
        viewer.close()

    monkeypatch.setattr(napari, "run", look_and_close)
    return names


def test_open_shows_a_slide_in_a_project_beside_it(
    field: Path, shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["open", str(field), "--json"]) == 0
    assert shown == ["field.png"]
    assert json.loads(capsys.readouterr().out)["kind"] == "slide"
    assert Project.is_project(field.with_name("field.cyto"))


def test_open_shows_a_project(tmp_path: Path, shown: list[str]) -> None:
    Project.create(tmp_path / "study.cyto", preset("apacc")).close()
    assert run(["open", str(tmp_path / "study.cyto")]) == 0
    assert shown == [""]


def test_without_a_screen_a_sentence_says_what_to_do(
    field: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    assert run(["open", str(field)]) == 2
    assert run(["demo"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if "xvfb-run" in line] == err.splitlines()
