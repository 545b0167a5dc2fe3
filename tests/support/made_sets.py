"""Prediction sets whose thresholds a test chooses, as a calibration on 60 slides would have made them."""

from __future__ import annotations

from napari_cyto.domain.prediction_sets import (
    CalibratedScanner,
    ClassThreshold,
    HighGradeRule,
    PredictionSets,
    SlideLook,
)

CLASSES = ("NILM", "ASC-US", "LSIL", "ASC-H", "HSIL", "SCC")
LOOK = SlideLook(scanner="aperio CPAPERIOCS 20x", colour_lab=(60.0, 10.0, 0.0))
OTHER_STAIN = SlideLook(scanner=LOOK.scanner, colour_lab=(60.0, 40.0, 0.0))
OTHER_SCANNER = SlideLook(scanner="mirax 40x", colour_lab=LOOK.colour_lab)


def made_sets(model: str = "made", sha256: str = "0" * 64, threshold: float = 0.3, scanner: str = LOOK.scanner):
    """Return sets in which a class is from a probability of ``threshold`` on, and high grade from 0.25 together."""
    return PredictionSets(
        alpha=0.1,
        unit="patients",
        groups=60,
        cells=600,
        classes=tuple(ClassThreshold(id=c, threshold=threshold, groups=20, cells=90) for c in CLASSES),
        high_grade=HighGradeRule(
            classes=("ASC-H", "HSIL", "SCC"), must_find=("HSIL", "SCC"), alpha=0.1, threshold=0.25, groups=30, cells=180
        ),
        scanners=(CalibratedScanner(scanner=scanner, groups=60, colour_lab=(60.0, 10.0, 0.0), reach=8.0),),
        data_fingerprint="f" * 32,
        model=model,
        model_sha256=sha256,
        created_utc="2026-01-02T03:04:05+00:00",
        made_by="a test",
    )
