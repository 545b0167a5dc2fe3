"""Promise: a slide is shown again where it was left, also when its µm per pixel was entered meanwhile."""

from __future__ import annotations

import gc

import pytest

from napari_cyto.widgets.canvas.napari_window import camera_of, look_at, view_yxyx
from napari_cyto.widgets.window import window_of


def test_coming_back_to_a_slide_shows_where_it_was_left(window_bench):
    bench, viewer = window_bench, window_bench.window.viewer
    first = view_yxyx(viewer, 0.25)
    assert first[0] <= 0
    assert first[2] >= 640, "all of a field at first"
    look_at(viewer, (200.0, 300.0), 0.25, 12.0)
    left = view_yxyx(viewer, 0.25)
    bench.click(bench.slides.next)
    assert bench.session.slide.name == "smear_b.tif"
    assert view_yxyx(viewer, 0.25) == pytest.approx(first), "another slide, seen for the first time"
    bench.click(bench.slides.previous)
    assert view_yxyx(viewer, 0.25) == pytest.approx(left)
    assert camera_of(viewer).zoom == pytest.approx(12.0)
    assert bench.session.view_yxyx == pytest.approx(left)


def test_entering_the_size_of_a_pixel_keeps_the_place(window_bench):
    bench, viewer = window_bench, window_bench.window.viewer
    for _ in range(2):
        bench.click(bench.slides.next)
    assert bench.session.slide.mpp is None
    look_at(viewer, (200.0, 300.0), 1.0, 3.0)
    left = view_yxyx(viewer, 1.0)
    bench.session.facts.set_mpp(0.5)
    bench.settle()
    assert view_yxyx(viewer, 0.5) == pytest.approx(left)


def test_a_viewer_of_somebody_else_leaves_the_search_for_garbage_alone(make_napari_viewer):
    """Only a program of our own may keep modules and classes out of it."""
    before = gc.get_freeze_count()
    assert window_of(make_napari_viewer()) is not None
    assert gc.get_freeze_count() <= before
