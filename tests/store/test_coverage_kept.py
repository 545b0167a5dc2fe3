"""Promise: what was looked at is kept per slide and person, joined with what is there, and other windows rest."""

from __future__ import annotations

import numpy as np

from napari_cyto.domain.coverage import Coverage
from napari_cyto.store import Project

SIZE = (4000, 3000)


def seen(*views) -> Coverage:
    made = Coverage(SIZE)
    for view in views:
        made.see(view, 40)
    return made


def test_it_is_kept_per_slide_and_person_and_joined(project, folder):
    assert project.coverage("one", SIZE) == {}
    project.add_coverage("one", "Ana/Maria", seen((0, 0, 1000, 1000)))
    project.add_coverage("one", "Ana/Maria", seen((2000, 0, 3000, 1000)))
    project.add_coverage("one", "Ben", seen((0, 0, 100, 100)))
    project.add_coverage("two", "Ben", seen((0, 0, 4000, 3000)))
    with Project.open(folder) as again:
        of_one = again.coverage("one", SIZE)
        assert set(of_one) == {"Ana/Maria", "Ben"}
        both = seen((0, 0, 1000, 1000), (2000, 0, 3000, 1000))
        assert np.array_equal(of_one["Ana/Maria"].seen, both.seen)
        assert again.coverage("two", SIZE)["Ben"].share(40) == 1.0


def test_it_is_no_change_that_other_windows_must_read(project, folder):
    with Project.open(folder) as other:
        other.changed_elsewhere()
        project.add_coverage("one", "Ana", seen((0, 0, 1000, 1000)))
        assert not other.changed_elsewhere()
        project.set_setting("anything", 1)
        assert other.changed_elsewhere()


def test_where_cells_came_from(project, cell):
    from napari_cyto.domain import edits

    project.apply(edits.add([cell(), cell(y=2.0), cell(origin="model:m@0")], "Mark"), "Ana")
    assert project.origins("one") == {"drawn": 2, "model:m@0": 1}
    assert project.origins("two") == {}
