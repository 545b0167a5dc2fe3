"""Promise: the values that all parts share refuse what cannot be, and say of themselves what they are."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from datetime import UTC

import pytest

from napari_cyto.domain.annotation import Annotation, imported_from, new_id, origin_of_model
from napari_cyto.domain.classes import CellClass, ClassScheme, SchemeMap, scheme_from_dict, scheme_to_dict
from napari_cyto.domain.decision_rule import called_class
from napari_cyto.domain.fingerprints import fuller, joined, proves_same, same_fingerprint, sampled_part
from napari_cyto.domain.geometry import Box, Point, Polygon
from napari_cyto.domain.label_set import LabelSet
from napari_cyto.domain.presets import PRESETS, map_between, preset
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import FormatError, SchemeError
from napari_cyto.jobs.events import CancelToken

TRIANGLE = Polygon(((0.0, 0.0), (0.0, 4.0), (2.0, 4.0)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_coordinates_are_finite(bad: float) -> None:
    for make in (
        lambda: Point(bad, 0.0),
        lambda: Box(0.0, 0.0, 1.0, bad),
        lambda: Polygon(((0.0, 0.0), (1.0, bad), (1.0, 1.0))),
    ):
        with pytest.raises(ValueError, match=r"finite|y1 > y0"):
            make()


def test_boxes_have_extent_and_outlines_three_corners() -> None:
    with pytest.raises(ValueError, match="y1 > y0"):
        Box(1.0, 0.0, 1.0, 5.0)
    with pytest.raises(ValueError, match="at least 3 corners"):
        Polygon(((0.0, 0.0), (1.0, 1.0)))


def test_shapes_know_their_bounds_and_centre_and_move() -> None:
    box = Box.around((10.0, 20.0), 4.0, 6.0)
    assert box.bounds_yxyx == (8.0, 17.0, 12.0, 23.0)
    assert (box.centre_yx, box.size_hw) == ((10.0, 20.0), (4.0, 6.0))
    assert TRIANGLE.bounds_yxyx == (0.0, 0.0, 2.0, 4.0)
    assert TRIANGLE.centre_yx == (1.0, 2.0)
    assert Point(1.0, 2.0).bounds_yxyx == (1.0, 2.0, 1.0, 2.0)
    for shape in (box, TRIANGLE, Point(1.0, 2.0)):
        moved = shape.translated(3.0, -4.0)
        assert moved.centre_yx == (shape.centre_yx[0] + 3.0, shape.centre_yx[1] - 4.0)
        assert moved.translated(-3.0, 4.0) == shape


def test_only_a_region_can_be_without_a_class() -> None:
    assert Annotation(slide_id="s", geometry=TRIANGLE, class_id=None).is_region
    assert not Annotation(slide_id="s", geometry=TRIANGLE, class_id="HSIL").is_region
    with pytest.raises(ValueError, match="Only a region"):
        Annotation(slide_id="s", geometry=Point(0.0, 0.0), class_id=None)


def test_an_annotation_is_born_with_an_identity_and_a_time() -> None:
    one, two = (Annotation(slide_id="s", geometry=TRIANGLE, class_id=None) for _ in range(2))
    assert one.id != two.id
    assert len(new_id()) == 32
    assert one.created_utc.tzinfo is UTC
    assert imported_from("a.csv") == "imported:a.csv"
    assert origin_of_model("net", "ab12") == "model:net@ab12"


@pytest.mark.parametrize("name", PRESETS)
def test_shipped_schemes_read_back_and_have_keys_of_their_own(name: str) -> None:
    scheme = preset(name)
    assert scheme_from_dict(json.loads(json.dumps(scheme_to_dict(scheme)))) == scheme
    keyed = [c for c in scheme.classes if c.key]
    assert [scheme.by_key(c.key) for c in keyed] == keyed[:9]
    assert scheme.by_key("") is None
    assert all(scheme[i].id == i and i in scheme for i in scheme.ids)
    assert len(scheme.classes[0].rgb) == 3


def test_bethesda_goes_to_apacc_and_to_four_classes() -> None:
    bethesda, apacc = preset("bethesda"), preset("apacc")
    to_apacc = map_between(bethesda, apacc)
    assert [to_apacc.apply(i) for i in bethesda.ids] == ["healthy"] + ["unhealthy"] * 5 + ["rubbish", "bothcells"]
    assert map_between(bethesda, preset("bethesda-4")).apply("SCC") == "HSIL"
    assert map_between(bethesda, preset("bethesda-4")).unmapped(bethesda.ids) == ("bothcells", "rubbish")
    assert bethesda.coarse().apply("ASC-H") == "HSIL"
    assert map_between(apacc, apacc).apply("rubbish") == "rubbish"


def test_what_a_map_does_not_know_is_listed_and_never_guessed() -> None:
    with pytest.raises(SchemeError, match="healthy, rubbish, unhealthy, bothcells have no class"):
        map_between(preset("apacc"), preset("ki67"))
    with pytest.raises(SchemeError, match="'HSIL' has no counterpart"):
        SchemeMap("m", 1, "a", "b", (("NILM", "healthy"),)).apply("HSIL")
    with pytest.raises(SchemeError, match="occurs more than once"):
        SchemeMap("m", 1, "a", "b", (("NILM", "healthy"), ("NILM", "rubbish")))
    with pytest.raises(SchemeError, match="no class scheme 'nope'"):
        preset("nope")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"id": ""}, "class id of printable"),
        ({"id": " NILM"}, "without leading or trailing blanks"),
        ({"colour": "red"}, "a colour like #1a2b3c"),
        ({"key": "0"}, "a key from 1 to 9"),
        ({"box_um": 0.0}, "0.1 to 10000"),
        ({"parent": "nobody"}, "not one of its classes"),
        ({"severity": "high"}, "'severity' of a class cannot be 'high'"),
        ({"size": 3}, "unknown field"),
    ],
)
def test_a_wrong_class_is_refused_by_name(values: dict[str, object], sentence: str) -> None:
    data = {"name": "mine", "classes": [{"id": "NILM", "colour": "#009e73", **values}]}
    with pytest.raises(SchemeError, match=sentence):
        scheme_from_dict(data)


@pytest.mark.parametrize("data", [None, [], {"name": "x"}, {"name": "x", "classes": []}, {"name": "x", "classes": [1]}])
def test_what_is_no_scheme_is_refused(data: object) -> None:
    with pytest.raises(SchemeError):
        scheme_from_dict(data)


def test_two_classes_cannot_share_an_id_or_a_key() -> None:
    one = CellClass("a", "A", "#000000", key="1")
    for two in (CellClass("a", "B", "#111111"), CellClass("b", "B", "#111111", key="1")):
        with pytest.raises(SchemeError, match="occurs more than once"):
            ClassScheme("mine", 1, (one, two))
    with pytest.raises(SchemeError, match="'c' is not in the scheme"):
        ClassScheme("mine", 1, (one,))["c"]


def test_a_slide_is_kept_with_its_patient_else_its_smear() -> None:
    assert SlideRecord(name="s", smear="m", patient="p").group == "p"
    assert SlideRecord(name="s", smear="m").group == "m"
    assert SlideRecord(name="s", id="i").group == "i"


def test_labels_of_a_slide_keep_their_order() -> None:
    cells = tuple(Annotation(slide_id=i, geometry=Point(0, 0), class_id="NILM") for i in "abab")
    labels = LabelSet((SlideRecord(name="a", id="a"), SlideRecord(name="b", id="b")), cells)
    assert labels.of_slide("b") == (cells[1], cells[3])


def test_a_token_cancels_once_and_for_all() -> None:
    token = CancelToken()
    assert not token.cancelled()
    token.cancel()
    assert token.cancelled()


def test_a_format_error_names_file_and_line_and_comes_whole_out_of_a_child() -> None:
    error = pickle.loads(pickle.dumps(FormatError("expected 5 numbers", "a.txt", 7)))
    assert str(error) == "a.txt, line 7: expected 5 numbers"
    assert (error.path, error.line) == ("a.txt", 7)
    assert str(FormatError("empty")) == "empty"


def test_the_full_bethesda_scheme_grades_squamous_cells_only_and_its_maps_list_the_rest() -> None:
    full, squamous = preset("bethesda-full"), preset("bethesda")
    rest = [c for c in full.classes if c.id not in squamous]
    assert full.classes[: len(squamous.classes)] == squamous.classes
    assert {c.id for c in rest} >= {"AGC", "AIS", "ADC", "TRICH", "CAND", "BV", "ACTINO", "HSV"}
    assert all(c.severity is None for c in rest)
    assert len({c.colour for c in full.classes}) == len(full.classes)
    ids = sorted(c.id for c in rest)
    assert list(map_between(full, squamous).unmapped(full.ids)) == ids
    assert set(map_between(full, preset("bethesda-4")).unmapped(full.ids)) == {*ids, "rubbish", "bothcells"}


def test_a_project_that_keeps_the_names_of_before_has_the_shipped_scheme() -> None:
    shipped = preset("bethesda")
    before = replace(shipped, classes=tuple(replace(c, name=f"old {c.id}") for c in shipped.classes))
    assert before.same_but_for_names(shipped)
    assert not replace(before, classes=before.classes[:-1]).same_but_for_names(shipped)


def test_fingerprints_prove_no_more_than_they_hold() -> None:
    sampled, whole_file, pieces = "a" * 32, joined("a" * 32, "1", whole=True), joined("a" * 32, "1", whole=False)
    assert (whole_file, pieces) == ("a" * 32 + "-w1", "a" * 32 + "-p1")
    assert [sampled_part(each) for each in (sampled, whole_file, pieces, "")] == [sampled] * 3 + [""]
    for one in (sampled, whole_file, pieces):
        assert same_fingerprint(one, one)
        assert same_fingerprint(one, sampled) == same_fingerprint(sampled, one) is True
        assert not same_fingerprint(one, "")
        assert not same_fingerprint("", one)
        assert not same_fingerprint(one, "b" + one[1:])
        assert fuller(one, sampled) == fuller(sampled, one) == one
    assert not same_fingerprint("", "")
    assert not same_fingerprint(whole_file, pieces)
    assert not same_fingerprint(whole_file, sampled + "-w2")
    assert proves_same(whole_file, whole_file)
    assert not proves_same(whole_file, sampled + "-w2")
    assert not proves_same(pieces, pieces)
    assert not proves_same(sampled, sampled)
    assert not proves_same(sampled, whole_file)


def test_the_class_of_the_largest_probability_times_cost_is_called() -> None:
    scores = [("NILM", 0.5), ("LSIL", 0.3), ("HSIL", 0.2)]
    assert called_class(scores) == "NILM"
    assert called_class(scores, {"HSIL": 2.6}) == "HSIL"
    assert called_class(scores, {"NILM": 0.5}) == "LSIL"
    assert called_class(scores, {"LSIL": 1.5}) == "NILM"
    # The earlier of two that come to the same.
    assert called_class([("b", 0.5), ("a", 0.5)]) == "b"
    assert called_class(iter([("b", 0.25), ("a", 0.5)]), {"b": 2.0}) == "b"
