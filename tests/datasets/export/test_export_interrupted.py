"""Promise: whatever ends an export early, what was there before is untouched and nothing is left beside it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.datasets import ApaccExportOptions, export_apacc
from napari_cyto.datasets.export.slice_writer import SliceWriter
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken

FAST = ApaccExportOptions(overview=False, crops=False)


class CancelAfter(CancelToken):
    """Cancels itself once it was asked so often."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def cancelled(self) -> bool:
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("looks", [0, 1, 4])
def test_cancelling_leaves_the_old_export_untouched(looks: int, make_project, run, tmp_path, tree_bytes) -> None:
    made = make_project(slides=4)
    run(export_apacc(made.folder, tmp_path / "out", FAST))
    before = tree_bytes(tmp_path / "out")
    ended = run(export_apacc(made.folder, tmp_path / "out", token=CancelAfter(looks)))
    assert isinstance(ended.last, Cancelled)
    assert "untouched" in ended.last.message
    assert tree_bytes(tmp_path / "out") == before
    assert not list(tmp_path.glob(".*"))


def test_an_export_that_nobody_follows_to_its_end_leaves_nothing(make_project, tmp_path: Path) -> None:
    made = make_project(slides=3)
    events = export_apacc(made.folder, tmp_path / "out")
    while not (isinstance(event := next(events), Advanced) and event.done):
        pass
    events.close()
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_leaves_the_old_export_untouched(make_project, run, tmp_path, tree_bytes, monkeypatch) -> None:
    made = make_project(slides=3)
    run(export_apacc(made.folder, tmp_path / "out", FAST))
    before = tree_bytes(tmp_path / "out")
    calls = []
    write = SliceWriter._bytes

    def full_after_three(self: SliceWriter, name: Path, data: bytes) -> str:
        calls.append(name)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(name))
        return write(self, name, data)

    monkeypatch.setattr(SliceWriter, "_bytes", full_after_three)
    assert "disk is full" in run(export_apacc(made.folder, tmp_path / "out")).refusal
    assert tree_bytes(tmp_path / "out") == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a process's file size")
def test_a_real_limit_of_the_system_on_file_size_is_one_sentence(make_project, tmp_path: Path) -> None:
    made = make_project(slides=1, size_hw=(600, 600))
    noise = np.random.default_rng(0).integers(0, 255, (600, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(made.slides[0].path)
    child = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from napari_cyto.datasets import ApaccExportOptions, export_apacc\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "options = ApaccExportOptions(all_to_train=True)\n"
        "print(list(export_apacc(Path(sys.argv[1]), Path(sys.argv[2]), options))[-1])\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", child, str(made.folder), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "disk is full" in said.stdout, said
    assert "expected=True" in said.stdout
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


KILLED = """
import os, sys
from pathlib import Path
from napari_cyto.datasets import export_apacc
for event in export_apacc(Path(sys.argv[1]), Path(sys.argv[2])):
    if getattr(event, "done", 0) >= 2:
        os._exit(9)
"""


def test_a_killed_export_leaves_the_old_one_and_the_next_sweeps_up_after_it(
    make_project, run, tmp_path, tree_bytes
) -> None:
    made = make_project(slides=4)
    run(export_apacc(made.folder, tmp_path / "out", FAST))
    before = tree_bytes(tmp_path / "out")
    command = [sys.executable, "-c", KILLED, str(made.folder), str(tmp_path / "out")]
    assert subprocess.run(command, timeout=60, check=False).returncode == 9
    assert tree_bytes(tmp_path / "out") == before
    assert list(tmp_path.glob(".out.partial-*"))
    run(export_apacc(made.folder, tmp_path / "out", FAST))
    assert not list(tmp_path.glob(".*"))


def test_a_folder_that_no_export_wrote_is_left_alone(make_project, run, tmp_path: Path) -> None:
    made = make_project(slides=2)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/thesis.txt").write_text("dear")
    assert "not an earlier export" in run(export_apacc(made.folder, tmp_path / "home", FAST)).refusal
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["thesis.txt"]
