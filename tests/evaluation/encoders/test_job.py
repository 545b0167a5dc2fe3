"""Promise: `evaluate encoders` gives each encoder its row on each data set, keeps vectors, and can be cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from napari_cyto.evaluation.encoders import job
from napari_cyto.evaluation.encoders.encoder_table_config import EncoderTableConfig
from napari_cyto.evaluation.encoders.table import EncoderTable
from napari_cyto.jobs.events import Cancelled, CancelToken, Done, Failed
from napari_cyto.models.bundle import Bundle
from napari_cyto.models.manifest import ModelManifest

QUICK = EncoderTableConfig(folds=3, draws=3)


class MeanColour:
    """An encoder of three numbers."""

    title = "a test's"
    cells = 0

    def vectors(self, crops: npt.NDArray[np.uint8], _token: Any = None) -> npt.NDArray[np.float32]:
        MeanColour.cells += len(crops)
        return crops.mean(axis=(1, 2, 3)).astype(np.float32)


def bundle(folder: Path, kind: str = "encoder") -> Bundle:
    manifest = ModelManifest.model_validate(
        {
            "id": folder.name,
            "kind": kind,
            "architecture": "timm-encoder",
            "settings": {"length": 3},
            "classes": [] if kind == "encoder" else [{"id": "a", "name": "a", "colour": "#000000"}],
            "mpp": None,
            "input_px": 16,
            "crop_rule": {"windows": [10.0], "size_px": 16},
            "weights_sha256": "0" * 64,
            "weights_bytes": 2_000_000,
            "created_utc": "2026-01-01T00:00:00+00:00",
            "made_by": "a test",
        }
    )
    return Bundle(folder, manifest)


@pytest.fixture
def sipakmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Class folders named as SIPaKMeD's, two cells of each of six fields, told apart by colour."""
    monkeypatch.setenv("NAPARI_CYTO_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    root = tmp_path / "set"
    for class_id, colour in (("parabasal", (60, 60, 160)), ("koilocytotic", (170, 60, 60))):
        (root / class_id).mkdir(parents=True)
        for image in range(6):
            for cell in range(2):
                pixels = np.clip(rng.normal(0, 8, (24, 30, 3)) + colour, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / class_id / f"{image:03}_{cell:02}.png")
    monkeypatch.setattr(
        job, "bundle_named", lambda name: bundle(Path(name), "classifier" if "bad" in str(name) else "encoder")
    )
    return root


def ending(root: Path, token: CancelToken | None = None, name: str = "colour") -> Any:
    events = job.compare_encoders(
        [name], [f"folders:{root}"], QUICK, token, open_encoder=lambda _bundle, _device: MeanColour()
    )
    return list(events)[-1]


def test_the_table_says_what_was_compared_on_what(sipakmed: Path) -> None:
    last = ending(sipakmed)
    assert isinstance(last, Done), last
    table = last.result
    assert isinstance(table, EncoderTable)
    (data,) = table.data
    assert (data.images, data.groups, dict(data.cells)) == (24, 12, {"koilocytotic": 12, "parabasal": 12})
    assert table.encoders[0].length == 3
    assert table.encoders[0].crops_per_s is not None
    assert table.rows[0].scores.linear.value == 1.0
    assert any("µm per px of 24 images" in sentence for sentence in table.remarks)
    # Without torch, too, where attention over cells could not be trained.
    assert table.rows[0].bags is None
    assert any("not distinguished as a whole: each is a single cell" in sentence for sentence in table.remarks)
    assert table.to_json()["rows"][0]["scores"]["linear"]["groups"] == 12


def test_vectors_are_kept_by_encoder_and_cells(sipakmed: Path) -> None:
    ending(sipakmed)
    before = MeanColour.cells
    assert isinstance(ending(sipakmed), Done)
    timed = MeanColour.cells - before
    for kept in (sipakmed.parent / "cache" / "encoder-vectors").glob("*.npz"):
        kept.write_bytes(b"damaged")
    before = MeanColour.cells
    assert isinstance(ending(sipakmed), Done)
    assert MeanColour.cells - before > timed - 512


def test_other_models_are_refused_and_cancelling_is_heard(sipakmed: Path) -> None:
    refused = ending(sipakmed, name="bad")
    assert isinstance(refused, Failed)
    assert "expected an encoder, got a classifier" in refused.message
    token = CancelToken()
    token.cancel()
    assert isinstance(ending(sipakmed, token), Cancelled)
