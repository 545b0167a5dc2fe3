"""Promise: a view, a click and a step to the next cell find exactly what is there, whatever the box index rounds."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import add, remove, replace_all
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.store import Project
from tests.store.conftest import Cell


def _scatter(cell: Cell, n: int, seed: int = 0) -> list[Annotation]:
    rng = random.Random(seed)
    result = []
    for i in range(n):
        y, x = rng.uniform(0, 250_000), rng.uniform(0, 250_000)
        size = rng.choice([0.001, 20.0, 180.0, 30_000.0])
        shape = [Point(y, x), Box(y, x, y + size, x + size), Polygon(((y, x), (y + size, x), (y, x + size / 3)))][i % 3]
        status = rng.choice(list(Status))
        result.append(cell(geometry=shape, slide_id=rng.choice(["one", "two"]), status=status))
    return result


def _meets(annotation: Annotation, box_yxyx: tuple[float, float, float, float]) -> bool:
    y0, x0, y1, x1 = box_yxyx
    a0, b0, a1, b1 = annotation.geometry.bounds_yxyx
    return a0 < y1 and b0 < x1 and (a1 > y0 or a0 >= y0) and (b1 > x0 or b0 >= x0)


def test_in_box_agrees_with_looking_at_each(project: Project, cell: Cell) -> None:
    cells = _scatter(cell, 600)
    project.apply(add(cells, "Import"), "Ana")
    rng = random.Random(1)
    for _ in range(60):
        y0, x0 = rng.uniform(-1e3, 250_000), rng.uniform(-1e3, 250_000)
        box = (y0, x0, y0 + rng.uniform(0, 60_000), x0 + rng.uniform(0, 60_000))
        expected = {a.id for a in cells if a.slide_id == "one" and _meets(a, box)}
        assert {a.id for a in project.in_box("one", box)} == expected
        assert project.count_in_box("one", box) == len(expected)
        assert len(project.in_box("one", box, limit=3)) == min(3, len(expected))
        assert project.count_in_box("one", box, at_most=3) == min(3, len(expected))


@pytest.mark.parametrize("y", [0.1, 65_536.003, 131_072.0, 200_000.3, 249_999.99])
def test_the_edge_of_a_view_is_exact_where_float32_is_not(project: Project, cell: Cell, y: float) -> None:
    # Guards the float64 check behind the R*Tree, whose float32 are 1/64 px apart here.
    below, above = math.nextafter(y, -1), math.nextafter(y, 1e9)
    here = cell(y, y)
    project.apply(add([here], "Draw"), "Ana")
    assert project.in_box("one", (y, y, y + 1, y + 1)) == [here]
    assert project.in_box("one", (above, y, y + 1, y + 1)) == []
    assert project.in_box("one", (below - 1, y, above, above)) == [here]
    assert project.in_box("one", (below - 1, y, y, above)) == []


def test_a_cell_is_found_where_it_is_and_not_where_it_was(project: Project, cell: Cell) -> None:
    old = cell(10, 10)
    new = replace(old, geometry=Box(500, 500, 520, 520), slide_id="two")
    project.apply(add([old], "Draw"), "Ana")
    project.apply(replace_all([(old, new)], "Move"), "Ana")
    assert project.in_box("one", (0, 0, 1e6, 1e6)) == []
    assert project.in_box("two", (510, 510, 511, 511)) == [new]
    project.undo("Ana")
    assert project.in_box("one", (0, 0, 1e6, 1e6)) == [old]
    assert project.in_box("two", (0, 0, 1e6, 1e6)) == []


def test_a_click_means_the_nearest_shape(project: Project, cell: Cell) -> None:
    point, box = cell(100, 100), cell(geometry=Box(200, 200, 220, 240))
    project.apply(add([point, box], "Draw"), "Ana")
    assert project.nearest("one", (103, 104), 5.0) == point
    assert project.nearest("one", (103, 104.1), 5.0) is None
    assert project.nearest("one", (201, 239), 0.0) == box
    assert project.nearest("one", (223, 244), 5.0) == box
    assert project.nearest("two", (100, 100), 1e5) is None


def test_a_cell_inside_a_region_can_be_clicked(project: Project, cell: Cell) -> None:
    region = cell(geometry=Polygon(((0, 0), (0, 1000), (1000, 1000), (1000, 0))), class_id=None)
    point, large, small = cell(500, 500), cell(geometry=Box(100, 100, 200, 200)), cell(geometry=Box(140, 140, 160, 160))
    project.apply(add([region, large, small, point], "Draw"), "Ana")
    assert project.nearest("one", (504, 500), 5.0) == point
    assert project.nearest("one", (700, 700), 5.0) == region
    assert project.nearest("one", (150, 150), 5.0) == small
    assert project.nearest("one", (110, 110), 5.0) == large


def test_an_outline_is_not_its_bounding_box(project: Project, cell: Cell) -> None:
    thin = cell(geometry=Polygon(((0, 0), (100, 100), (100, 98))))
    project.apply(add([thin], "Draw"), "Ana")
    assert project.nearest("one", (10, 90), 20.0) is None
    assert project.nearest("one", (99, 98.5), 0.0) == thin
    assert project.nearest("one", (103, 104), 5.0) == thin


def test_nearest_agrees_with_measuring_all(project: Project, cell: Cell) -> None:
    rng = random.Random(2)
    points = [cell(rng.uniform(0, 300), rng.uniform(0, 300)) for _ in range(300)]
    project.apply(add(points, "Import"), "Ana")
    for _ in range(60):
        yx = (rng.uniform(0, 300), rng.uniform(0, 300))
        best = min(points, key=lambda a: math.dist(a.geometry.centre_yx, yx))
        radius = rng.uniform(0, 20)
        expected = best if math.dist(best.geometry.centre_yx, yx) <= radius else None
        assert project.nearest("one", yx, radius) == expected


def test_stepping_goes_through_all_in_order_of_creation_and_back(project: Project, cell: Cell) -> None:
    rng = random.Random(3)
    cells = [
        cell(
            i,
            i,
            class_id=rng.choice(["NILM", "SCC"]),
            status=rng.choice(list(Status)),
            slide_id=f"{['one', 'two'][i % 2]}",
        )
        for i in range(60)
    ]
    project.apply(add(cells, "Import"), "Ana")
    for class_id in (None, "SCC", "LSIL"):
        for unreviewed in (False, True):
            target = [
                a
                for a in cells
                if a.slide_id == "one"
                and class_id in (None, a.class_id)
                and (not unreviewed or a.status is Status.UNREVIEWED)
            ]
            for step, expected in ((1, target), (-1, target[::-1])):
                walked: list[Annotation] = []
                while found := project.neighbour("one", walked[-1] if walked else None, step, class_id, unreviewed):
                    walked.append(found)
                assert walked == expected


def test_stepping_goes_on_from_a_cell_that_was_deleted_or_relabelled(project: Project, cell: Cell) -> None:
    a, b, c = (cell(i, i) for i in range(3))
    project.apply(add([a, b, c], "Draw"), "Ana")
    project.apply(remove([b], "Delete"), "Ana")
    assert project.neighbour("one", b) == c
    assert project.neighbour("one", b, -1) == a
    project.undo("Ana")
    assert project.neighbour("one", a) == b
    project.apply(replace_all([(b, replace(b, class_id="NILM"))], "Relabel"), "Ana")
    assert project.neighbour("one", b, 1, "HSIL") == c


def test_a_walk_through_all_annotations_sees_one_moment(project: Project, cell: Cell) -> None:
    cells = [cell(i, i) for i in range(3_000)]
    project.apply(add(cells, "Import"), "Ana")
    walk = project.annotations("one")
    seen = [next(walk)]
    project.apply(remove(cells[1:], "Delete"), "Ana")
    seen.extend(walk)
    assert seen == cells
    assert list(project.annotations("one")) == cells[:1]


def test_a_plain_bounding_box_table_answers_as_the_tree_does(
    folder: Path, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Guards the way that databases without R*Tree go, such as PostgreSQL.
    from napari_cyto.domain.presets import preset
    from napari_cyto.domain.slide_record import SlideRecord
    from napari_cyto.store.database import schema_check, sqlite
    from napari_cyto.store.database.schema import box_metadata

    monkeypatch.setattr(sqlite, "create_box_index", box_metadata.create_all)
    # Computed once as a rule, and with an R*Tree.
    monkeypatch.setattr(schema_check, "_own_schema", schema_check._own_schema.__wrapped__)
    cells = _scatter(cell, 200)
    with Project.create(folder, preset("bethesda")) as plain:
        plain.add_slides([SlideRecord(name="one", id="one"), SlideRecord(name="two", id="two")])
        plain.apply(add(cells, "Import"), "Ana")
        box = (20_000.0, 20_000.0, 150_000.0, 160_000.0)
        expected = {a.id for a in cells if a.slide_id == "two" and _meets(a, box)}
        assert {a.id for a in plain.in_box("two", box)} == expected
        assert plain.nearest("one", cells[0].geometry.centre_yx, 1e6) is not None
        plain.undo("Ana")
        assert plain.in_box("two", box) == []


def test_regions_are_found_among_all_cells_of_their_slide(project: Project, cell: Cell) -> None:
    # Guards the overview, which shows every region however many cells it leaves out.
    outline = Polygon(((0, 0), (0, 9), (9, 9)))
    inside = [cell(geometry=outline, class_id=None) for _ in range(3)]
    elsewhere = cell(geometry=outline, class_id=None, slide_id="two")
    project.apply(add([*_scatter(cell, 30), *inside, elsewhere], "Import"), "Ana")
    project.apply(remove(inside[:1], "Delete"), "Ana")
    assert project.regions("one") == inside[1:]
    assert project.regions("one", limit=1) == inside[1:2]


def test_many_are_found_by_their_ids_in_the_order_requested(project: Project, cell: Cell) -> None:
    # Guards a rubber band around thousands of cells, whose relabelling asks for all of them at once.
    cells = _scatter(cell, 2000)
    project.apply(add(cells, "Import"), "Ana")
    project.apply(remove(cells[:1], "Delete"), "Ana")
    target = [a.id for a in reversed(cells)]
    assert project.annotations_by_id(["nobody", *target]) == cells[:0:-1]
    assert project.annotations_by_id([]) == []


def test_the_cell_at_a_place_is_that_of_all_with_the_nearest_middle(project: Project, cell: Cell) -> None:
    rng = random.Random(4)
    cells = [cell(rng.randrange(60), rng.randrange(60)) for _ in range(60)]
    corners = [(rng.randrange(50), rng.randrange(50)) for _ in range(60)]
    cells += [cell(geometry=Box(y, x, y + rng.randrange(1, 25), x + rng.randrange(1, 25))) for y, x in corners]
    region = cell(geometry=Polygon(((0, 0), (0, 60), (60, 60), (60, 0))), class_id=None)
    project.apply(add([*cells, region], "Import"), "Ana")
    for n in range(120):
        yx, radius, by_bounds = (rng.randrange(70), rng.randrange(70)), rng.choice((0.0, 1.0, 5.0, 13.0)), n % 2 == 0
        counted = set(rng.sample([a.id for a in cells], 40)) if n % 3 else None

        def is_met(a: Annotation, yx=yx, radius=radius, by_bounds=by_bounds, counted=counted) -> bool:
            y0, x0, y1, x1 = a.geometry.bounds_yxyx
            covers = by_bounds and y0 <= yx[0] <= y1 and x0 <= yx[1] <= x1
            near = covers or math.dist(a.geometry.centre_yx, yx) <= radius
            return near and (counted is None or a.id in counted) and a.id[-1] in "0123456789ab"

        met = [a for a in cells if is_met(a)]
        best = min(met, key=lambda a: (math.dist(a.geometry.centre_yx, yx), a.id), default=None)
        found = project.cell_at(
            "one", yx, radius, lambda a: a.id[-1] in "0123456789ab", counted, bounds_count=by_bounds
        )
        assert found == best


def test_a_click_passes_over_what_does_not_count(project: Project, cell: Cell) -> None:
    hidden, shown = cell(100, 100), cell(geometry=Box(90, 90, 120, 130))
    project.apply(add([hidden, shown], "Draw"), "Ana")
    assert project.nearest("one", (100, 100), 5.0, lambda a: a.id != hidden.id) == shown
    assert project.nearest("one", (100, 100), 5.0, lambda a: False) is None
