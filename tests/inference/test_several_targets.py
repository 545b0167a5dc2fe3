"""Guards that what is kept beside a target never takes the place of something else of that name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_cyto.errors import FormatError
from napari_cyto.inference.many_slides import Target, TargetRequest

REQUEST = TargetRequest(models=("a",), plan=1, region=None, score_from=None, mpp=None)


@pytest.mark.parametrize("name", ["dataset", "cells.geojson"])
def test_a_folder_of_something_else_is_refused_and_stays(name: str, tmp_path: Path) -> None:
    target = Target.of(tmp_path / name)
    target.runs.mkdir()
    (target.runs / "checkpoint.safetensors").write_bytes(b"hours of training")
    with pytest.raises(FormatError, match="holds something else"):
        target.begin(REQUEST)
    assert (target.runs / "checkpoint.safetensors").read_bytes() == b"hours of training"


def test_what_was_done_for_another_request_is_dropped_and_for_the_same_kept(tmp_path: Path) -> None:
    target = Target.of(tmp_path / "dataset")
    target.begin(REQUEST)
    done = target.runs / "slide-1"
    done.mkdir()
    assert target.begin(REQUEST) is None
    assert done.exists()
    news = target.begin(replace(REQUEST, models=("b",)))
    assert not done.exists()
    assert news == "dataset: starting over: the models changed; what is in dataset.run is discarded."
