"""Promise: a new file or folder never takes the place of one that is there."""

from __future__ import annotations

from pathlib import Path

from napari_cyto.files.safe_names import free_place


def test_a_free_place_has_the_first_number_that_is_not_taken(tmp_path: Path) -> None:
    assert free_place(tmp_path, "a", ".cyto", " ").name == "a.cyto"
    (tmp_path / "a.cyto").mkdir()
    (tmp_path / "a 2.cyto").mkdir()
    assert free_place(tmp_path, "a", ".cyto", " ").name == "a 3.cyto"
    assert free_place(tmp_path, "m", taken=lambda place: place.name in ("m", "m-2")).name == "m-3"
