"""Made-up pictures, bundles and models for the tests of evaluation; nothing of it needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_cyto.datasets.crop_rule import CropRule
from napari_cyto.domain.presets import preset
from napari_cyto.evaluation import bundle_scores
from napari_cyto.evaluation.bundle_scores import evaluate_bundle
from napari_cyto.jobs.events import Done, Event
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.manifest import Card, Decision, ModelClass, ModelManifest

SIX = preset("bethesda").classes[:6]
MPP = 0.5


def cric_folder(folder: Path, images: int = 4, cells: int = 8, seed: int = 0) -> Path:
    """Make a folder as CRIC's: pictures with cells of all six classes, dark where a cell is."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = ["image,width,height,px_per_cric_px,image_id,cell_id,bethesda,x,y"]
    for p in range(images):
        pixels = np.full((240, 320, 3), 225, np.uint8)
        pixels += rng.integers(0, 8, pixels.shape, dtype=np.uint8)
        for c in range(cells):
            x, y = 30 + 70 * (c % 4), 40 + 80 * (c // 4)
            pixels[y - 6 : y + 6, x - 6 : x + 6] = 60 + 20 * (c % 6)
            rows.append(f"field_{seed}_{p}.png,320,240,0.456,{p},{p * 100 + c},{SIX[(c + p) % 6].id},{x},{y}")
        Image.fromarray(pixels).save(folder / "images" / f"field_{seed}_{p}.png")
    (folder / "cells.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def bundle(kind: str = "classifier", classes: Sequence[Any] = SIX, **card: Any) -> Bundle:
    """Return a bundle that only has a manifest."""
    manifest = ModelManifest(
        id="made-up",
        kind=kind,  # type: ignore[arg-type]
        architecture="timm-classifier" if kind == "classifier" else "p2p",
        classes=tuple(ModelClass.of(c) for c in classes),
        mpp=CropRule().mpp_of(0) if kind == "classifier" else 0.5,
        input_px=CropRule().size_px if kind == "classifier" else 256,
        crop_rule=CropRule() if kind == "classifier" else None,
        decision=Decision(score_threshold=0.5),
        weights_sha256="0" * 64,
        weights_bytes=1,
        created_utc="2025-01-01T00:00:00+00:00",
        made_by="a test",
        card=Card(**{"summary": "A <model> for tests & nothing else.", "limits": "All.", **card}),
    )
    return Bundle(Path("made-up"), manifest)


class FakeClassifier:
    """Calls the class by where the cell lies, mostly right for `cric_folder`'s first picture."""

    def __init__(self, n_classes: int = 6) -> None:
        self.n_classes = n_classes

    def classify(self, slide: Any, centres_yx: np.ndarray, mpp: float | None) -> np.ndarray:
        slide.read_region(0, 100, 100, 8, 8)
        number = np.rint((centres_yx[:, 1] - 30) / 70) + 4 * np.rint((centres_yx[:, 0] - 40) / 80)
        logits = 2.0 * np.eye(self.n_classes)[number.astype(int) % self.n_classes]
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


class FakeDetector:
    """Finds a cell wherever `cric_folder` draws one, 2 px off, and as many where none is."""

    def detect(self, slide: Any, mpp: float, region_yxyx: Any = None, token: Any = None) -> Any:
        slide.read_region(0, 100, 100, 8, 8)
        y, x = np.meshgrid([40.0, 120.0], [30.0, 100.0, 170.0, 240.0], indexing="ij")
        cells = np.stack([y.ravel() + 2, x.ravel()], axis=1)
        centres = np.concatenate([cells, cells + 35])
        boxes = np.concatenate([centres - 6, centres + 6], axis=1)
        scores = np.concatenate([np.linspace(0.9, 0.6, 8), np.linspace(0.55, 0.1, 8)])
        classes = np.eye(6)[np.arange(16) % 6]
        return SimpleNamespace(centres_yx=centres, boxes_yxyx=boxes, scores=scores, class_scores=classes)


def result_of(events: Iterable[Event]) -> dict[str, Any]:
    """Return the result that a job ends with, as JSON."""
    last = list(events)[-1]
    assert isinstance(last, Done), last
    return last.to_json()


@pytest.fixture
def made() -> SimpleNamespace:
    """What this file makes up: ``cric_folder``, ``bundle``, ``SIX`` and ``result_of``."""
    return SimpleNamespace(cric_folder=cric_folder, bundle=bundle, SIX=SIX, result_of=result_of)


@pytest.fixture
def evaluate_source(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Iterator[Event]]:
    """Judge a made-up bundle with a made-up model; returns the job's events."""

    def run(of: Bundle, sources: list[str], *args: Any, **more: Any) -> Iterator[Event]:
        models = {"classifier": FakeClassifier(len(of.manifest.classes)), "detector": FakeDetector()}
        monkeypatch.setattr(bundle_scores, "bundle_named", lambda path: of)
        for kind, model in models.items():
            monkeypatch.setattr(bundle_scores, f"open_{kind}", lambda bundle, device, model=model: model)
        return evaluate_bundle("made-up", sources, *args, **more)

    return run
