"""The whole window, with somebody at it who turns objectives and measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from microscope_hand import Hand

from napari_cyto.widgets.canvas.napari_window import native_canvas


@pytest.fixture
def hand(
    open_window_on: Callable[..., Any], project_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Hand:
    """A window on the project of three slides; what a user chooses is kept for this test alone."""
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "user"))
    bench = open_window_on(project_folder)
    said: list[str] = []
    bench.session.message.connect(said.append)
    native_canvas(bench.window.viewer).setFocus()
    return Hand(bench, said)
