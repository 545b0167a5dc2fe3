"""Promise: a project is made whole or not at all, and never in the place of one that another program made meanwhile."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from napari_cyto.domain.edits import add
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import ProjectThereError, StoreError
from napari_cyto.inference._target_project import there
from napari_cyto.store import Project
from napari_cyto.store.database import creation as making
from napari_cyto.store.database.place import is_free
from tests.store.conftest import Cell

_MAKER = """
    import sys, time
    from pathlib import Path
    from napari_cyto.domain.annotation import Annotation
    from napari_cyto.domain.edits import add
    from napari_cyto.domain.geometry import Point
    from napari_cyto.domain.presets import preset
    from napari_cyto.domain.slide_record import SlideRecord
    from napari_cyto.errors import ProjectThereError
    from napari_cyto.store import Project
    name, folders = sys.argv[1], sys.argv[2:]
    print("ready", flush=True)
    for folder in folders:
        sys.stdin.readline()
        try:
            project = Project.create(folder, preset("bethesda"))
        except ProjectThereError:
            project = Project.open(folder)
        with project:
            slide = SlideRecord(name=name)
            project.add_slides([slide])
            for step in range(3):
                cells = [Annotation(slide_id=slide.id, geometry=Point(i, step), class_id="HSIL") for i in range(20)]
                project.apply(add(cells, "Draw"), name)
        print("stored", flush=True)
"""


def _race(tmp_path: Path, count: int) -> None:
    folders = [tmp_path / "new folder" / f"{i}.cyto" for i in range(count)]
    words = [sys.executable, "-c", textwrap.dedent(_MAKER)]
    makers = [
        subprocess.Popen([*words, name, *map(str, folders)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "AB"
    ]
    for maker in makers:
        assert maker.stdout.readline() == "ready\n"
    for _ in folders:
        for maker in makers:
            maker.stdin.write("\n")
            maker.stdin.flush()
        assert [maker.stdout.readline() for maker in makers] == ["stored\n"] * 2
    for maker in makers:
        maker.communicate()
    for folder in folders:
        assert [path.name for path in folder.iterdir() if path.is_file()] == ["project.sqlite"]
        file = sqlite3.connect(folder / "project.sqlite")
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        file.close()
        with Project.open(folder) as project:
            assert project.counts() == {"HSIL": 120}
            assert sorted(slide.name for slide in project.slides()) == ["A", "B"]


def test_two_programs_that_make_one_project_share_it(tmp_path: Path) -> None:
    _race(tmp_path, 4)


@pytest.mark.nightly
def test_two_programs_that_make_one_project_share_it_each_time(tmp_path: Path) -> None:
    _race(tmp_path, 100)


@pytest.mark.parametrize("names", ["two", "one"])
def test_the_slower_one_is_reported_and_changes_nothing(
    names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a file cannot have two names, as on a memory stick or some shares."""

    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if names != "two":
        monkeypatch.setattr(making.os, "link", no_links)
    folder = tmp_path / "x.cyto"
    barrier, ends = threading.Barrier(4), []

    def make() -> None:
        barrier.wait()
        try:
            Project.create(folder, preset("bethesda")).close()
            ends.append("made")
        except ProjectThereError:
            ends.append("there")

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["made", "there", "there", "there"]
    assert [path.name for path in folder.iterdir()] == ["project.sqlite"]


def test_what_is_left_of_another_database_is_put_aside(project: Project, folder: Path, cell: Cell) -> None:
    """The log of a killed window would be written into the new database, which is malformed at once."""
    project.apply(add([cell(i, i) for i in range(50)], "Draw"), "Ana")
    log = (folder / "project.sqlite-wal").read_bytes()
    project.close()
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "project.sqlite-wal").write_bytes(log)
    (folder / "project.sqlite-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(600))
    with Project.create(folder, preset("bethesda")) as new:
        assert (new.slides(), new.counts()) == ((), {})
        new.add_slides([SlideRecord(name="one.svs", id="one")])
        new.apply(add([cell()], "Draw"), "Ana")
    with Project.open(folder) as again:
        assert again.counts() == {"HSIL": 1}
    assert [path.read_bytes() for path in folder.glob("project-set-aside-*-wal")] == [log]
    assert len(list(folder.glob("project-set-aside-*-journal"))) == 1


def test_what_a_kill_left_of_a_new_project_is_in_nobodys_way(tmp_path: Path) -> None:
    folder = tmp_path / "x.cyto"
    folder.mkdir()
    left, fresh = folder / ".0123abcd.part", folder / ".0123abce.part-wal"
    for file in (left, fresh):
        file.write_bytes(b"half of it")
    os.utime(left, (1_600_000_000, 1_600_000_000))
    assert is_free(folder)
    assert there(folder) is None
    Project.create(folder, preset("bethesda")).close()
    # What may be another program's, which is just at it, stays.
    assert sorted(path.name for path in folder.iterdir()) == [fresh.name, "project.sqlite"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.part").write_text("much work")
    assert not is_free(tmp_path / "thesis")


def test_a_path_that_is_too_long_for_sqlite_says_so(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a" * 100] * 5) / "x.cyto"
    if os.name == "posix":
        with pytest.raises(StoreError, match=r"path of the project .*x\.cyto is too long: with its database it has"):
            Project.create(folder, preset("bethesda"))
        assert not (tmp_path / ("a" * 100)).exists()
        with pytest.raises(StoreError, match="is too long"):
            Project.open(folder)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (28, "the disk that holds .* is full; free some space"),
        (30, "its disk can only be read; choose a place on another disk"),
        (13, "you may not write there; ask for permission"),
        (39, "something else was put there in the meantime"),
        (2, "its folder disappeared in the meantime"),
        (5, "its disk refused to read or write"),
    ],
)
def test_what_the_system_refuses_names_what_the_user_typed(
    number: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(making.os, "fsync", refuse)
    for folder, called in ((tmp_path / "x.cyto", None), (tmp_path / ".x.cyto.partial-12", tmp_path / "x.cyto")):
        with pytest.raises(StoreError, match=said) as refusal:
            Project.create(folder, preset("bethesda"), called=called)
        assert str(tmp_path / "x.cyto") in str(refusal.value)
        assert "partial" not in str(refusal.value)
        assert ".part" not in str(refusal.value)
        assert not folder.exists()


def _fill_to(place: Path, free_kib: int) -> None:
    ballast = place / "ballast"
    ballast.unlink(missing_ok=True)
    room = os.statvfs(place)
    ballast.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - free_kib * 1024)))


def _sweep(place: Path, sizes: range) -> dict[int, bool]:
    """Make a project at each amount of free room; return which of them were made."""
    made = {}
    for free_kib in sizes:
        for old in place.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        _fill_to(place, free_kib)
        folder = place / "n.cyto"
        made[free_kib] = True
        try:
            Project.create(folder, preset("bethesda")).close()
        except StoreError as error:
            said, made[free_kib] = str(error), False
        if not made[free_kib]:
            assert "is full" in said
            assert "damaged" not in said
            assert not folder.exists()
            continue
        (place / "ballast").unlink()
        with Project.open(folder) as project:
            project.add_slides([SlideRecord(name="one", id="one")])
            assert len(project.slides()) == 1
    return made


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of its own with room for 6 MB, which an administrator can make on Linux."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if not sys.platform.startswith("linux") or shutil.which("mount") is None:
        pytest.skip("needs a small file system in memory, as Linux has it")
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("needs an administrator, who may mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_nothing_of_a_new_project(small_disk: Path) -> None:
    made = _sweep(small_disk, range(0, 240, 40))
    assert not made[0]
    assert made[200]
    # More room never is too little.
    assert sorted(made.values()) == list(made.values())


@pytest.mark.nightly
def test_a_full_disk_leaves_nothing_of_a_new_project_at_any_size(small_disk: Path) -> None:
    made = _sweep(small_disk, range(0, 512, 4))
    assert sorted(made.values()) == list(made.values())


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a matter of POSIX")
@pytest.mark.parametrize("kib", [4, 60, 90])
def test_a_disk_that_refuses_leaves_nothing_of_a_new_project(kib: int, tmp_path: Path) -> None:
    """The same for everybody: a limit on the size of files stands for the disk."""
    program = """
        import resource, sys
        from napari_cyto.domain.presets import preset
        from napari_cyto.errors import StoreError
        from napari_cyto.store import Project
        limit = int(sys.argv[2]) * 1024
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            Project.create(sys.argv[1], preset("bethesda")).close()
            print("made")
        except StoreError as error:
            print(error)
    """
    folder = tmp_path / "x.cyto"
    words = [sys.executable, "-c", textwrap.dedent(program), str(folder), str(kib)]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert ("is full" in said) != (said == "made\n")
    assert folder.exists() == (said == "made\n")
