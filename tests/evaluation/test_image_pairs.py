"""Promise: the images of a truth and a prediction are paired by their whole names, or it is said which are not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import CytoError
from napari_cyto.evaluation._image_pairs import paired_images
from napari_cyto.evaluation.comparison import compare


def named(*names: str, marks: tuple[str, ...] = ()) -> list[SlideRecord]:
    return [
        SlideRecord(name=n, mpp=0.25, fingerprint=m) for n, m in zip(names, marks or [""] * len(names), strict=True)
    ]


def pairs(truth: list[SlideRecord], pred: list[SlideRecord]) -> list[tuple[str, str]]:
    return [(left.name if left else "", right.name if right else "") for _, left, right in paired_images(truth, pred)]


def test_dotted_names_belong_to_their_slides_whatever_their_suffix() -> None:
    truth, pred = named("H23.0412", "H23.0413"), named("H23.0413.svs", "H23.0412.svs")
    assert pairs(truth, pred) == [("H23.0412", "H23.0412.svs"), ("H23.0413", "H23.0413.svs")]


def test_accents_and_case_may_be_spelled_differently() -> None:
    forms = [unicodedata.normalize(form, "Präparat_é.png") for form in ("NFC", "NFD")]
    assert pairs(named(forms[0], "B.PNG"), named(forms[1], "b.png")) == [("B.PNG", "b.png"), (forms[0], forms[1])]


def test_folders_that_both_name_must_agree_and_whole_names_go_first() -> None:
    truth = named("A/1.png", "B/1.png")
    assert pairs(truth, named("B/1.png", "A/1.png")) == [("A/1.png", "A/1.png"), ("B/1.png", "B/1.png")]
    assert pairs(truth, named("C/1.png")) == [("A/1.png", ""), ("B/1.png", ""), ("", "C/1.png")]
    assert pairs(named("1.png", "A/1.png"), named("A/1.png", "1.png")) == [("1.png", "1.png"), ("A/1.png", "A/1.png")]


def test_a_fingerprint_tells_images_of_one_name_apart() -> None:
    truth, pred = named("1.png", "1.png", marks=("p", "q")), named("1.png", "1.png", marks=("q", "p"))
    found = paired_images(truth, pred)
    assert [(left.fingerprint, right.fingerprint) for _, left, right in found] == [("p", "p"), ("q", "q")]
    assert len({name for name, *_ in found}) == 2


@pytest.mark.parametrize(("truth", "pred"), [(("A/1.png", "B/1.png"), ("1.png",)), (("1.png",), ("1.tif", "1.svs"))])
def test_what_may_be_several_is_refused_with_them(truth: tuple[str, ...], pred: tuple[str, ...]) -> None:
    with pytest.raises(CytoError, match="It is not clear which image"):
        paired_images(named(*truth), named(*pred))


def test_it_is_said_which_images_only_one_side_has() -> None:
    truth, pred = (LabelSet(tuple(named(*names)), ()) for names in (("a.png", "b.png"), ("a.png", "c.png")))
    with pytest.raises(CytoError, match=r"only the truth has 'b\.png' and only the prediction has 'c\.png'"):
        compare(truth, pred, 5)
    remarks = compare(truth, pred, 5, missing_are_empty=True).remarks
    assert any("only the truth has 'b.png' and only the prediction has 'c.png'" in remark for remark in remarks)


@given(
    st.lists(st.sampled_from(["1", "1.png", "1.tif", "1.2", "A/1.png", "B/1", "a/1.png", "2.svs"]), max_size=5).map(set)
)
def test_a_set_of_images_is_paired_with_itself(names: set[str]) -> None:
    assert all(left == right for left, right in pairs(named(*names), named(*sorted(names, reverse=True))))
