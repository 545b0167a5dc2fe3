"""Guards what detectors learn from: cells move exactly with their pixels, and every architecture takes the batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_cyto.datasets.training.labelled_slide import TrainingSlide
from napari_cyto.domain.geometry import Polygon
from napari_cyto.errors import CytoError
from napari_cyto.models.registry import build
from napari_cyto.training.box_task import box_targets
from napari_cyto.training.config import AugmentConfig, PhaseConfig
from napari_cyto.training.detector._parts import frozen_part, parameter_groups
from napari_cyto.training.detector._tile_places import TilePlace, drawn_turn
from napari_cyto.training.detector._training_tiles import TileSource, turned_sizes
from napari_cyto.training.fcrn_task import proximity_maps

pytestmark = pytest.mark.networks

CENTRES = np.array([[60.0, 70.0], [120.0, 40.0], [90.0, 150.0], [150.0, 130.0], [30.0, 180.0]])


def spotted(path: Path, size: int = 200) -> Path:
    y, x = np.mgrid[:size, :size] + 0.5
    image = np.full((size, size), 255.0)
    for cy, cx in CENTRES:
        image = np.minimum(image, 255 * np.clip(np.hypot(y - cy, x - cx) - 4, 0, 1))
    Image.fromarray(np.repeat(image[..., None], 3, axis=2).astype(np.uint8)).save(path)
    return path


def slide(path: Path, **changes: Any) -> TrainingSlide:
    n = len(CENTRES)
    known: dict[str, Any] = {
        "key": "k",
        "path": str(path),
        "name": path.name,
        "mpp": 0.5,
        "patient": "",
        "smear": "",
        "source": "",
        "centres_yx": CENTRES,
        "boxes_yxyx": np.full((n, 4), np.nan),
        "class_index": np.arange(n) % 2,
        "size_hw": (200, 200),
    }
    return TrainingSlide(**(known | changes))


@pytest.mark.parametrize("mpp", [0.5, 0.8])
def test_turned_cells_lie_where_their_pixels_are(tmp_path: Path, mpp: float) -> None:
    source = TileSource([slide(spotted(tmp_path / "s.png"))], mpp, 96, AugmentConfig(zoom=(0.8, 1.25)))
    seen = 0
    for seed in range(12):
        tile = source.tile(0, np.random.default_rng(seed))
        dark = 255.0 - tile.pixels[..., 0]
        for y, x in tile.points_yx:
            if min(y, x) < 12 or max(y, x) > 84:
                continue
            around = np.s_[int(y) - 10 : int(y) + 11, int(x) - 10 : int(x) + 11]
            rows, columns = np.mgrid[around] + 0.5
            weight = dark[around] / dark[around].sum()
            assert ((rows * weight).sum(), (columns * weight).sum()) == pytest.approx((y, x), abs=0.1)
            seen += 1
    assert seen > 10


@given(seed=st.integers(0, 10_000))
@settings(max_examples=50)
def test_a_place_and_its_way_back_are_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    place = TilePlace(rng.uniform(0, 500, 2), drawn_turn(AugmentConfig(zoom=(0.5, 2)), rng))
    points = rng.uniform(-50, 500, (20, 2))
    assert np.allclose(place.on_slide(place.on_tile(points, 128), 128), points)
    apart = np.linalg.norm(place.on_tile(points, 128)[0] - place.on_tile(points, 128)[1])
    assert apart == pytest.approx(np.linalg.norm(points[0] - points[1]) * place.zoom)


def test_a_quarter_turn_exchanges_the_sides_of_a_box() -> None:
    quarter = TilePlace(np.zeros(2), np.array([[0.0, -1.0], [1.0, 0.0]]) / 2)
    assert turned_sizes(np.array([[10.0, 30.0], [np.nan, np.nan]]), quarter)[0].tolist() == [60.0, 20.0]
    assert np.isnan(turned_sizes(np.array([[np.nan, np.nan]]), quarter)).all()


def test_the_same_seed_draws_the_same_tile_and_another_another(tmp_path: Path) -> None:
    source = TileSource([slide(spotted(tmp_path / "s.png"))], 0.5, 96, AugmentConfig())
    one, same, other = (source.tile(0, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one.pixels, same.pixels)
    assert np.array_equal(one.points_yx, same.points_yx)
    assert not np.array_equal(one.pixels, other.pixels)


def test_background_is_set_to_count_only_inside_regions(tmp_path: Path) -> None:
    region = Polygon(((0, 0), (0, 100), (200, 100), (200, 0)))
    source = TileSource([slide(spotted(tmp_path / "s.png"), regions=(region,))], 0.5, 96, AugmentConfig())
    anchors = np.array([[48.0, 20.0], [48.0, 80.0]])
    tile = source.tile_at(0, TilePlace(np.array([100.0, 100.0]), np.eye(2)), anchors)
    assert tile.counted is not None
    assert tile.counted.tolist() == [True, False]


def test_images_of_one_cell_teach_no_detector(tmp_path: Path) -> None:
    source = TileSource([slide(spotted(tmp_path / "s.png"), centred=True)], 0.5, 96, AugmentConfig())
    with pytest.raises(CytoError, match="one cell only"):
        source.measure(0)


def test_what_is_frozen_gets_no_group() -> None:
    net = build("p2p", {"backbone": "test_efficientnet", "width": 16, "levels": 2, "input_px": 96}, 2)
    every = {id(p) for p in net.parameters()}
    body = {id(p) for p in net.backbone.parameters()}

    def trained(**changes: Any) -> set[int]:
        phase = PhaseConfig(lr=1e-3, backbone_lr=1e-4, weight_decay=0.1, **changes)
        groups = parameter_groups(net, phase, frozen_levels=1)
        assert all(g["lr"] == (1e-4 if id(p) in body else 1e-3) for g in groups for p in g["params"])
        assert all(g["weight_decay"] == (0.1 if p.ndim > 1 else 0) for g in groups for p in g["params"])
        chosen = {id(p) for g in groups for p in g["params"]}
        assert chosen == {id(p) for p in net.parameters() if p.requires_grad}
        return chosen

    assert trained(trains="head") == every - body
    top, most = trained(trains="top"), trained(trains="all")
    assert every - body < top < most < every
    stem = frozen_part(net, PhaseConfig(), 1)
    assert stem
    assert {id(p) for m in stem for p in m.parameters()} == every - most


def test_the_map_is_one_at_a_cell_and_falls_to_nothing() -> None:
    maps = proximity_maps(torch.tensor([[10.0, 14.0]]), torch.tensor([1]), torch.Size((2, 12, 12)), 4, 8.0)
    assert float(maps[0].max()) == 0
    assert float(maps[1, 2, 3]) == pytest.approx(1.0)
    assert 0 < float(maps[1, 3, 3]) < float(maps[1, 2, 3])
    assert float(maps[1, 4, 3]) == pytest.approx(0.0, abs=1e-6)


def test_points_get_boxes_of_the_usual_size_cut_at_the_tile() -> None:
    points = torch.tensor([[50.0, 40.0], [2.0, 90.0], [50.0, 40.0]])
    sizes = torch.tensor([[np.nan, np.nan], [np.nan, np.nan], [10.0, 20.0]])
    result = box_targets(points, sizes, torch.tensor([0, 1, 1]), torch.tensor([20.0, 40.0]), 96, 1)
    assert result["boxes"].tolist() == [[30, 40, 50, 60], [70, 0, 96, 22], [30, 45, 50, 55]]
    assert result["labels"].tolist() == [1, 2, 2]
    assert box_targets(points[:0], sizes[:0], torch.zeros(0, dtype=torch.long), torch.ones(1), 96, 0)[
        "boxes"
    ].shape == (0, 4)
