"""Guards the product's own loop: few cells of a slide annotated, a detector trained on them and its threshold set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_cyto.datasets.training.annotated_area import AreaRule
from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.domain.geometry import Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.statistics.bootstrap import Resampling
from napari_cyto.evaluation._curves import budget_curve
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.detector_scores import detector_scores
from napari_cyto.training.config import AugmentConfig
from napari_cyto.training.detector._tile_places import (
    EMPTY_TILES,
    EpochTiles,
    TileBudget,
    TilePlace,
    drawn_centre,
    drawn_turn,
    tiles_worth,
)
from napari_cyto.training.detector._validation import budget_threshold, validated

SIX = preset("bethesda").classes[:6]
IDS = tuple(c.id for c in SIX)
# 3,600 cells on 36 MP of 0.25 µm per px, 100 px (25 µm) apart.
GRID = np.stack(np.meshgrid(np.arange(60), np.arange(60), indexing="ij"), axis=-1).reshape(-1, 2) * 100.0 + 50
QUICK = Resampling(draws=60)


def of_perfect_detector(annotated: np.ndarray, scores: np.ndarray, regions: tuple[Polygon, ...] = ()) -> DetectedField:
    """What a detector that finds every cell and nothing else says of a slide on which some cells are annotated."""
    truth = GRID[annotated]
    cells = np.zeros(len(truth), np.intp)
    slide = TrainingSlide(
        "k", "k", "k", 0.25, "", "", "", truth, np.full((len(truth), 4), np.nan), cells, (6000, 6000), regions
    )
    known = AreaRule().area(slide)
    return DetectedField(
        name="k",
        mpp=0.25,
        group="k",
        truth_yx=truth,
        truth_classes=("NILM",) * len(truth),
        truth_boxes_yxyx=np.full((len(truth), 4), np.nan),
        found_yx=GRID,
        found_boxes_yxyx=np.full((len(GRID), 4), np.nan),
        scores=scores,
        class_scores=np.tile(np.eye(6)[0], (len(GRID), 1)) * scores[:, None],
        regions=regions,
        known_yx=known.spots_yx,
        reach_px=known.reach_px,
    )


@pytest.mark.parametrize("surest", ["the others", "the same", "any"])
def test_a_perfect_detector_keeps_the_cells_that_were_annotated(surest: str) -> None:
    """40 of 3,600 cells annotated: a budget over the whole slide kept 100 detections, and none of the 40."""
    rng = np.random.default_rng(0)
    annotated = rng.choice(len(GRID), 40, replace=False)
    scores = rng.uniform(0.5, 1, len(GRID)) if surest == "any" else np.full(len(GRID), 0.9)
    if surest == "the others":
        scores[annotated] = 0.7
    field = of_perfect_detector(annotated, scores)
    found = validated([field], IDS, 6.0, 2.5, 0.0)
    kept = field.from_score(found.decision.score_threshold)
    assert np.isin(annotated, np.flatnonzero(scores >= found.decision.score_threshold)).mean() >= 0.97
    assert len(kept.scores) > 3000
    assert found.metrics["recall at 2.5 a cell"] == 1
    assert found.per_class_recall["NILM"] == pytest.approx(1, abs=0.03)


def test_the_threshold_is_no_lower_than_the_annotated_cells_need() -> None:
    """Away from the annotations nobody counts false detections, so they do not lower the threshold."""
    annotated = np.arange(0, 3600, 90)
    scores = np.full(len(GRID), 0.1)
    scores[annotated] = np.linspace(0.6, 0.9, len(annotated))
    found = validated([of_perfect_detector(annotated, scores)], IDS, 6.0, 2.5, 0.0)
    assert 0.6 <= found.decision.score_threshold <= 0.62


def test_one_detector_has_one_recall_by_whatever_count() -> None:
    """A perfect detector on a partly annotated field of 36 MP had recall 1.0 by one count and 0.07 by the other."""
    region = Polygon(((0, 0), (0, 1500), (1500, 1500), (1500, 0)))
    inside = (GRID < 1500).all(axis=1)
    scores = np.random.default_rng(0).uniform(0.5, 1, len(GRID))
    field = of_perfect_detector(np.flatnonzero(inside), scores, (region,))
    result = detector_scores([field], SIX, 0.5, 6.0, QUICK).to_json()["detection"]
    at = result["at_detections_per_cell"]
    assert (result["recall"], at["recall"], at["detections_per_cell"], result["detections_per_cell"]) == (1, 1, 1, 1)
    assert result["intervals"]["detections_per_cell"]["value"] == 1
    assert (result["detections"], result["detections_in_known_area"], result["cells_in_known_area"]) == (3600, 225, 225)
    assert result["at_detections_per_field"][-1]["recall"] == pytest.approx(200 / 225)
    curve = budget_curve([field], 6.0)
    assert curve[-1].tolist() == [1, 1]
    assert budget_threshold([field.counted(6.0)], 2.5) == 0
    # As a slide without a region, of which 40 cells are annotated, the counts agree too.
    few = of_perfect_detector(np.arange(0, 3600, 90), scores)
    result = detector_scores([few], SIX, 0.5, 6.0, QUICK).to_json()["detection"]
    assert (result["recall"], result["at_detections_per_cell"]["recall"], result["precision_is"]) == (
        1,
        1,
        "a lower bound",
    )


def test_a_detection_just_outside_a_region_finds_the_cell_inside() -> None:
    region = Polygon(((0, 0), (0, 100), (100, 100), (100, 0)))
    field = of_perfect_detector(np.array([0]), np.ones(len(GRID)), (region,))
    moved = DetectedField(
        **{name: getattr(field, name) for name in ("name", "mpp", "group", "truth_classes", "truth_boxes_yxyx")},
        truth_yx=np.array([[50.0, 98.0]]),
        found_yx=np.array([[50.0, 103.0], [50.0, 300.0]]),
        found_boxes_yxyx=np.full((2, 4), np.nan),
        scores=np.ones(2),
        class_scores=np.ones((2, 6)),
        regions=(region,),
    )
    assert len(moved.counted(6.0).scores) == 1


def made(n: int, size_px: int, **more: Any) -> TrainingSlide:
    centres = np.random.default_rng(1).uniform(100, size_px - 100, (n, 2))
    boxes, index = np.full((n, 4), np.nan), np.zeros(n, np.intp)
    return TrainingSlide("k", "k", "k", 0.25, "", "", "", centres, boxes, index, (size_px, size_px), **more)


def worth(slide: TrainingSlide) -> TileBudget:
    """With tiles of 192 px of 1 µm, which are 768 level-0 px."""
    model_px = slide.size_hw[0] // 4
    return tiles_worth(slide, AreaRule().area(slide), (model_px, model_px), 192)


def test_negatives_count_by_their_area_up_to_a_cap() -> None:
    """A negative slide of 100 tiles was worth one tile an epoch, or none."""
    assert worth(made(0, 3840)) == TileBudget(0, 25, 0)
    assert worth(made(0, 38_400)).empty == EMPTY_TILES
    region = Polygon(((0, 0), (0, 2304), (2304, 2304), (2304, 0)))
    assert worth(made(0, 38_400, regions=(region,))) == TileBudget(0, 9, 0)
    assert worth(made(0, 3840, regions=(region,))) == TileBudget(0, 9, 0)
    assert worth(made(4, 38_400, regions=(region,))) == TileBudget(4, 5, 0)
    assert worth(made(40, 38_400)) == TileBudget(40, 0, 0), "nobody said that the rest is empty"
    assert worth(made(40, 2000)) == TileBudget(7, 0, 0)
    assert worth(made(40, 38_400, rejected_yx=np.ones((7, 2)))) == TileBudget(40, 0, 7)


def test_an_epoch_shows_at_most_as_many_tiles_without_cells_and_all_in_their_turn() -> None:
    tiles = EpochTiles.of({0: TileBudget(6, 0, 2), 1: TileBudget(0, 20, 0)})
    assert len(tiles) == 12
    seen = set()
    for epoch in range(40):
        drawn = tiles.drawn(np.random.default_rng(epoch))
        assert len(drawn) == 12
        assert sum(kind == "cells" for _, kind in drawn) == 6
        seen |= set(drawn)
    assert seen == {(0, "cells"), (0, "rejected"), (1, "empty")}
    assert "6 tiles with cells and 6 without, out of 20 of parts without cells, 2 around rejected" in tiles.sentence()
    few = EpochTiles.of({0: TileBudget(6, 2, 0)})
    assert len(few) == 8
    assert EpochTiles.of({0: TileBudget(6)}).sentence() == ""


def test_tiles_lie_where_they_are_said_to() -> None:
    region = Polygon(((20_000, 20_000), (20_000, 24_000), (24_000, 24_000), (24_000, 20_000)))
    slide = made(40, 38_400, regions=(region,), rejected_yx=np.array([[3000.0, 5000.0]]))
    known = AreaRule().area(slide)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        empty = drawn_centre(slide, known, (9600, 9600), 4.0, 192, rng, "empty")
        assert ((empty >= 5000) & (empty <= 6000)).all()
        denied = drawn_centre(slide, known, (9600, 9600), 4.0, 192, rng, "rejected")
        place = TilePlace(denied, drawn_turn(AugmentConfig(rotation="none", flips=False, zoom=(1, 1)), rng))
        assert ((place.on_tile(np.array([[750.0, 1250.0]]), 192) >= 0).all()) is np.True_
