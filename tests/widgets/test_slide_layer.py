"""Guards that a slide is shown in µm, in place on every level, on the tissue, with damage hatched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from qtpy.QtWidgets import QApplication

from napari_cyto.slides import open_slide
from napari_cyto.slides._hatch_pattern import BETWEEN_RGB, STRIPE_RGB
from napari_cyto.slides.synthetic_levels import NOT_MADE_RGB, Sizes, ZoomableSlide, zoomable
from napari_cyto.slides.tiff_writer import write_pyramid
from napari_cyto.widgets.canvas._jump_preload import Arrival
from napari_cyto.widgets.canvas.napari_window import arrive, camera_of, look_at, set_out_for, view_yxyx
from napari_cyto.widgets.slide_layer import add_slide_layer, home_yxyx

MPP = 0.25
SIZE = (2503, 3501)
LANDMARKS = [(300, 300), (2300, 3300), (1250, 3200)]
HALF = 48


@pytest.fixture(scope="module")
def marked_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """White glass with black squares around the landmarks; an odd size, so that each level is truncated."""

    def draw(y0: int, x0: int, h: int, w: int) -> np.ndarray:
        out = np.full((h, w, 3), 250, np.uint8)
        for y, x in LANDMARKS:
            out[max(0, y - HALF - y0) : max(0, y + HALF - y0), max(0, x - HALF - x0) : max(0, x + HALF - x0)] = 30
        return out

    path = tmp_path_factory.mktemp("marked") / "marked.tiff"
    write_pyramid(path, SIZE, draw, mpp=MPP, quality=95)
    return path


@pytest.fixture
def viewer(make_napari_viewer) -> Iterator[object]:
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1000, 700)
    drawn()
    yield viewer
    viewer.layers.clear()


def drawn(layer=None) -> None:
    for _ in range(6):
        QApplication.processEvents()
    while layer is not None and not layer.sharp:
        QApplication.processEvents()
    QApplication.processEvents()


def seen_yx(viewer, zoom: float) -> tuple[float, float]:
    """Return the middle of the dark square around the centre of the screen, level-0 px."""
    dark = 255.0 - viewer.screenshot(canvas_only=True, flash=False)[..., :3].mean(-1)
    y0, x0, y1, x1 = view_yxyx(viewer, MPP)
    (h, w), reach = dark.shape, int(HALF * zoom * 1.4) + 4
    ys, xs = np.nonzero(dark > 100)
    near = (np.abs(ys - h / 2) < reach) & (np.abs(xs - w / 2) < reach)
    y, x = ys[near].mean() + 0.5, xs[near].mean() + 0.5
    return (y0 + y / h * (y1 - y0), x0 + x / w * (x1 - x0))


def test_one_layer_in_um_with_a_scale_bar(viewer, marked_path: Path) -> None:
    with open_slide(marked_path) as slide:
        layer = add_slide_layer(viewer, slide, MPP)
        assert len(viewer.layers) == 1
        assert (layer.multiscale, layer.rgb, tuple(layer.scale)) == (True, True, (MPP, MPP))
        assert {str(unit) for unit in layer.units} == {"micrometer"}
        assert viewer.canvas.overlays.scale_bar.visible
        np.testing.assert_array_equal(layer.downsample_factors[:, 0], [1, 2, 4, 8])


def test_no_um_are_claimed_without_an_mpp(viewer, marked_path: Path) -> None:
    with open_slide(marked_path) as slide:
        layer = add_slide_layer(viewer, slide, None)
        assert tuple(layer.scale) == (1, 1)
        assert {str(unit) for unit in layer.units} == {"pixel"}


def test_the_camera_is_on_the_tissue(viewer, marked_path: Path) -> None:
    with open_slide(marked_path) as slide:
        add_slide_layer(viewer, slide, MPP)
        y0, x0, y1, x1 = home_yxyx(slide)
        vy0, vx0, vy1, vx1 = view_yxyx(viewer, MPP)
        assert vy0 <= y0 < y1 <= vy1
        assert vx0 <= x0 < x1 <= vx1
        assert (vy0 + vy1) / 2 == pytest.approx((y0 + y1) / 2)


def test_the_slide_lies_under_what_is_there(viewer, marked_path: Path) -> None:
    viewer.add_points(np.zeros((1, 2)), units=("um", "um"))
    with open_slide(marked_path) as slide:
        layer = add_slide_layer(viewer, slide, MPP)
        assert viewer.layers[0] is layer


@pytest.mark.parametrize("level", range(4))
def test_a_landmark_is_drawn_in_its_place_on_every_level(viewer, marked_path: Path, level: int) -> None:
    with open_slide(marked_path) as slide:
        layer = add_slide_layer(viewer, slide, MPP)
        zoom = 0.8 / 2**level
        for y, x in LANDMARKS:
            look_at(viewer, (y + 1.0, x + 2.0), MPP, zoom / MPP)
            drawn(layer)
            found = seen_yx(viewer, zoom)
            assert layer.data_level <= level
            # One px of the screen: what nearest-neighbour drawing can be off.
            assert abs(found[0] - y) * zoom < 1
            assert abs(found[1] - x) * zoom < 1


def test_what_is_set_out_for_is_read_once_and_drawn_in_its_place(viewer, marked_path: Path, monkeypatch) -> None:
    """Also where nobody draws it by name: napari, which takes it for drawn, must not leave the last place's picture."""
    with open_slide(marked_path) as slide:
        layer = add_slide_layer(viewer, slide, MPP)
        drawn(layer)
        read: list[int] = []
        monkeypatch.setattr(layer._reader, "read", _counting(layer._reader.read, read))
        for turn, (y, x) in enumerate(LANDMARKS, 1):
            set_out_for(viewer, (y + 1.0, x + 2.0), MPP, 0.8 / MPP)
            assert not layer.sharp
            if turn % 2:
                arrive(viewer)
            drawn(layer)
            found = seen_yx(viewer, 0.8)
            assert abs(found[0] - y) * 0.8 < 1
            assert abs(found[1] - x) * 0.8 < 1
        layer.visible = False
        set_out_for(viewer, LANDMARKS[0], MPP)
        arrive(viewer)
        layer.visible = True
        drawn(layer)
        assert abs(seen_yx(viewer, 0.8)[0] - LANDMARKS[0][0]) < 2
        assert len(read) < 3 * len(LANDMARKS)


def test_where_one_goes_next_is_decoded_while_one_looks(viewer, marked_path: Path) -> None:
    with open_slide(marked_path) as slide:
        layer = add_slide_layer(viewer, slide, MPP)
        drawn(layer)
        (here, there), arrival = LANDMARKS[:2], Arrival(viewer, viewer.window._qt_window)
        arrival.set_out(here, MPP, 0.8 / MPP)
        arrival.foresee(*there)
        arrival.arrive_soon()
        drawn(layer)
        ahead = layer._reader._ahead
        assert ahead is None or ahead.done.wait(20)
        arrival.set_out(there, MPP, None)
        assert layer._reader.sharp, "tiles of the next place were not decoded"
        arrival.arrive_soon()
        drawn(layer)


def _counting(function, calls: list[int]):
    def counted(*args, **options):
        calls.append(1)
        return function(*args, **options)

    return counted


def test_damage_is_drawn_hatched_and_reported(viewer, marked_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "hurt.tiff"
    data = bytearray(marked_path.read_bytes())
    with tifffile.TiffFile(marked_path) as tiff:
        start, count = tiff.pages.first.dataoffsets[0], tiff.pages.first.databytecounts[0]
    data[start + count // 2 : start + count // 2 + 80] = bytes(range(1, 81))
    path.write_bytes(data)
    reports: list[object] = []
    with open_slide(path) as slide:
        slide.on_unreadable(reports.append)
        layer = add_slide_layer(viewer, slide, MPP)
        look_at(viewer, (128, 128), MPP, 1 / MPP)
        drawn(layer)
        pixels = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
        shown = {tuple(int(v) for v in c) for c in np.unique(pixels.reshape(-1, 3), axis=0)}
        assert {STRIPE_RGB, BETWEEN_RGB} <= shown
        assert [r.bounds_yxyx for r in reports] == [(0, 0, 256, 256)]
        look_at(viewer, LANDMARKS[1], MPP)
        drawn(layer)
        assert abs(seen_yx(viewer, 1)[0] - LANDMARKS[1][0]) < 2


def test_colours_come_to_srgb_and_back(viewer, tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")
    Image.new("RGB", (300, 200), (200, 60, 60)).save(tmp_path / "field.png", icc_profile=swapped)

    def shown() -> tuple[int, ...]:
        drawn(layer)
        pixels = viewer.screenshot(canvas_only=True, flash=False)
        return tuple(int(v) for v in pixels[pixels.shape[0] // 2, pixels.shape[1] // 2, :3])

    with open_slide(tmp_path / "field.png") as slide:
        layer = add_slide_layer(viewer, slide, None)
        zoom = camera_of(viewer).zoom
        assert shown() == (200, 60, 60)
        layer.show_icc(True)
        red, _, blue = shown()
        assert blue > red
        layer.show_icc(False)
        assert shown() == (200, 60, 60)
        assert camera_of(viewer).zoom == zoom


def test_a_slide_without_small_levels_fills_in_and_is_then_true(viewer, qtbot, tmp_path: Path) -> None:
    pixels = np.full((1600, 2400, 3), 245, np.uint8)
    pixels[400:1200, 800:1600] = (150, 60, 140)
    path = tmp_path / "flat.tif"
    tifffile.imwrite(path, pixels, tile=(64, 64), compression="deflate", photometric="rgb", metadata=None)
    go = threading.Event()

    def shown() -> set[tuple[int, ...]]:
        image = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
        return {tuple(int(v) for v in c) for c in np.unique(image[50:-50:5, 50:-50:5].reshape(-1, 3), axis=0)}

    with open_slide(path) as slide:
        decode = slide._backend.decode_tile
        slide._backend.decode_tile = lambda *at: (go.wait(20), decode(*at))[1]  # type: ignore[method-assign]
        levels = zoomable(slide, Sizes(too_large_px=500, small_px=200, block_px=128))
        assert isinstance(levels, ZoomableSlide)
        layer = add_slide_layer(viewer, slide, MPP)
        assert home_yxyx(slide) == (0, 0, 1600, 2400)
        look_at(viewer, (800, 1200), MPP, 0.04 / MPP)
        for _ in range(6):
            QApplication.processEvents()
        assert (slide.info.levels, layer.data_level) == (1, 2)
        assert not layer.sharp
        assert NOT_MADE_RGB in shown()
        go.set()
        drawn(layer)
        # The last block is there before the window has heard of it.
        qtbot.waitUntil(lambda: NOT_MADE_RGB not in shown(), timeout=20_000)
        assert {(245, 245, 245), (150, 60, 140)} <= shown()
        y0, x0, y1, x1 = home_yxyx(slide)
        assert max(abs(y0 - 400), abs(x0 - 800), abs(y1 - 1200), abs(x1 - 1600)) < 30
