"""Promise: what is written appears complete or not at all, and nothing that is not ours is replaced."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from napari_cyto.errors import FormatError
from napari_cyto.files.atomic import EXPORT_RECORD, atomic_file, atomic_folder, check_replaceable, write_text


class _StoppedError(BaseException):
    """Stands for Ctrl-C or a cancelled job."""


def half_a_file(target: Path, error: BaseException) -> None:
    with atomic_file(target) as path:
        path.write_text("half")
        raise error


def half_a_folder(target: Path, error: BaseException) -> None:
    with atomic_folder(target) as folder:
        (folder / "a.txt").write_text("half")
        raise error


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_replaced_only_when_all_is_well(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.csv"
    write_text(target, "old\n")
    for error in (_StoppedError(), ValueError("x")):
        with pytest.raises(type(error)):
            half_a_file(target, error)
    assert target.read_text() == "old\n"
    assert names(target.parent) == ["a.csv"]


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + bytes(99), b"II*\0" + bytes(99), b"\x89PNG\r\n\x1a\n\0"])
def test_a_slide_or_a_database_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "project.sqlite"
    target.write_bytes(content)
    with pytest.raises(FormatError, match="not replaced"):
        write_text(target, "x,y,label\n")
    assert target.read_bytes() == content
    assert names(tmp_path) == ["project.sqlite"]


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(FormatError, match="not replaced"):
        write_text(os.devnull, "x,y,label\n")
    assert not Path(os.devnull).is_file()


def test_a_folder_is_replaced_only_when_all_is_well(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with atomic_folder(target, {"format": "x"}) as folder:
        (folder / "one").mkdir()
        (folder / "one" / "a.txt").write_text("old")
    with pytest.raises(_StoppedError):
        half_a_folder(target, _StoppedError())
    assert (target / "one" / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["out"]
    with atomic_folder(target) as folder:
        (folder / "b.txt").write_text("new")
    assert names(target) == ["b.txt", EXPORT_RECORD]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("place", ["notes.txt", "one/notes.txt"])
def test_what_a_user_put_into_an_earlier_export_is_not_thrown_away(tmp_path: Path, place: str) -> None:
    target = tmp_path / "out"
    for _ in range(2):
        with atomic_folder(target) as folder:
            (folder / "one").mkdir()
            (folder / "one" / "a.txt").write_text("cells")
    (target / ".DS_Store").write_text("of the system")
    check_replaceable(target)
    (target / place).write_text("mine")
    with pytest.raises(FormatError, match="put there later"):
        check_replaceable(target)
    assert (target / place).read_text() == "mine"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_leaves_the_old_target(tmp_path: Path, code: int) -> None:
    target = tmp_path / "out"
    with atomic_folder(target) as folder:
        (folder / "a.txt").write_text("old")
    with pytest.raises(FormatError, match="the disk is full"):
        half_a_folder(target, OSError(code, os.strerror(code)))
    with pytest.raises(FormatError, match="the disk is full"):
        half_a_file(tmp_path / "a.csv", OSError(code, os.strerror(code)))
    assert (target / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_failed_rename_brings_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    with atomic_folder(target) as folder:
        (folder / "a.txt").write_text("old")
    original = Path.rename

    def refuse(self: Path, to: Path) -> Path:
        if ".partial-" in self.name:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return original(self, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(FormatError, match="cannot be written"), atomic_folder(target) as folder:
        (folder / "a.txt").write_text("new")
    assert (target / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_folder_that_a_stopped_machine_left_aside_is_found_again(tmp_path: Path) -> None:
    target = tmp_path / "out[1]"
    with atomic_folder(target) as folder:
        (folder / "a.txt").write_text("old")
    target.rename(tmp_path / ".out[1].previous-0123456789ab")
    with pytest.raises(_StoppedError), atomic_folder(target):
        raise _StoppedError
    assert (target / "a.txt").read_text() == "old"


def test_folders_that_are_not_ours_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "thesis", target_is_directory=True)
    for name in ("thesis", "file", "link"):
        with pytest.raises(FormatError, match=r"not replaced|something else"), atomic_folder(tmp_path / name):
            raise AssertionError("must not come here")
    assert (tmp_path / "thesis" / "chapter.tex").exists()
    (tmp_path / "empty").mkdir()
    check_replaceable(tmp_path / "empty")
    check_replaceable(tmp_path / "absent")


def test_no_place_to_write_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FormatError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.csv", "x")
    with pytest.raises(FormatError, match="got a folder"):
        write_text(tmp_path, "x")
    with pytest.raises(FormatError, match="cannot be written"), atomic_folder(tmp_path / "file" / "out"):
        raise AssertionError("must not come here")
