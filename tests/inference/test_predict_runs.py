"""Guards runs of proposals: independent of tiles, gone on with after a stop, refused in time, none proposed twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_detectors import CENTRES, CLASSES, Spots, noise, spotted
from PIL import Image

from napari_cyto.cli.entry import run as command_line
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.edits import add, replace_all
from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.presets import preset
from napari_cyto.inference._job import run
from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.engine.pipeline import Batch, Engine, joined
from napari_cyto.inference.engine.plan import make_plan
from napari_cyto.inference.engine.tile_grid import plan_tiles
from napari_cyto.inference.request import PredictRequest
from napari_cyto.jobs.events import Cancelled, CancelToken, Event, Failed, Measured
from napari_cyto.models.bundle import read_bundle
from napari_cyto.slides import Slide, UnreadableTile, open_slide
from napari_cyto.store import Project

pytestmark = pytest.mark.networks


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide without a scale, of coloured noise."""
    path = tmp_path_factory.mktemp("slides") / "noise.png"
    Image.fromarray(noise(320, 352)).save(path)
    return path


def requested(finder: Path, image: Path, **changes: Any) -> PredictRequest:
    values = {"slide": image, "detector": str(finder), "mpp": 1.0, "tile_px": 192, "precision": "fp32"}
    return PredictRequest(**values | changes)


def last(events: Iterator[Event]) -> Any:
    return list(events)[-1]


def predictions(folder: Path) -> list[Annotation]:
    with Project.open(folder) as project:
        return list(project.annotations())


@pytest.fixture(scope="module")
def with_spots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide with dark spots at ``CENTRES``."""
    path = tmp_path_factory.mktemp("slides") / "spots.png"
    Image.fromarray(spotted(400, CENTRES, 6)).save(path)
    return path


@settings(max_examples=8)
@given(
    st.sampled_from([96, 128, 160, 512]),
    st.sampled_from([(0, 0), (32, 0), (32, 64)]),
    st.randoms(use_true_random=False),
)
def test_the_answer_does_not_depend_on_size_offset_or_order_of_tiles(
    finder: Path, with_spots: Path, side: int, offset: tuple[int, int], order: Any
) -> None:
    from dataclasses import replace

    spots = Spots(len(CLASSES))
    detector = CellDetector.of_network(read_bundle(finder).manifest, spots, spots)
    with open_slide(with_spots) as slide:
        plan = make_plan(slide, 0.5, detector, tile_px=side)
        tiles = plan_tiles((200, 200), side, 32, 32, offset_yx=offset)
        order.shuffle(tiles)
        steps = list(Engine(slide, replace(plan, tiles=tuple(tiles)), detector).steps())
    found = joined([s.cells for s in steps if isinstance(s, Batch)])
    assert len(found) == len(CENTRES)
    distances = np.linalg.norm(found.centres_yx[:, None] - CENTRES[None], axis=-1)
    assert distances.min(axis=1).max() < 0.6
    assert len(set(distances.argmin(axis=1).tolist())) == len(CENTRES)


def test_cells_are_predictions_with_the_models_scores(finder: Path, image: Path, tmp_path: Path) -> None:
    events = list(run(requested(finder, image, out=tmp_path / "p.cyto", author="ann")))
    result = events[-1].result
    found = predictions(tmp_path / "p.cyto")
    assert len(found) == result["cells"] == result["added"] > 3
    assert {a.status for a in found} == {Status.UNREVIEWED}
    assert {isinstance(a.geometry, Box) for a in found} == {read_bundle(finder).manifest.tells_sizes}
    assert {a.origin for a in found} == {f"model:finder@{result['detector']['sha256']}"}
    assert {tuple(i for i, _ in a.scores) for a in found} == {preset("bethesda").ids}
    outcome = [e.values["cells"]["centres_yx"] for e in events if isinstance(e, Measured) and "cells" in e.values]
    centres = {(round(y, 3), round(x, 3)) for part in outcome for y, x in part}
    assert {(round(a.geometry.centre_yx[0], 3), round(a.geometry.centre_yx[1], 3)) for a in found} == centres
    with Project.open(tmp_path / "p.cyto") as project:
        assert project.history()[0].author == "ann"
        assert project.slides()[0].mpp == 1.0


def test_requested_again_nothing_is_doubled_and_a_persons_word_stands(
    finder: Path, image: Path, tmp_path: Path
) -> None:
    request = requested(finder, image, out=tmp_path / "p.cyto")
    count = last(run(request)).result["added"]
    with Project.open(tmp_path / "p.cyto") as project:
        from dataclasses import replace

        one, *_ = project.annotations()
        project.apply(replace_all([(one, replace(one, status=Status.REJECTED))], "Reject"), "ann")
    again = last(run(request)).result
    assert (again["added"], again["there_before"]) == (0, count)


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_a_run_that_was_stopped_goes_on_to_the_same_answer(
    finder: Path, image: Path, tmp_path: Path, runtime: str
) -> None:
    whole = last(run(requested(finder, image, out=tmp_path / "whole.cyto", runtime=runtime))).result
    assert whole["runtime"] == [{"torch": "PyTorch fp32", "openvino": "OpenVINO fp32"}[runtime]]
    request = requested(finder, image, out=tmp_path / "p.cyto", run_folder=tmp_path / "run", runtime=runtime)
    token = CancelToken()
    for event in run(request, token):
        if getattr(event, "done", 0) == 2:
            token.cancel()
    assert isinstance(event, Cancelled)
    assert "are kept" in event.message or "kept in the project" in event.message
    assert predictions(tmp_path / "p.cyto")
    rest = last(run(request)).result
    assert rest["tiles_done_before"] >= 2  # those that were looked at by then are kept too
    assert rest["cells"] == whole["cells"]
    places = [
        sorted(tuple(np.round(a.geometry.centre_yx, 2)) for a in predictions(tmp_path / name))
        for name in ("whole.cyto", "p.cyto")
    ]
    assert set(places[0]) <= set(places[1])
    assert last(run(request)).result["done_before"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mpp": None}, "µm per px is unknown"),
        ({"stain": "IHC"}, "knows the stain Papanicolaou"),
        ({"device": "cuda:7"}, "There is no device 'cuda:7' on this machine"),
        ({"device": "cuda", "runtime": "openvino"}, "OpenVINO runs networks on the CPU"),
        ({"classifier": "FINDER"}, "is a detector, but classification needs a classifier"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    finder: Path, image: Path, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    changes = {k: str(finder) if v == "FINDER" else v for k, v in changes.items()}
    event = last(run(requested(finder, image, out=tmp_path / "p.cyto", **changes)))
    assert isinstance(event, Failed)
    assert event.expected
    assert sentence in event.message
    assert not (tmp_path / "p.cyto").exists()


def test_another_class_scheme_is_refused(finder: Path, image: Path, tmp_path: Path) -> None:
    Project.create(tmp_path / "p.cyto", preset("ki67")).close()
    event = last(run(requested(finder, image, out=tmp_path / "p.cyto")))
    assert isinstance(event, Failed)
    assert "has no class" in event.message
    assert predictions(tmp_path / "p.cyto") == []


def test_an_annotation_of_a_person_is_not_predicted_again(finder: Path, image: Path, tmp_path: Path) -> None:
    request = requested(finder, image, out=tmp_path / "a.cyto")
    last(run(request))
    first = predictions(tmp_path / "a.cyto")[0]
    with Project.create(tmp_path / "b.cyto", preset("bethesda")) as project:
        with Project.open(tmp_path / "a.cyto") as other:
            record = other.slides()[0]
        project.add_slides([record])
        y, x = first.geometry.centre_yx
        words = [Annotation(slide_id=record.id, geometry=Point(y + 3, x), class_id="HSIL")]
        # Another model's proposal lies nearer than the person's mark, and does not hide it.
        nearer = Point(y - 1, x)
        origin = origin_of_model("other", "1" * 64)
        other = {"status": Status.UNREVIEWED, "author": "other", "origin": origin, "scores": (("HSIL", 0.9),)}
        words.append(Annotation(slide_id=record.id, geometry=nearer, class_id="HSIL", **other))
        project.apply(add(words, "Mark"), "ann")
    result = last(run(request.model_copy(update={"out": tmp_path / "b.cyto"}))).result
    assert (result["there_before"], result["replaced"]) == (1, 0)


def test_damage_that_was_met_before_a_stop_is_reported_at_the_end(
    finder: Path, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hole = UnreadableTile(image.name, 0, (0.0, 0.0, 40.0, 40.0), "made so")
    request, token = requested(finder, image, out=tmp_path / "p.cyto", run_folder=tmp_path / "run"), CancelToken()
    with monkeypatch.context() as damaged:
        damaged.setattr(Slide, "unreadable_after", lambda _, known: (hole,)[known:])
        for event in run(request, token):
            if getattr(event, "done", 0) == 2:
                token.cancel()
    assert isinstance(event, Cancelled)
    events = list(run(request))
    assert any("cannot be read" in getattr(event, "message", "") for event in events)
    assert [each["reason"] for each in events[-1].result["unreadable"]] == ["made so"]


def test_cells_outside_an_outline_are_not_reported(finder: Path, image: Path) -> None:
    outline = ((100.0, 100.0), (100.0, 250.0), (250.0, 100.0))
    events = run(requested(finder, image, region_yxyx=(100.0, 100.0, 250.0, 250.0), outline_yx=outline))
    found = [c for e in events if isinstance(e, Measured) for c in e.values["cells"]["centres_yx"]]
    assert found
    assert all(y >= 100 and x >= 100 and (y - 100) + (x - 100) <= 150.001 for y, x in found)


def test_the_command_line_writes_geojson_and_a_broken_slide_stops_no_other(
    finder: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--detector", str(finder), "--mpp", "1", "--json"]
    assert command_line(["predict", str(image), *words, "--out", str(tmp_path / "f.geojson")]) == 0
    outcome = json.loads(capsys.readouterr().out)
    features = json.loads((tmp_path / "f.geojson").read_text(encoding="utf-8"))["features"]
    assert len(features) == outcome["done"][0]["cells"] > 0
    (tmp_path / "broken.svs").write_bytes(b"no slide")
    assert command_line(["predict", str(tmp_path / "broken.svs"), *words, "--out", str(tmp_path / "r.cyto")]) == 2
    assert capsys.readouterr().err.count("broken.svs") == 1, "said once"
    several = ["predict", str(tmp_path / "broken.svs"), str(image), *words, "--out", str(tmp_path / "q.cyto")]
    assert command_line(several) == 2
    shown = capsys.readouterr()
    assert "1 of 2 slides were left out" in shown.err
    assert json.loads(shown.out)["failed"][0]["slide"].endswith("broken.svs")
    assert len(predictions(tmp_path / "q.cyto")) == len(features)
    assert command_line(several) == 2
    assert json.loads(capsys.readouterr().out)["done"][0]["done_before"]


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "0,0,0,5"])
def test_a_region_in_other_words_is_refused(region: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", str(tmp_path), "--detector", "x", "--out", "o.cyto", "--region", region]
    assert command_line(words) == 2
    assert "region" in capsys.readouterr().err.lower()


def test_a_region_partly_beside_the_slide_is_clipped_and_reported(finder: Path, image: Path, tmp_path: Path) -> None:
    request = requested(finder, image, region_yxyx=(-1e6, 100.0, 200.0, 1e6), out=tmp_path / "p.cyto")
    outcome = last(run(request)).result
    assert any(
        "extends beyond it; only the part inside is used, from x 100 to 352 and y 0 to 200" in r
        for r in outcome["remarks"]
    )
    inside = last(run(requested(finder, image, region_yxyx=(0.0, 100.0, 200.0, 352.0)))).result
    assert inside["cells"] == outcome["cells"] > 0
    assert inside["remarks"] == [r for r in outcome["remarks"] if "beyond" not in r]
    beside = last(run(requested(finder, image, region_yxyx=(400.0, 0.0, 500.0, 100.0), out=tmp_path / "q.cyto")))
    assert isinstance(beside, Failed)
    assert "lies outside it" in beside.message
    assert not (tmp_path / "q.cyto").exists()
