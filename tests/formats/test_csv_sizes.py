"""Promise: what a table's width and height mean is told by what fits into its images, and asked about elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_cyto.errors import FormatError
from napari_cyto.formats._sniffing_reader import Glimpse
from napari_cyto.formats.cric import MPP, _stated
from napari_cyto.formats.csv_sizes import SizeSurvey, box_at

Row = tuple[str, float, float, float, float]
KNOWN = {"a": (100, 200), "b": (100, 200), "half": (50, 100)}
"""Heights and widths; of every other image they are not known."""


def fault(reason: str) -> FormatError:
    return FormatError(reason)


def survey(*rows: Row) -> SizeSurvey:
    found = SizeSurvey(KNOWN.get)
    for row in rows:
        found.add(*row)
    return found


@pytest.mark.parametrize(
    ("rows", "is_of_image"),
    [
        ([], False),
        ([("a", 150, 80, 200, 100)], True),
        ([("a", 150, 80, 200, 100), ("a", 20, 30, 200, 100)], True),
        ([("a", 100, 50, 200, 100)], False),  # a box of the whole image fits as well
        ([("a", 101, 50, 200, 100)], False),
        ([("a", 100, 51, 200, 100)], False),
        ([("a", 101.5, 50, 200, 100)], True),
        ([("a", 98.5, 50, 200, 100)], True),
        ([("a", 100, 51.5, 200, 100)], True),
        ([("a", 100, 48.5, 200, 100)], True),
        ([("a", 20, 10, 200, 100), ("a", 20, 10, 200, 99)], False),  # of two sizes
        ([("a", 20, 10, 199, 100), ("a", 20, 10, 200, 100)], False),
        ([("a", 201, 10, 200, 100)], False),  # a point beyond such an image
        ([("a", 20, 101, 200, 100)], False),
        ([("a", -1, 10, 200, 100)], False),
        ([("a", 20, -1, 200, 100)], False),
        ([("a", 0, 0, 200, 100)], True),
        ([("a", 200, 100, 200, 100)], True),
        ([("a", 60, 60, 40, 90)], False),  # out of proportion
        ([("a", 50, 50, 40, 20)], False),  # boxes that fit
        ([("new", 20, 30, 10, 10)], False),  # a point beyond 10 x 10 px
        ([("new", 2, 3, 10, 10), ("a", 50, 50, 40, 20)], False),
        ([("new", 2, 3, 10, 10), ("a", 150, 80, 200, 100)], True),
    ],
)
def test_sizes_are_those_of_images_where_they_are_and_boxes_would_not_fit(rows: list[Row], is_of_image: bool) -> None:
    assert survey(*rows).is_of_image(fault) is is_of_image


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("new", 2, 3, 10, 20)], r"10 x 20 in all rows of 'new', can be the image's size"),
        ([("half", 99, 49, 200, 100)], r"200 x 100 in all rows of 'half'"),  # the same image at twice the resolution
        ([("half", 99, 49, 200, 101)], r"200 x 101 in all rows of 'half'"),
        ([("a", 150, 80, 200, 100), ("b", 20, 20, 9, 9)], r"are the image's for 'a', but not for 'b'"),
        ([("b", 20, 20, 9, 9), ("a", 150, 80, 200, 100)], r"are the image's for 'a', but not for 'b'"),
    ],
)
def test_what_may_be_either_is_refused_with_a_question(rows: list[Row], said: str) -> None:
    with pytest.raises(FormatError, match=said):
        survey(*rows).is_of_image(fault)


def test_a_size_out_of_proportion_by_more_than_a_pixel_is_a_cells() -> None:
    assert survey(("half", 99, 49, 200, 103)).is_of_image(fault) is False


@pytest.mark.parametrize(
    ("rows", "is_corner"),
    [
        ([("a", 50, 50, 40, 20)], False),
        ([("a", 10, 5, 40, 20)], "1 of 1 image,"),  # as middles they would begin before it
        ([("a", 18, 50, 40, 20)], "1 of 1 image,"),
        ([("a", 19, 50, 40, 20)], False),  # a px may be rounded
        ([("a", 50, 8, 40, 20)], "1 of 1 image,"),
        ([("a", 50, 9, 40, 20)], False),
        ([("a", 195, 50, 40, 20)], False),  # as corners they would reach beyond it
        ([("a", 181, 50, 40, 20)], False),
        ([("a", 50, 95, 40, 20)], False),
        ([("a", 10, 50, 40, 20), ("b", 50, 50, 40, 20)], "1 of 2 images,"),
        ([("a", 10, 50, 40, 20), ("b", 190, 50, 40, 20)], False),  # neither fits everywhere
        ([("a", 50, 50, 40, 20), ("a", 10, 50, 40, 20), ("a", 50, 50, 4, 2)], "1 of 1 image,"),
        ([("new", 900, 900, 40, 20)], False),
        ([("new", 5, 900, 40, 20)], "1 of 1 image,"),
    ],
)
def test_corners_and_middles_are_distinguished_by_what_fits(rows: list[Row], is_corner: bool | str) -> None:
    found = survey(*rows)
    if isinstance(is_corner, str):
        with pytest.raises(FormatError, match=f"as their middle reach beyond {is_corner}"):
            found.is_corner("auto", fault)
    else:
        assert found.is_corner("auto", fault) is is_corner
    assert found.is_corner("corner", fault) is True
    assert found.is_corner("centre", fault) is False


def test_a_box_lies_round_its_middle_or_from_its_corner() -> None:
    assert box_at(30, 20, 8, 4, False, fault).bounds_yxyx == (18, 26, 22, 34)
    assert box_at(30, 20, 8, 4, True, fault).bounds_yxyx == (20, 30, 24, 38)
    for width, height in ((0, 4), (8, 0), (-8, 4), (8, -4)):
        for is_corner in (False, True):
            with pytest.raises(FormatError, match="width and height above 0, got"):
                box_at(30, 20, width, height, is_corner, fault)


@pytest.mark.parametrize(
    ("row", "stated"),
    [
        ({}, (None, None)),
        ({"width": "40", "height": " "}, (None, None)),
        ({"width": "", "height": "30", "px_per_cric_px": "2"}, (None, None)),
        ({"width": " 40 ", "height": "30"}, ((30, 40), None)),
        ({"width": "40", "height": "30", "px_per_cric_px": " "}, ((30, 40), None)),
        ({"width": "40", "height": "30", "px_per_cric_px": "2"}, ((30, 40), MPP / 2)),
        ({"width": "40", "height": "30", "px_per_cric_px": "0.001"}, ((30, 40), MPP / 0.001)),
        ({"width": "40", "height": "30", "px_per_cric_px": "100"}, ((30, 40), MPP / 100)),
        ({"width": "10000000", "height": "30"}, ((30, 10**7), None)),
    ],
)
def test_a_row_of_cric_states_size_and_scale(row: dict[str, str], stated: tuple[object, object]) -> None:
    assert _stated(row, fault) == stated


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"px_per_cric_px": "0.0009"}, "px_per_cric_px"),
        ({"px_per_cric_px": "101"}, "px_per_cric_px"),
        ({"width": "10000001"}, "width"),
        ({"height": "10000001"}, "height"),
        ({"width": "4.5"}, "width"),
    ],
)
def test_a_size_or_scale_that_no_image_has_is_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(FormatError, match=said):
        _stated({"width": "40", "height": "30", "px_per_cric_px": "2"} | changed, fault)


def test_the_fields_and_texts_of_json_are_seen_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        '{"a": "one", "list": [{"b": {"c": "two", "d": 3}}, {"e": []}], "o": {"p": {"q": {"r": {"s": 1}}}}, '
        '"with \\" mark": 1, "last": {"f": "three"}, "tail": ["x", "y"], "cut": {"g',
        encoding="utf-8",
    )
    seen = Glimpse(path)
    entry = ("list", "[]")
    assert seen.keys == {
        ("a",),
        ("list",),
        entry,
        (*entry, "b"),
        (*entry, "b", "c"),
        (*entry, "b", "d"),
        (*entry, "e"),
        (*entry, "e", "[]"),
        ("o",),
        ("o", "p"),
        ("o", "p", "q"),
        ("o", "p", "q", "r"),
        ('with \\" mark',),
        ("last",),
        ("last", "f"),
        ("tail",),
        ("tail", "[]"),
        ("cut",),
    }
    assert seen.values == {(("a",), "one"), ((*entry, "b", "c"), "two"), (("last", "f"), "three")}
