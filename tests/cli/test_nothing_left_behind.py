"""Promise: a verb whose input is not there refuses in a sentence, and leaves no folder or file where it would write."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_cyto.cli.entry import run

CALLS = (
    "train detector --data folders:nowhere --out m",
    "train classifier --data cric:nowhere --out m",
    "train classifier --data apacc:nowhere --out m --cross-validate 2",
    "train classifier --data nowhere --out m",
    "train classifier --data folders:there --out m --parent nowhere",
    "train classifier --data folders:there --out there",
    "train classifier --data folders:there --out m --resume",
    "evaluate grid --data folders:nowhere --data folders:there --out g",
    "evaluate model nowhere --data folders:there --report r",
    "evaluate model bethesda-light --data folders:nowhere --report r",
    "evaluate labels --truth nowhere --pred nowhere",
    "evaluate ki67 nowhere",
    "predict nowhere.svs --detector nucleus-detector --out p.cyto",
    "predict nowhere.svs --detector nucleus-detector --out c.geojson",
    "predict nowhere.svs --detector nucleus-detector --out slices",
    "export coco nowhere out.json",
    "export apacc nowhere out",
    "import csv nowhere.csv p.cyto",
    "report nowhere --out r.html",
    "project backup nowhere",
    "project rescue nowhere p.cyto",
    "relink nowhere --images there",
    "slides nowhere",
)


@pytest.mark.parametrize("call", CALLS)
def test_what_is_refused_leaves_nothing(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    assert run(call.split()) == 2
    assert capsys.readouterr().err.strip()
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "there"]
