"""Guards that a worker answers as this machine would, for the very slide and model that were asked about."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from planted_cells import planted, planted_detector, slide_of

from napari_cyto import __version__
from napari_cyto.errors import CytoError
from napari_cyto.inference.cluster import chunks
from napari_cyto.inference.cluster.chunks import ModelReference, SlideRequest, WorkerFacts
from napari_cyto.inference.engine.detect import ShownTile
from napari_cyto.inference.engine.pipeline import table_of
from napari_cyto.inference.engine.tile_grid import Tile
from napari_cyto.inference.engine.tile_memory import tile_side
from napari_cyto.inference.model_view import SlidePixels, model_view
from napari_cyto.inference.request import PredictRequest
from napari_cyto.jobs.allocator import ALLOCATOR

FINDER, TELLER = (ModelReference(name, Path("/nowhere") / name, name * 8) for name in ("finder", "teller"))
CELLS = [(y, x, 12, (y + x) % 3) for y in range(8, 120, 24) for x in range(8, 120, 24)]
DETECTOR = planted_detector()


class Rule:
    """Cuts squares of 10 µm; says what it was asked."""

    icc = True

    def cut(self, slide: Any, centres_yx: Any, mpp: float, colour: Any) -> list[Any]:
        assert (mpp, colour) == (1.0, None)
        for y, x in centres_yx.tolist():
            slide.read_region(0, int(y) - 5, int(x) - 5, 10, 10)
        return centres_yx.tolist()

    def sides_px(self, mpp: float, name: str, images: Any = ()) -> tuple[float, float]:
        return (10.0 / mpp, 8.0 / mpp)


class Models:
    """Networks in memory."""

    def detector(self, bundle: Any, request: PredictRequest) -> Any:
        assert (bundle.id, request.device) == ("finder", "cpu")
        return DETECTOR

    def classifier(self, bundle: Any, request: PredictRequest) -> Any:
        assert (bundle.id, request.device) == ("teller", "cpu")
        return SimpleNamespace(scores=lambda crops: np.array(crops) / 1000)


def bundle(reference: ModelReference) -> Any:
    manifest = SimpleNamespace(
        kind="detector" if reference == FINDER else "classifier",
        mpp=1.0,
        id=reference.name,
        weights_sha256=reference.sha256,
        colour=None,
        crop_rule=Rule(),
    )
    return SimpleNamespace(id=reference.name, path=reference.path, sha256=reference.sha256, manifest=manifest)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = chunks._Bench()
    made._models = Models()  # type: ignore[assignment]
    monkeypatch.setattr(chunks, "_BENCH", made)
    monkeypatch.setattr(chunks, "bundle_named", lambda name: bundle({"finder": FINDER, "teller": TELLER}[name]))
    return made


def request(name: str = "a.svs", mark: str = "f") -> SlideRequest:
    return SlideRequest(
        PredictRequest(slide=Path(name), detector="finder", device="cpu"), mark, 1.0, 0.1, FINDER, TELLER
    )


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, str]]:
    """What was opened; the slides have planted cells, and two damaged tiles."""
    requested: list[tuple[Path, str]] = []

    def open_(path: Path, mark: str) -> Any:
        requested.append((path, mark))
        return slide_of(planted(128, 128, CELLS), tile=32, damaged={(0, 0, 0), (0, 3, 3)})

    monkeypatch.setattr(chunks, "_opened", open_)
    return requested


@pytest.mark.usefixtures("bench")
def test_the_cells_of_a_tile_are_those_that_are_found_here(opened: list[Any]) -> None:
    tile = Tile(-32, -32, 128, 128, (0.0, 0.0, 64.0, 64.0))
    answer = chunks.cells_of(request(), tile)
    with slide_of(planted(128, 128, CELLS), tile=32, damaged={(0, 0, 0), (0, 3, 3)}) as slide:
        view = model_view(SlidePixels(slide), 1.0, 1.0, "a")
        expected = table_of(DETECTOR, ShownTile.read(tile, view, 1.0, None), 0.1)
    assert len(expected) >= 4
    assert answer.rows.tolist() == expected.tolist()
    assert [each.bounds_yxyx for each in answer.unreadable] == [(0.0, 0.0, 32.0, 32.0)]
    chunks.cells_of(request(), tile)
    assert opened == [(Path("a.svs"), "f")], "a slide stays open from one chunk to the next"


@pytest.mark.usefixtures("bench", "opened")
def test_the_classes_of_cells_come_with_the_damage_at_their_crops() -> None:
    centres = np.array([[60.0, 60.0], [101.0, 101.0], [60.0, 70.0], [102.0, 99.0]])
    answer = chunks.classes_of(request(), centres)
    assert answer.rows.tolist() == (centres / 1000).tolist()
    assert [each.bounds_yxyx for each in answer.unreadable] == [(96.0, 96.0, 128.0, 128.0)]
    # A crop of 10 px and one more round a centre; damage further away is told by whoever is beside it.
    assert chunks.classes_of(request(), np.array([[60.0, 60.0]])).unreadable == ()
    for away, reported in ((37.9, 1), (38.1, 0)):
        chunks.classes_of(request(), np.array([[10.0, 10.0]]))
        assert len(chunks.classes_of(request(), np.array([[away, 10.0]])).unreadable) == reported


def test_colours_are_matched_once_a_slide_and_their_damage_comes_with_each_chunk(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[tuple[Any, bool]] = []
    slide = slide_of(planted(128, 128, CELLS), tile=32, damaged={(0, 0, 0), (0, 3, 3)})

    def match(slide: Any, colour: Any, icc: bool) -> str:
        requested.append((colour, icc))
        slide.read_region(0, 96, 96, 32, 32)
        return "match"

    monkeypatch.setattr("napari_cyto.datasets.colour_match.match_for", match)
    model = SimpleNamespace(id="m", weights_sha256="1", colour="purple")
    with slide:
        slide.read_region(0, 0, 0, 32, 32)
        open_slide = chunks._OpenSlide(slide)
        assert [bench.colour(open_slide, model, True) for _ in range(2)] == ["match", "match"]
        assert requested == [("purple", True)]
        assert [each.bounds_yxyx for each in open_slide.beside_chunks] == [(96.0, 96.0, 128.0, 128.0)]
        bench.colour(open_slide, SimpleNamespace(id="m", weights_sha256="2", colour="blue"), False)
        assert requested[1:] == [("blue", False)]
        # A model without colours measures none.
        other = chunks._OpenSlide(slide)
        bench.colour(other, SimpleNamespace(id="m", weights_sha256="1", colour=None), False)
        assert other.beside_chunks == set()


def test_few_slides_stay_open_and_none_goes_that_is_worked_on(bench: Any, opened: list[Any]) -> None:
    def work_on(*names: str) -> None:
        for name in names:
            with bench.slide(Path(name), "print"):
                pass

    work_on("a", "b", "c", "d", "a", "e")
    assert [str(path) for path, _ in bench._slides] == ["c", "d", "a", "e"], "the one that was not used longest goes"
    with bench.slide(Path("c"), "print") as held, bench.slide(Path("c"), "print"):
        assert held.users == 2
        work_on("f", "g", "h", "i")
        assert "c" in [str(path) for path, _ in bench._slides]
        assert len(bench._slides) == 4
    assert held.users == 0
    work_on("c")
    assert [str(path) for path, _ in opened].count("c") == 1
    with pytest.raises(RuntimeError), bench.slide(Path("c"), "print") as held:
        raise RuntimeError
    assert held.users == 0
    # The same name with another content is another slide.
    with bench.slide(Path("c"), "other"):
        pass
    assert opened[-1] == (Path("c"), "other")


def test_a_model_is_the_one_that_was_requested_or_refused(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert bench.bundle(FINDER).id == "finder"
    with pytest.raises(CytoError, match=r"The model finder .* other weights on the worker"):
        bench.bundle(ModelReference("finder", Path("/nowhere"), "0" * 64))
    read: list[Path] = []
    there = ModelReference("finder", tmp_path, "7")
    monkeypatch.setattr(
        chunks, "read_bundle", lambda path: (read.append(path), SimpleNamespace(id="x", path=path, sha256="7"))[1]
    )
    assert bench.bundle(there).id == bench.bundle(there).id == "x"
    assert read == [tmp_path], "read once, from the folder where the run has it"
    assert ModelReference.of(bench.bundle(there), "y") == ModelReference("y", tmp_path, "7")


def test_a_slide_is_the_one_that_was_requested_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    with pytest.raises(CytoError, match="does not exist on the worker"):
        chunks._opened(path, "f")
    path.write_bytes(b"slide")
    monkeypatch.setattr(chunks, "fingerprint", lambda seen: "f" if seen == path else "")
    monkeypatch.setattr(chunks, "open_slide", lambda seen: f"open {seen.name}")
    with pytest.raises(CytoError, match="is a different slide on the worker"):
        chunks._opened(path, "g")
    assert chunks._opened(path, "f") == "open a.svs"


@pytest.mark.usefixtures("bench")
def test_what_a_worker_says_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_cyto.inference.engine.tile_memory.free_bytes", lambda: None)
    for name, value in ALLOCATOR.items():
        monkeypatch.setenv(name, value)
    runtime = DETECTOR.runtime
    network = chunks.Elsewhere(runtime.title, "cpu", runtime.halo, runtime.multiple, runtime.bytes_per_px)
    expected = WorkerFacts(__version__, network, tile_side("cpu", runtime.bytes_per_px), True)
    assert chunks.facts(request().request, (FINDER, TELLER)) == expected
    monkeypatch.delenv(next(iter(ALLOCATOR)))
    monkeypatch.setattr(chunks.os, "name", "posix")
    assert not chunks.facts(request().request, (FINDER,)).quick_memory
    # The answer of a model that is not here is that it is not.
    with pytest.raises(KeyError):
        chunks.facts(request().request, (FINDER, ModelReference("none", Path("/nowhere"), "0")))
