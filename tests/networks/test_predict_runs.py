"""Guards runs of proposals: independent of tiles, gone on with after a stop, refused in time, none proposed twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_cyto.cli.running import run as command_line
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add, replace_all
from napari_cyto.domain.geometry import Point
from napari_cyto.domain.jobs import Cancelled, CancelToken, Event, Failed, Measured
from napari_cyto.domain.presets import preset
from napari_cyto.inference.detecting import CellDetector
from napari_cyto.inference.engine import Batch, Engine, joined
from napari_cyto.inference.engine_plan import make_plan
from napari_cyto.inference.engine_tiles import plan_tiles
from napari_cyto.inference.request import PredictRequest
from napari_cyto.inference.run import run
from napari_cyto.models.bundle import write_bundle
from napari_cyto.models.manifest import ModelClass
from napari_cyto.models.raw_cells import RawCells
from napari_cyto.models.registry import build
from napari_cyto.slides import open_slide
from napari_cyto.store import Project

SETTINGS = {"backbone": "test_resnet", "stride": 8, "width": 16, "levels": 2, "input_px": 96}
CLASSES = [ModelClass.of(c).model_dump() for c in preset("bethesda").classes]


@pytest.fixture(scope="module")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that was never trained, and finds something everywhere."""
    torch.manual_seed(0)
    network = build("p2p", SETTINGS, len(CLASSES))
    with torch.no_grad():
        network.sort.one.weight.normal_(std=0.5)
        network.place.one.weight.normal_(std=0.05)
    fields: dict[str, Any] = {"kind": "detector", "architecture": "p2p", "settings": SETTINGS, "classes": CLASSES}
    fields |= {"mpp": 1.0, "input_px": 96, "decision": {"merge_um": 12.0, "score_threshold": 0.02}}
    return write_bundle(tmp_path_factory.mktemp("models") / "finder", fields, network.state_dict()).path


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide without a scale, of coloured noise."""
    small = np.random.default_rng(3).integers(0, 256, (40, 44, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("slides") / "noise.png"
    Image.fromarray(small).resize((352, 320), Image.Resampling.BICUBIC).save(path)
    return path


def asked(finder: Path, picture: Path, **changes: Any) -> PredictRequest:
    values = {"slide": picture, "detector": str(finder), "mpp": 1.0, "tile_px": 192, "precision": "fp32"}
    return PredictRequest(**values | changes)


def last(events: Iterator[Event]) -> Any:
    return list(events)[-1]


def proposals(folder: Path) -> list[Annotation]:
    with Project.open(folder) as project:
        return list(project.annotations())


class Spots:
    """Tells of dark spots where they are."""

    halo, multiple = 32, 32

    def decode(self, outputs: torch.Tensor, floor: float) -> list[RawCells]:
        from scipy import ndimage

        dark = -outputs[0].mean(0).numpy().astype(np.float64)
        labels, n = ndimage.label(dark > 0)
        whole = [i for i in range(1, n + 1) if (dark * (labels == i)).sum() > 2]
        centres = np.array(ndimage.center_of_mass(dark * (labels > 0), labels, whole)).reshape(-1, 2) + 0.5
        points = torch.from_numpy(centres).float()
        scores = torch.full((len(points),), 0.9)
        return [
            RawCells(
                points,
                torch.full_like(points, float("nan")),
                scores,
                scores[:, None].repeat(1, len(CLASSES)) / len(CLASSES),
            )
        ]


@pytest.fixture(scope="module")
def spotted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A slide with dark spots, some of them on what will be borders of tiles."""
    y, x = np.mgrid[:400, :400] + 0.5
    centres = np.array([(cy, cx) for cy in range(20, 390, 37) for cx in range(15, 390, 41)], dtype=np.float64)
    pixels = np.full((400, 400), 255.0)
    for cy, cx in centres:
        pixels = np.minimum(pixels, 255 * np.clip(np.hypot(y - cy, x - cx) - 6, 0, 1))
    path = tmp_path_factory.mktemp("slides") / "spots.png"
    Image.fromarray(np.repeat(pixels[..., None], 3, axis=2).astype(np.uint8)).save(path)
    return path, centres


@settings(max_examples=8)
@given(
    st.sampled_from([96, 128, 160, 512]),
    st.sampled_from([(0, 0), (32, 0), (32, 64)]),
    st.randoms(use_true_random=False),
)
def test_the_answer_does_not_depend_on_size_offset_or_order_of_tiles(
    finder: Path, spotted: tuple[Path, np.ndarray], side: int, offset: tuple[int, int], order: Any
) -> None:
    from dataclasses import replace

    from napari_cyto.models.bundle import read_bundle

    path, centres = spotted
    detector = CellDetector.of_network(read_bundle(finder).manifest, Spots(), lambda images: images, side)
    with open_slide(path) as slide:
        plan = make_plan(slide, 0.5, detector, tile_px=side)
        tiles = plan_tiles((200, 200), side, 32, 32, offset_yx=offset)
        order.shuffle(tiles)
        steps = list(Engine(slide, replace(plan, tiles=tuple(tiles)), detector).steps())
    found = joined([s.cells for s in steps if isinstance(s, Batch)])
    assert len(found) == len(centres)
    distances = np.linalg.norm(found.centres_yx[:, None] - centres[None], axis=-1)
    assert distances.min(axis=1).max() < 0.6
    assert len(set(distances.argmin(axis=1).tolist())) == len(centres)


def test_cells_are_proposals_with_model_scores_and_box(finder: Path, picture: Path, tmp_path: Path) -> None:
    events = list(run(asked(finder, picture, out=tmp_path / "p.cyto", author="ann")))
    result = events[-1].result
    found = proposals(tmp_path / "p.cyto")
    assert len(found) == result["cells"] == result["added"] > 3
    assert {a.status for a in found} == {Status.PROPOSED}
    assert {a.origin for a in found} == {f"model:finder@{result['detector']['sha256']}"}
    assert {tuple(i for i, _ in a.scores) for a in found} == {preset("bethesda").ids}
    told = [e.values["cells"]["centres_yx"] for e in events if isinstance(e, Measured) and "cells" in e.values]
    centres = {(round(y, 3), round(x, 3)) for part in told for y, x in part}
    assert {(round(a.geometry.centre_yx[0], 3), round(a.geometry.centre_yx[1], 3)) for a in found} == centres
    with Project.open(tmp_path / "p.cyto") as project:
        assert project.history()[0].author == "ann"
        assert project.slides()[0].mpp == 1.0


def test_asked_again_nothing_is_doubled_and_a_persons_word_stands(finder: Path, picture: Path, tmp_path: Path) -> None:
    request = asked(finder, picture, out=tmp_path / "p.cyto")
    count = last(run(request)).result["added"]
    with Project.open(tmp_path / "p.cyto") as project:
        from dataclasses import replace

        one, *_ = project.annotations()
        project.apply(replace_all([(one, replace(one, status=Status.REJECTED))], "Reject"), "ann")
    again = last(run(request)).result
    assert (again["added"], again["there_before"]) == (0, count)


def test_a_run_that_was_stopped_goes_on_to_the_same_answer(finder: Path, picture: Path, tmp_path: Path) -> None:
    whole = last(run(asked(finder, picture, out=tmp_path / "whole.cyto"))).result
    request = asked(finder, picture, out=tmp_path / "p.cyto", run_folder=tmp_path / "run")
    token = CancelToken()
    for event in run(request, token):
        if getattr(event, "done", 0) == 2:
            token.cancel()
    assert isinstance(event, Cancelled)
    assert "are kept" in event.message or "kept in the project" in event.message
    assert proposals(tmp_path / "p.cyto")
    rest = last(run(request)).result
    assert rest["tiles_done_before"] == 2
    assert rest["cells"] == whole["cells"]
    places = [
        sorted(tuple(np.round(a.geometry.centre_yx, 2)) for a in proposals(tmp_path / name))
        for name in ("whole.cyto", "p.cyto")
    ]
    assert set(places[0]) <= set(places[1])
    assert last(run(request)).result["done_before"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"mpp": None}, "µm per px are unknown"),
        ({"stain": "IHC"}, "knows the stain Papanicolaou"),
        ({"device": "cuda:7"}, "no device 'cuda:7' here"),
        ({"classifier": "FINDER"}, "is a detector, but naming them needs a classifier"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(
    finder: Path, picture: Path, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    changes = {k: str(finder) if v == "FINDER" else v for k, v in changes.items()}
    event = last(run(asked(finder, picture, out=tmp_path / "p.cyto", **changes)))
    assert isinstance(event, Failed)
    assert event.expected
    assert sentence in event.message
    assert not (tmp_path / "p.cyto").exists()


def test_another_class_scheme_is_refused(finder: Path, picture: Path, tmp_path: Path) -> None:
    Project.create(tmp_path / "p.cyto", preset("ki67")).close()
    event = last(run(asked(finder, picture, out=tmp_path / "p.cyto")))
    assert isinstance(event, Failed)
    assert "has no class" in event.message
    assert proposals(tmp_path / "p.cyto") == []


def test_a_mark_of_a_person_is_not_proposed_again(finder: Path, picture: Path, tmp_path: Path) -> None:
    request = asked(finder, picture, out=tmp_path / "a.cyto")
    last(run(request))
    first = proposals(tmp_path / "a.cyto")[0]
    with Project.create(tmp_path / "b.cyto", preset("bethesda")) as project:
        with Project.open(tmp_path / "a.cyto") as other:
            record = other.slides()[0]
        project.add_slides([record])
        y, x = first.geometry.centre_yx
        project.apply(add([Annotation(slide_id=record.id, geometry=Point(y + 1, x), class_id="HSIL")], "Mark"), "ann")
    result = last(run(request.model_copy(update={"out": tmp_path / "b.cyto"}))).result
    assert result["there_before"] == 1


def test_cells_outside_an_outline_are_not_told(finder: Path, picture: Path) -> None:
    outline = ((100.0, 100.0), (100.0, 250.0), (250.0, 100.0))
    events = run(asked(finder, picture, region_yxyx=(100.0, 100.0, 250.0, 250.0), outline_yx=outline))
    found = [c for e in events if isinstance(e, Measured) for c in e.values["cells"]["centres_yx"]]
    assert found
    assert all(y >= 100 and x >= 100 and (y - 100) + (x - 100) <= 150.001 for y, x in found)


def test_the_command_line_writes_geojson_and_a_broken_slide_stops_no_other(
    finder: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--detector", str(finder), "--mpp", "1", "--json"]
    assert command_line(["predict", str(picture), *words, "--out", str(tmp_path / "f.geojson")]) == 0
    told = json.loads(capsys.readouterr().out)
    features = json.loads((tmp_path / "f.geojson").read_text(encoding="utf-8"))["features"]
    assert len(features) == told["done"][0]["cells"] > 0
    (tmp_path / "broken.svs").write_bytes(b"no slide")
    several = ["predict", str(tmp_path / "broken.svs"), str(picture), *words, "--out", str(tmp_path / "q.cyto")]
    assert command_line(several) == 2
    shown = capsys.readouterr()
    assert "1 of 2 slides were left out" in shown.err
    assert json.loads(shown.out)["failed"][0]["slide"].endswith("broken.svs")
    assert len(proposals(tmp_path / "q.cyto")) == len(features)
    assert command_line(several) == 2
    assert json.loads(capsys.readouterr().out)["done"][0]["done_before"]


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "0,0,0,5"])
def test_a_region_in_other_words_is_refused(region: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", str(tmp_path), "--detector", "x", "--out", "o.cyto", "--region", region]
    assert command_line(words) == 2
    assert "region" in capsys.readouterr().err.lower()
