"""Promise: how annotations are drawn is kept for the user, and a damaged file of it costs nobody the window."""

from __future__ import annotations

import pytest

from napari_cyto.domain.presets import preset
from napari_cyto.widgets.canvas.view_options import ViewOptions, load, save, shapes_of


def test_what_was_chosen_is_there_the_next_time(tmp_path):
    chosen = ViewOptions(shapes=True, points_only=True, line_px=4, opacity=0.5)
    save(chosen, tmp_path / "deep" / "view.json")
    assert load(tmp_path / "deep" / "view.json") == chosen


@pytest.mark.parametrize("text", ["", "[]", "{", '{"line_px": "wide"}', '{"line_px": true}', "null"])
def test_what_cannot_be_read_is_as_at_first(tmp_path, text):
    (tmp_path / "view.json").write_text(text, encoding="utf-8")
    assert load(tmp_path / "view.json") == ViewOptions()
    assert load(tmp_path / "absent.json") == ViewOptions()


def test_values_beyond_what_can_be_seen_are_brought_back(tmp_path):
    (tmp_path / "view.json").write_text('{"line_px": 4000, "opacity": 0}', encoding="utf-8")
    assert load(tmp_path / "view.json") == ViewOptions(line_px=6, opacity=0.2)


@pytest.mark.parametrize("name", ["bethesda", "bethesda-4", "apacc", "ki67"])
def test_no_two_classes_of_a_scheme_have_one_shape(name):
    shapes = shapes_of(preset(name))
    assert len({shape for shape, _ in shapes.values()}) == len(shapes) == len(preset(name).classes)
