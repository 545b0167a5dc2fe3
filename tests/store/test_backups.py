"""Promise: there is always a sound backup to go back to, and nothing of today is lost by going back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from napari_cyto.cli.entry import run
from napari_cyto.domain.edits import add
from napari_cyto.errors import DamagedError, StoreError
from napari_cyto.store import Project
from napari_cyto.store.recovery import backups
from napari_cyto.store.recovery import maintenance as care
from napari_cyto.store.recovery.backup_keeper import BULK_FROM
from napari_cyto.store.recovery.backups import MOMENT_FORMAT, backups_of, check_copy, contents_of, thin_out
from tests.store.conftest import Cell

_FEATURE = json.dumps(
    {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[[10, 10], [30, 10], [30, 30], [10, 10]]]},
                "properties": {"classification": {"name": "HSIL"}},
            }
        ],
    }
)


def _reasons(folder: Path) -> list[str]:
    return [each.reason for each in backups_of(folder)]


def test_a_bulk_edit_begins_with_a_backup_of_what_was_there(project: Project, folder: Path, cell: Cell) -> None:
    project.apply(add([cell()], "Draw"), "Ana")
    assert backups_of(folder) == []
    many = [cell(i, i) for i in range(BULK_FROM)]
    project.apply(add(many, "Paste"), "Ana")
    project.undo("Ana")
    project.close()
    assert sorted(_reasons(folder)) == ["before-bulk-edit", "before-undo"]
    held = {each.reason: contents_of(each.path) for each in backups_of(folder)}
    assert [held[reason].annotations for reason in sorted(held)] == [1, BULK_FROM + 1]  # type: ignore[union-attr]
    assert [check_copy(each.path) for each in backups_of(folder)] == [[], []]


def test_an_empty_project_and_the_same_state_are_not_backed_up(project: Project, folder: Path, cell: Cell) -> None:
    project.back_up_before("import")
    project.apply(add([cell()], "Draw"), "Ana")
    for _ in range(3):
        project.back_up_before("import")
    project.close()
    assert _reasons(folder) == ["before-import"]


def test_a_backup_holds_one_state_while_another_window_writes(project: Project, folder: Path, cell: Cell) -> None:
    project.apply(add([cell()], "Draw"), "Ana")
    snapshot = backups.Snapshot(folder / "project.sqlite")
    project.apply(add([cell(i, i) for i in range(500)], "Import"), "Ben")
    assert contents_of(snapshot.save("asked").path).annotations == 1  # type: ignore[union-attr]
    assert project.counts() == {"HSIL": 501}


@pytest.mark.parametrize(
    "trouble", [OSError(28, "No space left on device"), OSError(13, "Permission denied"), OSError(30, "Read-only")]
)
def test_an_edit_goes_on_where_no_backup_can_be_written(
    project: Project, cell: Cell, monkeypatch: pytest.MonkeyPatch, trouble: OSError
) -> None:
    def fails(*_: object) -> None:
        raise trouble

    project.apply(add([cell()], "Draw"), "Ana")
    monkeypatch.setattr(backups, "_make_room", fails)
    project.apply(add([cell(i, i) for i in range(BULK_FROM)], "Paste"), "Ana")
    project._backups.close()  # type: ignore[union-attr]
    assert project.counts() == {"HSIL": BULK_FROM + 1}
    assert [text for text in project.back_up_in_rhythm() if "edits are stored as before" in text] != []


def test_a_verb_says_that_no_backup_could_be_written(
    project: Project, folder: Path, cell: Cell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.apply(add([cell(i, i) for i in range(BULK_FROM)], "Draw"), "Ana")
    project.close()
    shutil.rmtree(folder / "backups", ignore_errors=True)
    monkeypatch.setattr("napari_cyto.store.recovery.backups._make_room", _no_room)
    (folder.parent / "one.geojson").write_text(_FEATURE)
    assert run(["import", "geojson", str(folder.parent / "one.geojson"), str(folder), "--json"]) == 0
    said = capsys.readouterr()
    assert len([line for line in said.err.splitlines() if "No backup of" in line]) == 1
    assert "edits are stored as before" in said.err
    assert json.loads(said.out)


def _no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_disk_with_little_room_is_left_to_the_edits(
    project: Project, folder: Path, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.apply(add([cell()], "Draw"), "Ana")
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=backups.SPARE_BYTES))
    with pytest.raises(StoreError, match="edits are stored as before, free some space"):
        care.backup(folder)
    assert backups_of(folder) == []


def test_backups_are_taken_in_rhythm_only_when_something_was_stored(
    project: Project, folder: Path, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.apply(add([cell()], "Draw"), "Ana")
    project.back_up_in_rhythm()
    monkeypatch.setattr("napari_cyto.store.recovery.backup_keeper.RHYTHM_S", 0.0)
    project.back_up_in_rhythm()
    project._backups.close()  # type: ignore[union-attr]
    assert _reasons(folder) == ["rhythm"]


def test_what_is_kept_follows_the_rule(folder: Path) -> None:
    now = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
    (folder / "backups").mkdir(parents=True)

    def put(age: timedelta, reason: str = "rhythm") -> str:
        name = f"{(now - age).strftime(MOMENT_FORMAT)[:-3]}Z-{reason}.sqlite"
        (folder / "backups" / name).write_bytes(b"x" * 10)
        return name

    last = [put(timedelta(minutes=10 * i)) for i in range(1, 6)]
    hourly = put(timedelta(hours=5))
    daily = put(timedelta(days=3))
    replaced = put(timedelta(days=20), "before-restore")
    gone = [put(timedelta(days=3, minutes=9)), put(timedelta(days=15)), put(timedelta(days=40), "before-restore")]
    other = folder / "backups" / "my own copy.sqlite"
    other.write_bytes(b"mine")
    assert sorted(path.name for path in thin_out(folder, now)) == sorted(gone)
    assert {path.name for path in (folder / "backups").iterdir()} == {*last, hourly, daily, replaced, other.name}


def test_all_backups_together_stay_below_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
    monkeypatch.setattr(backups, "LIMIT_BYTES", 35)
    (folder / "backups").mkdir(parents=True)
    names = [f"{(now - timedelta(days=i)).strftime(MOMENT_FORMAT)[:-3]}Z-rhythm.sqlite" for i in range(6)]
    for name in names:
        (folder / "backups" / name).write_bytes(b"x" * 10)
    thin_out(folder, now)
    assert sorted(path.name for path in (folder / "backups").iterdir()) == sorted(names[:3])


@pytest.fixture
def two_states(project: Project, folder: Path, cell: Cell) -> Path:
    """The folder of a closed project with two cells, and a backup from when it had one."""
    project.apply(add([cell()], "Draw"), "Ana")
    project.close()
    care.backup(folder)
    with Project.open(folder) as again:
        again.apply(add([cell(1, 1)], "Draw"), "Ana")
    return folder


def _count(folder: Path) -> int:
    with Project.open(folder) as project:
        return sum(project.counts().values())


def test_going_back_keeps_what_was_there(two_states: Path) -> None:
    restored = care.restore(two_states)
    assert _count(two_states) == 1
    assert restored.kept is not None
    assert _reasons(two_states) == ["before-restore", "asked"]
    care.restore(two_states, restored.kept.name)
    assert _count(two_states) == 2


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _zero(content: bytes) -> bytes:
    return content[:4096] + bytes(8192) + content[12288:]


def _scribble(content: bytes) -> bytes:
    return b"\xa5" * 200 + content[200:]


@pytest.mark.parametrize("harm", [_cut, _zero, _scribble, lambda content: b""])
def test_a_damaged_project_is_kept_bit_by_bit_when_a_backup_is_restored(
    two_states: Path, harm: Callable[[bytes], bytes]
) -> None:
    file = two_states / "project.sqlite"
    damaged = harm(file.read_bytes())
    file.write_bytes(damaged)
    with pytest.raises(DamagedError, match="'napari-cyto project restore' goes back to the backup"):
        Project.open(two_states)
    assert file.read_bytes() == damaged
    kept = care.restore(two_states).kept
    assert kept is not None
    assert kept.read_bytes() == damaged
    assert _count(two_states) == 1


def test_a_project_whose_database_is_gone_can_be_restored(two_states: Path) -> None:
    (two_states / "project.sqlite").unlink()
    with pytest.raises(StoreError, match="'napari-cyto project restore' goes back"):
        Project.open(two_states)
    assert care.restore(two_states).kept is None
    assert _count(two_states) == 1


def test_a_project_that_is_open_is_not_restored(two_states: Path) -> None:
    with Project.open(two_states) as project:
        project.counts()
        with pytest.raises(StoreError, match="open in another window or program, so nothing was restored"):
            care.restore(two_states)
    assert _count(two_states) == 2


def test_a_backup_that_is_not_sound_is_not_restored(two_states: Path) -> None:
    backup = backups_of(two_states)[0]
    backup.path.write_bytes(_zero(backup.path.read_bytes()))
    with pytest.raises(StoreError, match="no sound backup"):
        care.restore(two_states)
    with pytest.raises(StoreError, match=r"is not sound .*nothing was changed"):
        care.restore(two_states, backup.path.name)
    assert _count(two_states) == 2


def test_a_backup_with_a_trigger_is_not_restored(two_states: Path) -> None:
    backup = backups_of(two_states)[0]
    connection = sqlite3.connect(backup.path)
    connection.execute("CREATE TRIGGER t AFTER INSERT ON version BEGIN DELETE FROM tally; END")
    connection.close()
    with pytest.raises(StoreError, match="is not sound"):
        care.restore(two_states, backup.path.name)


def test_a_foreign_project_is_not_backed_up_and_the_sentence_names_it(two_states: Path) -> None:
    connection = sqlite3.connect(two_states / "project.sqlite")
    connection.execute("CREATE TRIGGER t AFTER INSERT ON version BEGIN DELETE FROM tally; END")
    connection.close()
    with pytest.raises(DamagedError) as caught:
        care.backup(two_states)
    assert str(caught.value).count("damaged or foreign") == 1
    assert ".part" not in str(caught.value)
    assert _reasons(two_states) == ["asked"]


def test_the_verbs_say_what_they_did(two_states: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["project", "check", str(two_states)]) == 0
    assert run(["project", "backup", str(two_states), "--json"]) == 0
    assert run(["project", "restore", str(two_states), "--list"]) == 0
    assert run(["project", "restore", str(two_states), "--from", "1999"]) == 2
    assert "with which 0 begin" in capsys.readouterr().err
    file = two_states / "project.sqlite"
    file.write_bytes(_zero(file.read_bytes()))
    assert run(["project", "check", str(two_states)]) == 1
    assert "goes back to the backup" in capsys.readouterr().out
    assert run(["project", "check", str(two_states.parent)]) == 2


def test_backups_of_a_server_are_the_servers_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(care, "address_of", lambda _folder: "postgresql://team@server/cyto")
    for verb in (care.backup, care.backups, care.restore, care.check):
        with pytest.raises(StoreError, match="are done on the server"):
            verb(tmp_path / "cyto.cyto")
