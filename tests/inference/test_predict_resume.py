"""Guards that an unfinished run goes on with its own tiles, whatever memory or workers there are, and says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_detectors import noise
from PIL import Image

from napari_cyto.domain.annotation import Status
from napari_cyto.domain.edits import replace_all
from napari_cyto.errors import CytoError
from napari_cyto.inference._checkpoint import KeptTiles, Records
from napari_cyto.inference._job import run
from napari_cyto.inference.cluster._remote_network import Elsewhere
from napari_cyto.inference.cluster.pool import Farm
from napari_cyto.inference.engine import plan as engine_plan
from napari_cyto.inference.engine import tile_memory as memory
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.engine.pipeline import AHEAD, Engine
from napari_cyto.inference.engine.plan import Plan, make_plan
from napari_cyto.inference.many_slides import SeveralRequest, run_several
from napari_cyto.inference.request import PredictRequest
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Event, Failed, Noted
from napari_cyto.models.bundle import read_bundle
from napari_cyto.slides import Slide, open_slide
from napari_cyto.store import Project

pytestmark = pytest.mark.networks

SIDES_PX = (320, 256, 192)
"""Small ones, so that a small picture takes several."""

PLENTY, SCARCE = (memory.SPARE_BYTES + side * side * memory.BYTES_PER_PX for side in (320, 192))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide of coloured noise that takes some tiles where memory is plenty, and many where it is scarce."""
    path = tmp_path_factory.mktemp("slides") / "wide.png"
    Image.fromarray(noise(320, 600)).save(path)
    return path


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says how much memory is free."""
    for module in (memory, engine_plan):
        monkeypatch.setattr(module, "SIDES_PX", SIDES_PX)

    def are(free_bytes: int) -> None:
        monkeypatch.setattr(memory, "free_bytes", lambda: free_bytes)

    return are


def requested(finder: Path, slide: Path, out: Path, **changes: Any) -> PredictRequest:
    values = {"slide": slide, "detector": str(finder), "mpp": 1.0, "precision": "fp32", "runtime": "torch", "out": out}
    values |= {"run_folder": out.with_suffix(".run"), "again": True, "score_from": 0.3}
    return PredictRequest(**values | changes)


def interrupted(request: PredictRequest, tiles: int = 1, farm: Farm | None = None) -> list[Event]:
    token = CancelToken()
    events = []
    for event in run(request, token, farm=farm):
        events.append(event)
        if getattr(event, "done", 0) >= tiles:
            token.cancel()
    assert isinstance(events[-1], Cancelled), events[-1]
    return events


def cells(folder: Path) -> list[str]:
    with Project.open(folder) as project:
        return sorted(repr((a.geometry, a.class_id, a.scores, a.status)) for a in project.annotations())


def last(events: Iterator[Event]) -> Any:
    return list(events)[-1]


def notes(events: list[Event]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, Noted))


def shown(events: list[Event]) -> str:
    return next(e.message for e in reversed(events) if isinstance(e, Advanced))


@pytest.mark.parametrize(("before", "now"), [(PLENTY, SCARCE), (SCARCE, PLENTY)])
def test_with_other_memory_it_goes_on_to_the_result_of_an_uninterrupted_run(
    finder: Path, wide: Path, tmp_path: Path, free: Any, before: int, now: int
) -> None:
    free(before)
    whole = requested(finder, wide, tmp_path / "whole.cyto", run_folder=None)
    *events, end = run(whole)
    assert isinstance(end, Done), end
    assert shown(events) == f"wide.png: {len(cells(tmp_path / 'whole.cyto')):,} cells"
    request = requested(finder, wide, tmp_path / "p.cyto")
    interrupted(request)
    kept = json.loads((tmp_path / "p.run" / "request.json").read_text())["tiles"]
    free(now)
    *events, end = run(request)
    assert isinstance(end, Done), end
    assert f"wide.png: resuming: {end.result['tiles_done_before']} of {len(kept)} tiles are done" in notes(events)
    assert end.result["tiles"] == len(kept)
    assert end.result["tiles_done_before"] >= 1
    assert cells(tmp_path / "p.cyto") == cells(tmp_path / "whole.cyto")
    assert shown(events) == f"wide.png: {len(cells(tmp_path / 'p.cyto')):,} cells"
    assert any("resuming" in remark for remark in end.result["remarks"])


def test_when_memory_is_short_one_tile_is_worked_on_at_a_time_and_without_any_it_is_refused(
    finder: Path, wide: Path, tmp_path: Path, free: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(PLENTY)
    request = requested(finder, wide, tmp_path / "p.cyto")
    interrupted(request)
    before = cells(tmp_path / "p.cyto"), (tmp_path / "p.run" / "tiles.bin").read_bytes()
    free(10 * 2**20)
    *_, end = run(request)
    assert isinstance(end, Failed)
    assert "Resuming the unfinished run needs about" in end.message
    assert "What is done is kept" in end.message
    assert before == (cells(tmp_path / "p.cyto"), (tmp_path / "p.run" / "tiles.bin").read_bytes())
    free(SCARCE)
    at_work: list[int] = []
    start = Engine.__init__

    def watched(self: Engine, *words: Any, **named: Any) -> None:
        start(self, *words, **named)
        at_work.append(self._ahead)

    monkeypatch.setattr(Engine, "__init__", watched)
    *events, end = run(request)
    assert isinstance(end, Done), end
    assert at_work == [1]
    assert "one at a time" in notes(events)
    assert AHEAD > 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([SCARCE, PLENTY, 700 * 2**20, 900 * 2**20, 2**34]),
    st.sampled_from([SCARCE, PLENTY, 700 * 2**20, 900 * 2**20, 2**34]),
    st.sampled_from([None, (0.0, 0.0, 300.0, 500.0), (100.0, 170.0, 320.0, 600.0), (33.0, 41.0, 99.0, 600.0)]),
    st.sampled_from([None, 160, 700]),
)
def test_the_plan_of_an_unfinished_run_stays_whatever_is_free(
    finder: Path, wide: Path, first: int, second: int, region: Any, tile_px: int | None
) -> None:
    detector = CellDetector.of_runtime(
        read_bundle(finder).manifest, Elsewhere("torch", "cpu", 32, 32, memory.BYTES_PER_PX)
    )
    with open_slide(wide) as slide, pytest.MonkeyPatch.context() as patched:
        for module in (memory, engine_plan):
            patched.setattr(module, "SIDES_PX", SIDES_PX)
        patched.setattr(memory, "free_bytes", lambda: first)
        before = make_plan(slide, 1.0, detector, region, tile_px)
        patched.setattr(memory, "free_bytes", lambda: second)
        tiles = tuple((t.y0, t.x0, t.height, t.width) for t in before.tiles)
        assert _bare(make_plan(slide, 1.0, detector, region, None, kept=KeptTiles(tiles, before.side_px))) == _bare(
            before
        )
        other = make_plan(slide, 1.0, detector, region, tile_px)
        # What is no plan of this slide is not believed.
        damaged = KeptTiles(((1, 2, 3, 4), *tiles[1:]), before.side_px)
        assert _bare(make_plan(slide, 1.0, detector, region, tile_px, kept=damaged)) == _bare(other)


def _bare(plan: Plan) -> Any:
    return plan.tiles, plan.skipped, plan.bounds_yxyx, plan.score_from, plan.side_px


@pytest.mark.nightly
def test_with_another_runtime_and_with_workers_it_goes_on_and_names_both(
    finder: Path, wide: Path, tmp_path: Path, free: Any
) -> None:
    free(SCARCE)
    whole = last(run(requested(finder, wide, tmp_path / "whole.cyto", run_folder=None))).result
    request = requested(finder, wide, tmp_path / "p.cyto")
    known = Elsewhere.of(CellDetector(read_bundle(finder), precision="fp32").runtime)
    with ThreadPoolExecutor(2) as pool:
        # Workers of a cluster with room for smaller tiles only.
        farm = Farm(pool, 2, known, tile_px=128)
        interrupted(request, farm=Farm(pool, 2, known))
        events = interrupted(request, tiles=4, farm=farm)
    assert "resuming: " in notes(events)
    free(PLENTY)
    openvino = request.model_copy(update={"runtime": "openvino"})
    *events, end = run(openvino)
    assert isinstance(end, Done), end
    assert "resuming: " in notes(events)
    assert "by PyTorch fp32, the others will be by OpenVINO fp32" in notes(events)
    assert end.result["runtime"] == ["OpenVINO fp32", "PyTorch fp32"]
    assert end.result["tiles_done_before"] >= 4
    assert end.result["tiles"] == whole["tiles"]
    assert abs(end.result["cells"] - whole["cells"]) <= 0.01 * whole["cells"]


def test_what_cannot_go_on_says_why_and_how_much_is_lost(finder: Path, wide: Path, tmp_path: Path, free: Any) -> None:
    free(SCARCE)
    request = requested(finder, wide, tmp_path / "p.cyto")
    interrupted(request)
    *events, end = run(request.model_copy(update={"score_from": 0.5}))
    assert isinstance(end, Done), end
    assert "wide.png: starting over: the minimum score changed; " in notes(events)
    assert " discarded" in notes(events)
    assert end.result["tiles_done_before"] == 0


def test_a_damaged_record_is_said_and_comes_to_the_same(finder: Path, wide: Path, tmp_path: Path, free: Any) -> None:
    free(SCARCE)
    list(run(requested(finder, wide, tmp_path / "whole.cyto", run_folder=None)))
    request = requested(finder, wide, tmp_path / "p.cyto")
    interrupted(request, tiles=2)
    damaged = tmp_path / "p.run" / "tiles.bin"
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 0xFF
    damaged.write_bytes(bytes(data))
    *events, end = run(request)
    assert isinstance(end, Done), end
    assert "the last tiles written are damaged and are computed anew" in notes(events)
    assert end.result["tiles_done_before"] >= 1
    assert cells(tmp_path / "p.cyto") == cells(tmp_path / "whole.cyto")


def test_what_a_stopped_run_stored_too_early_is_removed_unless_a_person_reviewed_it(
    finder: Path, wide: Path, tmp_path: Path, free: Any
) -> None:
    free(SCARCE)
    list(run(requested(finder, wide, tmp_path / "whole.cyto", run_folder=None, score_from=0.02)))
    request = requested(finder, wide, tmp_path / "p.cyto", score_from=0.02)
    interrupted(request)
    final = set(cells(tmp_path / "whole.cyto"))
    with Project.open(tmp_path / "p.cyto") as project:
        early = [a for a in project.annotations() if repr((a.geometry, a.class_id, a.scores, a.status)) not in final]
        assert early, "the made slide has no cell on a seam that the next tile sees otherwise"
        project.apply(replace_all([(early[0], replace(early[0], status=Status.ACCEPTED))], "Accept"), "ann")
    *_, end = run(request)
    assert isinstance(end, Done), end
    with Project.open(tmp_path / "p.cyto") as project:
        left = [a for a in project.annotations() if repr((a.geometry, a.class_id, a.scores, a.status)) not in final]
    assert [a.id for a in left] == [early[0].id]


def test_when_the_disk_of_what_is_kept_is_full_it_is_a_sentence_and_goes_on_later(
    finder: Path, wide: Path, tmp_path: Path, free: Any
) -> None:
    resource = pytest.importorskip("resource")
    import signal

    free(SCARCE)
    list(run(requested(finder, wide, tmp_path / "whole.cyto", run_folder=None)))
    request = requested(finder, wide, tmp_path / "p.cyto").model_copy(update={"out": None})
    interrupted(request)
    records = Records(tmp_path / "p.run" / "tiles.bin")
    size = (tmp_path / "p.run" / "tiles.bin").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 250, limits[1]))
        *_, end = run(request)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert isinstance(end, Failed)
    assert end.expected, end.traceback
    assert "the disk is full" in end.message
    assert "resume it" in end.message
    assert list(records.read())
    assert not records.cut_off
    *events, end = run(request.model_copy(update={"out": tmp_path / "p.cyto"}))
    assert isinstance(end, Done), end
    assert "resuming: " in notes(events)
    assert cells(tmp_path / "p.cyto") == cells(tmp_path / "whole.cyto")


def test_a_file_that_was_requested_otherwise_starts_anew(finder: Path, wide: Path, tmp_path: Path, free: Any) -> None:
    free(SCARCE)
    values = {"slides": [wide], "detector": str(finder), "out": tmp_path / "p.geojson", "mpp": 1.0}
    request = SeveralRequest(**values | {"precision": "fp32", "runtime": "torch"})
    token = CancelToken()
    for event in run_several(request, token):
        if getattr(event, "done", 0) >= 1:
            token.cancel()
    *events, end = run_several(request.model_copy(update={"score_from": 0.5}))
    assert isinstance(end, Done), end
    assert "starting over: the minimum score changed" in notes(events)
    *events, end = run_several(request.model_copy(update={"score_from": 0.5}))
    assert "already done" in notes(events)


def test_a_slide_that_is_not_the_plans_own_is_planned_anew(finder: Path, wide: Path) -> None:
    detector = CellDetector(read_bundle(finder))

    def refuse(height: int, width: int) -> None:
        if height > 200:
            raise CytoError("too large here")

    with open_slide(wide) as slide:
        assert isinstance(slide, Slide)
        first = make_plan(slide, 1.0, detector, tile_px=320)
        tiles = tuple((t.y0, t.x0, t.height, t.width) for t in first.tiles)
        detector.runtime.ready = refuse  # type: ignore[method-assign]
        second = make_plan(slide, 1.0, detector, tile_px=192, kept=KeptTiles(tiles, first.side_px))
    assert second.tiles != first.tiles
