"""Guards that no file, whatever is in it, takes this process along through the slide library."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_cyto.errors import SlideError
from napari_cyto.slides import _native_check as native_check
from napari_cyto.slides import fingerprint, open_slide
from napari_cyto.slides._mirax_index import check_mirax
from napari_cyto.slides._native_check import Looked, look

HAS_TIMERS = hasattr(signal, "setitimer")
LEVEL = """[LAYER_0_LEVEL_0_SECTION]
OVERLAP_X = 0
OVERLAP_Y = 0
MICROMETER_PER_PIXEL_X = 0.228
MICROMETER_PER_PIXEL_Y = 0.228
IMAGE_FORMAT = JPEG
IMAGE_FILL_COLOR_BGR = 16777215
DIGITIZER_WIDTH = 256
DIGITIZER_HEIGHT = 256
IMAGE_CONCAT_FACTOR = 0
"""


def mirax(folder: Path, **numbers: object) -> Path:
    """A MIRAX slide with nothing in its data files; ``numbers`` replace those of its index."""
    values = {"IMAGENUMBER_X": 2, "IMAGENUMBER_Y": 2, "HIER_COUNT": 1, "NONHIER_COUNT": 0, "HIER_0_COUNT": 1}
    values |= {"FILE_COUNT": 1, "DIVISIONS": 1} | numbers
    inside = folder / "smear"
    inside.mkdir()
    (inside / "Slidedat.ini").write_text(
        f"""[GENERAL]
SLIDE_VERSION = 01.02
SLIDE_ID = 0123456789ABCDEF
IMAGENUMBER_X = {values["IMAGENUMBER_X"]}
IMAGENUMBER_Y = {values["IMAGENUMBER_Y"]}
OBJECTIVE_MAGNIFICATION = 40
CameraImageDivisionsPerSide = {values["DIVISIONS"]}
[HIERARCHICAL]
INDEXFILE = Index.dat
HIER_COUNT = {values["HIER_COUNT"]}
NONHIER_COUNT = {values["NONHIER_COUNT"]}
HIER_0_NAME = Slide zoom level
HIER_0_COUNT = {values["HIER_0_COUNT"]}
HIER_0_VAL_0 = ZoomLevel_0
HIER_0_VAL_0_SECTION = LAYER_0_LEVEL_0_SECTION
[DATAFILE]
FILE_COUNT = {values["FILE_COUNT"]}
FILE_0 = Data0000.dat
{LEVEL}"""
    )
    (inside / "Index.dat").write_bytes(b"01.020123456789ABCDEF" + bytes(64))
    (inside / "Data0000.dat").write_bytes(bytes(64))
    path = folder / "smear.mrxs"
    path.touch()
    return path


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing was looked at before; the cache's folder."""
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(native_check, "_memory", native_check._Memory())
    return tmp_path / "cache" / "looked-at-slides"


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_memory: Path):
    """Put another script in the place of the child process."""

    def use(script: str) -> None:
        path = tmp_path / "child.py"
        path.write_text(script)
        monkeypatch.setattr(native_check, "_CHILD", path)

    helper = native_check._Helper()
    monkeypatch.setattr(native_check, "_helper", helper)
    yield use
    helper.stop()


@pytest.mark.parametrize("key", ["HIER_COUNT", "NONHIER_COUNT", "HIER_0_COUNT", "FILE_COUNT", "IMAGENUMBER_X"])
@pytest.mark.parametrize("value", [2**31 - 1, -1, "many", "9" * 5000])
def test_counts_that_no_scanner_writes_are_refused_before_the_library_sees_them(
    tmp_path: Path, key: str, value: object
) -> None:
    path = mirax(tmp_path, **{key: value})
    with pytest.raises(SlideError, match=rf"smear\.mrxs .*Slidedat\.ini is damaged: .*{key}"):
        open_slide(path)


def test_the_counts_of_a_slide_pass(tmp_path: Path) -> None:
    check_mirax(mirax(tmp_path))


def test_an_index_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    path = mirax(tmp_path)
    index = tmp_path / "smear" / "Slidedat.ini"
    index.write_text(index.read_text().replace("FILE_0 = Data0000.dat", "FILE_0 = ../../secret"))
    with pytest.raises(SlideError, match="outside its folder"):
        open_slide(path)


@pytest.mark.parametrize("name", ["a" * 300, "a\x00b", "."])
def test_an_index_that_names_files_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    path = mirax(tmp_path)
    index = tmp_path / "smear" / "Slidedat.ini"
    index.write_text(index.read_text().replace("FILE_0 = Data0000.dat", f"FILE_0 = {name}"))
    with pytest.raises(SlideError, match=r"smear\.mrxs is a MIRAX slide"):
        open_slide(path)


def test_an_index_beyond_its_size_or_grammar_is_refused(tmp_path: Path) -> None:
    path = mirax(tmp_path)
    index = tmp_path / "smear" / "Slidedat.ini"
    for text in ("no section = here\n", "[GENERAL]\n" + "A = 1\n" * 200_000, "[GENERAL]\nonly a word\n"):
        index.write_text(text)
        with pytest.raises(SlideError, match=r"smear\.mrxs .*Slidedat\.ini"):
            open_slide(path)


def test_what_aborts_the_library_is_a_sentence(tmp_path: Path, no_memory: Path) -> None:
    # The library allocates this many layers, and its allocator ends the process when it cannot.
    path = mirax(tmp_path, HIER_COUNT=2**31 - 1, HIER_0_COUNT=2**31 - 1)
    looked = look(path)
    assert looked.error
    assert not (no_memory.exists() and list(no_memory.iterdir()))
    if sys.platform == "linux":
        assert looked.error == "the slide library cannot read it (stopped with abort)"
    with pytest.raises(SlideError, match=r"smear\.mrxs cannot be opened as a slide: "):
        native_check.open_natively(path)


def test_the_next_slide_is_looked_at_after_an_abort(tmp_path: Path, no_memory: Path, plain_path: Path) -> None:
    look(mirax(tmp_path, HIER_COUNT=2**31 - 1, HIER_0_COUNT=2**31 - 1))
    assert look(plain_path) == Looked("generic-tiff")


def test_a_good_slide_is_looked_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_memory: Path, pyramid_path: Path
) -> None:
    path = tmp_path / "smear.tiff"
    shutil.copyfile(pyramid_path, path)
    questions: list[object] = []
    ask = native_check._ask
    monkeypatch.setattr(native_check, "_ask", lambda *of: (questions.append(of), ask(*of))[1])
    first = look(path)
    assert first.vendor == "generic-tiff"
    # Another program knows it from the disk.
    monkeypatch.setattr(native_check, "_memory", native_check._Memory())
    assert look(path) == first
    assert len(questions) == 1
    assert len(list(no_memory.iterdir())) == 1
    os.utime(path, (1, 1))
    assert look(path) == first
    assert len(questions) == 2


def test_a_cache_that_cannot_be_written_or_read_costs_time_only(
    tmp_path: Path, no_memory: Path, plain_path: Path
) -> None:
    no_memory.parent.mkdir(parents=True)
    no_memory.write_text("a file where the folder should be")
    assert look(plain_path).vendor == "generic-tiff"
    no_memory.unlink()
    native_check._memory.keep("key", Looked("tiff"))
    (no_memory / "key.json").write_text('{"vendor": 7}')
    assert native_check._Memory().known("key") is None


@pytest.mark.skipif(not HAS_TIMERS, reason="processor time is limited where there are timers")
def test_a_library_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch, child, plain_path: Path) -> None:
    monkeypatch.setattr(native_check, "CPU_S", 0.2)
    child(
        "import json, signal, sys\nrequest = json.loads(sys.stdin.readline())\n"
        "signal.setitimer(signal.ITIMER_PROF, request['cpu_s'])\nwhile True: pass\n"
    )
    assert "did not finish after 0.2 s" in look(plain_path).error


def test_a_library_that_waits_for_ever_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, child, plain_path: Path
) -> None:
    monkeypatch.setattr(native_check, "WALL_S", 0.3)
    child("import time\ntime.sleep(600)\n")
    assert "did not finish within 0.3 s" in look(plain_path).error


@pytest.mark.parametrize("script", ["import sys\nsys.exit(3)\n", "print('no answer', flush=True)\n"])
def test_a_child_that_ends_otherwise_is_reported(child, plain_path: Path, script: str) -> None:
    child(script)
    assert "the slide library cannot read it (stopped with" in look(plain_path).error


def test_a_child_that_went_to_sleep_is_started_again(no_memory: Path, plain_path: Path, pyramid_path: Path) -> None:
    look(plain_path)
    process = native_check._helper._process
    assert process is not None
    process.terminate() if os.name == "nt" else process.send_signal(signal.SIGALRM)
    process.wait()
    assert look(pyramid_path).error == ""


def test_a_tiff_that_the_library_cannot_stand_is_read_by_ourselves(
    monkeypatch: pytest.MonkeyPatch, plain_path: Path, paint
) -> None:
    monkeypatch.setattr(native_check, "look", lambda _: Looked(None, "stopped with abort"))
    monkeypatch.setattr("napari_cyto.slides._open_any.look", lambda _: Looked(None, "stopped with abort"))
    with open_slide(plain_path) as slide:
        assert slide.info.vendor == "tiff"
        np.testing.assert_array_equal(slide.read_region(0, 0, 0, 50, 60), paint(50, 60))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "smear.svs")
    with pytest.raises(SlideError, match=r"smear\.svs is a named pipe"):
        open_slide(tmp_path / "smear.svs")
    with pytest.raises(SlideError, match=r"smear\.svs"):
        fingerprint(tmp_path / "smear.svs")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no such device")
def test_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "smear.png").symlink_to("/dev/zero")
    with pytest.raises(SlideError, match=r"smear\.png is a device"):
        open_slide(tmp_path / "smear.png")


def aperio(path: Path, facts: str) -> Path:
    """An Aperio slide of one level, with these facts in its description."""
    tifffile.imwrite(
        path,
        np.full((256, 512, 3), 200, np.uint8),
        tile=(256, 256),
        photometric="rgb",
        compression="jpeg",
        description=f"Aperio Image Library v11\n512x256|{facts}",
        metadata=None,
    )
    return path


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "0", "-40", "1e308", "forty"])
def test_a_magnification_that_no_microscope_has_is_unknown_and_said(tmp_path: Path, value: str) -> None:
    with open_slide(aperio(tmp_path / "a.svs", f"AppMag = {value}|MPP = 0.25")) as slide:
        assert (slide.info.vendor, slide.info.objective, slide.info.mpp) == ("aperio", None, 0.25)
        assert any("magnifies" in remark for remark in slide.info.remarks)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "0", "-0.25", "1e308", "quarter"])
def test_a_scale_that_no_microscope_has_is_unknown_and_said(tmp_path: Path, value: str) -> None:
    with open_slide(aperio(tmp_path / "a.svs", f"AppMag = 40|MPP = {value}")) as slide:
        assert (slide.info.objective, slide.info.mpp) == (40.0, None)
        assert slide.info.mpp_rejected
