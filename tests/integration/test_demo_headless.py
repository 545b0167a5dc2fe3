"""Guards the promise that the demo does the whole main job without a screen, repeats it, and can be stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from napari_cyto.domain import edits
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Event, Failed
from napari_cyto.store import Project
from napari_cyto.synthesis.demo_job import demo_project, prepare_demo, run_demo_headless

SIZE_PX = 2400


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> list[Event]:
    out = tmp_path_factory.mktemp("out") / "new" / "folder"
    return list(run_demo_headless(out, size_px=SIZE_PX, cache_dir=cache))


@pytest.fixture(scope="module")
def result(events: list[Event]) -> dict[str, Any]:
    assert isinstance(events[-1], Done), events[-1]
    return events[-1].result


def test_it_ends_once_and_only_moves_forward(events: list[Event], result: dict[str, Any]) -> None:
    assert sum(isinstance(e, Done | Failed | Cancelled) for e in events) == 1
    shares = [e.done / e.total for e in events if isinstance(e, Advanced)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    json.dumps(result)


def test_the_project_holds_slides_a_region_accepted_cells_and_predictions(result: dict[str, Any]) -> None:
    with Project.open(result["project"]) as project:
        slides = project.slides()
        assert len(slides) == len({s.patient for s in slides}) == 3
        assert all(project.slide_path(s).is_file() for s in slides)
        counts = project.counts()
        assert set(counts) == {None, "NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC", "rubbish"}
        assert {str(s) for s, n in project.status_counts().items() if n} == {"accepted", "proposed"}
        assert sum(counts.values()) == result["annotations"]


def test_the_dataset_has_both_sides_and_no_leak(result: dict[str, Any]) -> None:
    counts = result["export"]["counts"]
    assert set(counts) == {"train", "test"}
    assert all(sum(side.values()) > 0 for side in counts.values())
    audit = json.loads(Path(result["audit"]).read_text(encoding="utf-8"))
    assert audit["ok"] is True
    assert result["audit_ok"] is True
    assert not [f for f in audit["findings"] if f.get("leak")]


def test_the_image_is_an_image(result: dict[str, Any]) -> None:
    with Image.open(result["overview"]) as image:
        assert image.width > 1500
        assert len(image.convert("RGB").resize((64, 64)).getcolors(4096) or ()) > 100


def test_a_second_run_keeps_the_project_as_its_user_left_it(result: dict[str, Any], cache: Path) -> None:
    out = Path(result["project"]).parent
    with Project.open(result["project"]) as project:
        gone = next(project.annotations())
        project.apply(edits.remove([gone], "Delete"), "user")
    last = list(run_demo_headless(out, size_px=SIZE_PX, cache_dir=cache))[-1]
    assert isinstance(last, Done), last
    assert last.result["annotations"] == result["annotations"] - 1


def test_the_windowed_demo_gets_the_same_project(tmp_path: Path, cache: Path, result: dict[str, Any]) -> None:
    last = list(prepare_demo(tmp_path / "demo.cyto", size_px=SIZE_PX, cache_dir=cache))[-1]
    assert isinstance(last, Done), last
    assert last.result["annotations"] == result["annotations"]
    assert demo_project(tmp_path / "demo.cyto", size_px=SIZE_PX, cache_dir=cache) == tmp_path / "demo.cyto"
    assert [p.name for p in tmp_path.iterdir()] == ["demo.cyto"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "demo.cyto").mkdir()
    (tmp_path / "demo.cyto" / "thesis.txt").write_text("dear")
    last = list(run_demo_headless(tmp_path, size_px=SIZE_PX, cache_dir=cache))[-1]
    assert isinstance(last, Failed)
    assert last.expected
    assert "not a project" in last.message
    assert (tmp_path / "demo.cyto" / "thesis.txt").read_text() == "dear"


def test_cancelling_leaves_no_half_made_project(tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    *_, last = run_demo_headless(tmp_path, token, size_px=SIZE_PX, cache_dir=tmp_path / "cache")
    assert isinstance(last, Cancelled)
    assert not (tmp_path / "demo.cyto").exists()


def test_what_the_system_refuses_is_one_sentence(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "overview.png").mkdir()
    last = list(run_demo_headless(tmp_path, size_px=SIZE_PX, cache_dir=cache))[-1]
    assert isinstance(last, Failed)
    assert last.expected, last.traceback
    assert "overview.png" in last.message
