"""Guards where a run may begin: what is there already is neither overwritten nor gone on with in vain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_cyto.jobs.events import Advanced, Cancelled, Done, Event, Failed
from napari_cyto.jobs.run_folder import RunFolder
from napari_cyto.training import _checkpoint as checkpoint
from napari_cyto.training.recipes import recipe
from napari_cyto.training.run import train


def left_behind(out: Path, best_epoch: int, *events: Event) -> RunFolder:
    """Write what a run leaves, without its model."""
    folder = RunFolder.of(out)
    folder.begin({}, resumed=False)
    for event in events:
        folder.append(event)
    (folder.path / checkpoint.TENSORS).write_bytes(b"")
    (folder.path / checkpoint.STATE_FILE).write_text(json.dumps({"progress": {"best_epoch": best_epoch}}))
    return folder


def refusal(out: Path, resume: bool) -> str:
    *_, last = train(recipe(None, "classifier"), (f"folders:{out.parent / 'nowhere'}",), out, resume=resume)
    assert isinstance(last, Failed)
    assert last.expected
    return last.message


@pytest.mark.parametrize("resume", [False, True])
def test_a_finished_run_whose_model_was_removed_says_so(tmp_path: Path, resume: bool) -> None:
    folder = left_behind(tmp_path / "model", 2, Advanced(1, 1, "x"), Done({}))
    said = refusal(tmp_path / "model", resume)
    assert "a run that is finished, but its model" in said
    assert "remove the folder model.run to train anew" in said
    assert "--resume" not in said
    assert len(folder.events()[0]) == 2, "nothing in it is touched"


def test_a_run_that_cannot_end_in_a_model_is_not_gone_on_with(tmp_path: Path) -> None:
    left_behind(tmp_path / "model", 2, Cancelled("x"))
    assert "was not finished, but its model" in refusal(tmp_path / "model", resume=True)


def test_a_run_without_a_model_yet_can_be_gone_on_with(tmp_path: Path) -> None:
    left_behind(tmp_path / "model", 0, Cancelled("x"))
    assert "continue it with --resume" in refusal(tmp_path / "model", resume=False)
    assert "nowhere" in refusal(tmp_path / "model", resume=True)


def test_a_project_that_cannot_be_opened_leaves_no_run_behind(tmp_path: Path) -> None:
    (tmp_path / "p.cyto").mkdir()
    (tmp_path / "p.cyto" / "project.sqlite").write_bytes(b"no database at all")
    *_, last = train(recipe(None, "classifier"), (str(tmp_path / "p.cyto"),), tmp_path / "m")
    assert isinstance(last, Failed)
    assert "p.cyto" in last.message
    assert [path.name for path in tmp_path.iterdir()] == ["p.cyto"]
