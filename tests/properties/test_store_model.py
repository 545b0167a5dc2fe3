"""Promise: whatever is done to a project, in whatever order, it holds what a plain model in memory holds."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.edits import Change, Edit, apply
from napari_cyto.domain.geometry import Box, CellOutline, Point, Polygon
from napari_cyto.domain.presets import preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import StaleEditError
from napari_cyto.store import Project

State = dict[str, Annotation]

_AUTHORS = ("Ana", "Ben")
_IDS = [f"cell{i}" for i in range(6)]
_coordinates = st.integers(-5, 250_000) | st.floats(-10, 250_000, width=64)
_sizes = st.floats(1e-3, 1e5)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_points = st.builds(Point, _coordinates, _coordinates)
_boxes = st.builds(lambda y, x, h, w: Box(y, x, y + h, x + w), _coordinates, _coordinates, _sizes, _sizes)
_polygons = st.lists(st.tuples(_coordinates, _coordinates), min_size=3, max_size=5).map(lambda v: Polygon(tuple(v)))
_rings = _polygons.map(lambda polygon: polygon.vertices_yx)
_cells = st.builds(CellOutline, _rings, st.just(()) | _rings, st.booleans())
_shapes = st.one_of(
    st.tuples(_points | _boxes | _polygons | _cells, st.sampled_from(preset("bethesda").ids)),
    st.tuples(_polygons, st.none()),
)
_annotations = st.builds(
    lambda shape, **values: Annotation(geometry=shape[0], class_id=shape[1], **values),
    shape=_shapes,
    slide_id=st.sampled_from(["one", "two"]),
    status=st.sampled_from(Status),
    author=_texts,
    origin=_texts,
    scores=st.lists(st.tuples(_texts, st.floats(0, 1)), max_size=2).map(tuple),
    created_utc=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    note=_texts,
)


@dataclass
class _Steps:
    """What one author can undo and redo."""

    done: list[Edit] = field(default_factory=list)
    undone: list[Edit] = field(default_factory=list)


class ProjectMachine(RuleBasedStateMachine):
    """Two windows on one project against a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="napari-cyto-model-"))
        self.folder = self.home / "model.cyto"
        self.windows: list[Project] = []
        self.state: State = {}
        self.steps = {author: _Steps() for author in _AUTHORS}
        self.committed = 0

    @initialize()
    def create(self) -> None:
        first = Project.create(self.folder, preset("bethesda"))
        first.add_slides([SlideRecord(name="one", id="one"), SlideRecord(name="two", id="two")])
        self.windows = [first, Project.open(self.folder)]

    def teardown(self) -> None:
        for window in self.windows:
            window.close()
        connection = sqlite3.connect(self.folder / "project.sqlite")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
        shutil.rmtree(self.home)

    @rule(data=st.data(), window=st.integers(0, 1), author=st.sampled_from(_AUTHORS))
    def edit(self, data: st.DataObject, window: int, author: str) -> None:
        changes = []
        for i in data.draw(st.lists(st.sampled_from(_IDS), min_size=1, max_size=4, unique=True)):
            after = _annotations.map(lambda a, i=i: replace(a, id=i))
            changes.append(Change(self.state.get(i), data.draw(after | st.none() if i in self.state else after)))
        edit = Edit(data.draw(_texts), tuple(changes))
        self.windows[window].apply(edit, author)
        self.state = apply(edit, self.state)
        self.steps[author].done.append(edit)
        self.steps[author].undone.clear()
        self.committed += 1

    @rule(annotation=_annotations, i=st.sampled_from(_IDS), window=st.integers(0, 1))
    def stale_edit(self, annotation: Annotation, i: str, window: int) -> None:
        wrong = replace(annotation, id=i, note="never stored: longer than any drawn")
        with pytest.raises(StaleEditError):
            self.windows[window].apply(Edit("stale", (Change(wrong, replace(wrong, class_id="SCC")),)), "Ana")

    @rule(window=st.integers(0, 1), author=st.sampled_from(_AUTHORS), back=st.booleans())
    def undo_or_redo(self, window: int, author: str, back: bool) -> None:
        project, steps = self.windows[window], self.steps[author]
        source, target = (steps.done, steps.undone) if back else (steps.undone, steps.done)
        move, label = (project.undo, project.can_undo) if back else (project.redo, project.can_redo)
        assert label(author) == (source[-1].label if source else None)
        if not source:
            assert move(author) is None
            return
        edit = source[-1].inverse() if back else source[-1]
        try:
            expected = apply(edit, self.state)
        except StaleEditError:
            with pytest.raises(StaleEditError):
                move(author)
            return
        entry = move(author)
        assert entry is not None
        assert {c.annotation_id: c for c in entry.edit.changes} == {c.annotation_id: c for c in edit.changes}
        target.append(source.pop())
        self.state = expected
        self.committed += 1

    @rule(window=st.integers(0, 1))
    def reopen(self, window: int) -> None:
        self.windows[window].close()
        self.windows[window] = Project.open(self.folder)

    @precondition(lambda self: self.windows)
    @invariant()
    def holds_what_the_model_holds(self) -> None:
        for project in self.windows:
            assert {a.id: a for a in project.annotations()} == self.state
            assert project.counts() == Counter(a.class_id for a in self.state.values())
            for slide_id in ("one", "two"):
                here = [a for a in self.state.values() if a.slide_id == slide_id]
                assert project.counts(slide_id) == Counter(a.class_id for a in here)
                assert project.status_counts(slide_id) == Counter(a.status for a in here)
                everywhere = (-1e7, -1e7, 1e7, 1e7)
                assert {a.id for a in project.in_box(slide_id, everywhere)} == {a.id for a in here}
        assert len(self.windows[0].history()) == self.committed


TestProjectMachine = ProjectMachine.TestCase
TestProjectMachine.settings = settings(
    max_examples=max(10, settings.default.max_examples // 5), stateful_step_count=20, deadline=None
)
