"""Promise: predictions of two programs for one new project end up in the same one, or are refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.inference._target_project import made, there
from napari_cyto.store import Project


def test_a_project_that_another_program_made_meanwhile_is_shared(tmp_path: Path) -> None:
    folder = tmp_path / "new.cyto"
    with made(folder, preset("bethesda")) as first, made(folder, preset("bethesda")) as second:
        first.set_setting("a", 1)
        assert second.setting("a") == 1


def test_one_with_other_classes_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "new.cyto"
    Project.create(folder, preset("ki67")).close()
    before = (folder / "project.sqlite").read_bytes()
    with pytest.raises(
        CytoError, match=r"has just created .*new\.cyto with classes other than the model's; it lacks NILM"
    ):
        made(folder, preset("bethesda"))
    assert (folder / "project.sqlite").read_bytes() == before


def test_a_run_that_ended_before_its_project_was_made_is_in_nobodys_way(tmp_path: Path) -> None:
    folder = tmp_path / "new.cyto"
    (folder / "predict" / "smear-0123").mkdir(parents=True)
    assert there(folder) is None
    made(folder, preset("bethesda")).close()
    (tmp_path / "thesis" / "predict").mkdir(parents=True)
    (tmp_path / "thesis" / "text.txt").write_text("much work")
    with pytest.raises(CytoError, match="is not a project"):
        there(tmp_path / "thesis")
