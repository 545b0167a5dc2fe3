"""Guards the search for cells: the answer does not depend on tiles, and lies in level-0 px whatever the scale."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from made_detectors import CENTRES, UNWRITTEN, Spots, detector_fields, noise, spotted, untrained
from PIL import Image

from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.inference.engine.detect import CellDetector, merged, own_cells
from napari_cyto.inference.engine.tile_grid import detection_tiles
from napari_cyto.models.bundle import write_bundle
from napari_cyto.models.found_cells import FoundCells
from napari_cyto.models.manifest import ModelManifest
from napari_cyto.slides import open_slide

pytestmark = pytest.mark.networks

CLASSES = [{"id": "NILM", "name": "NILM", "colour": "#00aa00", "box_um": 20.0}]


def manifest(**changes: Any) -> ModelManifest:
    return ModelManifest.model_validate(detector_fields(CLASSES, **changes) | UNWRITTEN)


def spot_finder(tile_px: int, **changes: Any) -> CellDetector:
    return CellDetector.of_network(manifest(**changes), Spots(), Spots(), tile_px)


@pytest.mark.parametrize("tile_px", [96, 128, 160, 1024])
@pytest.mark.parametrize("mpp", [1.0, 0.5, 0.37])
def test_every_cell_is_found_once_whatever_the_tiles(tile_px: int, mpp: float) -> None:
    found = spot_finder(tile_px).detect_picture(spotted(400, CENTRES, 3 / mpp), mpp)
    assert len(found) == len(CENTRES)
    distances = np.linalg.norm(found.centres_yx[:, None] - CENTRES[None], axis=-1).min(axis=1)
    assert distances.max() < 0.3 / mpp


def network_detector(tile_px: int) -> CellDetector:
    net = untrained(1)

    def run(images: torch.Tensor) -> Any:
        with torch.inference_mode():
            return net(images)

    return CellDetector.of_network(manifest(decision={"merge_um": 3.0}), net, run, tile_px)


def agree(one: Any, other: Any, score: float, share: float) -> bool:
    """Whether nearly all cells of each that score well are in the other, within a px and a little of the score."""
    for a, b in ((one, other), (other, one)):
        sure = a.from_score(score)
        if not len(sure) or not len(b):
            return False
        distances = np.linalg.norm(sure.centres_yx[:, None] - b.centres_yx[None], axis=-1)
        nearest = distances.argmin(axis=1)
        same = (distances.min(axis=1) < 1) & (np.abs(sure.scores - b.scores[nearest]) < 0.05)
        if same.mean() < share:
            return False
    return True


def test_a_real_networks_answer_does_not_depend_on_tiles() -> None:
    picture = noise(384, 384)
    whole = network_detector(1024).detect_picture(picture, 1.0)
    for tile_px in (192, 256):
        assert agree(whole, network_detector(tile_px).detect_picture(picture, 1.0), 0.05, 0.99)


def test_a_region_answers_as_the_whole_slide_does_there(tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    Image.fromarray(noise(384, 384)).save(path)
    region = (37.5, 50.0, 290.0, 333.0)
    with open_slide(path) as slide:
        detector = network_detector(192)
        whole, part = detector.detect(slide, 1.0), detector.detect(slide, 1.0, region)
    y, x = whole.centres_yx.T
    inside = whole.at((y >= region[0]) & (y < region[2]) & (x >= region[1]) & (x < region[3]))
    assert agree(inside, part, 0.05, 0.99)
    assert (part.centres_yx >= region[:2]).all()
    assert (part.centres_yx < region[2:]).all()


def test_boxes_are_of_the_usual_size_in_um_where_none_was_learned() -> None:
    found = spot_finder(160).detect_picture(spotted(200, np.array([[100.0, 60.0]]), 8), 0.5)
    assert (found.boxes_yxyx[:, 2:] - found.boxes_yxyx[:, :2]).tolist() == [[40.0, 40.0]]


def test_cells_on_a_seam_are_one_and_learned_sizes_are_kept() -> None:
    tiles = detection_tiles((64, 128), 128, 32, 32)
    told = []
    for tile in tiles[:2]:
        point = np.array([[20.0 - tile.y0, 64.2 - tile.x0 if tile is tiles[0] else 63.9 - tile.x0]])
        score = np.array([0.8 if tile is tiles[0] else 0.7])
        told.append(own_cells(FoundCells(point, np.array([[10.0, 12.0]]), score, score[:, None]), tile))
    cells = merged(told, manifest(), 2.0, 0.5, (0.0, 0.0, 64.0, 128.0))
    assert cells.centres_yx[0].tolist() == pytest.approx([40.0, 128.4], abs=1e-4)
    assert len(cells) == 1
    assert (cells.boxes_yxyx[0, 2:] - cells.boxes_yxyx[0, :2]).tolist() == [20.0, 24.0]


def test_nothing_on_an_empty_picture_and_nothing_without_a_scale() -> None:
    white = np.full((50, 40, 3), 255, np.uint8)
    found = spot_finder(128).detect_picture(white, 1.0)
    assert (found.centres_yx.shape, found.boxes_yxyx.shape, found.class_scores.shape) == ((0, 2), (0, 4), (0, 1))
    with pytest.raises(CytoError, match="µm per px are unknown"):
        spot_finder(128).detect_picture(white, None)


def test_a_bundle_is_ready_to_search_and_stops_when_told(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "finder", detector_fields(CLASSES), untrained(1).state_dict())
    detector = CellDetector(bundle, "cpu", "fp32", 192)
    assert detector.detect_picture(noise(96, 96), 1.0).class_scores.shape[1] == 1
    stopped = SimpleNamespace(cancelled=lambda: True)
    with pytest.raises(JobCancelled):
        detector.detect_picture(noise(96, 96), 1.0, stopped)
    with pytest.raises(CytoError, match="no device 'gpu9'"):
        CellDetector(bundle, "gpu9")
