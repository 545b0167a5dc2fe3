"""Promise: one click outlines a cell, strokes of the brush correct it, Enter keeps it, and nothing happens silently."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import Qt
from scipy import ndimage

from napari_cyto.domain import edits
from napari_cyto.domain.geometry import Box, CellOutline, CellRing, Point, area
from napari_cyto.domain.presets import preset
from napari_cyto.inference.client import InferenceLink
from napari_cyto.session import Session, Tool
from napari_cyto.store import Project
from napari_cyto.widgets.canvas import napari_window
from napari_cyto.widgets.docks.annotate._outline_all import OutlineAll

SHIFT, ALT = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.AltModifier
NUCLEUS, OTHER, GLASS = (320.0, 330.0), (480.0, 560.0), (620.0, 250.0)
RADIUS = 18.0
PATIENCE_S = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two slides with two cells each; of the second it is not known how large a pixel is."""
    y, x = np.mgrid[:800, :800]
    cells = np.full((800, 800, 3), 235.0)
    for cy, cx in (NUCLEUS, OTHER):
        away = np.hypot(y + 0.5 - cy, x + 0.5 - cx)
        cells[away < 70] = (190, 205, 215)
        cells[away < RADIUS] = (70, 60, 110)
    pixels = ndimage.gaussian_filter(cells, (1, 1, 0)).astype(np.uint8)
    files = [tmp_path / "one.png", tmp_path / "two.png"]
    for number, path in enumerate(files):
        pixels[0, 0] = number
        Image.fromarray(pixels).save(path)
    session = Session("anna")
    session.projects.create(tmp_path / "p.cyto", preset("bethesda"))
    one, _ = session.slides.add(files)
    session.slides.go_to(one.id)
    session.facts.set_mpp(0.25)
    session.close()
    return tmp_path / "p.cyto"


class LentLink(InferenceLink):
    """A process that outlives the windows which it serves, for it takes its time to start."""

    def close(self) -> None:
        self.answers()


@pytest.fixture(scope="module")
def link() -> Iterator[LentLink]:
    made = LentLink(gives_way=False)
    yield made
    InferenceLink.close(made)


@pytest.fixture
def outliner(sit_down: Callable, link: LentLink):
    """A window on the first slide, the Outline tool in hand, its process without a network."""
    desk = sit_down()
    desk.said = []
    desk.session.message.connect(desk.said.append)
    desk.canvas.outline_tool.asker.model = "watershed"
    desk.canvas.outline_tool.asker.link = link
    napari_window.look_at(desk.viewer, (440, 440), 0.25, zoom=4.0)  # a screen px per level-0 px
    desk.settle()
    desk.keys("O")
    assert desk.session.tool is Tool.OUTLINE
    return desk


def wait(desk, until: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < end, desk.said
        desk.qtbot.wait(10)
    desk.settle()


def click(desk, yx) -> None:
    """Click, and wait for what comes of it."""
    desk.click(yx)
    wait(desk, lambda: not desk.canvas.outline_tool.asker.waits)


def outlines(desk) -> list[CellOutline]:
    return [a.geometry for a in desk.stored() if isinstance(a.geometry, CellOutline)]


def test_a_click_outlines_strokes_correct_and_enter_keeps(outliner):
    desk = outliner
    click(desk, (NUCLEUS[0] + 5, NUCLEUS[1] - 4))
    [cell] = desk.stored()
    found = cell.geometry
    assert found.centre_yx == pytest.approx(NUCLEUS, abs=3)
    assert area(found) == pytest.approx(np.pi * RADIUS**2, rel=0.2)
    assert area(CellOutline(found.cytoplasm_yx)) == pytest.approx(np.pi * 70**2, rel=0.2)
    assert (found.accepted, cell.class_id, cell.author) == (False, "NILM", "anna")
    assert "Enter keeps it" in desk.said[-1]
    dashed = len(desk.canvas.layers._outlines.pos)

    edge = (NUCLEUS[0], NUCLEUS[1] + RADIUS)
    desk.drag([edge, (NUCLEUS[0] + 10, NUCLEUS[1] + RADIUS + 12)], SHIFT)
    wide = outlines(desk)[0]
    assert wide.bounds_yxyx[3] == pytest.approx(NUCLEUS[1] + RADIUS + 12 + 7, abs=3)
    assert (wide.cytoplasm_yx, wide.accepted) == (found.cytoplasm_yx, False)
    desk.drag([(NUCLEUS[0] - RADIUS, NUCLEUS[1] - 20), (NUCLEUS[0] - RADIUS, NUCLEUS[1] + 20)], ALT)
    assert outlines(desk)[0].bounds_yxyx[0] > wide.bounds_yxyx[0] + 4
    desk.ctrl("Z")
    assert outlines(desk)[0] == wide
    desk.ctrl("Z")
    assert outlines(desk)[0] == found

    desk.keys("O")
    assert desk.session.outlines.ring is CellRing.CYTOPLASM
    desk.drag([(NUCLEUS[0], NUCLEUS[1] + 70), (NUCLEUS[0], NUCLEUS[1] + 90)], SHIFT)
    assert outlines(desk)[0].vertices_yx == found.vertices_yx
    assert area(CellOutline(outlines(desk)[0].cytoplasm_yx)) > area(CellOutline(found.cytoplasm_yx)) + 200

    desk.key(Qt.Key.Key_Return)
    [kept] = desk.stored()
    assert (kept.geometry.accepted, kept.id) == (True, cell.id)
    assert desk.session.selection == frozenset()
    assert len(desk.canvas.layers._outlines.pos) != dashed
    click(desk, NUCLEUS)
    assert (len(desk.stored()), desk.session.selection) == (1, {cell.id})
    assert "outlined already" in desk.said[-1]
    desk.keys("5")
    assert desk.stored()[0].class_id == "HSIL"


def test_a_point_and_a_box_become_outlines_by_a_click_or_by_one_key(outliner):
    desk = outliner
    session = desk.session
    point = session.edits.add_point((NUCLEUS[0] - 6, NUCLEUS[1]))
    box = session.edits.add_box(Box(OTHER[0] - 30, OTHER[1] - 30, OTHER[0] + 28, OTHER[1] + 28))
    stray = session.edits.add_point(GLASS)
    session.select([point.id])
    session.edits.set_note("look")
    session.select(())
    click(desk, (NUCLEUS[0] + 9, NUCLEUS[1]))
    outlined = next(a for a in desk.stored() if a.id == point.id)
    assert isinstance(outlined.geometry, CellOutline)
    assert (outlined.note, len(desk.stored())) == ("look", 3)
    desk.key(Qt.Key.Key_Escape)
    assert isinstance(next(a for a in desk.stored() if a.id == point.id).geometry, Point)

    session.select([point.id, box.id, stray.id])
    desk.key(Qt.Key.Key_O, SHIFT)
    wait(desk, lambda: not desk.canvas.outline_tool.asker.waits)
    shapes = {a.id: a.geometry for a in desk.stored()}
    assert isinstance(shapes[point.id], CellOutline)
    assert isinstance(shapes[box.id], CellOutline)
    assert shapes[stray.id] == stray.geometry
    assert "2 cells outlined" in desk.said[-1]
    assert "1 cell without" in desk.said[-1]
    desk.ctrl("Z")
    assert outlines(desk) == []
    session.select(())
    desk.key(Qt.Key.Key_O, SHIFT)
    assert "Select points or boxes" in desk.said[-1]


def test_nothing_found_off_the_slide_a_newer_click_another_slide_and_a_dead_process(outliner):
    desk = outliner
    session, asker = desk.session, desk.canvas.outline_tool.asker
    click(desk, GLASS)
    assert "No nucleus found" in desk.said[-1]
    napari_window.look_at(desk.viewer, (0, 0), 0.25, zoom=4.0)
    desk.settle()
    desk.click((-40, -40))
    assert "outside the slide" in desk.said[-1]
    napari_window.look_at(desk.viewer, (440, 440), 0.25, zoom=4.0)
    desk.settle()
    desk.drag([NUCLEUS, (NUCLEUS[0] + 30, NUCLEUS[1])], SHIFT)
    assert "click a nucleus first" in desk.said[-1]
    assert desk.stored() == []

    desk.click(NUCLEUS)
    click(desk, OTHER)
    assert [o.centre_yx for o in outlines(desk)] == [pytest.approx(OTHER, abs=3)]
    assert any("given up" in sentence for sentence in desk.said)

    desk.click(NUCLEUS)
    session.slides.next(1)
    desk.settle()
    assert not asker.waits
    desk.qtbot.wait(300)
    assert desk.stored() == []
    napari_window.look_at(desk.viewer, (440, 440), 1.0, zoom=1.0)
    desk.settle()
    click(desk, NUCLEUS)
    assert [o.centre_yx for o in outlines(desk)] == [pytest.approx(NUCLEUS, abs=3)]
    assert "pixel size of two.png is unknown" in desk.said[-1]

    os.kill(asker.link.pid, signal.SIGSTOP)
    desk.click(OTHER)
    os.kill(asker.link.pid, signal.SIGKILL)
    wait(desk, lambda: not asker.waits)
    assert "stopped from outside" in desk.said[-1]
    click(desk, OTHER)
    assert len(outlines(desk)) == 2


def test_undo_crosses_two_windows_without_loss(outliner):
    desk = outliner
    click(desk, NUCLEUS)
    [cell] = desk.stored()
    with Project.open(desk.session.project.folder) as other:
        other.apply(edits.remove([cell], "Delete"), "ben")
        desk.drag([(NUCLEUS[0], NUCLEUS[1] + RADIUS), (NUCLEUS[0], NUCLEUS[1] + 30)], SHIFT)
        assert desk.stored() == []
        desk.session.poll()
        other.undo("ben")
    desk.session.poll()
    desk.settle()
    assert desk.stored() == [cell]
    desk.ctrl("Z")
    assert desk.stored() == []


def test_all_cells_in_view_are_outlined_with_progress_and_the_rest_of_the_slide_stays(outliner):
    desk = outliner
    session = desk.session
    for yx in (NUCLEUS, OTHER, GLASS):
        session.edits.add_point(yx)
    napari_window.look_at(desk.viewer, (NUCLEUS[0], NUCLEUS[1] - 120), 0.25, zoom=14.0)
    desk.settle()
    every = OutlineAll(session)
    desk.qtbot.addWidget(every)
    every.show()
    every.model = "watershed"
    desk.qtbot.mouseClick(every.buttons["field"], Qt.MouseButton.LeftButton)
    assert every.job.running
    assert not every.buttons["field"].isVisible()
    wait(desk, lambda: not every.job.running)
    assert [(o.centre_yx, o.accepted) for o in outlines(desk)] == [(pytest.approx(NUCLEUS, abs=3), False)]
    assert "1 cell outlined by watershed, not accepted yet" in every.job.words.text()
    assert every.buttons["field"].isVisible()
    desk.qtbot.mouseClick(every.buttons["slide"], Qt.MouseButton.LeftButton)
    desk.qtbot.mouseClick(every.job.cancel, Qt.MouseButton.LeftButton)
    wait(desk, lambda: not every.job.running)
    assert len(outlines(desk)) == 1
    every.job.close_job()
