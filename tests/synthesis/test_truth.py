"""Guards the promise that a synthetic smear's truth is exact and complete, and survives being written down."""

from __future__ import annotations

import json

import pytest

from napari_cyto.domain.geometry import Box, Point
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.synthesis import Smear, SmearSpec, SmearTruth, lay_out
from napari_cyto.synthesis._layout import CELLS_MM2
from napari_cyto.synthesis._specs import CLASSES


def test_every_class_occurs_even_on_a_very_small_smear() -> None:
    counts = lay_out(SmearSpec((1500, 1500), seed=2)).truth.counts()
    assert all(counts[class_id] >= 1 for class_id in (*CLASSES, "rubbish"))
    assert set(counts) <= set(preset("bethesda").ids)


def test_as_many_cells_lie_there_as_the_spec_asks_for(smear: Smear) -> None:
    counts = smear.truth.counts()
    for class_id, per_mm2 in smear.spec.cells_mm2.items():
        assert counts[class_id] == pytest.approx(per_mm2 * smear.spec.area_mm2, abs=1)


def test_a_class_left_out_of_the_spec_does_not_occur() -> None:
    normal = SmearSpec((1500, 1500), seed=3, cells_mm2={"NILM": CELLS_MM2["NILM"]})
    counts = lay_out(normal).truth.counts()
    assert counts["NILM"] > 0
    assert sum(counts[c] for c in CLASSES if c != "NILM") == 0


def test_boxes_nest_and_stay_on_the_slide(smear: Smear) -> None:
    height, width = smear.spec.size_hw
    for cell in smear.truth.cells:
        (a, b, c, d), (e, f, g, h) = cell.cell_box_yxyx, cell.nucleus_box_yxyx
        assert 0 <= a <= e < g <= c <= height
        assert 0 <= b <= f < h <= d <= width
        assert e <= cell.nucleus_yx[0] < g
        assert f <= cell.nucleus_yx[1] < h
        assert 0 < cell.nc_ratio < 1
    for piece in smear.truth.artefacts:
        y0, x0, y1, x1 = piece.box_yxyx
        assert 0 <= y0 < y1 <= height
        assert 0 <= x0 < x1 <= width


def test_truth_is_identical_after_json(smear: Smear) -> None:
    assert SmearTruth.from_dict(json.loads(json.dumps(smear.truth.to_dict()))) == smear.truth


def test_truth_becomes_annotations_with_the_same_ids_each_time(smear: Smear) -> None:
    slide = SlideRecord(name="demo", id="a" * 32)
    labels = smear.truth.label_set(slide)
    assert labels == smear.truth.label_set(slide)
    assert len({a.id for a in labels.annotations}) == len(smear.truth.cells) + len(smear.truth.artefacts)
    assert labels.classes == (*CLASSES, "rubbish")


def test_truth_can_be_shown_as_cells_nuclei_or_centres(smear: Smear) -> None:
    cell = smear.truth.cells[0]
    shown = {how: smear.truth.annotations("s", how)[0].geometry for how in ("cell", "nucleus", "centre")}
    assert shown["cell"] == Box(*cell.cell_box_yxyx)
    assert shown["nucleus"] == Box(*cell.nucleus_box_yxyx)
    assert shown["centre"] == Point(*cell.nucleus_yx)
