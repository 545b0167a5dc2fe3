"""Promise: what only serves who looks is done once somebody looks, not before, and never after it was called off."""

from __future__ import annotations

import gc

import pytest
from qtpy.QtWidgets import QApplication, QWidget

from napari_cyto.widgets.docks.run_when_visible import WhenSeen


class Stage:
    """A window, a widget beside it as a dock behind others lies, and how often it was seen to."""

    def __init__(self, qtbot) -> None:
        self.window = QWidget()
        qtbot.addWidget(self.window)
        self.window.resize(200, 200)
        self.widget = QWidget(self.window)
        self.widget.setGeometry(400, 0, 100, 100)
        self.calls = 0
        self.seen = WhenSeen(self.widget, self.call)
        with qtbot.waitExposed(self.window):
            self.window.show()
        self.settle = lambda: qtbot.wait(30)

    def call(self) -> None:
        self.calls += 1


@pytest.fixture
def stage(qtbot) -> Stage:
    return Stage(qtbot)


def test_in_sight_it_is_done_at_once_and_once(stage):
    stage.widget.move(0, 0)
    stage.seen.ask()
    stage.seen.ask()
    assert stage.seen.is_requested
    stage.settle()
    assert stage.calls == 1


def test_out_of_sight_it_waits_until_somebody_looks(stage):
    stage.seen.ask()
    stage.settle()
    assert stage.calls == 0
    stage.widget.move(0, 0)
    stage.settle()
    assert stage.calls == 1
    stage.widget.update()
    stage.settle()
    assert stage.calls == 1, "it was done again though nobody asked"


def test_who_learns_that_it_is_out_of_sight_is_called_later(stage):
    assert not stage.seen.is_now()
    stage.widget.move(0, 0)
    assert stage.seen.is_now()
    stage.settle()
    assert stage.calls == 1


def test_what_is_painted_without_a_rest_is_seen_to_all_the_same(stage, qtbot):
    """A map that grows while one pans is painted more often than its rest is long."""
    slow = WhenSeen(stage.widget, stage.call, 300)
    assert not slow.is_now()
    stage.widget.move(0, 0)
    for _ in range(12):
        stage.widget.update()
        qtbot.wait(60)
    assert stage.calls


def test_what_was_called_off_is_not_done(stage):
    stage.seen.ask()
    stage.settle()
    stage.seen.stop()
    stage.widget.move(0, 0)
    stage.settle()
    assert stage.calls == 0


def test_a_widget_that_goes_takes_it_along(stage):
    stage.seen.ask()
    stage.widget.setParent(None)
    stage.widget.deleteLater()
    QApplication.processEvents()
    del stage.widget, stage.seen
    gc.collect()
    stage.settle()
    assert stage.calls == 0
