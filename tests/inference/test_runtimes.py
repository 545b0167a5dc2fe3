"""Guards networks in OpenVINO: their answers are torch's, they are exported once, and torch runs what they cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.inference.classify import CellClassifier
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.runtimes import _openvino_runtime as runtime_openvino
from napari_cyto.inference.runtimes import choice as choosing
from napari_cyto.inference.runtimes.choice import RuntimeRequest, detector_runtime
from napari_cyto.jobs.events import CancelToken
from napari_cyto.models import openvino_cache as exported
from napari_cyto.models import openvino_export as exporting
from napari_cyto.models._probe_fields import probe
from napari_cyto.models.bundle import Bundle, write_bundle
from napari_cyto.models.manifest import ModelClass
from napari_cyto.models.openvino_cache import RECORD_NAME, beside, read_export
from napari_cyto.models.openvino_library import openvino_version
from napari_cyto.models.registry import build

pytestmark = pytest.mark.networks

DETECTORS: dict[str, dict[str, Any]] = {
    "p2p": {"backbone": "test_resnet", "stride": 8, "width": 16, "levels": 2, "input_px": 96, "sizes": True},
    "fcrn": {"backbone": "test_resnet", "stride": 4, "width": 8, "levels": 2, "input_px": 96},
}
CLASSES = [ModelClass.of(c).model_dump() for c in preset("bethesda").classes]
RULE = {"windows": [40, 80], "unit": "px", "size_px": 32}


def detector_in(folder: Path, architecture: str = "p2p", **changes: Any) -> Bundle:
    torch.manual_seed(0)
    settings = DETECTORS[architecture]
    network = build(architecture, settings, len(CLASSES))
    with torch.no_grad():
        if architecture == "p2p":
            network.sort.one.weight.normal_(std=3.0)
            network.place.one.weight.normal_(std=0.3)
        else:
            network.head[-1].weight.normal_(std=0.3)
    fields = {"kind": "detector", "architecture": architecture, "settings": settings, "classes": CLASSES, "mpp": 1.0}
    fields |= {"input_px": 96, "tolerance": {"probability": 0.001, "place_px": 0.1}}
    return write_bundle(folder / f"finder-{architecture}", fields | changes, network.state_dict())


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return detector_in(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def field() -> np.ndarray:
    return probe((1, 200, 330, 3))[0]


def same(one: Any, other: Any) -> None:
    assert len(one.scores) == len(other.scores) > 3
    order = [np.lexsort(cells.points_yx.T) for cells in (one, other)]
    for name, near in (("points_yx", 0.05), ("sizes_hw", 0.1), ("class_scores", 1e-3)):
        np.testing.assert_allclose(getattr(one, name)[order[0]], getattr(other, name)[order[1]], atol=near)


@pytest.mark.parametrize("architecture", ["p2p", "fcrn"])
def test_a_detectors_maps_are_read_as_torch_reads_them(architecture: str, tmp_path: Path) -> None:
    bundle = detector_in(tmp_path, architecture)
    network = bundle.load_network()
    pixels = probe((1, 128, 192, 3))
    module = exporting.Exportable(network, bundle.manifest.normalisation).eval()
    with torch.no_grad():
        maps = [m.numpy() for m in module(torch.from_numpy(pixels))]
        images = (torch.from_numpy(pixels).float() / 255 - 0.5) / 0.5
        floor = 0.3 if architecture == "p2p" else 0.55
        (truth,) = network.decode(network(images.permute(0, 3, 1, 2)), floor)
    result = exporting._reading(network, architecture).cells(maps, floor)
    assert len(result.scores) == len(truth.scores) > 3
    for mine, theirs in ((result.points_yx, truth.points_yx), (result.sizes_hw, truth.sizes_hw)):
        np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-3)
    np.testing.assert_allclose(result.class_scores, truth.class_scores.numpy(), atol=1e-4)


def test_answers_are_torchs_whatever_the_size(finder: Bundle, field: np.ndarray) -> None:
    torch_one = CellDetector(finder, "cpu", "fp32")
    other = CellDetector(finder, "cpu", "fp32", runtime="openvino")
    assert (torch_one.runtime.title, other.runtime.title) == ("PyTorch fp32", "OpenVINO fp32")
    # The last of torch's rows and columns are repeated where a tile ends, the other's tiles are white there.
    for image in (field[:192, :320], field):
        wide = np.pad(image, ((256, 256), (256, 256), (0, 0)), constant_values=255)
        cells = [model.runtime.cells(wide, 0.3) for model in (torch_one, other)]
        same(*(c.at((c.points_yx > 256).all(axis=1) & (c.points_yx < 440).all(axis=1)) for c in cells))


def test_a_classifiers_probabilities_are_torchs_for_any_number_of_cells(tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = {"backbone": "test_efficientnet", "windows": 2, "head": 8, "input_px": 32}
    network = build("timm-classifier", settings, len(CLASSES))
    fields = {"kind": "classifier", "architecture": "timm-classifier", "settings": settings, "classes": CLASSES}
    fields |= {"mpp": None, "input_px": 32, "crop_rule": RULE, "decision": {"views": 2}}
    bundle = write_bundle(tmp_path / "namer", fields, network.state_dict())
    crops = probe((19, 2, 32, 32, 3))
    truth = CellClassifier(bundle, "cpu", "fp32").scores(crops)
    result = CellClassifier(bundle, "cpu", "fp32", "openvino").scores(crops)
    np.testing.assert_allclose(result, truth, atol=1e-5)
    with pytest.raises(JobCancelled):
        CellClassifier(bundle, "cpu", "fp32", "openvino").scores(crops, SimpleNamespace(cancelled=lambda: True))


def test_a_field_and_a_smaller_slide_do_not_run_on_a_large_slides_network(finder: Bundle) -> None:
    runtime = runtime_openvino.OpenVinoDetector(finder)
    runtime._model = SimpleNamespace(compiled=lambda shape: SimpleNamespace(shape=shape))
    runtime.ready(3072, 3072)
    assert runtime.network(3072, 640).shape == (1, 3072, 3072, 3)  # a narrow tile at its edge is filled up
    assert runtime.network(700, 700).shape == (1, 768, 768, 3)
    runtime.ready(1536, 1536)
    assert runtime.network(1536, 1536).shape == (1, 1536, 1536, 3)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    make = exporting.export
    monkeypatch.setattr(exporting, "export", lambda bundle: (made.append(bundle.id), make(bundle))[1])
    return made


def test_it_is_exported_once_beside_the_bundle_and_again_when_that_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, made = detector_in(tmp_path), counted(monkeypatch)
    for _ in range(2):
        runtime_openvino.OpenVinoDetector(bundle)
    assert made == ["finder-p2p"]
    (record,) = beside(bundle.path).glob(f"*/{RECORD_NAME}")
    weights = record.with_name("network.bin")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    assert read_export(bundle, openvino_version() or "") is None
    runtime_openvino.OpenVinoDetector(bundle)
    record.write_text("{}")
    assert runtime_openvino.OpenVinoDetector(bundle).title.startswith("OpenVINO")
    assert len(made) == 3
    assert [p.name for p in bundle.path.iterdir() if p.suffix == ".xml"] == []


def test_where_the_bundles_folder_takes_nothing_the_users_cache_does(
    finder: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a file").write_text("")
    monkeypatch.setattr(exported, "beside", lambda folder: tmp_path / "a file" / "sub")
    assert exporting.export(finder).record.bundle == "finder-p2p"
    assert list((tmp_path / "cache" / "openvino").iterdir())
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "a file"))
    with pytest.raises(CytoError, match="cannot be saved anywhere"):
        exporting.export(finder)


def test_answers_too_far_from_torchs_are_not_used_and_a_sentence_says_so(tmp_path: Path) -> None:
    bundle = detector_in(tmp_path, tolerance={"probability": 1e-12, "place_px": 0.5})
    found, (remark,) = detector_runtime(bundle, RuntimeRequest("cpu", "fp32", "auto"))
    assert found.title == "PyTorch fp32"
    assert "results differ too much from PyTorch's" in remark
    assert remark.endswith("PyTorch is used instead.")
    with pytest.raises(CytoError, match="differ too much from PyTorch's"):
        detector_runtime(bundle, RuntimeRequest("cpu", "fp32", "openvino"))


def test_without_openvino_torch_runs_and_nothing_is_said(finder: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "openvino_version", lambda: None)
    found, remarks = detector_runtime(finder, RuntimeRequest("cpu", "fp32", "auto"))
    assert (found.title, remarks) == ("PyTorch fp32", ())
    with pytest.raises(CytoError, match="pip install"):
        detector_runtime(finder, RuntimeRequest("cpu", "fp32", "openvino"))
    with pytest.raises(CytoError, match="on the CPU only"):
        detector_runtime(finder, RuntimeRequest("cuda", "fp32", "openvino"))


def test_a_network_that_openvino_cannot_take_is_run_by_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("no such layer")

    bundle = detector_in(tmp_path)
    monkeypatch.setattr(exporting, "_converted", broken)
    found, (remark,) = detector_runtime(bundle, RuntimeRequest("cpu", "fp32", "auto"))
    assert found.title == "PyTorch fp32"
    assert "OpenVINO cannot run this network (no such layer)" in remark


def test_several_threads_ask_and_one_that_cancels_leaves_the_network_whole(finder: Bundle, field: np.ndarray) -> None:
    network = runtime_openvino.OpenVinoDetector(finder, "fp32")
    truth = network.cells(field, 0.3)
    token = CancelToken()
    token.cancel()
    result: list[Any] = []

    def ask(cancels: bool) -> None:
        try:
            result.append(network.cells(field, 0.3, token if cancels else None))
        except JobCancelled:
            result.append(None)

    threads = [threading.Thread(target=ask, args=(n % 2 == 0,)) for n in range(6)]
    for work in (threading.Thread.start, threading.Thread.join):
        every(work, threads)
    kept = [cells for cells in result if cells is not None]
    assert len(result) == 6
    assert len(kept) >= 3
    for cells in kept:
        np.testing.assert_array_equal(cells.points_yx, truth.points_yx)


def test_a_precision_that_is_known_not_to_do_is_not_tried_again(tmp_path: Path) -> None:
    bundle = detector_in(tmp_path, tolerance={"probability": 0.001, "place_px": 0.1, "turned_down": ["bf16"]})
    model = runtime_openvino.OpenVinoDetector(bundle)
    assert model.title == "OpenVINO fp32"
    record = read_export(bundle, openvino_version() or "")
    assert record is not None
    assert set(record.record.compared) == {"fp32"}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux tells on which cores a thread may run")
def test_no_thread_is_bound_to_a_core(finder: Bundle, field: np.ndarray) -> None:
    """Each worker of a machine would bind its own to the first core, and all would share that one."""
    runtime_openvino.OpenVinoDetector(finder, "fp32").cells(field, 0.3)
    cores = os.sched_getaffinity(0)
    threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    assert all(os.sched_getaffinity(thread) == cores for thread in threads)


def every(work: Callable[[Any], None], things: list[Any]) -> None:
    for thing in things:
        work(thing)


def test_an_export_that_is_there_is_run_without_torch_and_tells_nobody(finder: Bundle) -> None:
    runtime_openvino.OpenVinoDetector(finder)
    program = (
        "import json, sys; import numpy as np\n"
        "from napari_cyto.inference.engine.detect import CellDetector\n"
        "from napari_cyto.models.bundle import read_bundle\n"
        "model = CellDetector(read_bundle(sys.argv[1]), 'cpu', runtime='auto')\n"
        "model.runtime.cells(np.zeros((64, 64, 3), np.uint8), 0.5)\n"
        "print(json.dumps([model.runtime.title, 'torch' in sys.modules, sys.modules['openvino_telemetry'] is None]))"
    )
    said = subprocess.run([sys.executable, "-c", program, str(finder.path)], capture_output=True, check=True, text=True)
    title, has_torch, is_silent = json.loads(said.stdout)
    assert title.startswith("OpenVINO")
    assert (has_torch, is_silent) == (False, True)
