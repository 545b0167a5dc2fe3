"""Promise: what is said of a slide as a whole is kept with all that was said before; what is not ours is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from napari_cyto.domain.interpretation import CATEGORIES, Interpretation, category_of, is_at_least
from napari_cyto.domain.slide_record import Progress, SlideRecord
from napari_cyto.errors import CytoError, DamagedError, StoreError
from napari_cyto.store import Project

HSIL, NILM = Interpretation("HSIL", "Ana", "2024-05-01"), Interpretation("NILM", "Bo", "2024-05-02T09:00:00+02:00")


def test_the_last_word_holds_and_the_earlier_ones_stay(project: Project, folder: Path) -> None:
    assert project.interpret({"one": HSIL, "two": NILM}, "Cy") == {"one": None, "two": None}
    assert project.interpret({"one": NILM, "two": NILM}, "Cy") == {"one": HSIL}
    assert project.interpret({"one": None}, "Di") == {"one": NILM}
    with Project.open(folder) as again:
        assert [slide.interpretation for slide in again.slides()] == [None, NILM]
        history = again.interpretation_history("one")
        assert [(entry.interpretation, entry.entered_by) for entry in history] == [
            (HSIL, "Cy"),
            (NILM, "Cy"),
            (None, "Di"),
        ]
        assert len(again.interpretation_history("two")) == 1


def test_a_record_that_passes_through_neither_loses_nor_brings_back_a_word(project: Project) -> None:
    stale = project.slide("one")
    project.interpret({"one": HSIL}, "Ana")
    project.update_slide(replace(stale, progress=Progress.DONE))
    assert project.slide("one").interpretation == HSIL
    assert project.find_slide(path="") is None
    project.add_slides([SlideRecord(name="three", id="three", interpretation=NILM)])
    assert project.slide("three").interpretation == NILM


def test_nothing_is_kept_when_a_slide_is_not_there(project: Project) -> None:
    with pytest.raises(StoreError, match="no slide with the id 'nine'"):
        project.interpret({"one": HSIL, "nine": HSIL}, "Ana")
    assert project.slide("one").interpretation is None


@pytest.mark.parametrize(
    "kept",
    [
        "HSIL",
        [{"category": "HSIL"}],
        [{"category": "CIN 9", "by": "", "at": "", "entered_by": "", "entered": "2024-05-01T00:00:00+00:00"}],
        [{"category": "HSIL", "by": "", "at": "May", "entered_by": "", "entered": "2024-05-01T00:00:00+00:00"}],
    ],
)
def test_what_this_program_never_keeps_is_named_as_damage(project: Project, kept: object) -> None:
    project.set_setting("slide.interpretation.one", kept)
    with pytest.raises(DamagedError, match=r"slide\.interpretation\.one"):
        project.slides()


def test_categories_are_known_by_their_names_and_usual_spellings() -> None:
    spelled = ("unsat", "negative for intraepithelial lesion or malignancy (NILM)", "ascus", "H-SIL", "agc", "Asc-h")
    assert [category_of(text) for text in spelled] == ["Unsatisfactory", "NILM", "ASC-US", "HSIL", "AGC", "ASC-H"]
    assert all(category_of(each.name) == each.id == category_of(each.id) for each in CATEGORIES)
    assert [each.id for each in CATEGORIES if is_at_least(each.id, "HSIL")] == [
        "HSIL",
        "AIS",
        "SCC",
        "Adenocarcinoma",
        "Other malignant",
    ]
    for wrong in ("", "CIN 3", "HSIL?!x"):
        with pytest.raises(CytoError, match="Expected one of the categories"):
            category_of(wrong)
    for day in ("2024-13-01", "01.05.2024", "2024-05-01T99", "x" * 50):
        with pytest.raises(CytoError, match="Expected a date as 2024-05-01"):
            Interpretation("HSIL", at=day)
