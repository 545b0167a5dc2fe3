"""Guards the search for cells: the answer does not depend on tiles, and lies in level-0 px whatever the scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from made_detectors import CENTRES, UNWRITTEN, Spots, detector_fields, noise, spotted, untrained
from PIL import Image
from planted_cells import slide_of

from napari_cyto.errors import CytoError, JobCancelled
from napari_cyto.inference.engine.detect import CellDetector, own_cells
from napari_cyto.inference.engine.pipeline import Batch, Engine, joined
from napari_cyto.inference.engine.plan import make_plan
from napari_cyto.inference.engine.search import CellSearch
from napari_cyto.inference.engine.tile_grid import Tile
from napari_cyto.models.bundle import write_bundle
from napari_cyto.models.found_cells import FoundCells
from napari_cyto.models.manifest import ModelManifest
from napari_cyto.slides import open_slide

pytestmark = pytest.mark.networks

CLASSES = [{"id": "NILM", "name": "NILM", "colour": "#00aa00", "box_um": 20.0}]


def manifest(**changes: Any) -> ModelManifest:
    return ModelManifest.model_validate(detector_fields(CLASSES, **changes) | UNWRITTEN)


def spot_finder(**changes: Any) -> CellDetector:
    return CellDetector.of_network(manifest(**changes), Spots(), Spots())


def found_on(image: np.ndarray, detector: CellDetector, mpp: float, tile_px: int | None = None) -> Any:
    with slide_of(image) as slide:
        plan = make_plan(slide, mpp, detector, tile_px=tile_px, score_from=0.02)
        steps = list(Engine(slide, plan, detector).steps())
    return joined([step.cells for step in steps if isinstance(step, Batch)])


@pytest.mark.parametrize("tile_px", [96, 128, 160, 1024])
@pytest.mark.parametrize("mpp", [1.0, 0.5, 0.37])
def test_every_cell_is_found_once_whatever_the_tiles(tile_px: int, mpp: float) -> None:
    found = found_on(spotted(400, CENTRES, 3 / mpp), spot_finder(), mpp, tile_px)
    assert len(found) == len(CENTRES)
    distances = np.linalg.norm(found.centres_yx[:, None] - CENTRES[None], axis=-1).min(axis=1)
    assert distances.max() < 0.3 / mpp


def network_detector() -> CellDetector:
    net = untrained(1)

    def run(images: torch.Tensor) -> Any:
        with torch.inference_mode():
            return net(images)

    return CellDetector.of_network(manifest(decision={"merge_um": 3.0}), net, run)


@dataclass(frozen=True)
class Found:
    """Cells with no more than is compared."""

    centres_yx: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def from_score(self, threshold: float) -> Found:
        return Found(self.centres_yx[self.scores >= threshold], self.scores[self.scores >= threshold])


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
    image = noise(384, 384)
    whole = found_on(image, network_detector(), 1.0, 1024)
    for tile_px in (192, 256):
        assert agree(whole, found_on(image, network_detector(), 1.0, tile_px), 0.05, 0.99)


def test_a_region_answers_as_the_whole_slide_does_there(tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    Image.fromarray(noise(384, 384)).save(path)
    region = (37.5, 50.0, 290.0, 333.0)
    with open_slide(path) as slide:
        search = CellSearch(network_detector())
        whole, part = search.detect(slide, 1.0), search.detect(slide, 1.0, region)
    y, x = whole.centres_yx.T
    inside = whole.at((y >= region[0]) & (y < region[2]) & (x >= region[1]) & (x < region[3]))
    assert agree(inside, part, 0.05, 0.99)
    assert (part.centres_yx >= region[:2]).all()
    assert (part.centres_yx < region[2:]).all()


def test_boxes_are_of_the_usual_size_in_um_where_none_was_learned() -> None:
    found = found_on(spotted(200, np.array([[100.0, 60.0]]), 8), spot_finder(), 0.5)
    assert (found.boxes_yxyx[:, 2:] - found.boxes_yxyx[:, :2]).tolist() == [[40.0, 40.0]]


def test_a_tile_tells_of_its_core_and_a_px_around_in_the_slides_frame() -> None:
    tile = Tile(-32, 32, 128, 96, (0.0, 64.0, 64.0, 96.0))
    points = np.array([[32.0, 32.0], [30.9, 40.0], [31.1, 30.9], [31.1, 31.1], [96.9, 64.9], [97.1, 40.0]])
    cells = FoundCells(points, points, np.arange(6.0), np.arange(6.0)[:, None])
    own = own_cells(cells, tile)
    assert own.scores.tolist() == [0, 3, 4]
    assert own.points_yx[0].tolist() == [0, 64]
    assert own.sizes_hw[0].tolist() == [32, 32]


def test_a_bundle_is_ready_to_search_and_stops_on_request(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "finder", detector_fields(CLASSES), untrained(1).state_dict())
    search = CellSearch(CellDetector(bundle, "cpu", "fp32"))
    stopped = SimpleNamespace(cancelled=lambda: True)
    with slide_of(noise(96, 96)) as slide:
        assert search.detect(slide, 1.0).class_scores.shape[1] == 1
        with pytest.raises(JobCancelled):
            search.detect(slide, 1.0, token=stopped)
    with pytest.raises(CytoError, match="no device 'gpu9'"):
        CellDetector(bundle, "gpu9")


@pytest.mark.parametrize("tile_px", [512, 1024])
def test_a_shipped_detector_finds_on_tiles_what_it_finds_in_one_look(tile_px: int) -> None:
    """Brute force: the whole field through the network at once, all cells compared with all surer ones."""
    from napari_cyto.models._probe_fields import probe
    from napari_cyto.models.library import bundle_named

    detector = CellDetector(bundle_named("nucleus-detector"), "cpu", "fp32")
    mpp, decision = detector.manifest.mpp, detector.manifest.decision
    image, pad = probe((1, 704, 640, 3))[0], detector.runtime.halo
    framed = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), constant_values=255)
    raw = detector.runtime.cells(framed, 0.02)
    points, kept = raw.points_yx - pad, []
    for n in np.lexsort((*points.T[::-1], -raw.scores)):
        inside = (points[n] >= 0).all() and (points[n] < image.shape[:2]).all()
        if inside and (np.linalg.norm(points[kept] - points[n], axis=1) >= decision.merge_um / mpp).all():
            kept.append(n)
    whole = Found(points[kept], raw.scores[kept])
    assert (whole.scores > decision.score_threshold).sum() > 20
    found = found_on(image, detector, mpp, tile_px)
    if tile_px == 1024:  # one tile: the very same pixels
        assert len(found) == len(whole)
        np.testing.assert_allclose(found.centres_yx, whole.centres_yx, atol=1e-3)
    assert agree(whole, found, decision.score_threshold, 0.97)
