"""Guards shared work: the same answers to the last bit, whoever dies, whatever cannot be read; no process is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from napari_cyto.cli.entry import run as command_line
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.inference._job import run
from napari_cyto.inference.cluster import chunks
from napari_cyto.inference.cluster._remote_network import Elsewhere
from napari_cyto.inference.cluster.pool import Farm, WorkersLost
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.many_slides import SeveralRequest, run_several
from napari_cyto.inference.request import PredictRequest
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Event, Failed, Noted
from napari_cyto.models.bundle import read_bundle, write_bundle
from napari_cyto.models.manifest import ModelClass
from napari_cyto.models.registry import build
from napari_cyto.store import Project

pytestmark = pytest.mark.networks

SETTINGS = {"backbone": "test_resnet", "stride": 8, "width": 16, "levels": 2, "input_px": 96}
CLASSES = [ModelClass.of(c).model_dump() for c in preset("bethesda").classes]
HEAD = {"backbone": "test_efficientnet", "head": 8, "dropout": 0.0}


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that was never trained, and finds something everywhere."""
    torch.manual_seed(0)
    network = build("p2p", SETTINGS, len(CLASSES))
    with torch.no_grad():
        network.sort.one.weight.normal_(std=0.5)
        network.place.one.weight.normal_(std=0.05)
    fields: dict[str, Any] = {"kind": "detector", "architecture": "p2p", "settings": SETTINGS, "classes": CLASSES}
    fields |= {"mpp": 1.0, "input_px": 96, "decision": {"merge_um": 6.0, "score_threshold": 0.02}}
    return write_bundle(tmp_path_factory.mktemp("models") / "finder", fields, network.state_dict()).path


@pytest.fixture(scope="module")
def namer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that was never trained."""
    torch.manual_seed(1)
    settings = HEAD | {"windows": 1, "input_px": 32}
    network = build("timm-classifier", settings, len(CLASSES))
    rule = {"windows": [40], "unit": "px", "size_px": 32}
    fields: dict[str, Any] = {"kind": "classifier", "architecture": "timm-classifier", "settings": settings}
    fields |= {"classes": CLASSES, "mpp": None, "input_px": 32, "crop_rule": rule}
    return write_bundle(tmp_path_factory.mktemp("models") / "namer", fields, network.state_dict()).path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two slides without a scale, of coloured noise, and between them one that is none."""
    folder = tmp_path_factory.mktemp("slides")
    for number, name in ((3, "a.png"), (4, "c.png")):
        small = np.random.default_rng(number).integers(0, 256, (40, 44, 3), dtype=np.uint8)
        Image.fromarray(small).resize((352, 320), Image.Resampling.BICUBIC).save(folder / name)
    (folder / "b.svs").write_bytes(b"no slide")
    return [folder / name for name in ("a.png", "b.svs", "c.png")]


def requested(finder: Path, namer: Path, slides: list[Path], out: Path, **changes: Any) -> SeveralRequest:
    values = {"slides": slides, "detector": str(finder), "classifier": str(namer), "out": out, "mpp": 1.0}
    return SeveralRequest(**values | {"tile_px": 192, "precision": "fp32", "runtime": "torch"} | changes)


def request_of_one(finder: Path, namer: Path, slide: Path, out: Path, **changes: Any) -> PredictRequest:
    values = {"slide": slide, "detector": str(finder), "classifier": str(namer), "out": out, "mpp": 1.0}
    return PredictRequest(**values | {"tile_px": 192, "precision": "fp32", "runtime": "torch"} | changes)


def known(finder: Path) -> Elsewhere:
    """What workers say of their detector."""
    return Elsewhere.of(CellDetector(read_bundle(finder)).runtime)


def written_cells(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that is told of each cell, in the order in which it was stored, by slide."""
    with Project.open(folder) as project:
        found: dict[str, list[tuple[Any, ...]]] = {slide.name: [] for slide in project.slides()}
        names = {slide.id: slide.name for slide in project.slides()}
        for a in project.annotations():
            found[names[a.slide_id]].append((a.geometry, a.class_id, a.scores, a.origin))
    return found


def last(events: Iterator[Event]) -> Any:
    return list(events)[-1]


@pytest.fixture(scope="module")
def serial(finder: Path, namer: Path, images: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What one process finds."""
    folder = tmp_path_factory.mktemp("serial") / "p.cyto"
    end = last(run_several(requested(finder, namer, images, folder)))
    assert isinstance(end, Done), end
    return written_cells(folder)


class Unhurried(ThreadPoolExecutor):
    """Workers that answer in any order."""

    def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        def later() -> Any:
            time.sleep(random.Random(repr(arguments)).random() / 100)
            return work(*arguments, **named)

        return super().submit(later)


def test_answers_in_any_order_come_to_the_same(
    finder: Path, namer: Path, images: list[Path], serial: Any, tmp_path: Path
) -> None:
    request = request_of_one(finder, namer, images[0], tmp_path / "p.cyto")
    with Unhurried(3) as pool:
        end = last(run(request, farm=Farm(pool, 3, known(finder))))
    assert isinstance(end, Done)
    assert end.result["cells"] > 10
    assert written_cells(tmp_path / "p.cyto")["a.png"] == serial["a.png"]


def test_a_run_begun_by_workers_goes_on_without_them(
    finder: Path, namer: Path, images: list[Path], serial: Any, tmp_path: Path
) -> None:
    request = request_of_one(finder, namer, images[0], tmp_path / "p.cyto", run_folder=tmp_path / "run")
    token = CancelToken()
    with Unhurried(2) as pool:
        for event in run(request, token, farm=Farm(pool, 2, known(finder))):
            if getattr(event, "done", 0) == 4:
                token.cancel()
    assert isinstance(event, Cancelled)
    end = last(run(request))
    assert end.result["tiles_done_before"] >= 4
    assert sorted(map(repr, written_cells(tmp_path / "p.cyto")["a.png"])) == sorted(map(repr, serial["a.png"]))


def test_when_the_workers_are_lost_the_run_says_so_at_once(
    finder: Path, namer: Path, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    pool = ThreadPoolExecutor(1)
    pool.shutdown()

    @contextmanager
    def nobody(*_: Any) -> Iterator[Farm]:
        yield Farm(pool, 1, known(finder))

    monkeypatch.setattr("napari_cyto.inference.cluster.workers.workers_for", nobody)
    end = last(run_several(requested(finder, namer, images, tmp_path / "p.cyto", workers=1)))
    assert isinstance(end, Failed)
    assert "connection to the workers was lost" in end.message


def test_workers_that_die_of_a_chunk_are_a_sentence() -> None:
    class KilledWorker(Exception):
        pass

    future: Future[Any] = Future()
    future.set_exception(KilledWorker())
    with ThreadPoolExecutor(1) as pool, pytest.raises(CytoError, match="memory ran out"):
        Farm(pool, 1, Elsewhere("torch", "cpu", 32, 32, 1)).answer(future)


def test_who_is_gone_and_who_is_back_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_cyto.inference.cluster.pool._LOOK_EVERY_S", -1.0)
    present: list[int | None] = [2, 0, 0, 1, 1, None]
    with ThreadPoolExecutor(1) as pool:
        farm = Farm(pool, 2, Elsewhere("torch", "cpu", 32, 32, 1), present=lambda: present.pop(0))
        news = [farm.news() for _ in range(5)]
        assert [n is None for n in news] == [True, False, True, False, True]
        with pytest.raises(WorkersLost):
            farm.news()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("weights", "other weights on the worker"),
        ("file", "a different slide on the worker"),
        ("gone", "does not exist on"),
    ],
)
def test_a_worker_that_sees_other_files_says_so(
    finder: Path, images: list[Path], tmp_path: Path, change: str, sentence: str
) -> None:
    from napari_cyto.inference.engine.tile_grid import Tile
    from napari_cyto.slides import fingerprint

    bundle = read_bundle(finder)
    model = chunks.ModelReference("finder", finder, "0" * 64 if change == "weights" else bundle.sha256)
    slide = tmp_path / "gone.png" if change == "gone" else images[0]
    request = PredictRequest(slide=slide, detector="finder")
    mark = fingerprint(images[0]) if change == "gone" else "0" * 32
    what = chunks.SlideRequest(request, mark, 1.0, 0.02, model, None)
    with pytest.raises(CytoError, match=sentence):
        chunks.cells_of(what, Tile(0, 0, 96, 96, (0.0, 0.0, 96.0, 96.0)))


def test_two_workers_one_of_them_killed_give_exactly_the_serial_result(
    finder: Path, namer: Path, images: list[Path], serial: Any, tmp_path: Path
) -> None:
    request = requested(finder, namer, images, tmp_path / "p.cyto", workers=2)
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    killed = []
    events = []
    for event in run_several(request):
        events.append(event)
        if not killed and isinstance(event, Advanced) and "cells" in event.message:
            workers = [p for p in psutil.Process().children(recursive=True) if _is_worker(p)]
            assert len(workers) == 2
            killed = workers[:1]
            killed[0].send_signal(signal.SIGKILL)
    end = events[-1]
    assert isinstance(end, Done), end
    assert killed
    assert end.result["workers"] == 2
    assert [Path(f["slide"]).name for f in end.result["failed"]] == ["b.svs"]
    assert any(isinstance(e, Noted) and "b.svs" in e.message for e in events)
    assert written_cells(tmp_path / "p.cyto") == serial
    assert [each for each in end.result["incidents"] if f"(process {killed[0].pid}) ended" in each]
    assert any(isinstance(e, Noted) and "SIGKILL" in e.message for e in events)
    left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before and _is_worker(p)]
    assert left == []
    again = last(run_several(request.model_copy(update={"workers": None})))
    assert [each["done_before"] for each in again.result["done"]] == [True, True]


@pytest.mark.nightly
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes cannot be frozen here")
def test_two_workers_one_of_them_frozen_give_exactly_the_serial_result(
    finder: Path, namer: Path, images: list[Path], serial: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_cyto.inference.cluster._local_workers.SILENT_S", 1.5)
    monkeypatch.setattr("napari_cyto.inference.cluster._local_workers.GIVEN_UP_S", 4.0)
    frozen = None
    for event in run_several(requested(finder, namer, images, tmp_path / "p.cyto", workers=2)):
        if frozen is None and isinstance(event, Advanced) and "cells" in event.message:
            frozen = next(p for p in psutil.Process().children(recursive=True) if _is_worker(p))
            frozen.send_signal(signal.SIGSTOP)
    assert isinstance(event, Done), event
    assert frozen is not None
    assert any(f"(process {frozen.pid}) did not answer for 4 s" in each for each in event.result["incidents"])
    assert written_cells(tmp_path / "p.cyto") == serial
    assert not frozen.is_running()


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def test_ctrl_c_leaves_no_worker_behind(finder: Path, namer: Path, images: list[Path], tmp_path: Path) -> None:
    """The signal goes to all processes of the terminal's group, as a terminal sends it."""
    words = ["predict", str(images[0]), "--detector", str(finder), "--classifier", str(namer), "--mpp", "1"]
    words += ["--workers", "2", "--out", str(tmp_path / "p.cyto")]
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_cyto", *words],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    whole = psutil.Process(process.pid)
    until_s = time.monotonic() + 120
    while time.monotonic() < until_s and not (tmp_path / "p.cyto").exists():
        time.sleep(0.02)
    family = whole.children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    words_said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 130, words_said
    assert "Traceback" not in words_said
    assert "Cancelled." in words_said
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []


def test_a_cluster_that_is_there_does_the_same(
    finder: Path, namer: Path, images: list[Path], serial: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from distributed import LocalCluster

    out = tmp_path / "p.cyto"
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        end = last(run_several(requested(finder, namer, images[:1], out, scheduler=address)))
    assert isinstance(end, Done), end
    assert written_cells(out)["a.png"] == serial["a.png"]


def test_when_the_scheduler_goes_it_is_reported_and_the_rest_is_done_later(
    finder: Path, namer: Path, images: list[Path], serial: Any, tmp_path: Path
) -> None:
    from distributed import LocalCluster

    out = tmp_path / "p.cyto"
    cluster = LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
    events = run_several(requested(finder, namer, images[:1], out, scheduler=cluster.scheduler_address))
    for event in events:
        if getattr(event, "done", 0) == 3:
            break
    cluster.close()
    end = last(events)
    assert isinstance(end, Failed), end
    assert end.expected, end.traceback
    assert "connection to the workers was lost" in end.message
    rest = last(run_several(requested(finder, namer, images[:1], out)))
    assert rest.result["done"][0]["tiles_done_before"] >= 3
    assert sorted(map(repr, written_cells(out)["a.png"])) == sorted(map(repr, serial["a.png"]))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--scheduler", "tcp://127.0.0.1:9"], "No dask scheduler answers at 'tcp://127.0.0.1:9'"),
        (["--scheduler", "no such place"], "No dask scheduler answers at 'no such place'"),
        (["--scheduler", "tcp://127.0.0.1:9", "--workers", "2"], "got both"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_what_cannot_be_reached_is_one_sentence(
    finder: Path,
    images: list[Path],
    tmp_path: Path,
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_cyto.inference.cluster.workers.CONNECT_S", 1.0)
    out = tmp_path / "p.cyto"
    assert command_line(["predict", str(images[0]), "--detector", str(finder), "--out", str(out), *words]) == 2
    shown = capsys.readouterr().err
    assert sentence in shown
    assert len(shown.strip().splitlines()) == 1
    assert not out.exists()
