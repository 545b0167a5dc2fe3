"""Promise: an export answers for a model only where it was made and compared here; a full disk stops no run."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_detectors import SETTINGS, write_finder

from napari_cyto.files.atomic import write_text
from napari_cyto.inference.runtimes._openvino_runtime import OpenVinoDetector
from napari_cyto.inference.runtimes.choice import RuntimeRequest, detector_runtime
from napari_cyto.models import openvino_export as exporting
from napari_cyto.models import openvino_store
from napari_cyto.models._probe_fields import probe
from napari_cyto.models.bundle import Bundle, read_bundle, write_bundle
from napari_cyto.models.openvino_cache import (
    RECORD_NAME,
    Compared,
    beside,
    export_key,
    forget_exports,
    read_export,
    seal_of,
)
from napari_cyto.models.openvino_library import openvino_version

pytestmark = pytest.mark.networks

AUTO = RuntimeRequest("cpu", "fp32", "openvino")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Any, Any]:
    """A detector, its graph and what is known of that: exported once for all tests here."""
    bundle = read_bundle(write_finder(tmp_path_factory.mktemp("models")))
    with pytest.MonkeyPatch.context() as patch:
        same = Compared(matched_f1=1, same_calls=1, probability=0, place_px=0, seconds=1)
        patch.setattr(exporting, "_compared", lambda *_: {"fp32": same})
        return bundle, *exporting._made(bundle, openvino_version() or "")


@pytest.fixture
def bundle(made: tuple[Bundle, Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Bundle, list[int]]:
    """A copy of it whose export is there, and the count of exports that are made from now on."""
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))
    count: list[int] = []
    monkeypatch.setattr(exporting, "_made", lambda *_: (count.append(1), made[1:])[1])
    shutil.copytree(made[0].path, tmp_path / "bundles" / "finder")
    copy = read_bundle(tmp_path / "bundles" / "finder")
    exporting.export(copy)
    count.clear()
    return copy, count


def folder_of(bundle: Bundle) -> Path:
    return beside(bundle.path) / export_key(bundle, openvino_version() or "")


def rehashed(folder: Path) -> None:
    """Make the record vouch for what lies beside it, as a forger would."""
    said = json.loads((folder / RECORD_NAME).read_text())
    for name in said["sha256"]:
        content = (folder / name).read_bytes()
        said["sha256"][name], said["bytes"][name] = hashlib.sha256(content).hexdigest(), len(content)
    (folder / RECORD_NAME).write_text(json.dumps(said, indent=1))


def other_weights(folder: Path) -> None:
    weights = np.frombuffer((folder / "network.bin").read_bytes(), np.uint8)
    (folder / "network.bin").write_bytes((weights ^ 1).tobytes())
    rehashed(folder)


def no_tolerance(folder: Path) -> None:
    said = json.loads((folder / RECORD_NAME).read_text())
    said["compared"]["fp32"]["probability"] = 0.001
    (folder / RECORD_NAME).write_text(json.dumps(said))


def cut_short(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-7]) and None


def seals_gone(folder: Path) -> None:
    """As when bundle and export come from somebody else."""
    record = (folder / RECORD_NAME).read_bytes()
    seal_of(folder.name, record).unlink()


SPOILT: list[Callable[[Path], Any]] = [
    other_weights,
    no_tolerance,
    seals_gone,
    rehashed,
    cut_short("network.bin"),
    cut_short("network.xml"),
    cut_short(RECORD_NAME),
    lambda folder: (folder / "network.bin").unlink(),
    lambda folder: (folder / RECORD_NAME).write_text("{}"),
    lambda folder: (folder / RECORD_NAME).write_bytes(b"\xff" * 100),
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_an_export_that_is_not_the_one_made_here_is_made_anew_and_said(
    spoil: Callable[[Path], Any], bundle: tuple[Bundle, list[int]]
) -> None:
    model, count = bundle
    pixels = probe((1, 96, 96, 3))[0]
    truth = OpenVinoDetector(model).cells(pixels, 0.1)
    assert count == []
    spoil(folder_of(model))
    assert read_export(model, openvino_version() or "") is None
    found, (remark,) = detector_runtime(model, AUTO)
    assert "was damaged or made elsewhere" in remark
    np.testing.assert_array_equal(found.cells(pixels, 0.1).scores, truth.scores)
    assert detector_runtime(model, AUTO)[1] == ()
    assert count == [1]


def test_of_several_that_begin_together_one_exports_and_nothing_is_called_damaged(
    bundle: tuple[Bundle, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, count = bundle
    forget_exports(model.path)
    # Half of an export lies there: its seal is not written yet.
    monkeypatch.setattr(openvino_store, "write_text", lambda *values: (time.sleep(0.3), write_text(*values)))
    with ThreadPoolExecutor(3) as pool:
        remarks = list(pool.map(lambda _: detector_runtime(model, AUTO)[1], range(3)))
    assert remarks == [(), (), ()]
    assert count == [1]


def test_a_link_in_the_exports_place_is_not_written_through(bundle: tuple[Bundle, list[int]], tmp_path: Path) -> None:
    model, _ = bundle
    forget_exports(model.path)
    (tmp_path / "precious").mkdir()
    beside(model.path).symlink_to(tmp_path / "precious")
    assert detector_runtime(model, AUTO)[1] == ()
    assert list((tmp_path / "precious").iterdir()) == []
    assert list((tmp_path / "cache" / "openvino").iterdir())


def test_a_full_disk_is_a_sentence_and_the_run_goes_on(
    bundle: tuple[Bundle, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = bundle
    truth = OpenVinoDetector(model).cells(probe((1, 96, 96, 3))[0], 0.1)
    forget_exports(model.path)

    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("Exception from src/core: basic_ios::clear: iostream error")

    monkeypatch.setattr("openvino.save_model", full)
    monkeypatch.setattr(openvino_store, "_LITTLE_ROOM_BYTES", 1 << 60)
    found, (remark,) = detector_runtime(model, AUTO)
    assert found.title == "OpenVINO fp32"
    assert "cannot be saved anywhere, so it is created again each time" in remark
    assert "the disk is full" in remark
    assert "basic_ios" not in remark
    np.testing.assert_array_equal(found.cells(probe((1, 96, 96, 3))[0], 0.1).scores, truth.scores)
    assert not any(beside(model.path).glob("*"))


def test_where_no_seal_can_be_kept_no_export_stays(
    bundle: tuple[Bundle, list[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = bundle
    forget_exports(model.path)
    assert not any((tmp_path / "data" / "openvino-seals").iterdir())
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "a file"))
    _, (remark,) = detector_runtime(model, AUTO)
    assert "cannot be saved anywhere" in remark
    assert not any(beside(model.path).glob("*/*"))


def test_other_weights_or_other_calls_are_another_export(tmp_path: Path) -> None:
    first = read_bundle(write_finder(tmp_path))
    torch.manual_seed(3)
    state = {name: t + 0.01 if t.is_floating_point() else t for name, t in first.state_dict().items()}
    fields = first.manifest.model_dump(include={"kind", "architecture", "settings", "classes", "mpp", "input_px"})
    other = write_bundle(tmp_path / "other", fields, state)
    assert other.manifest.settings == SETTINGS or other.manifest.settings
    decided = first.manifest.model_copy(update={"decision": first.manifest.decision.model_copy(update={"merge_um": 9})})
    keys = {export_key(each, "1") for each in (first, other, Bundle(first.path, decided))} | {export_key(first, "2")}
    assert len(keys) == 4
