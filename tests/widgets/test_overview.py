"""Guards that the map shows the slide and the view in place, and goes where it is clicked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from psygnal import Signal
from qtpy.QtCore import QPoint, Qt

from napari_cyto.slides import open_slide
from napari_cyto.slides.synthetic_levels import Sizes, ZoomableSlide, zoomable
from napari_cyto.widgets.overview import OverviewMap


@pytest.fixture
def overview(qtbot, tmp_path: Path) -> OverviewMap:
    pixels = np.zeros((400, 800, 3), np.uint8)
    pixels[:, :400] = (200, 40, 40)
    pixels[:, 400:] = (40, 40, 200)
    Image.fromarray(pixels).save(tmp_path / "field.png")
    widget = OverviewMap()
    qtbot.addWidget(widget)
    with open_slide(tmp_path / "field.png") as slide:
        widget.set_slide(slide)
    widget.resize(240, 160)
    widget.show()
    return widget


def test_the_slide_is_drawn_in_its_shape(overview: OverviewMap) -> None:
    area = overview.map_rect()
    assert (area.x(), area.y(), area.width(), area.height()) == (0, 20, 240, 120)
    image = overview.grab().toImage()
    ratio = image.width() / 240
    left, right = (image.pixelColor(int(x * ratio), int(80 * ratio)) for x in (60, 180))
    assert left.red() > 150 > left.blue()
    assert right.blue() > 150 > right.red()


def test_the_frame_is_where_the_view_is(overview: OverviewMap) -> None:
    assert overview.frame_rect() is None
    overview.set_view((100, 200, 300, 600))
    frame = overview.frame_rect()
    assert frame is not None
    assert (frame.x(), frame.y(), frame.width(), frame.height()) == pytest.approx((60, 50, 120, 60))
    overview.set_view((100, 200, 101, 201))
    tiny = overview.frame_rect()
    assert tiny is not None
    assert min(tiny.width(), tiny.height()) >= 5


def test_a_click_goes_there(overview: OverviewMap, qtbot) -> None:
    with qtbot.waitSignal(overview.jumped) as jump:
        qtbot.mouseClick(overview, Qt.MouseButton.LeftButton, pos=QPoint(120, 80))
    assert jump.args == pytest.approx([200, 400], abs=4)


def test_a_drag_follows_and_stays_on_the_slide(overview: OverviewMap, qtbot) -> None:
    places: list[tuple[float, float]] = []
    overview.jumped.connect(lambda y, x: places.append((y, x)))
    qtbot.mousePress(overview, Qt.MouseButton.LeftButton, pos=QPoint(10, 80))
    qtbot.mouseMove(overview, QPoint(60, 80))
    qtbot.mouseRelease(overview, Qt.MouseButton.LeftButton, pos=QPoint(60, 80))
    qtbot.mouseClick(overview, Qt.MouseButton.LeftButton, pos=QPoint(239, 2))
    assert places[-1] == pytest.approx((0, 797), abs=5)
    assert all(0 <= y <= 400 and 0 <= x <= 800 for y, x in places)


def test_arrow_keys_step_by_half_a_view(overview: OverviewMap, qtbot) -> None:
    overview.set_view((100, 200, 200, 400))
    with qtbot.waitSignal(overview.jumped) as jump:
        qtbot.keyClick(overview, Qt.Key.Key_Right)
    assert jump.args == [150, 400]


def test_it_fits_a_narrow_dock(overview: OverviewMap) -> None:
    assert overview.minimumSizeHint().width() <= 240
    assert overview.minimumWidth() <= 160
    assert overview.heightForWidth(240) == 120
    assert overview.heightForWidth(4000) <= 220
    assert overview.toolTip()
    assert overview.accessibleName()


def test_without_a_slide_nothing_happens(overview: OverviewMap, qtbot) -> None:
    overview.set_slide(None)
    overview.jumped.connect(lambda *_: pytest.fail("there is nowhere to go"))
    qtbot.mouseClick(overview, Qt.MouseButton.LeftButton, pos=QPoint(120, 80))
    overview.grab()


class StandInSession:
    """The part of a session that the map speaks to."""

    slide_changed = Signal()
    view_changed = Signal(float, float, float, float)

    def __init__(self) -> None:
        self.open_slide_handle = None
        self.went: list[tuple[float, float]] = []

    def jump(self, yx: tuple[float, float]) -> None:
        self.went.append(yx)


def test_it_follows_a_session_until_let_go(qtbot, tmp_path: Path) -> None:
    Image.new("RGB", (80, 40), "pink").save(tmp_path / "field.png")
    session = StandInSession()
    widget = OverviewMap.of_session(session)  # type: ignore[arg-type]
    qtbot.addWidget(widget)
    with open_slide(tmp_path / "field.png") as slide:
        session.open_slide_handle = slide
        session.slide_changed.emit()
        session.view_changed.emit(0.0, 0.0, 20.0, 40.0)
    assert widget.frame_rect() is not None
    widget.resize(160, 80)
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton, pos=QPoint(80, 40))
    assert session.went == [pytest.approx((20, 40), abs=1)]
    widget.let_go()
    session.view_changed.emit(0.0, 0.0, 10.0, 10.0)
    assert widget._view_yxyx == (0.0, 0.0, 20.0, 40.0)


def test_a_slide_without_small_levels_fills_in(qtbot, tmp_path: Path) -> None:
    Image.new("RGB", (1200, 800), (40, 40, 200)).save(tmp_path / "field.png")
    widget = OverviewMap()
    qtbot.addWidget(widget)
    widget.resize(240, 160)
    with open_slide(tmp_path / "field.png") as slide:
        levels = zoomable(slide, Sizes(too_large_px=500, small_px=200))
        widget.set_slide(slide)
        assert isinstance(levels, ZoomableSlide)
        qtbot.waitUntil(lambda: widget.grab().toImage().pixelColor(120, 80).getRgb()[:3] == (40, 40, 200))
        assert levels.complete
        widget.let_go()
        assert not levels._listeners
