"""Guards that a folder is one program's at a time, and nobody's when that program is killed."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_cyto.errors import CytoError
from napari_cyto.files.lock import IN_USE, InUseError, alone_in, in_turn

HOLD = """
import sys, time
from pathlib import Path
from napari_cyto.files.lock import alone_in
with alone_in(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_is_refused_and_nothing_stays(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    with alone_in(folder, "first"):
        for _ in range(2):
            with pytest.raises(InUseError, match="second"), alone_in(folder, "second"):
                pass
        with alone_in(tmp_path / "a" / "other", "another"):
            pass
    assert not folder.exists()
    with alone_in(folder, "again"):
        (folder / "tiles.bin").touch()
    assert [each.name for each in folder.iterdir()] == ["tiles.bin"]


def test_a_killed_program_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(InUseError, match="wait"), alone_in(tmp_path, "wait"):
                pass
        finally:
            other.kill()
        other.wait()
    assert (tmp_path / IN_USE).exists()
    with alone_in(tmp_path, "wait"):
        pass


def test_a_lock_file_that_was_removed_keeps_nobody_out_and_lets_nobody_in_twice(tmp_path: Path) -> None:
    (tmp_path / IN_USE).write_text("left by a kill")
    with alone_in(tmp_path, "first"), pytest.raises(InUseError), alone_in(tmp_path, "second"):
        pass


def test_who_waits_comes_after_who_had_it(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with in_turn(tmp_path):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with alone_in(tmp_path, "taken"):
            waiting = pool.submit(second)
            with pytest.raises(TimeoutError):
                waiting.result(0.3)
            order.append("first")
        waiting.result(60)
    assert order == ["first", "second"]


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CytoError, match="file"), alone_in(tmp_path / "file" / "run", "taken"):
        pass
