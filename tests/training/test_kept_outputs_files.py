"""Guards the file that keeps what a run was judged on: to the last bit, whole, and refused when it does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_cyto.domain.geometry import Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.errors import CytoError
from napari_cyto.evaluation.detected_field import DetectedField
from napari_cyto.evaluation.scored_cells import ScoredCells
from napari_cyto.training._kept_outputs import OUTPUTS_FILE, read_outputs, write_outputs

pytestmark = pytest.mark.networks

TWO = preset("bethesda").classes[:2]


def cells(n: int = 7) -> ScoredCells:
    rng = np.random.default_rng(0)
    # Every second column of a larger array: what is not contiguous must come back as it was, too.
    probabilities = rng.dirichlet([1.0, 1.0, 1.0, 1.0], n)[:, ::2]
    names = tuple(f"ä{i}" for i in range(n))
    return ScoredCells(TWO, rng.integers(0, 2, n), probabilities, names, names[::-1], rng.uniform(0, 99, (n, 2)))


def test_cells_come_back_to_the_last_bit(tmp_path: Path) -> None:
    one = cells()
    write_outputs(tmp_path, one)
    again = read_outputs(tmp_path, TWO)
    assert isinstance(again, ScoredCells)
    assert (again.groups, again.slides) == (one.groups, one.slides)
    for name in ("truth", "probabilities", "centres_yx"):
        assert np.array_equal(getattr(again, name), getattr(one, name))
    assert [p.name for p in tmp_path.iterdir()] == [OUTPUTS_FILE]


def test_images_come_back_with_regions_and_without_detections(tmp_path: Path) -> None:
    region = Polygon(((0.0, 0.0), (0.0, 9.5), (9.5, 0.0)))
    rng = np.random.default_rng(1)
    boxes = np.full((2, 4), np.nan)
    full = DetectedField(
        "a", 0.25, "p", rng.uniform(size=(2, 2)), ("NILM", "HSIL"), boxes,
        rng.uniform(size=(3, 2)), rng.uniform(size=(3, 4)), rng.uniform(size=3), rng.uniform(size=(3, 2)), (region,),
    )  # fmt: skip
    bare = DetectedField("b", 0.5, "b", np.empty((0, 2)), (), np.empty((0, 4)))
    write_outputs(tmp_path, (full, bare))
    one, other = read_outputs(tmp_path, TWO)  # type: ignore[misc]
    assert one.regions == (region,)
    assert one.truth_classes == ("NILM", "HSIL")
    assert (one.name, one.mpp, one.group) == ("a", 0.25, "p")
    for name in ("truth_yx", "truth_boxes_yxyx", "found_yx", "found_boxes_yxyx", "scores", "class_scores"):
        assert np.array_equal(getattr(one, name), getattr(full, name), equal_nan=True)
        assert getattr(other, name).shape == getattr(bare, name).shape


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CytoError, match="missing"):
        read_outputs(tmp_path, TWO)
    write_outputs(tmp_path, cells())
    with pytest.raises(CytoError, match="classes"):
        read_outputs(tmp_path, TWO[::-1])
    whole = (tmp_path / OUTPUTS_FILE).read_bytes()
    (tmp_path / OUTPUTS_FILE).write_bytes(whole[:-9])
    with pytest.raises(CytoError, match="damaged"):
        read_outputs(tmp_path, TWO)
