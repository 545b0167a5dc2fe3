"""Promise: work in the background leaves the window's thread, and comes back to it."""

from __future__ import annotations

import threading

import pytest
from qtpy.QtCore import QObject

from napari_cyto.errors import CytoError
from napari_cyto.widgets.background import Background

pytestmark = pytest.mark.usefixtures("qapp")


def test_results_and_errors_are_handed_over_in_the_windows_thread(qtbot) -> None:
    owner = QObject()
    background, came = Background(owner), []

    def fails() -> None:
        raise CytoError("no")

    def then(result) -> None:
        try:
            came.append((result(), threading.current_thread()))
        except CytoError as error:
            came.append((str(error), threading.current_thread()))

    background(threading.current_thread, then)
    background(fails, then)
    qtbot.waitUntil(lambda: len(came) == 2)
    (worker, here), (said, there) = came
    assert worker is not here
    assert here is there is threading.main_thread()
    assert said == "no"
    background.close()
