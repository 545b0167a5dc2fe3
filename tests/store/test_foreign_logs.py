"""Promise: a log is written into the file that it belongs to and into no other, and nothing is lost on the way."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_cyto.cli.entry import run
from napari_cyto.domain.edits import add
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import StoreError
from napari_cyto.session import Session
from napari_cyto.store import Project
from napari_cyto.store.database.log_owner import Belongs, standing
from tests.store.conftest import Cell

NAME = "project.sqlite"


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _copy(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    (target / f"{NAME}-shm").unlink(missing_ok=True)
    return target


@pytest.fixture
def backup(project: Project, folder: Path, cell: Cell, tmp_path: Path) -> Path:
    """A copy of the project from when it had one cell; closed."""
    project.apply(add([cell()], "Draw"), "Ana")
    project.close()
    return _copy(folder, tmp_path / "backup.cyto")


@pytest.fixture
def killed(backup: Path, folder: Path, cell: Cell, tmp_path: Path) -> Path:
    """The project as a window left it that was killed after it wrote much: cells in the file, and more in the log."""
    assert backup.exists()
    with Project.open(folder) as project:
        project.apply(add([cell(i, i) for i in range(300)], "Import"), "Ana")
    with Project.open(folder) as project:
        for i in range(5):
            project.apply(add([cell(i, i)], "Draw"), "Ana")
        return _copy(folder, tmp_path / "killed.cyto")


def _counts(folder: Path) -> int:
    with Project.open(folder) as project:
        n = len(list(project.annotations()))
        assert sum(project.counts().values()) == n
    file = sqlite3.connect(folder / NAME)
    assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()
    return n


def test_a_killed_window_loses_nothing(killed: Path) -> None:
    assert standing(killed / NAME).log is Belongs.OURS
    assert _counts(killed) == 306
    assert list(_bytes(killed)) == [NAME]


@pytest.mark.parametrize("bytes_lost", [1, 4_000, 4_100])
@pytest.mark.parametrize("whole_bytes", [1 << 24, 0])
def test_a_log_that_ends_in_the_middle_is_its_files_own(
    bytes_lost: int, whole_bytes: int, killed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a kill leaves it; what was acknowledged came before. Large logs are read otherwise, and alike."""
    monkeypatch.setattr("napari_cyto.store.recovery.raw_pages._READ_WHOLE_BYTES", whole_bytes)
    with (killed / f"{NAME}-wal").open("r+b") as log:
        log.truncate(log.seek(0, os.SEEK_END) - bytes_lost)
    assert standing(killed / NAME).log is Belongs.OURS
    assert _counts(killed) == 305


def _backup_restored(killed: Path, backup: Path) -> int:
    shutil.copyfile(backup / NAME, killed / NAME)
    return 1


def _another_project(killed: Path, backup: Path) -> int:
    other = backup.with_name("other.cyto")
    with Project.create(other, preset("bethesda")) as project:
        project.add_slides([SlideRecord(name="x", id="x")])
    shutil.copyfile(other / NAME, killed / NAME)
    return 0


def _other_page_size(killed: Path, backup: Path) -> int:
    file = sqlite3.connect(killed / NAME)
    file.close()
    shutil.copyfile(backup / NAME, killed / NAME)
    with (killed / f"{NAME}-wal").open("r+b") as log:
        log.seek(8)
        log.write((8192).to_bytes(4, "big"))
    return 1


def _no_log_at_all(killed: Path, backup: Path) -> int:
    shutil.copyfile(backup / NAME, killed / NAME)
    (killed / f"{NAME}-wal").write_bytes(b"a letter that somebody saved under this name" * 40)
    return 1


def _foreign_journal(killed: Path, backup: Path) -> int:
    shutil.copyfile(backup / NAME, killed / NAME)
    (killed / f"{NAME}-wal").unlink()
    # What SQLite plays back: one page of zeros in place of page 2.
    head = bytes.fromhex("d9d505f920a163d7") + (1).to_bytes(4, "big") + (7).to_bytes(4, "big")
    head += (22).to_bytes(4, "big") + (512).to_bytes(4, "big") + (4096).to_bytes(4, "big")
    page = bytes(4096)
    check = 7 + sum(page[4096 - 200 * i] for i in range(1, 21))
    record = (2).to_bytes(4, "big") + page + check.to_bytes(4, "big")
    (killed / f"{NAME}-journal").write_bytes(head.ljust(512, b"\0") + record)
    return 1


FOREIGN: list[Callable[[Path, Path], int]] = [
    _backup_restored,
    _another_project,
    _other_page_size,
    _no_log_at_all,
    _foreign_journal,
]


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_log_is_put_aside_and_never_deleted(
    kind: Callable[[Path, Path], int], killed: Path, backup: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = kind(killed, backup)
    before = _bytes(killed)
    logs = {name: content for name, content in before.items() if name != NAME}
    with caplog.at_level(logging.WARNING), Project.open(killed) as project:
        assert len(list(project.annotations())) == expected
    assert (killed / NAME).read_bytes() == before[NAME]
    aside = [path.read_bytes() for path in sorted(killed.glob("project-set-aside-*"))]
    assert aside == list(logs.values())
    assert "changes of another database" in caplog.text
    assert "project-set-aside-" in caplog.text
    assert _counts(killed) == expected


def test_a_verb_says_that_a_foreign_log_was_put_aside(
    killed: Path, backup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _backup_restored(killed, backup)
    assert run(["slides", str(killed)]) == 0
    (said,) = capsys.readouterr().err.splitlines()
    assert "changes of another database" in said
    assert "project-set-aside-" in said


def test_a_window_says_that_a_foreign_log_was_put_aside(killed: Path, backup: Path) -> None:
    _backup_restored(killed, backup)
    session, heard = Session(author="Ana"), []
    session.message.connect(heard.append)
    session.projects.open(killed)
    session.close()
    assert any("changes of another database" in text and "project-set-aside-" in text for text in heard)


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_cannot_be_written_is_read_without_a_foreign_log(
    kind: Callable[[Path, Path], int], killed: Path, backup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = kind(killed, backup)
    before = _bytes(killed)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with Project.open(killed) as project:
        assert len(list(project.annotations())) == expected
    assert _bytes(killed) == before


@pytest.mark.parametrize("kind", ["as it lies", "by SQLite"])
def test_a_backup_that_the_log_goes_on_from_is_brought_up_to_date(kind: str, killed: Path, tmp_path: Path) -> None:
    """What was copied while the window was open belongs to its log, whichever way it was copied."""
    if kind == "by SQLite":
        source, copy = sqlite3.connect(_copy(killed, tmp_path / "c") / NAME), sqlite3.connect(tmp_path / "b.sqlite")
        source.backup(copy)
        source.close()
        copy.close()
        shutil.copyfile(tmp_path / "b.sqlite", killed / NAME)
    assert _counts(killed) == 306


def test_a_log_whose_file_is_damaged_is_left_as_it_is(killed: Path) -> None:
    content = bytearray((killed / NAME).read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    content[105:3900] = bytes(3795)
    (killed / NAME).write_bytes(content)
    before = _bytes(killed)
    with pytest.raises(StoreError, match=r"damaged.*both were left as they are"):
        Project.open(killed)
    assert _bytes(killed) == before


def test_a_project_that_another_program_left_half_changed_is_left_to_it(backup: Path) -> None:
    """Its journal is its own: playing it back is up to that program, or to a person."""
    file = sqlite3.connect(backup / NAME)
    file.execute("PRAGMA journal_mode=DELETE")
    file.close()
    (backup / f"{NAME}-journal").write_bytes(bytes.fromhex("d9d505f920a163d7") + bytes(600))
    before = _bytes(backup)
    with pytest.raises(StoreError, match="left as it was: another program changed"):
        Project.open(backup)
    assert _bytes(backup) == before


def _first_version(folder: Path) -> None:
    """Take the stamp away, as a version wrote it that knew of none."""
    file = sqlite3.connect(folder / NAME)
    file.execute("DROP TABLE generation")
    file.commit()
    file.close()


@pytest.mark.parametrize("restored", [False, True])
def test_a_log_of_a_version_without_stamps_is_recognised_by_its_revision(
    restored: bool, backup: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as old:
        for place in (backup, folder):
            _first_version(place)
        old.setattr("napari_cyto.store.database._file_watch.renew_stamp", lambda *_: None)
        with Project.open(folder) as project:
            for i in range(40):
                project.set_setting("a", i)
        with Project.open(folder) as project:
            for i in range(5):
                project.set_setting("b", i)
            killed = _copy(folder, tmp_path / "killed.cyto")
    if restored:
        shutil.copyfile(backup / NAME, killed / NAME)
    with Project.open(killed) as project:
        assert (project.setting("a"), project.setting("b")) == ((None, None) if restored else (39, 4))
        project.set_setting("c", 1)
    assert standing(killed / NAME).in_file is not None
    with Project.open(killed) as project:
        assert project.setting("c") == 1


_WORKER = """
    import os, signal, sys
    from napari_cyto.domain.annotation import Annotation
    from napari_cyto.domain.edits import add
    from napari_cyto.domain.geometry import Point
    from napari_cyto.store import Project
    folder, name, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with Project.open(folder, busy_seconds=60) as project:
        for step in range(steps):
            cell = Annotation(slide_id="one", geometry=Point(step, 1), class_id="HSIL", author=name)
            project.apply(add([cell], "Draw"), name)
            os.write(1, b"%d\\n" % step)
"""


def _work(folder: Path, name: str, steps: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", textwrap.dedent(_WORKER), str(folder), name, str(steps)]
    return subprocess.Popen(words, stdout=subprocess.PIPE)


def _acknowledged(folder: Path) -> dict[str, int]:
    with Project.open(folder) as project:
        found: dict[str, int] = {}
        for each in project.annotations():
            found[each.author] = found.get(each.author, 0) + 1
        return found


def _two_programs(folder: Path, steps: int) -> None:
    workers = {name: _work(folder, name, steps) for name in "AB"}
    for worker in workers.values():
        assert len(worker.communicate()[0].split()) == steps
        assert worker.returncode == 0
    assert _acknowledged(folder) == {"A": steps, "B": steps}


def _kills(folder: Path, count: int) -> None:
    """Kill a program while it writes, another one going on beside it."""
    said = {"A": 0, "B": 0}
    for turn in range(count):
        other = _work(folder, "B", 30)
        killed = _work(folder, "A", 100_000)
        assert killed.stdout is not None
        lines = [killed.stdout.readline() for _ in range(3 + 7 * turn % 20)]
        killed.kill()
        rest = killed.communicate()[0].split()
        said["A"] += len(lines) + len(rest)
        said["B"] += len(other.communicate()[0].split())
        found = _acknowledged(folder)
        # What was stored but not yet said when the kill came is no loss.
        assert said["A"] <= found["A"] <= said["A"] + 1
        assert found["B"] == said["B"]
        said["A"] = found["A"]
    assert not list(folder.glob("*aside*"))
    assert _counts(folder) == sum(said.values())


def test_two_programs_on_one_project_lose_nothing(project: Project, folder: Path) -> None:
    project.close()
    _two_programs(folder, 40)


@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_a_kill_loses_no_edit_that_was_acknowledged(project: Project, folder: Path) -> None:
    project.close()
    _kills(folder, 1)


@pytest.mark.nightly
def test_two_programs_on_one_project_lose_nothing_in_many_steps(project: Project, folder: Path) -> None:
    project.close()
    _two_programs(folder, 1_000)


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform == "win32", reason="needs kill -9")
def test_no_kill_loses_an_edit_that_was_acknowledged(project: Project, folder: Path) -> None:
    project.close()
    _kills(folder, 40)
