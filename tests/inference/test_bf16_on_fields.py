"""Promise: the precision that is chosen keeps the tolerance on real fields, not only on made ones."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from napari_cyto.inference.engine.detect import CellDetector
from napari_cyto.inference.engine.search import CellSearch
from napari_cyto.models._probe_fields import MATCH_UM, agreement
from napari_cyto.models.found_cells import FoundCells
from napari_cyto.models.library import bundle_named
from napari_cyto.slides import open_slide

pytestmark = pytest.mark.networks

CRIC = Path(__file__).parents[3] / "shared" / "data" / "cric"
FIELDS = 4


@pytest.mark.shared
@pytest.mark.skipif(not CRIC.is_dir(), reason="needs the fields of CRIC")
def test_what_openvino_chooses_keeps_cells_and_calls_on_real_fields() -> None:
    bundle = bundle_named("nucleus-detector")
    decision, tolerance = bundle.manifest.decision, bundle.manifest.tolerance
    models = [CellSearch(CellDetector(bundle, "cpu", p, r)) for p, r in (("fp32", "torch"), ("auto", "auto"))]
    with (CRIC / "cells.csv").open(encoding="utf-8") as lines:
        mpps = {row["image"]: 0.228 / float(row["px_per_cric_px"]) for row in csv.DictReader(lines)}
    total = np.zeros(3)
    for name in sorted(mpps)[:FIELDS]:
        with open_slide(CRIC / "images" / name) as slide:
            result = [m.detect(slide, mpps[name]).from_score(decision.score_threshold) for m in models]
        truth, other = (FoundCells(t.centres_yx, t.centres_yx * np.nan, t.scores, t.class_scores) for t in result)
        total += agreement(truth, other, MATCH_UM / mpps[name], decision)
    matched, same, every = total
    assert every > 100
    assert 2 * matched / every >= tolerance.matched_f1
    assert same / matched >= tolerance.same_calls
