"""Promise: a project's cells get the outline of their own nucleus and stay what they are; what has none is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from verb_calls import printed, refusal

from napari_cyto.cli.entry import run as run_verb
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add, replace_all
from napari_cyto.domain.geometry import Box, CellOutline, Geometry, Point, Polygon, area, distance
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.formats import get_format
from napari_cyto.inference.cluster import workers
from napari_cyto.inference.cluster.pool import Farm
from napari_cyto.inference.outline._cells import own_outline
from napari_cyto.inference.outline.computed import FoundOutline
from napari_cyto.inference.outline.job import Outlined, OutlineRequest, Why, run
from napari_cyto.inference.outline.outlines import OutlinedCell
from napari_cyto.inference.results import StoredSoFar
from napari_cyto.jobs.events import Advanced, Cancelled, CancelToken, Done, Failed, Measured
from napari_cyto.slides import fingerprint
from napari_cyto.store import Project

SIZE_HW = (400, 600)
NUCLEI = [(80.0 + 120 * row, 80.0 + 110 * column) for row in range(3) for column in range(5)]
RADIUS = 14


def smear(path: Path) -> Path:
    """Write 15 dark nuclei on pale cells."""
    image = np.full((*SIZE_HW, 3), 240, np.uint8)
    y, x = np.mgrid[0 : SIZE_HW[0], 0 : SIZE_HW[1]] + 0.5
    for cy, cx in NUCLEI:
        image[np.hypot(y - cy, x - cx) < 42] = (190, 205, 215)
        image[np.hypot(y - cy, x - cx) < RADIUS] = (90, 80, 130)
    noise = np.random.default_rng(1).integers(-5, 6, image.shape)
    Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8)).save(path)
    return path


def project_at(folder: Path, shapes: list[Geometry], mpp: float | None = 0.35, names: tuple[str, ...] = ("a",)) -> Path:
    with Project.create(folder / "p.cyto", preset("bethesda")) as project:
        for name in names:
            path = smear(folder / f"{name}.png")
            slide = SlideRecord(
                name=path.name, path=str(path), size_hw=SIZE_HW, mpp=mpp, fingerprint=fingerprint(path), id=name * 32
            )
            project.add_slides([slide])
            cells = [
                Annotation(
                    slide_id=slide.id,
                    geometry=shape,
                    class_id="HSIL",
                    status=Status.UNREVIEWED if n % 2 else Status.ACCEPTED,
                    author="someone",
                    scores=(("HSIL", 0.7),),
                    note=str(n),
                )
                for n, shape in enumerate(shapes)
            ]
            project.apply(add(cells, "mark"), "me")
    return folder / "p.cyto"


def done(place: Path, **settings: object) -> Outlined:
    last = list(run(OutlineRequest(project=place, model="watershed", **settings)))[-1]  # type: ignore[arg-type]
    assert isinstance(last, Done), last
    assert isinstance(last.result, Outlined)
    return last.result


def stored(place: Path) -> dict[str, Annotation]:
    with Project.open(place) as project:
        return {cell.note: cell for cell in project.annotations("a" * 32)}


def test_points_and_boxes_become_outlines_of_the_same_cells_and_undo_brings_them_back(tmp_path: Path) -> None:
    shapes: list[Geometry] = [Point(y + 3, x - 4) for y, x in NUCLEI[:8]]
    shapes += [Box.around((y + 5, x + 5), 90, 90) for y, x in NUCLEI[8:]]
    place = project_at(tmp_path, shapes)
    before = stored(place)
    events = list(run(OutlineRequest(project=place, model="watershed", author="Ada")))
    said = [StoredSoFar.from_json(e.values) for e in events if isinstance(e, Measured)]
    assert [(s.stored, s.kept) for s in said] == [(15, 15)]
    assert [e.done for e in events if isinstance(e, Advanced) and e.total] == list(range(1, 16))
    after = stored(place)
    for note, cell in after.items():
        shape, centre = cell.geometry, NUCLEI[int(note)]
        assert isinstance(shape, CellOutline)
        assert not shape.accepted
        assert area(shape) == pytest.approx(np.pi * RADIUS**2, rel=0.15)
        assert distance(Point(*shape.centre_yx), centre) < 2
        assert replace(cell, geometry=before[note].geometry) == before[note]
    assert any(isinstance(c.geometry, CellOutline) and c.geometry.cytoplasm_yx for c in after.values())
    with Project.open(place) as project:
        assert project.can_undo("Ada") == "Outline 15 cells (watershed)"
        project.undo("Ada")
    assert stored(place) == before


def test_what_has_no_outline_of_its_own_is_left_and_counted(tmp_path: Path) -> None:
    nucleus = NUCLEI[1]
    drawn = tuple((nucleus[0] + dy, nucleus[1] + dx) for dy, dx in ((-9, -9), (-9, 9), (9, 9), (9, -9)))
    place = project_at(
        tmp_path,
        [
            Point(*NUCLEI[0]),
            CellOutline(drawn),
            Polygon(drawn),
            Point(20.0, 20.0),
            Point(NUCLEI[4][0] - 5, NUCLEI[4][1]),
            Point(NUCLEI[4][0] + 5, NUCLEI[4][1]),
            Point(-5.0, 20.0),
            Point(*NUCLEI[6]),
            CellOutline(tuple((y, x + 110) for y, x in drawn), accepted=False),
        ],
    )
    with Project.open(place) as project:
        rejected = next(a for a in project.annotations() if a.note == "7")
        project.apply(replace_all([(rejected, replace(rejected, status=Status.REJECTED))], "reject"), "me")
    [slide] = done(place).slides
    assert (slide.cells, slide.outlined, slide.had_outline, slide.had_plain_outline, slide.rejected) == (9, 1, 2, 1, 1)
    why = {stored(place)[note].id: note for note in stored(place)}
    failures = {why[cell.id]: cell.why for cell in slide.without}
    assert failures.pop("3") in (Why.NOTHING, Why.BESIDE)
    assert failures == {"4": Why.SHARED, "5": Why.SHARED, "6": Why.OFF_IMAGE}
    assert isinstance(stored(place)["3"].geometry, Point)
    [again] = done(place, again=True).slides
    assert (again.outlined, again.had_outline) == (2, 1)
    none = done(place, again=True, score_from=1.0)
    assert none.failed[Why.UNSURE] == 4
    assert none.to_json()["failed"]["score below the minimum"] == 4


def test_an_outline_beside_the_annotation_is_of_another_cell(tmp_path: Path) -> None:
    place = project_at(tmp_path, [Point(80.0, 95.0), Point(80.0, 99.0), Box(78.0, 90.0, 120.0, 130.0), Point(5.0, 5.0)])
    cells = stored(place)
    ring = tuple((80 + 12 * float(np.sin(a)), 80 + 12 * float(np.cos(a))) for a in np.linspace(0, 6, 20))
    found = OutlinedCell((80.0, 80.0), ring, (), 0.9)
    with Project.open(place) as project:
        shapes = [own_outline(project, cells[note], FoundOutline(found, note == "3"), SIZE_HW, None) for note in "0123"]
    assert isinstance(shapes[0], CellOutline)
    assert shapes[1:] == [Why.BESIDE, Why.BESIDE, Why.UNREADABLE]


def test_a_part_of_a_slide_and_unclear_requests(tmp_path: Path) -> None:
    place = project_at(tmp_path, [Point(*each) for each in NUCLEI[:11]], names=("a", "b"))
    for unclear in (
        {"region_yxyx": (0.0, 0.0, 9.0, 9.0)},
        {"region_yxyx": (5.0, 0.0, 5.0, 9.0), "slide_ids": ("a" * 32,)},
        {"within_yx": ((0.0, 0.0), (1.0, 1.0)), "slide_ids": ("a" * 32,)},
    ):
        with pytest.raises(ValueError, match="expected"):
            OutlineRequest(project=place, **unclear)  # type: ignore[arg-type]
    [last] = list(run(OutlineRequest(project=place, slide_ids=("c" * 32,), model="watershed")))[-1:]
    assert isinstance(last, Failed)
    assert last.expected
    made = done(place, slide_ids=("a" * 32,), region_yxyx=(0.0, 0.0, 150.0, 250.0))
    assert [(s.slide, s.cells, s.outlined) for s in made.slides] == [("a.png", 2, 2)]
    corner = ((280.0, 0.0), (400.0, 0.0), (400.0, 300.0))
    made = done(place, slide_ids=("a" * 32,), within_yx=corner)
    assert [(s.cells, s.outlined) for s in made.slides] == [(1, 1)]
    made = done(place)
    assert [(s.outlined, s.had_outline) for s in made.slides] == [(8, 3), (11, 0)]


def test_unknown_scale_and_other_files_are_left_out_and_said(tmp_path: Path) -> None:
    place = project_at(tmp_path, [Point(*NUCLEI[0]), Point(*NUCLEI[7])], mpp=None, names=("a", "b"))
    Image.new("RGB", SIZE_HW[::-1], "pink").save(tmp_path / "b.png")
    made = done(place)
    assert (made.outlined, [s.cells for s in made.left_out]) == (0, [2, 2])
    assert "µm per px of a.png are unknown" in made.left_out[0].reason
    assert "not the slide that was annotated" in made.left_out[1].reason
    made = done(place, unknown_scale="search", slide_ids=("a" * 32,))
    assert made.outlined == 2
    assert "looked for" in made.remarks[0]


def test_a_stopped_run_keeps_its_outlines_and_the_next_one_continues(tmp_path: Path) -> None:
    place = project_at(tmp_path, [Point(*each) for each in NUCLEI])
    token, events = CancelToken(), []
    for event in run(OutlineRequest(project=place, model="watershed"), token):
        events.append(event)
        if isinstance(event, Advanced) and event.done == 4:
            token.cancel()
        if isinstance(event, Advanced) and event.done == 2:
            with Project.open(place) as project:
                first = next(a for a in project.annotations() if a.note == "1")
                project.apply(replace_all([(first, replace(first, class_id="LSIL"))], "change"), "me")
    assert isinstance(events[-1], Cancelled)
    assert "kept" in events[-1].message
    kept = [a for a in stored(place).values() if isinstance(a.geometry, CellOutline)]
    assert len(kept) == 3
    assert stored(place)["1"].class_id == "LSIL"
    assert done(place).outlined == 12


@pytest.mark.nightly
def test_workers_draw_what_this_process_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []

    @contextmanager
    def in_this_process(on: object, models: tuple[object, ...], *given: object) -> Iterator[Farm]:
        requests.append((on, models, *given[:2]))
        with ThreadPoolExecutor(1) as executor:
            yield Farm(executor, workers=1, detector=None)

    monkeypatch.setattr(workers, "workers_for", in_this_process)
    place = project_at(tmp_path, [Point(*each) for each in NUCLEI[:4]])
    assert done(place).outlined == 4
    here = stored(place)
    with Project.open(place) as project:
        project.undo("user")
    assert done(place, workers=2).outlined == 4
    assert [each[1:] for each in requests] == [((), 2, None)]
    assert stored(place) == here


def test_the_verb_outlines_the_points_of_a_table_and_the_cells_of_a_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, table, out = smear(tmp_path / "f.png"), tmp_path / "p.csv", tmp_path / "o.geojson"
    rows = [f"{x},{y},kind {n % 2}" for n, (y, x) in enumerate(NUCLEI[:3])]
    table.write_text("\n".join(["x,y,label", *rows, "20,20,glass"]) + "\n", encoding="utf-8")
    words = ["outline", str(image), "--points", str(table), "--model", "watershed", "--mpp", "0.35"]
    said = printed([*words, "--out", str(out), "--json"], capsys)
    assert (said["points"], said["outlined"], said["without"]) == (4, 3, 1)
    assert [(c["line"], c["label"]) for c in said["cells"] if not c["outlined"]] == [(5, "glass")]
    features = json.loads(out.read_text(encoding="utf-8"))["features"]
    assert [f["properties"]["classification"]["name"] for f in features] == ["kind 0", "kind 1", "kind 0"]
    assert all(0.5 < f["properties"]["measurements"]["Outline score"] <= 1 for f in features)
    for annotation, (y, x) in zip(get_format("geojson").read(out).annotations, NUCLEI, strict=False):
        assert isinstance(annotation.geometry, CellOutline)
        assert not annotation.geometry.accepted
        assert distance(Point(*annotation.geometry.centre_yx), (y, x)) < 2
    table.write_text("x,y,label\n5,5,a\n7000,3,b\nq,3,b\n5,5,\n", encoding="utf-8")
    assert run_verb(words) == 2
    reason = capsys.readouterr().err
    for line in (
        "line 3: expected a point on the image of 600 x 400 px",
        "line 4: expected x to be",
        "line 5: expected a",
    ):
        assert line in reason
    table.write_text("x,z,label\n5,5,a\n", encoding="utf-8")
    assert "line 1: expected a header with x, y, label or class, but y is missing" in refusal(words, capsys)
    place = project_at(tmp_path, [Point(*each) for each in NUCLEI[:2]], names=("a", "b"))
    for wrong in (["--points", str(table)], ["--mpp", "0.3"], ["--region", "0,0,9,9"], ["--slide", "z*"]):
        assert refusal(["outline", str(place), *wrong], capsys)
    assert printed(["outline", str(place), "--slide", "b*", "--model", "watershed", "--json"], capsys)["outlined"] == 2
