"""Promise: one engine finds every cell once, wherever tiles end; what evaluation and prediction see is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_cells import NUCLEUS, PlantedRuntime, brute_force, planted, planted_detector, rows_of, slide_of

from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.inference.engine.pipeline import Batch, Engine, TileDone, joined
from napari_cyto.inference.engine.plan import make_plan
from napari_cyto.inference.engine.search import FLOOR, CellSearch
from napari_cyto.jobs.events import CancelToken


@dataclass(frozen=True)
class Case:
    """A slide, its cells, and how they are looked for."""

    size_hw: tuple[int, int]
    cells: list[tuple[int, int, int, int]]
    merge_um: float
    tile_px: int
    factor: int
    region: tuple[float, ...] | None
    outline: list[tuple[float, float]] | None
    score_from: float

    @property
    def image(self) -> np.ndarray:
        return planted(*self.size_hw, self.cells)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Cells all over, many of them where tiles of 96 and 128 px end, and some a px beside one another."""
    height, width = (draw(st.integers(40, 260)) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    factor = draw(st.sampled_from([1, 2]))
    merge = draw(st.sampled_from([0.0, 3.0, 5.0, 13.0, 40.0]))
    count = draw(st.integers(0, 60))
    places = rng.integers(0, (height, width), (count, 2))
    near_seams = rng.random((count, 2)) < 0.5
    places = np.where(near_seams, np.round(places / 32) * 32 + rng.integers(-2, 2, (count, 2)), places)
    places = np.clip(places, 0, np.array([height, width]) - 1).astype(int)
    kept: list[tuple[int, int]] = []
    # Nearer than a seam is wide two cells may be one told of twice: there is no truth to compare with.
    for y, x in map(tuple, places.tolist()):
        if all(np.hypot(y - oy, x - ox) >= 3 for oy, ox in kept):
            kept.append((y, x))
    cells = [(y, x, int(rng.integers(1, 16)), int(rng.integers(0, 3))) for y, x in kept]
    region = outline = None
    if draw(st.booleans()):
        low, high = rng.uniform(-20, (height, width)), rng.uniform(1, (height + 20, width + 20))
        y0, x0 = np.minimum(low, high) * factor
        y1, x1 = np.maximum(low, high) * factor
        inside = (max(y0, 0), max(x0, 0), min(y1, height * factor), min(x1, width * factor))
        region = tuple(float(round(v)) for v in inside)
    if draw(st.booleans()):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 6))
        far = rng.uniform(0.2, 0.6, 6) * min(height, width) * factor
        outline = [
            (height * factor / 2 + r * np.sin(a) + 0.137, width * factor / 2 + r * np.cos(a) + 0.219)
            for r, a in zip(far, angles, strict=True)
        ]
    return Case(
        (height, width), cells, merge, draw(st.sampled_from([96, 128, 192, 512])), factor, region, outline,
        draw(st.sampled_from([FLOOR, 0.25, 0.5])),
    )  # fmt: skip


def searched(case: Case, **how: Any) -> Any:
    detector = planted_detector(merge_um=case.merge_um)
    with slide_of(case.image, case.factor) as slide:
        plan = make_plan(slide, 1.0 / case.factor, detector, case.region, case.tile_px, case.score_from)
        steps = list(Engine(slide, plan, detector, outline_yx=case.outline, **how).steps())
    assert sum(isinstance(s, TileDone) for s in steps) == len(plan.tiles)
    return joined([detector_none(detector), *(s.cells for s in steps if isinstance(s, Batch))])


def detector_none(detector: Any) -> Any:
    from napari_cyto.inference._detections import Detections

    return Detections.none(len(detector.manifest.classes))


@settings(max_examples=60)
@given(cases())
def test_everything_is_found_to_the_last_cell(case: Case) -> None:
    expected = brute_force(
        case.image, planted_detector(merge_um=case.merge_um), case.factor, 1.0 / case.factor, case.region,
        case.outline, case.score_from,
    )  # fmt: skip
    assert rows_of(searched(case)) == expected


@settings(max_examples=30)
@given(cases())
def test_evaluation_sees_what_a_prediction_stores(case: Case) -> None:
    detector = planted_detector(merge_um=case.merge_um)
    with slide_of(case.image, case.factor) as slide:
        found = CellSearch(detector).detect(slide, 1.0 / case.factor, case.region)
    assert (np.diff(found.scores) <= 0).all()
    predicted = Case(**{**vars(case), "outline": None})
    assert rows_of(found.from_score(case.score_from)) == rows_of(searched(predicted))


def test_glass_is_passed_over_and_no_cell_with_it() -> None:
    """Of a wide slide only the tiles are looked at in which something is, a lone cell in the last px among them."""
    cells = [(5, 5, 15, 0), (900, 900, 15, 1), (1023, 1023, 15, 2)]
    image, detector = planted(1024, 1024, cells), planted_detector()
    with slide_of(image) as slide:
        plan = make_plan(slide, 1.0, detector, tile_px=96)
        assert plan.skipped > 32 * 32 * 0.9
        assert plan.skipped + len(plan.tiles) == 32 * 32
        found = CellSearch(detector).detect(slide, 1.0)
    assert rows_of(found) == brute_force(image, detector)
    assert len(found) == 3


@pytest.mark.parametrize("tile_px", [96, 512])
def test_cells_on_damage_are_left_out_and_the_damage_is_reported(tile_px: int) -> None:
    cells = [(y, x, 15, 0) for y in range(10, 250, 16) for x in range(10, 250, 16)]
    image, detector = planted(256, 256, cells), planted_detector()
    with slide_of(image, damaged={(0, 1, 1), (0, 3, 0)}) as slide:
        plan = make_plan(slide, 1.0, detector, tile_px=tile_px)
        engine = Engine(slide, plan, detector)
        found = joined([s.cells for s in engine.steps() if isinstance(s, Batch)])
    holes = [(64, 64, 128, 128), (192, 0, 256, 64)]
    assert sorted(tile.bounds_yxyx for tile in engine.unreadable) == holes
    whole = brute_force(image, detector, damage_yxyx=holes)
    # Beside the hatching a cell may look less crowded than it is; none is lost and none made up.
    assert [row[:2] for row in rows_of(found)] == [row[:2] for row in whole]


@pytest.mark.parametrize("tile_px", [96, 512])
def test_cells_where_nothing_was_scanned_are_left_out_and_counted_once(tile_px: int) -> None:
    cells = [(y, x, 15, 0) for y in (100, 127, 128, 160) for x in (100, 128, 159)] + [(10, 10, 9, 1), (250, 250, 9, 1)]
    image = planted(256, 256, cells)
    marks = image[64:192, 64:192] & 15
    image[64:192, 64:192] = 0
    image[64:192, 64:192] += np.where((marks[..., :1] == 9), marks, 0).astype(np.uint8)
    image[:, 200:240] = NUCLEUS
    detector = planted_detector()
    with slide_of(image) as slide:
        plan = make_plan(slide, 1.0, detector, tile_px=tile_px)
        engine = Engine(slide, plan, detector)
        found = joined([s.cells for s in engine.steps() if isinstance(s, Batch)])
    assert sorted(map(tuple, found.centres_yx.tolist())) == [(10.5, 10.5), (250.5, 250.5)]
    assert engine.left_out == 12


def test_a_search_that_is_cancelled_stops_between_tiles() -> None:
    token = CancelToken()
    looked: list[object] = []

    class Cancelling(PlantedRuntime):
        def cells(self, pixels: Any, floor: float, token: Any = None) -> Any:
            looked.append(pixels.shape)
            token.cancel()
            return super().cells(pixels, floor, token)

    cells = [(y, x, 15, 0) for y in range(16, 1024, 32) for x in range(16, 1024, 32)]
    detector = planted_detector(Cancelling())
    with slide_of(planted(1024, 1024, cells)) as slide:
        plan = make_plan(slide, 1.0, detector, tile_px=96)
        with pytest.raises(JobCancelled):
            list(Engine(slide, plan, detector, token=token).steps())
    assert len(looked) < len(plan.tiles) / 2


def test_few_tiles_are_in_memory_however_large_a_slide_is() -> None:
    reads = done = most = 0

    class Counting(PlantedRuntime):
        def cells(self, pixels: Any, floor: float, token: Any = None) -> Any:
            nonlocal reads, most
            reads += 1
            most = max(most, reads - done)
            return super().cells(pixels, floor, token)

    cells = [(y, x, 15, 0) for y in range(16, 512, 32) for x in range(16, 512, 32)]
    detector = planted_detector(Counting())
    with slide_of(planted(512, 512, cells)) as slide:
        engine = Engine(slide, make_plan(slide, 1.0, detector, tile_px=96), detector)
        waiting = 0
        for step in engine.steps():
            done += isinstance(step, TileDone)
            waiting = max(waiting, len(engine._tables))
    assert done == 256
    assert most <= 6
    # What is not settled lies along the edge of what is done: about a row of tiles.
    assert waiting <= 2 * 16 + 6


def test_without_a_scale_a_model_of_um_refuses_in_a_sentence() -> None:
    with slide_of(planted(64, 64, [])) as slide, pytest.raises(CytoError, match="µm per px is unknown"):
        CellSearch(planted_detector()).detect(slide, None)


def test_nothing_on_glass_is_no_cells_of_as_many_classes() -> None:
    with slide_of(planted(64, 64, [])) as slide:
        found = CellSearch(planted_detector()).detect(slide, 1.0)
        beside = CellSearch(planted_detector()).detect(slide, 1.0, (500.0, 500.0, 600.0, 600.0))
    for none in (found, beside):
        assert (none.centres_yx.shape, none.boxes_yxyx.shape, none.class_scores.shape) == ((0, 2), (0, 4), (0, 3))
