"""Promise: each command is one committed, undoable edit, and means what the dock and the keys say it means."""

from __future__ import annotations

import pytest

from napari_cyto.domain import edits
from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.errors import CytoError, ScaleUnknownError, SchemeError, SlideError, StoreError
from napari_cyto.session import Session, Tool
from napari_cyto.session.commands import run
from napari_cyto.store import Project


def stored(session: Session) -> list[Annotation]:
    return list(session.project.annotations(session.slide.id))


def test_an_annotation_is_in_the_database_when_the_command_returns(session):
    mark = session.edits.add_point((10.5, 20.5))
    with Project.open(session.project.folder) as other:
        assert other.annotation(mark.id) == mark
    assert (mark.class_id, mark.author, mark.status) == ("NILM", "anna", Status.ACCEPTED)


def test_a_new_annotation_is_not_selected(session):
    session.edits.add_point((10.5, 20.5))
    assert session.selection == frozenset()


def test_a_class_chosen_relabels_the_selection_in_one_step_and_leaves_regions_alone(session):
    cells = [session.edits.add_point((float(i), 5.0)) for i in range(3)]
    region = session.edits.add_region([(0, 0), (0, 9), (9, 9)])
    session.select([cells[0].id, cells[1].id, region.id])
    session.edits.choose_class("HSIL")
    assert [a.class_id for a in stored(session)] == ["HSIL", "HSIL", "NILM", None]
    assert session.current_class == "NILM"
    session.history.undo()
    assert [a.class_id for a in stored(session)] == ["NILM", "NILM", "NILM", None]
    assert session.current_class == "NILM"


def test_choosing_the_class_that_the_selected_have_is_no_edit(session, heard):
    session.select([session.edits.add_point((1.0, 1.0)).id])
    before = len(heard.entries)
    session.edits.choose_class("NILM")
    assert len(heard.entries) == before


def test_a_prediction_that_a_person_relabels_is_accepted(session):
    prediction = Annotation(
        slide_id=session.slide.id,
        geometry=Point(1, 1),
        class_id="LSIL",
        status=Status.UNREVIEWED,
        scores=(("LSIL", 0.7),),
    )
    session.project.apply(edits.add([prediction], "Predict"), "model")
    session.select([prediction.id])
    session.edits.choose_class("HSIL")
    [cell] = stored(session)
    assert (cell.class_id, cell.status, cell.scores) == ("HSIL", Status.ACCEPTED, (("LSIL", 0.7),))


def test_an_unknown_class_is_refused_by_name(session):
    with pytest.raises(SchemeError, match="'alien' is not in the scheme"):
        session.edits.choose_class("alien")


def test_a_one_click_box_has_the_classs_size_in_um(session):
    session.edits.set_box_um("NILM", 20.0)
    box = session.edits.add_box_at((100.0, 200.0))
    assert box.geometry == Box(60.0, 160.0, 140.0, 240.0)


def test_a_one_click_box_on_a_slide_without_mpp_asks_for_it(session):
    questions = []
    session.mpp_needed.connect(lambda: questions.append(1))
    session.slides.next(1)
    with pytest.raises(ScaleUnknownError, match="the pixel size of two is unknown"):
        session.edits.add_box_at((10.0, 10.0))
    assert questions == [1]
    session.facts.set_mpp(0.5)
    assert session.slide.mpp_source == "user"
    assert session.edits.add_box_at((100.0, 100.0)).geometry.size_hw == (90.0, 90.0)


@pytest.mark.parametrize("mpp", [0.0, -1.0, 896.0, float("nan"), float("inf")])
def test_a_pixel_size_that_no_microscope_has_is_refused(session, mpp):
    with pytest.raises(SlideError, match="µm per px"):
        session.facts.set_mpp(mpp)
    assert session.slide.mpp == 0.25


def test_delete_move_reshape_note_and_status_are_each_one_undo_step(session):
    box = session.edits.add_box(Box(10, 10, 20, 20))
    session.select([box.id])
    session.edits.move_selected(5.0, -5.0)
    session.edits.reshape(box.id, Box(0, 0, 30, 30))
    session.edits.set_note("crowded")
    session.edits.set_status(Status.REJECTED)
    session.edits.delete_selected()
    assert stored(session) == []
    assert session.selection == frozenset()
    for expected in (
        (Box(0, 0, 30, 30), "crowded", Status.REJECTED),
        (Box(0, 0, 30, 30), "crowded", Status.ACCEPTED),
        (Box(0, 0, 30, 30), "", Status.ACCEPTED),
        (Box(15, 5, 25, 15), "", Status.ACCEPTED),
        (Box(10, 10, 20, 20), "", Status.ACCEPTED),
    ):
        session.history.undo()
        [cell] = stored(session)
        assert (cell.geometry, cell.note, cell.status) == expected


def test_nothing_selected_nothing_to_undo_and_no_project_are_said_not_raised_as_bugs(session, heard):
    session.edits.delete_selected()
    session.history.undo()
    session.history.redo()
    assert [m.split(";")[0] for m in heard.messages] == [
        "Nothing is selected",
        "Nothing to undo.",
        "Nothing to redo.",
    ]
    session.close()
    with pytest.raises(StoreError, match="No project is open"):
        session.edits.add_point((1.0, 1.0))
    with session.telling():
        session.edits.delete_selected()


def test_telling_lets_bugs_pass(session):
    with pytest.raises(ZeroDivisionError), session.telling():
        raise ZeroDivisionError


def test_a_region_has_no_class(session):
    region = session.edits.add_region([(0, 0), (0, 9), (9, 9)])
    assert region.is_region
    assert isinstance(region.geometry, Polygon)


def test_undo_goes_to_what_changed_when_it_is_out_of_view_and_stays_when_it_is_not(session, heard):
    session.edits.add_point((500.0, 500.0))
    session.edits.add_point((3000.0, 3000.0))
    session.history.undo()
    assert heard.jumps == [(3000.0, 3000.0)]
    session.history.undo()
    assert heard.jumps == [(3000.0, 3000.0)]


def test_undo_goes_to_the_slide_on_which_something_changed(session):
    session.edits.add_point((5.0, 5.0))
    session.slides.next(1)
    session.history.undo()
    assert session.slide.name == "one"


def test_undo_lets_go_of_what_it_removes_from_the_selection(session):
    session.select([session.edits.add_point((5.0, 5.0)).id])
    session.history.undo()
    assert session.selection == frozenset()


def test_an_edit_against_what_another_window_changed_is_refused_whole(session):
    mark = session.edits.add_point((5.0, 5.0))
    with Project.open(session.project.folder) as other:
        other.apply(edits.remove([mark], "Delete"), "ben")
    with pytest.raises(CytoError):
        session.history.undo()


def test_the_tool_says_when_it_changes_and_only_then(session):
    reported = []
    session.tool_changed.connect(lambda: reported.append(session.tool))
    session.tool = Tool.BOX
    session.tool = Tool.BOX
    assert reported == [Tool.BOX]


def test_nothing_is_drawn_or_moved_beside_the_slide(session):
    cell = session.edits.add_box(Box(3900.0, 3900.0, 4050.0, 4050.0))
    for draw in (
        lambda: session.edits.add_point((-1.0, 5.0)),
        lambda: session.edits.add_box(Box(-300.0, -300.0, -50.0, -50.0)),
        lambda: session.edits.add_region([(4100, 0), (4100, 90), (4200, 90)]),
        lambda: session.edits.move_selected(100.0, 0.0),
    ):
        session.select([cell.id])
        with pytest.raises(SlideError, match="lies outside it"):
            draw()
    assert stored(session) == [cell]


def test_relabelling_says_that_the_next_cell_keeps_its_class_and_bulk_effects_are_counted(session, heard):
    """A selection that had grown unseen was rejected, relabelled or deleted without a word."""
    messages = []
    session.message.connect(messages.append)
    cells = [session.edits.add_point((float(i), 5.0)) for i in range(4)]
    session.select([cells[0].id])
    session.edits.choose_class("HSIL")
    assert messages[-1] == ("1 cell relabelled as HSIL; the class of the next cell is still NILM. Undo with Ctrl+Z.")
    session.select([c.id for c in cells[:3]])
    session.edits.set_status(Status.REJECTED)
    assert messages[-1] == "3 cells rejected. Undo with Ctrl+Z."
    session.edits.set_status(Status.REJECTED)
    assert messages[-1] == "The 3 selected annotations are already rejected."
    session.edits.delete_selected()
    assert messages[-1] == "3 cells deleted. Undo with Ctrl+Z."
    session.history.undo()
    assert len(stored(session)) == 4


@pytest.mark.parametrize("command", ["accept", "reject", "delete", "class.5"])
def test_a_key_refuses_a_selection_that_is_not_all_in_view(session, command):
    messages = []
    session.message.connect(messages.append)
    cells = [session.edits.add_point((float(y), 50.0)) for y in (10, 50, 90)]
    region = session.edits.add_region([(0, 0), (0, 99), (99, 99)])
    session.select([c.id for c in cells])
    session.set_view((0.0, 0.0, 60.0, 99.0))
    before = stored(session)
    run(session, command)
    assert stored(session) == before
    assert "1 of 3 selected annotations is not in view" in messages[-1]
    session.set_view((20.0, 20.0, 40.0, 40.0))
    session.select([region.id])
    assert session.view.out_of_view() == 0
    session.select([c.id for c in cells])
    session.set_view((0.0, 0.0, 99.0, 99.0))
    run(session, command)
    assert stored(session) != before or "already accepted" in messages[-1]


def test_the_size_of_a_pixel_is_corrected_with_its_history_and_what_hung_on_it_is_said(session):
    messages = []
    session.message.connect(messages.append)
    session.edits.add_point((5.0, 5.0))
    found = Annotation(
        slide_id=session.slide.id,
        geometry=Point(9.0, 9.0),
        class_id="HSIL",
        status=Status.UNREVIEWED,
        origin="model:m@1",
    )
    session.project.apply(edits.add([found], "x"), "m")
    first = session.slide.mpp
    session.facts.set_mpp(0.5)
    assert f"the pixel size is now 0.5 µm, previously {first:g} µm" in messages[-1]
    assert "Predicted at the old pixel size: 1;" in messages[-1]
    assert "Drawn or imported: 1;" in messages[-1]
    session.facts.set_mpp(0.4)
    session.facts.set_mpp(0.4)
    assert "already" in messages[-1]
    folder = session.project.folder
    session.close()
    session.projects.open(folder)
    assert [(c.author, c.before, c.after) for c in session.facts.mpp_history()] == [
        (session.author, first, 0.5),
        (session.author, 0.5, 0.4),
    ]
    assert session.author in session.facts.mpp_history()[0].words
