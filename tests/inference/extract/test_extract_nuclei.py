"""Guards the extraction with the models that ship: the cells of a made-up field come out, each in a crop of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.cli.entry import run
from napari_cyto.inference.extract import job
from napari_cyto.inference.extract.options import ExtractRequest
from napari_cyto.inference.runtimes.model_cache import LoadedModels
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Event, Noted
from napari_cyto.store import Project
from napari_cyto.synthesis.outlined_fields import make_field

pytestmark = pytest.mark.networks


def test_most_nuclei_of_a_made_up_field_are_extracted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    field = make_field(9_000, 600)
    Image.fromarray(field.rgb).save(tmp_path / "field.png")
    out = tmp_path / "field.cyto"
    words = ["extract", str(tmp_path / "field.png"), "--out", str(out), "--mpp", str(field.mpp), "--json"]
    assert run(words) == 0, capsys.readouterr().err
    with Project.open(out) as project:
        boxes = np.array([a.geometry.bounds_yxyx for a in project.annotations()])
    middles = []
    for cell in field.cells:
        nucleus = cell.nuclei[0].on(0, 0, 600, 600)
        if nucleus.sum() == cell.nuclei[0].mask.sum():
            ys, xs = np.nonzero(nucleus)
            middles.append((ys.mean(), xs.mean()))
    found = [bool(((boxes[:, :2] <= m) & (m < boxes[:, 2:])).all(1).any()) for m in middles]
    assert len(middles) > 15
    assert np.mean(found) >= 0.85


def test_a_run_that_was_stopped_goes_on_and_comes_to_the_same_crops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "BATCH", 3)
    field = make_field(9_000, 260)
    Image.fromarray(field.rgb).save(tmp_path / "field.png")

    def events(out: str, token: CancelToken | None = None) -> list[Event]:
        seen = []
        request = ExtractRequest(slides=(tmp_path / "field.png",), out=tmp_path / out, mpp=field.mpp)
        for event in job.extract(request, token, models):
            seen.append(event)
            if token is not None and isinstance(event, Advanced) and "outlining" in event.message and event.done == 1:
                token.cancel()
        return seen

    models = LoadedModels()
    assert isinstance(events("whole")[-1], Done)
    assert isinstance(events("crops", CancelToken())[-1], Cancelled)
    assert not (tmp_path / "crops").exists()
    after = events("crops")
    assert [e.message for e in after if isinstance(e, Noted)] == [
        "field.png: resuming: all nuclei are found, 1 batch of them outlined."
    ]
    assert not (tmp_path / "crops.extract").exists()
    files = [sorted((tmp_path / out / "unlabelled").glob("*.png")) for out in ("whole", "crops")]
    assert len(files[0]) > 3
    assert [f.name for f in files[0]] == [f.name for f in files[1]]
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]
