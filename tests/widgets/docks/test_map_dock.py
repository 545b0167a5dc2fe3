"""Promise: a lasso on the map and one key review many cells as one step; gallery, slide and map show the same cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import job_samples
import numpy as np
import pytest
from mouse_moves import send_move
from qtpy.QtCore import QPoint, Qt
from vector_projects import CLASSES, KIND, give_vectors

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status, origin_of_model
from napari_cyto.domain.geometry import Point
from napari_cyto.session import commands
from napari_cyto.vectors import VectorKind, cell_map, cell_vectors, vectors_folder
from napari_cyto.vectors.cell_map import CellMap, Trust
from napari_cyto.widgets.docks.dot_plot import BACKGROUND, DotPlot
from napari_cyto.widgets.docks.map import dock as map_dock
from napari_cyto.widgets.docks.map._colours import _short
from napari_cyto.widgets.docks.map.dock import MapDock
from napari_cyto.widgets.docks.review.dock import ReviewDock

pytestmark = pytest.mark.smoke
TRUST = Trust(0.93, 0.91, 0.95, 0.7, 0.5, 60)
PLACES = np.array([[0.0, 0.0], [10.0, 0.0], [5.0, 8.0]])


def fill(bench: Any, there: dict[str, int] | None = None) -> dict[str, int]:
    """Cells of three classes on two slides, half of them predictions; return the cluster of each."""
    project = bench.session.project
    rng = np.random.default_rng(3)
    made = dict(there or {})
    for slide in project.slides()[:2]:
        cells = [
            Annotation(
                slide_id=slide.id,
                geometry=Point(*rng.uniform(150, 490, 2)),
                class_id=CLASSES[n % 3],
                status=Status.UNREVIEWED if n % 2 else Status.ACCEPTED,
                author="finder" if n % 2 else "anna",
                origin=origin_of_model("finder", "0" * 64) if n % 2 else "drawn",
                scores=((CLASSES[n % 3], 0.8), ("SCC", 0.2)) if n % 2 else (),
            )
            for n in range(30)
        ]
        project.apply(edits.add(cells, "Run detection"), "finder")
        made |= {cell.id: CLASSES.index(str(cell.class_id)) for cell in cells}
    give_vectors(project, made)
    return made


def keep_map(bench: Any, clusters: dict[str, int], kind: VectorKind = KIND) -> None:
    """Keep a map on which each cluster lies at its place."""
    project = bench.session.project
    found = cell_vectors(project, KIND)
    rng = np.random.default_rng(1)
    xy = np.array([PLACES[clusters[i]] + rng.normal(0, 0.3, 2) for i in found.ids], np.float32)
    cell_map._write(
        vectors_folder(project) / "maps" / "made.npz", CellMap(kind, found.ids, found.slide_ids, xy, 60, 0, TRUST)
    )


@pytest.fixture
def mapped(bench):
    clusters = fill(bench)
    keep_map(bench, clusters)
    dock = bench.dock(MapDock)
    bench.qtbot.waitUntil(lambda: dock.shown is not None, timeout=5000)
    bench.settle()
    return bench, dock, clusters


def lasso(bench: Any, dock: MapDock, cluster: int, adds: bool = False) -> None:
    """Draw round a cluster with the mouse."""
    plot = dock.plot
    modifier = Qt.KeyboardModifier.ShiftModifier if adds else Qt.KeyboardModifier.NoModifier
    shown = dock.shown
    row = int(np.argmin(np.abs(shown.cells.xy - PLACES[cluster]).sum(1)))
    x, y = plot.screen_xy(np.array([row]))[0]
    reach = 3 * plot.scale
    corners = [(x - reach, y - reach), (x + reach, y - reach), (x + reach, y + reach), (x - reach, y + reach)]
    points = [QPoint(int(px), int(py)) for px, py in corners]
    bench.qtbot.mousePress(plot, Qt.MouseButton.LeftButton, modifier, points[0])
    for point in points[1:]:
        send_move(plot, point, Qt.MouseButton.LeftButton)
    bench.qtbot.mouseRelease(plot, Qt.MouseButton.LeftButton, modifier, points[-1])
    bench.settle()


def press(bench: Any, dock: MapDock, key: str, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
    bench.qtbot.keyClick(dock.plot, getattr(Qt.Key, f"Key_{key}"), modifier)
    bench.settle()


def of(clusters: dict[str, int], *which: int) -> set[str]:
    return {cell for cell, cluster in clusters.items() if cluster in which}


def test_a_lasso_and_one_key_relabel_a_cluster_as_one_undo_step(mapped):
    bench, dock, clusters = mapped
    project, review = bench.session.project, bench.dock(ReviewDock)
    lasso(bench, dock, 1)
    assert set(dock.ids) == of(clusters, 1)
    assert bench.session.selection == of(clusters, 1)
    assert {cell.id for cell in review.review.cells} == of(clusters, 1), "the selection is the gallery's filter"
    before = {a.id: a for a in project.annotations()}
    steps = len(project.history())
    press(bench, dock, "5")
    chosen = bench.session.class_by_key("5").id
    after = {a.id: a for a in project.annotations()}
    assert {i for i in before if before[i] != after[i]} == of(clusters, 1)
    assert {after[i].class_id for i in of(clusters, 1)} == {chosen}
    assert len(project.history()) == steps + 1
    press(bench, dock, "Z", Qt.KeyboardModifier.ControlModifier)
    assert {a.id: a for a in project.annotations()} == before
    lasso(bench, dock, 2, adds=True)
    assert set(dock.ids) == of(clusters, 1, 2)
    press(bench, dock, "X")
    assert {a.id for a in project.annotations() if a.status is Status.REJECTED} == of(clusters, 1, 2)
    press(bench, dock, "Escape")
    assert dock.ids == []
    assert len(review.review.cells) == 10, "without a selection the gallery's own filters count again"


def test_the_dots_are_where_the_cells_are_and_in_their_colours(mapped):
    bench, dock, clusters = mapped
    image = dock.plot.grab().toImage()
    scheme = bench.session.project.scheme
    for row in (0, 7, 14):
        cell = dock.shown.cells.ids[row]
        x, y = dock.plot.screen_xy(np.array([row]))[0]
        seen = {image.pixelColor(int(x) + dx, int(y) + dy).name() for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
        assert scheme[CLASSES[clusters[cell]]].colour.lower() in seen
    assert image.pixel(3, image.height() // 2) in (BACKGROUND, BACKGROUND & 0xFFFFFFFF)


def test_all_cells_are_in_view_the_few_far_from_the_others_too(qtbot):
    plot = DotPlot()
    qtbot.addWidget(plot)
    plot.resize(340, 420)
    plot.show()
    xy = np.random.default_rng(0).normal(0, 1, (3_000, 2)).astype(np.float32)
    xy[:3] = (9, -40)
    plot.show_cells(xy, np.full(len(xy), 0xFFFFFFFF, np.uint32), np.ones(len(xy), bool))
    for size in ((340, 420), (340, 260), (600, 300)):
        plot.resize(*size)
        at = plot.screen_xy()
        assert (at > 2).all()
        assert (at < np.array([plot.width(), plot.height()]) - 2).all(), size
    plot.zoom(2.0)
    scale = plot.scale
    plot.resize(600, 320)
    assert plot.scale > scale, "who zoomed in is not thrown back to all cells"


def test_a_pan_moves_the_dots_without_drawing_them_anew(mapped):
    bench, dock, _ = mapped
    plot: DotPlot = dock.plot
    plot.grab()
    before, renders = plot.screen_xy(np.array([0]))[0], plot.renders
    start = QPoint(plot.width() // 2, plot.height() // 2)
    bench.qtbot.mousePress(plot, Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, start)
    send_move(plot, start + QPoint(40, -25), Qt.MouseButton.RightButton)
    bench.qtbot.mouseRelease(plot, Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, start + QPoint(40, -25))
    moved = plot.grab().toImage()
    assert plot.screen_xy(np.array([0]))[0] - before == pytest.approx([40, -25], abs=1e-6)
    assert plot.renders == renders
    plot._renew()
    assert plot.grab().toImage() == moved, "what was moved is what would have been drawn"


def test_the_mouse_shows_the_cell_and_a_double_click_goes_to_it(mapped):
    bench, dock, clusters = mapped
    row = 3
    x, y = dock.plot.screen_xy(np.array([row]))[0]
    at = QPoint(round(x), round(y))
    send_move(dock.plot, at)
    assert dock.card.isVisible()

    def has_its_crop() -> bool:
        # The display's own pointer is elsewhere and may say so meanwhile.
        send_move(dock.plot, at)
        return dock.image.pixmap() is not None and not dock.image.pixmap().isNull()

    bench.qtbot.waitUntil(has_its_crop, timeout=10_000)
    shown = dock._wish.key[0]
    assert dock.caption.text().startswith(CLASSES[clusters[shown]])
    jumps: list[Any] = []
    bench.session.jump_requested.connect(lambda *yx: jumps.append(yx))
    bench.qtbot.mouseDClick(dock.plot, Qt.MouseButton.LeftButton, pos=at)
    bench.settle()
    assert jumps == [bench.session.project.annotation(shown).geometry.centre_yx]


def test_cells_like_one_fill_the_gallery_from_map_slide_and_gallery(mapped):
    bench, dock, clusters = mapped
    review = bench.dock(ReviewDock)
    cell = next(iter(of(clusters, 2)))
    bench.session.select([cell])
    bench.settle()
    assert dock.ids == [cell], "what is selected on the slide is ringed on the map"
    press(bench, dock, "L")
    bench.qtbot.waitUntil(lambda: review.listed is not None, timeout=5000)
    bench.settle()
    first = [each.id for each in review.review.cells[:19]]
    assert set(first) == of(clusters, 2) - {cell}
    assert "nearest of 59 cells" in review.list_words.text()
    review.scope.setCurrentIndex(review.scope.findData("slide"))
    review.scope.activated.emit(review.scope.currentIndex())
    bench.qtbot.waitUntil(lambda: "of this slide" in review.list_words.text(), timeout=5000)
    bench.settle()
    own = bench.session.project.annotation(cell).slide_id
    assert {each.slide_id for each in review.review.cells} == {own}
    bench.click(review.unlist)
    assert review.listed is None
    assert review.filters.isVisible()
    bench.session.select([cell])
    commands.run(bench.session, "similar")
    bench.qtbot.waitUntil(lambda: review.listed is not None, timeout=5000)
    bench.settle()
    review.gallery.go(0)
    bench.qtbot.keyClick(review.gallery, Qt.Key.Key_L)
    other = review.review.cells[0].id
    bench.qtbot.waitUntil(lambda: review.listed.cell_id == other, timeout=5000)


def test_a_blind_reader_sees_no_class_of_predictions_on_the_map(mapped):
    bench, dock, _ = mapped
    said: list[str] = []
    bench.session.message.connect(said.append)
    assert "HSIL" in dock.legend.text()
    bench.session.view.show_only(replace(bench.session.shown_filter, blind=True))
    bench.settle()
    assert "class hidden (blind)&nbsp;30" in dock.legend.text()
    lasso(bench, dock, 0)
    press(bench, dock, "A")
    assert "blind reading" in said[-1]
    for row in range(1, dock.by.count()):
        dock.by.setCurrentIndex(row)
        bench.settle()
        if dock.by.currentData() in ("score", "agreement"):
            assert "idden in a blind reading" in dock.legend.text()


def test_it_says_how_far_to_trust_it_and_what_the_slides_do(mapped):
    bench, dock, _ = mapped
    assert "Trustworthiness 0.93 (95 % 0.91 to 0.95" in dock.trust.text()
    dock.by.setCurrentIndex(dock.by.findData("slide"))
    bench.settle()
    assert "70 % are of its own slide, by chance 50 %" in dock.trust.text()
    assert "smear_a" in dock.legend.text()


def test_the_gallery_chooses_what_can_be_selected(mapped):
    bench, dock, clusters = mapped
    bench.dock(ReviewDock)
    bench.settle()
    bench.click(dock.only_listed)
    lasso(bench, dock, 1)
    waiting = {a.id for a in bench.session.project.annotations() if a.status is Status.UNREVIEWED}
    assert set(dock.ids) == of(clusters, 1) & waiting


def test_a_cell_that_came_later_is_counted_and_one_that_is_gone_is_not_shown(mapped):
    bench, dock, clusters = mapped
    project = bench.session.project
    gone = project.annotation(next(iter(clusters)))
    bench.session.select([gone.id])
    bench.session.edits.delete_selected()
    bench.settle()
    assert not dock.plot._is_shown[dock.shown.facts.row_of[gone.id]]
    bench.session.edits.choose_class("HSIL")
    bench.session.edits.add_point((200.0, 200.0))
    dock._read_kept()
    bench.qtbot.waitUntil(lambda: "1 cell without a vector not shown" in dock.trust.text(), timeout=5000)
    assert not dock.hint.isVisible(), "to make the map anew would not help"
    later = next(a.id for a in project.annotations() if a.id not in clusters)
    give_vectors(project, clusters | {later: 2})
    dock._read_kept()
    bench.qtbot.waitUntil(lambda: "1 cell not on this map; make it anew" in dock.hint.text(), timeout=5000)
    assert "without a vector" not in dock.trust.text()


def test_beside_the_cell_under_review_are_cells_of_the_next_grades_but_not_for_a_blind_reader(mapped):
    bench, _, _ = mapped
    accepted = [a for a in bench.session.project.annotations() if a.status is Status.ACCEPTED]
    for class_id, cell in zip(("ASC-US", "ASC-H"), accepted, strict=False):
        bench.session.edits.choose_class(class_id, of=[cell.id])
    review = bench.dock(ReviewDock)
    row = next(n for n, cell in enumerate(review.review.cells) if cell.class_id == "LSIL")
    review.gallery.go(row)
    bench.qtbot.waitUntil(lambda: review.grades.isVisible(), timeout=5000)
    found = review.grades._found
    assert (found.lower.class_id, found.higher.class_id) == ("ASC-US", "ASC-H")
    assert [found.lower.cell_id, found.higher.cell_id] == [cell.id for cell in accepted[:2]]
    bench.session.view.show_only(replace(bench.session.shown_filter, blind=True))
    bench.settle()
    assert not review.grades.isVisible()


def test_long_names_of_slides_leave_room_for_the_map():
    assert _short("smear.mrxs") == "smear.mrxs"
    assert _short("27ce7facb22d6ed75c146a43d23e7dde.jpg") == "27ce7facb22d…d23e7dde.jpg"


def test_a_map_that_is_stopped_leaves_the_one_before(mapped, monkeypatch):
    bench, dock, _ = mapped
    before = dock.shown
    monkeypatch.setattr(map_dock, "map_cells", job_samples.waits_for_a_map)
    bench.click(dock.make)
    bench.qtbot.waitUntil(lambda: "Fitting" in dock.job.words.text(), timeout=20_000)
    bench.click(dock.job.cancel)
    bench.qtbot.waitUntil(lambda: not dock.job.running, timeout=5000)
    assert "No map was written" in dock.job.words.text()
    assert dock.shown is before
    assert dock.make.isEnabled()


def test_a_map_of_another_encoder_is_shown_and_said_with_what_to_do(bench):
    clusters = fill(bench)
    keep_map(bench, clusters, KIND.model_copy(update={"encoder": "other", "sha256": "c" * 64}))
    dock = bench.dock(MapDock)
    bench.qtbot.waitUntil(lambda: dock.shown is not None, timeout=5000)
    assert dock.hint.text().startswith(
        "This map is by other, the newest vectors are by made (60 cells); make the map anew."
    )
    assert dock.make.text() == "Make anew"
    lasso(bench, dock, 1)
    assert set(dock.ids) == of(clusters, 1)


def test_without_vectors_with_two_and_with_enough_it_says_what_to_do(bench):
    dock = bench.dock(MapDock)
    bench.settle()
    assert "no vectors yet" in dock.hint.text()
    assert dock.words.text() == ""
    two = bench.mark(2)
    there = dict.fromkeys(two, 0)
    give_vectors(bench.session.project, there)
    dock.hide()
    dock.show()
    bench.qtbot.waitUntil(lambda: "at least 20 cells with a vector by made" in dock.hint.text(), timeout=5000)
    assert "find or draw more cells" in dock.hint.text()
    fill(bench, there)
    dock.hide()
    dock.show()
    bench.qtbot.waitUntil(lambda: "62 cells with a vector and no map yet: make it." in dock.hint.text(), timeout=5000)


def test_the_button_of_label_errors_lists_the_contradicted_cell_first(mapped):
    bench, dock, clusters = mapped
    project, review = bench.session.project, bench.dock(ReviewDock)
    waiting = [a.id for a in project.annotations() if a.status is Status.UNREVIEWED]
    bench.session.edits.set_status(Status.ACCEPTED, of=waiting)
    wrong = next(iter(of(clusters, 1)))
    bench.session.edits.choose_class("SCC", of=[wrong])
    bench.click(dock.errors)
    bench.qtbot.waitUntil(lambda: review.listed is not None, timeout=60_000)
    bench.settle()
    assert review.list_title.text() == "Likely label errors"
    assert review.review.cells[0].id == wrong
    assert "first 20 labels are wrong" in review.list_words.text()


def test_of_other_patients_says_what_stands_for_a_patient_that_is_unknown(mapped):
    bench, _, clusters = mapped
    project, review = bench.session.project, bench.dock(ReviewDock)
    cell = project.annotation(next(iter(of(clusters, 2))))
    bench.session.similar_requested.emit(cell.id, "other-patients")
    bench.qtbot.waitUntil(lambda: review.listed is not None, timeout=5000)
    bench.settle()
    assert review.scope.currentData() == "other-patients"
    assert cell.slide_id not in {each.slide_id for each in review.review.cells}
    assert (
        "The patient of this cell is unknown: its smear, or else its slide, counts as one." in review.list_words.text()
    )
    for slide in project.slides():
        project.update_slide(replace(slide, patient="P1"))
    said: list[str] = []
    bench.session.message.connect(said.append)
    bench.session.similar_requested.emit(cell.id, "other-patients")
    bench.qtbot.waitUntil(lambda: bool(said), timeout=5000)
    assert "cells of other patients than patient P1" in said[-1]
