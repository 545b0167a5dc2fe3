"""Promise: what is exported as it is read, batch by batch, is to the byte what is exported from memory."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from napari_cyto.datasets import LabelExportOptions, export_labels
from napari_cyto.datasets.export.labels import labels_to_write, loss_sentences
from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.annotation_source import AnnotationSource
from napari_cyto.domain.geometry import Box, Geometry, Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats import WRITTEN
from napari_cyto.jobs.events import Advanced, Done
from napari_cyto.store import Project

CLASSES = ("NILM", "LSIL", "HSIL")
NOTES = ("", "", 'a "note", of\ntwo lines', "ü \u2028 \x7f", "=1+1")


def geometry(rng: random.Random) -> Geometry:
    y, x = rng.choice([rng.random() * 900, float(rng.randrange(900))]), rng.random() * 900
    match rng.randrange(5):
        case 0:
            return Point(y, x)
        case 1:
            return Polygon(((y, x), (y, x + 20), (y + 30, x + 20), (y + 30, x)))
        case 2:
            return Polygon(tuple((y + rng.random() * 90, x + rng.random() * 90) for _ in range(rng.randrange(3, 7))))
        case _:
            return Box(y, x, y + rng.choice([20.0, 7.25]), x + 20)


def cell(rng: random.Random, slide_id: str) -> Annotation:
    shape, name = geometry(rng), rng.choice(CLASSES)
    region = isinstance(shape, Polygon) and rng.random() < 0.2
    scores = rng.choice([(), ((name, rng.random()),), ((rng.choice(CLASSES), 0.25),), tuple((c, 0.1) for c in CLASSES)])
    return Annotation(
        slide_id=slide_id,
        geometry=shape,
        class_id=None if region else name,
        status=rng.choice(list(Status)),
        author=rng.choice(["", "Ann", 'B "b"']),
        note=rng.choice(NOTES),
        scores=() if region else scores,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streamed") / "p.cyto"
    rng = random.Random(0)
    with Project.create(folder, preset("bethesda")) as opened:
        slides = [
            SlideRecord(name=n, path=f"/no/{n}", size_hw=(950, 950), mpp=0.25) for n in ("a.tif", "b.tif", "c.tif")
        ]
        opened.add_slides(slides)
        cells = [cell(rng, slides[k % 2].id) for k in range(150)]
        opened.apply(edits.add(cells, "add"), "me")
        opened.apply(edits.remove(cells[::9], "remove"), "me")
    return folder


@pytest.mark.parametrize("class_map", [None, {"HSIL": "LSIL"}, {"NILM": "other", "nosuch": "x"}])
@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_losses_and_bytes(tmp_path: Path, project: Path, name: str, class_map: dict[str, str] | None) -> None:
    kind = WRITTEN[name]
    writer = {"include_proposed": True}
    options = LabelExportOptions(class_map=class_map, writer=writer)
    with Project.open(project) as opened, labels_to_write(opened, kind, options) as (labels, completed):
        assert isinstance(labels.annotations, AnnotationSource)
        held = replace(labels, annotations=tuple(labels.annotations))
        assert loss_sentences(kind, labels, completed) == loss_sentences(kind, held, completed)
        assert len(labels.annotations) == len(held.annotations)
        written = []
        for part, source in (("one", labels), ("two", held)):
            target = tmp_path / part / f"out{kind.suffix if kind.target_kind == 'file' else ''}"
            try:
                kind.write(source, target, **completed)
            except Exception as error:  # noqa: BLE001  the same refusal of both, such as a box beside its image
                written.append(str(error))
            else:
                files = [target] if target.is_file() else sorted(p for p in target.rglob("*") if p.is_file())
                written.append({p.relative_to(tmp_path / part): p.read_bytes() for p in files})
        assert written[0] == written[1]


def test_progress_tells_how_far_it_is(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_CYTO_DATA", str(tmp_path / "data"))
    events = list(export_labels("csv", project, tmp_path / "out.csv"))
    assert isinstance(events[-1], Done)
    found = [event for event in events if isinstance(event, Advanced)]
    assert {event.total for event in found} == {events[-1].result.annotations}
    assert any(event.message.startswith("Writing out.csv") for event in found)
