"""Promise: cells alike lie together on a map that is the same each time, and it is trusted no further than it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vector_projects import make_project

from napari_cyto.errors import CytoError
from napari_cyto.jobs.events import Cancelled, CancelToken, Done, Failed
from napari_cyto.vectors import cell_map
from napari_cyto.vectors.cell_map import MapOptions, map_cells, read_map, trust_of

FITTED = 40


def run(folder: Path, **options: Any) -> tuple[list[Any], Any]:
    *events, last = map_cells(folder, MapOptions(**options))
    return events, last


@pytest.fixture(scope="module", params=["interpreted", pytest.param("compiled", marks=pytest.mark.nightly)])
def mapped(tmp_path_factory, request):
    """A map of 60 cells by UMAP as it is written; by night of 240, compiled, which takes half a minute."""
    folder = tmp_path_factory.mktemp("map") / "p.cyto"
    classes = make_project(folder, 60 if request.param == "interpreted" else 240)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "interpreted":
            patch.setenv("NUMBA_DISABLE_JIT", "1")
        events, last = run(folder, fitted=FITTED)
    assert isinstance(last, Done), last
    return folder, classes, events, last.result


def test_cells_alike_lie_together_laid_in_ones_too(mapped):
    _, classes, events, made = mapped
    found = read_map(Path(made.path))
    assert (made.cells, made.fitted, made.was_kept) == (len(classes), FITTED, False)
    assert set(found.ids) == set(classes)
    codes = np.array([classes[i] for i in found.ids])
    middles = np.array([found.xy[codes == code].mean(0) for code in range(3)])
    nearest = np.linalg.norm(found.xy[:, None] - middles, axis=2).argmin(1)
    assert (nearest == codes).all()
    assert any(event.total > 0 and "Fitting" in event.message for event in events if hasattr(event, "total"))
    assert f"Fitted on {FITTED}, the others laid in." in found.sentence
    assert f"(on all {len(classes)} cells)" in found.sentence, "of what was not sampled no interval is stated"
    json.dumps(made.to_json())


def test_the_map_is_kept_and_made_again_where_it_is_damaged_or_cells_came(mapped):
    folder, _, _, made = mapped
    _, again = run(folder, fitted=FITTED)
    assert again.result.was_kept
    assert again.result.path == made.path
    path, before = Path(made.path), read_map(Path(made.path)).xy
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CytoError, match="make the map again"):
        read_map(path)
    _, third = run(folder, fitted=FITTED)
    assert not third.result.was_kept
    assert np.array_equal(read_map(path).xy, before), "the same seed gives the same map"
    assert not list(path.parent.glob(".*")), "nothing half-written is left"


def test_a_map_of_other_bytes_is_not_believed(mapped):
    _, _, _, made = mapped
    path = Path(made.path)
    stored = dict(np.load(path))
    stored["xy"] = stored["xy"] + 1
    other = path.with_name("other.npz")
    np.savez(other, **stored)
    with pytest.raises(CytoError, match="damaged"):
        read_map(other)
    other.unlink()


def test_a_stop_keeps_nothing_and_too_few_cells_have_their_sentence(tmp_path, monkeypatch):
    folder = tmp_path / "p.cyto"
    make_project(folder, 60)
    token = CancelToken()
    token.cancel()
    monkeypatch.setattr(cell_map, "_places", lambda *_: np.zeros((60, 2), np.float32))
    *_, last = map_cells(folder, MapOptions(), token)
    assert isinstance(last, Cancelled)
    assert not list(folder.rglob("*.npz"))
    few = tmp_path / "few.cyto"
    make_project(few, 6)
    _, last = run(few)
    assert isinstance(last, Failed)
    assert "at least 20 cells" in last.message
    *_, last = map_cells(few, MapOptions(encoder="other"))
    assert "by other" in last.message
    assert "there are some by made" in last.message


def test_trust_is_one_for_a_faithful_map_half_for_chance_and_its_interval_holds():
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, 3, 4000)
    vectors = np.stack([np.cos(angle), np.sin(angle), np.zeros(4000)], axis=1)
    slides = ("a",) * 4000
    assert trust_of(vectors[:400], vectors[:400, :2], slides[:400]).value > 0.98
    assert 0.45 < trust_of(vectors[:400], rng.normal(size=(400, 2)), slides[:400]).value < 0.55
    # Half of it by chance: what one sample of samples says holds for all others.
    xy = np.where(rng.random((4000, 1)) < 0.5, vectors[:, :2], rng.normal(size=(4000, 2)))
    kept = []
    of_all = np.mean([trust_of(vectors[n::20], xy[n::20], slides[:200]).value for n in range(20)])
    for seed in range(12):
        rows = np.random.default_rng(seed).permutation(4000)[:1600]
        got = trust_of(vectors[rows], xy[rows], slides[:1600], seed)
        kept.append(got.low - 1e-9 <= of_all <= got.high + 1e-9)
    assert np.mean(kept) >= 0.8


def test_slides_that_do_not_matter_show_no_batch_effect_and_those_that_do_are_said():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(600, 8))
    slides = tuple(rng.choice(["a", "b", "c"], 600, p=[0.5, 0.3, 0.2]).tolist())
    got = trust_of(vectors, vectors[:, :2], slides)
    assert got.own_slide == pytest.approx(got.own_slide_by_chance, abs=0.03)
    stained = vectors + np.array([{"a": 0, "b": 5, "c": -5}[s] for s in slides])[:, None]
    got = trust_of(stained, vectors[:, :2], slides)
    assert got.own_slide > 0.9
    assert "% are of its own slide, by chance 38 %" in got.slide_sentence
    assert trust_of(vectors, vectors[:, :2], ("a",) * 600).own_slide is None
