"""Promise: no verb makes anything of a damaged or foreign project but one sentence, and none changes its file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_cyto.cli.entry import run
from tests.store.strangers import NAN, SCHEMAS, make_project, with_schema, with_value

_NAME = "strange.cyto"
_HARMS = (
    ("trigger", SCHEMAS[0]),
    ("endless trigger", SCHEMAS[1]),
    ("version", "vertices", NAN),
    ("slide", "height", -5),
    ("version", "status", "other"),
    ("project", "scheme", "{{"),
)
_FEATURE = {
    "type": "Feature",
    "geometry": {"type": "Polygon", "coordinates": [[[10, 10], [30, 10], [30, 30], [10, 10]]]},
    "properties": {"classification": {"name": "HSIL"}},
}


def _verbs() -> Iterator[list[str]]:
    yield ["slides", _NAME]
    yield ["slides", _NAME, "--set", "*:patient=P1"]
    yield ["import", "geojson", "a.geojson", _NAME]
    yield ["import", "csv", "l.csv", _NAME, "--size-of", "cell"]
    for name, out in (("csv", "o.csv"), ("geojson", "o"), ("coco", "o.json"), ("apacc", "o")):
        yield ["export", name, _NAME, out]
    yield ["audit", _NAME]
    yield ["report", _NAME, "--out", "r.json"]
    yield ["relink", _NAME, "--images", "."]
    # Without PyTorch these refuse before they look at a project.
    if find_spec("torch"):
        yield ["evaluate", "model", "bethesda-light", "--data", _NAME]
        yield ["predict", "a.png", "--detector", "nucleus-detector", "--out", _NAME]
        yield ["train", "classifier", "--data", _NAME, "--out", "m"]
    yield ["project", "backup", _NAME]
    yield ["info", f"{_NAME}/project.sqlite"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verbs") / _NAME
    make_project(folder)
    return folder


def _prepare(source: Path, place: Path) -> None:
    shutil.copytree(source, place / _NAME)
    Image.fromarray(np.full((100, 100, 3), 200, np.uint8)).save(place / "a.png")
    (place / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [_FEATURE]}))
    (place / "l.csv").write_text("image,class,x,y,width,height\na.png,HSIL,10,10,20,20\n")


def _all_refuse(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(place)
    project = place / _NAME
    before = {path.name: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    for words in _verbs():
        code = run(words)
        said = capsys.readouterr()
        assert code == 2, f"{words} ended with {code}: {said.out}"
        last = said.err.strip().splitlines()[-1]
        assert "damaged or foreign" in last or words[0] == "info", (words, last)
        assert last.count("damaged or foreign") <= 1
        assert "Traceback" not in said.err
        assert {path.name: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before, words


@pytest.mark.parametrize(
    "harm",
    [_HARMS[0], _HARMS[2], *(pytest.param(harm, marks=pytest.mark.nightly) for harm in (_HARMS[1], *_HARMS[3:]))],
    ids=lambda harm: f"{harm[0]} {harm[1]!s:.20}",
)
def test_every_verb_refuses_a_strangers_project(
    sound: Path,
    tmp_path: Path,
    harm: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _prepare(sound, tmp_path)
    if len(harm) == 2:
        with_schema(tmp_path / _NAME, str(harm[1]))
    else:
        with_value(tmp_path / _NAME, str(harm[0]), str(harm[1]), harm[2])
    _all_refuse(tmp_path, monkeypatch, capsys)


@pytest.mark.shared
def test_every_verb_refuses_the_projects_of_attackers(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = sorted((shared.parent / "trials" / "attack" / "projects").glob("*.cyto"))
    assert found
    for source in found:
        place = tmp_path / source.stem
        place.mkdir()
        _prepare(source, place)
        _all_refuse(place, monkeypatch, capsys)
