"""Promise: two names are of one image by one rule: whole names, known suffixes, Unicode; never by a prefix."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.image_names import (
    IMAGE_SUFFIXES,
    READ_SUFFIXES,
    Closeness,
    bare_name,
    closeness,
    closest,
    image_suffix,
    lookup_keys,
    name_parts,
    reads_as_image,
    same_text,
    without_common_folders,
)

_PART = st.text(st.characters(exclude_characters="/\\\x00", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
_STEM = _PART.filter(lambda t: name_parts(t) == (unicodedata.normalize("NFC", t),) and not image_suffix(t))
_SUFFIX = st.sampled_from(IMAGE_SUFFIXES)


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("H23.0412.svs", "H23.0412"),
        ("H23.0412", "H23.0412"),
        ("Pap 12.03.2024 left", "Pap 12.03.2024 left"),
        ("S1.2", "S1.2"),
        ("im1.JPG", "im1"),
        ("field.ome.tif", "field"),
        ("field.OME.TIFF", "field"),
        ("slide.svs.png", "slide.svs"),
        (".png", ".png"),
        ("a/b\\S1.Mrxs", "S1"),
        ("Pra\u0308parat.png", "Pr\u00e4parat"),
    ],
)
def test_only_a_known_suffix_is_taken_off_a_name(name: str, bare: str) -> None:
    assert bare_name(name) == bare


@pytest.mark.parametrize(
    ("sought", "candidate", "close"),
    [
        ("S1.2", "S1.png", Closeness.NONE),
        ("S1", "S1.2.png", Closeness.NONE),
        ("H23.0412", "H23.0413.svs", Closeness.NONE),
        ("H23.0412", "H23.0412.svs", Closeness.BARE),
        ("S1.svs", "S1.png", Closeness.BARE),
        ("slide.svs", "slide.svs.png", Closeness.BARE),
        ("s1.PNG", "S1.png", Closeness.BUT_CASE),
        ("s1", "S1.png", Closeness.BARE_BUT_CASE),
        ("patient_A/001.png", "/data/patient_A/001.png", Closeness.EXACT),
        ("patient_A/001.png", "/data/patient_B/001.png", Closeness.NONE),
        ("patient_A/001.png", "001.png", Closeness.NONE),
        ("001.png", "patient_A/001.png", Closeness.EXACT),
        ("patient_a/001.png", "/data/patient_A/001.png", Closeness.BUT_CASE),
        ("D:\\scans\\ward7\\S1.tif", "/home/me/S1.png", Closeness.NONE),
        ("Pra\u0308parat.png", "Pr\u00e4parat.png", Closeness.EXACT),
        ("straße.png", "strasse.png", Closeness.NONE),
    ],
)
def test_names_agree_as_the_rule_says(sought: str, candidate: str, close: Closeness) -> None:
    assert closeness(sought, candidate) == close


@given(_STEM, _STEM, _SUFFIX, _SUFFIX)
def test_names_of_two_patients_never_agree(one: str, other: str, suffix: str, further: str) -> None:
    same = unicodedata.normalize("NFC", one).lower() == unicodedata.normalize("NFC", other).lower()
    assert bool(closeness(one + suffix, other + further)) == same
    assert not closeness(one, one + "." + other + further) or image_suffix(one + "." + other)


@given(_STEM, _SUFFIX, st.sampled_from(("NFC", "NFD")))
def test_suffix_and_spelling_of_accents_do_not_part_a_name_from_itself(stem: str, suffix: str, form: str) -> None:
    spelled = unicodedata.normalize(form, stem)
    assert closeness(spelled, stem + suffix) == Closeness.BARE
    assert closeness(spelled + suffix, stem + suffix) == Closeness.EXACT
    assert same_text(spelled, stem)


@given(st.lists(_STEM, min_size=1, max_size=3), st.lists(_STEM, max_size=2))
def test_folders_that_are_named_must_be_there(parts: list[str], above: list[str]) -> None:
    sought = "/".join(parts)
    assert closeness(sought, "/".join([*above, *parts])) == Closeness.EXACT
    if len(parts) > 1:
        assert closeness(sought, parts[-1]) == Closeness.NONE
        assert closeness(sought, parts[-1], either_way=True) == Closeness.EXACT


@given(_STEM, _STEM, _SUFFIX, _SUFFIX)
def test_names_that_agree_share_a_key(one: str, other: str, suffix: str, further: str) -> None:
    pairs = [(one, other), (one + suffix, other + further), (one + suffix, one + suffix + further), (one, one + suffix)]
    for left, right in pairs:
        assert not closeness(left, right) or lookup_keys(left) & lookup_keys(right)


def test_the_closest_wins_and_equals_are_all_named() -> None:
    found = closest("S1.png", [["S1.tif"], ["S1.png"], ["s1.png"]])
    assert (found.only, found.closeness) == (1, Closeness.EXACT)
    assert closest("S1", [["S1.tif"], ["S1.png"]]).places == (0, 1)
    assert closest("S1", [["S1.tif"], ["S1.png"]]).only is None
    assert closest("S3", [["S1.tif"]]).places == ()


def test_folders_that_all_names_share_tell_none_apart() -> None:
    assert without_common_folders(["images/a.png", "images/b.png"]) == {
        "images/a.png": "a.png",
        "images/b.png": "b.png",
    }
    assert without_common_folders(["im/A/1.png", "im/B/1.png"]) == {"im/A/1.png": "A/1.png", "im/B/1.png": "B/1.png"}
    assert without_common_folders(["a.png", "im/b.png"]) == {"a.png": "a.png", "im/b.png": "im/b.png"}


def test_what_may_be_read_is_known_by_its_suffix_in_any_case() -> None:
    for suffix in READ_SUFFIXES:
        assert reads_as_image("x" + suffix.upper())
        assert not reads_as_image(suffix)
    assert not reads_as_image("._a.png")
    assert not reads_as_image("x.txt")
