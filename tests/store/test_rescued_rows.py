"""Promise: a rescue keeps all that holds together, puts one thing in the place of what is lost, and says each."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from napari_cyto.domain.annotation import Annotation
from napari_cyto.domain.edits import add
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.slide_record import Progress
from napari_cyto.errors import JobCancelled, StoreError
from napari_cyto.store import Project
from napari_cyto.store.recovery import _rescue
from napari_cyto.store.recovery import maintenance as care
from tests.store.strangers import make_project, with_schema

_CELLS = [("HSIL", 30.0), ("NILM", 5.0), (None, 0.0), ("LSIL", 20.0)]
"""Class and upper end of what the project holds."""
_STEPS = [("Draw", 4), ("Move", 1), ("Move", 1), ("Move", 1)]
_LOST = "A step that is lost"
_NOT_UNDONE = "of the history, which can no longer be undone"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rescued") / "sound.cyto"
    make_project(folder)
    shutil.rmtree(folder / "backups", ignore_errors=True)
    return folder


def _cells(**changed: object) -> list[object]:
    """The cells, but for some by their number; None takes one away."""
    found: list[object] = list(_CELLS)
    for place, value in changed.items():
        found[int(place[1:]) - 1] = value
    return [each for each in found if each is not None]


_CASES: dict[str, tuple[list[str], list[object], list[object]]] = {
    "DELETE FROM slide WHERE pk = 1": (
        ["1 slide record: 1; annotations there are kept under a new name"],
        _cells(),
        _STEPS,
    ),
    "UPDATE version SET slide_pk = 7 WHERE pk = 4": (
        ["1 slide record: 7; annotations there are kept under a new name"],
        _cells(),
        _STEPS,
    ),
    "UPDATE version SET class_id = 'H' || char(25) WHERE pk = 2": (
        ["the field 'class_id' of the row 2 of 'version'", "what the classes unreadable class look like"],
        _cells(n2=("unreadable class", 5.0)),
        _STEPS,
    ),
    "UPDATE version SET class_id = 'own' WHERE pk IN (1, 5)": (
        ["what the classes own look like"],
        _cells(n1=("own", 30.0)),
        _STEPS,
    ),
    "UPDATE version SET status = 'odd' WHERE pk = 3": (
        [
            "the row 3 of 'version', which holds what no project holds",
            "1 annotation: ID3",
            "1 state of annotations, present or former",
            f"parts of 1 step {_NOT_UNDONE}",
        ],
        [_CELLS[0], _CELLS[1], _CELLS[3]],
        [("Draw", 3), *_STEPS[1:]],
    ),
    "DELETE FROM annotation WHERE pk = 2": (
        [
            "the records of 1 annotation, found by their versions; some may have been deleted before",
            f"parts of 1 step {_NOT_UNDONE}",
        ],
        [_CELLS[0], _CELLS[2], _CELLS[3], _CELLS[1]],
        [("Draw", 3), *_STEPS[1:], ("Rescue", 1)],
    ),
    "DELETE FROM version WHERE pk = 5": (
        [
            "the last state of 1 annotation; the one before it is kept",
            "1 state of annotations, present or former",
            f"parts of 3 steps {_NOT_UNDONE}",
        ],
        _cells(n1=("HSIL", 10.0)),
        [("Draw", 4), ("Move", 0), ("Move", 0), ("Move", 0)],
    ),
    "UPDATE annotation SET version_pk = 2 WHERE pk = 1": (
        ["the last state of 1 annotation; the one before it is kept"],
        _cells(),
        _STEPS,
    ),
    "UPDATE annotation SET version_pk = NULL WHERE pk = 4": ([], _CELLS[:3], [*_STEPS, ("Rescue", 1)]),
    "DELETE FROM annotation; DELETE FROM version": (
        [
            "5 states of annotations, present or former",
            f"parts of 4 steps {_NOT_UNDONE}",
            "all annotations, if there were any",
        ],
        [],
        [("Draw", 0), ("Move", 0), ("Move", 0), ("Move", 0)],
    ),
    "DELETE FROM history WHERE seq = 2": (
        ["1 step of the history", f"parts of 1 step {_NOT_UNDONE}"],
        _cells(),
        [("Draw", 4), (_LOST, 1), *_STEPS[2:]],
    ),
    "DELETE FROM change WHERE seq = 4": (
        [f"parts of 1 step {_NOT_UNDONE}"],
        _cells(),
        [*_STEPS[:3], ("Move", 0), ("Rescue", 1)],
    ),
    "UPDATE change SET after_pk = 3 WHERE seq = 2": (
        [f"parts of 1 step {_NOT_UNDONE}"],
        _cells(),
        [("Draw", 4), ("Move", 0), *_STEPS[2:]],
    ),
    "UPDATE history SET target_seq = 9 WHERE seq = 3": ([], _cells(), [*_STEPS, (_LOST, 0)]),
    "UPDATE history SET amount = 9 WHERE seq = 2": ([f"parts of 1 step {_NOT_UNDONE}"], _cells(), _STEPS),
    "UPDATE project SET name = x'ff'": (
        ["the project's name, and when it was made", "the project's classes, with their names, colours and keys"],
        _cells(),
        _STEPS,
    ),
    "UPDATE project SET scheme = '{{'": (
        ["the project's classes, with their names, colours and keys"],
        _cells(),
        _STEPS,
    ),
    "UPDATE setting SET value = '{{' WHERE key = 'session.slide'": (
        ["what was kept as ''session.slide''"],
        _cells(),
        _STEPS,
    ),
}


def _rescued(sound: Path, tmp_path: Path, statements: str) -> care.Rescued:
    harmed = Path(shutil.copytree(sound, tmp_path / "harmed.cyto"))
    with_schema(harmed, f"PRAGMA foreign_keys = OFF; {statements}")
    return care.rescue(harmed, tmp_path / "out.cyto")


@pytest.mark.parametrize("statements", _CASES)
def test_what_is_lost_is_listed_and_the_rest_is_kept(sound: Path, tmp_path: Path, statements: str) -> None:
    lost, cells, steps = _CASES[statements]
    with Project.open(sound) as project:
        third = list(project.annotations())[2].id
    came = _rescued(sound, tmp_path, statements)
    assert came.lost == [text.replace("ID3", third) for text in lost]
    assert (came.annotations, came.steps) == (len(cells), len(steps))
    assert care.check(tmp_path / "out.cyto") == []
    with Project.open(tmp_path / "out.cyto") as project:
        assert [(a.class_id, a.geometry.bounds_yxyx[0]) for a in project.annotations()] == cells
        assert [(entry.label, entry.count) for entry in reversed(project.history())] == steps
        assert len(project.slides()) == came.slides == (3 if "= 7" in statements else 2)
        assert project.scheme.name == "bethesda"
        assert sum(project.counts().values()) == len(cells)
        drawn = Annotation(slide_id=project.slides()[-1].id, geometry=Point(1, 2), class_id="NILM")
        project.apply(add([drawn], "Draw more"), "Ben")
        assert project.undo("Ben") is not None


@pytest.mark.parametrize(
    ("fields", "lost", "kept"),
    [
        ("progress = 'hacked'", "the field 'progress' of the row 2 of 'slide'", {"progress": Progress.TODO}),
        ("height = -5", "the field 'height' of the row 2 of 'slide'", {"size_hw": None}),
        ("width = x'01'", "the field 'height' of the row 2 of 'slide'", {"size_hw": None}),
        ("offset_y = 'up'", "the field 'offset_y' of the row 2 of 'slide'", {"offset_yx": None}),
        ("offset_x = 'up'", "the field 'offset_y' of the row 2 of 'slide'", {"offset_yx": None}),
        ("mpp = -1", "the field 'mpp' of the row 2 of 'slide'", {"mpp": None}),
        (
            "height = -5, side = x'ff'",
            "all fields but the most needed of the row 2 of 'slide'",
            {"size_hw": None, "offset_yx": None, "patient": "", "name": "slide of an unreadable name"},
        ),
    ],
)
def test_a_slide_loses_no_more_than_what_is_wrong(
    sound: Path, tmp_path: Path, fields: str, lost: str, kept: dict[str, object]
) -> None:
    came = _rescued(sound, tmp_path, f"UPDATE slide SET {fields} WHERE pk = 2")
    assert came.lost == [lost]
    with Project.open(sound) as before, Project.open(tmp_path / "out.cyto") as after:
        one, same = before.slides()[0], after.slides()[0]
        assert replace(same, path="") == replace(one, path=""), "its path is one from beside the project"
        was, now = before.slides()[1], after.slides()[1]
    for name in ("id", "name", "size_hw", "mpp", "patient", "offset_yx", "progress"):
        assert getattr(now, name) == kept.get(name, getattr(was, name)), name


def test_a_step_that_is_not_whole_is_not_undone(sound: Path, tmp_path: Path) -> None:
    _rescued(sound, tmp_path, "DELETE FROM change WHERE seq = 1 AND annotation_pk = 2")
    with Project.open(tmp_path / "out.cyto") as project:
        assert project.can_undo("Ana") == "Move"
        project.undo("Ana")
        assert project.can_undo("Ana") is None, "half of what was drawn would stay"
        assert len(list(project.annotations())) == 4


def test_nothing_stays_of_a_rescue_that_is_refused_or_stopped(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop() -> None:
        raise JobCancelled("Cancelled.")

    monkeypatch.setattr(_rescue, "_AT_ONCE", 2)
    for out in (tmp_path / "new.cyto", tmp_path / "there.cyto"):
        if "there" in out.name:
            out.mkdir()
        with pytest.raises(JobCancelled):
            care.rescue(sound, out, stop)
        assert (list(out.iterdir()) == []) if "there" in out.name else not out.exists()
    (tmp_path / "there.cyto" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(StoreError, match="already exists"):
        care.rescue(sound, tmp_path / "there.cyto")
    with pytest.raises(StoreError, match="Nothing of a project can be read"):
        _rescued(sound, tmp_path, "DELETE FROM slide; DELETE FROM version; DELETE FROM annotation")
    assert not (tmp_path / "out.cyto").exists()
