"""Promise: what is stored of an annotation is all of it, to the last digit, and what is read by rows is the same."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_cyto.domain.annotation import Annotation, Status
from napari_cyto.domain.annotation_rows import (
    CLASS,
    Row,
    annotation_of,
    bounds_of,
    corners_of,
    from_us,
    one_score,
    row_of,
    score_text,
    scores_of,
    to_us,
    utc_text,
)
from napari_cyto.domain.annotation_source import Alike, AnnotationSource, Kinds, tally
from napari_cyto.domain.geometry import Box, Point, Polygon

places = st.floats(-1e9, 1e9)
shapes = st.one_of(
    st.builds(Point, places, places),
    st.builds(Box.around, st.tuples(places, places), st.floats(1, 1e4), st.floats(1, 1e4)),
    st.builds(lambda corners: Polygon(tuple(corners)), st.lists(st.tuples(places, places), min_size=3, max_size=6)),
)
moments = st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
annotations = st.builds(
    Annotation, slide_id=st.text(max_size=5), geometry=shapes, class_id=st.text(min_size=1, max_size=5),
    status=st.sampled_from(Status), author=st.text(max_size=5), origin=st.text(max_size=5), note=st.text(max_size=9),
    scores=st.lists(st.tuples(st.text(max_size=5), st.floats(0, 1)), max_size=3).map(tuple), created_utc=moments,
)  # fmt: skip


@given(annotations)
def test_a_row_holds_all_of_an_annotation(annotation: Annotation) -> None:
    row = row_of(annotation)
    assert annotation_of(row) == annotation
    assert bounds_of(row) == annotation.geometry.bounds_yxyx
    assert row[3:7] == annotation.geometry.bounds_yxyx
    assert scores_of(row[12]) == annotation.scores
    if annotation.scores:
        assert row[12] == json.dumps(annotation.scores)


def test_a_row_is_what_projects_have_always_held() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    kept = Annotation(
        slide_id="s", geometry=Polygon(((0.0, 1.0), (4.0, 2.0), (3.0, 7.5))), class_id=None, status=Status.REJECTED,
        author="a", origin="o", scores=(("é", 0.25), ("n", math.nan)), created_utc=moment, note="n", id="i",
    )  # fmt: skip
    corners = struct.pack("<6d", 0, 1, 4, 2, 3, 7.5)
    row = ("i", "s", "polygon", 0.0, 1.0, 4.0, 7.5, corners, "", "rejected", "a", "o",
           '[["\\u00e9", 0.25], ["n", NaN]]', 1_767_323_045_000_006, "n")  # fmt: skip
    assert row_of(kept) == row
    assert replace(annotation_of(row), scores=()) == replace(kept, scores=())
    assert corners_of(corners).tolist() == [0, 1, 4, 2, 3, 7.5]
    point = row_of(Annotation(slide_id="s", geometry=Point(1, 2), class_id="c"))
    assert point[2:9] == ("point", 1.0, 2.0, 1.0, 2.0, None, "c")
    assert [type(each) for each in point[3:7]] == [float] * 4
    box = row_of(Annotation(slide_id="s", geometry=Box(1, 2, 3, 4), class_id="c"))
    assert box[2:9] == ("box", 1.0, 2.0, 3.0, 4.0, None, "c")
    assert [type(each) for each in box[3:7]] == [float] * 4
    # Where a row's bounds are not those of its corners, the corners count.
    assert bounds_of((*row[:3], 9.0, 9.0, 9.0, 9.0, *row[7:])) == (0.0, 1.0, 4.0, 7.5)
    assert bounds_of((*point[:5], 9.0, 9.0, *point[7:])) == (1.0, 2.0, 1.0, 2.0)


@given(moments)
def test_moments_are_kept_to_the_microsecond(moment: datetime) -> None:
    assert from_us(to_us(moment)) == moment
    assert utc_text(to_us(moment)) == moment.isoformat()
    assert to_us(moment.astimezone(timezone(timedelta(hours=5)))) == to_us(moment)


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        to_us(datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("scores", "class_id", "text"),
    [
        ("", "a", ""),
        ('[["a", 0.25]]', "a", "0.25"),
        ('[["a", 0.25]]', "b", ""),
        ('[["a", 1.0]]', "a", "1.0"),
        ('[["a", 0.25], ["b", 0.5]]', "b", "<0.5>"),
        ('[["a", 0.25], ["b", 0.5]]', "c", ""),
        ('[["a", 1e-05]]', "a", "<1e-05>"),
    ],
)
def test_the_score_of_a_class_is_the_one_it_was_given(scores: str, class_id: str, text: str) -> None:
    assert score_text(scores, class_id, lambda score: f"<{score}>") == text


def test_one_plain_score_is_known_by_its_text() -> None:
    assert one_score('[["a", 0.5]]')[2] == "0.5"
    for text in ('[["\\u00e9", 0.5]]', '[["a", 1.5]]', '[["a", 0.5], ["b", 0.5]]', "[]"):
        assert one_score(text) is None


class Source(AnnotationSource):
    """Annotations in memory, read as a store's are."""

    def __init__(self, *annotations: Annotation) -> None:
        self.all = annotations

    def __iter__(self) -> Iterator[Annotation]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def of_slide(self, slide_id: str) -> Iterator[Annotation]:
        return (a for a in self.all if a.slide_id == slide_id)

    def rows_of_slide(self, slide_id: str) -> Iterator[Row]:
        return map(row_of, self.of_slide(slide_id))

    def class_ids(self) -> frozenset[str]:
        return frozenset(a.class_id for a in self.all if a.class_id is not None)

    def kinds(self) -> Kinds:
        return [(a, 1) for a in self.all]


some = st.lists(
    st.builds(
        Annotation, slide_id=st.sampled_from(["s", "t"]),
        geometry=st.just(Polygon(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))),
        class_id=st.sampled_from([None, "a", "b", "c"]), status=st.sampled_from(Status),
    ), max_size=12,
)  # fmt: skip


@given(
    some, st.sets(st.sampled_from(Status)), st.booleans(), st.dictionaries(st.sampled_from("ab"), st.sampled_from("bx"))
)
def test_chosen_and_renamed_annotations_are_those_however_they_are_read(
    annotations: list[Annotation], statuses: set[Status], regions: bool, names: dict[str, str]
) -> None:
    source = Source(*annotations)
    chosen = source.where(statuses, regions)
    needed = [a for a in annotations if a.status in statuses and (regions or a.class_id is not None)]
    renamed = [replace(a, class_id=names.get(a.class_id, a.class_id)) if a.class_id else a for a in needed]
    for given_, expected in ((chosen, needed), (chosen.renamed(names), renamed)):
        assert list(given_) == expected
        assert list(given_) == expected, "a second way through them reads them again"
        assert len(given_) == len(expected)
        assert given_.kinds() == [(a, 1) for a in expected]
        assert all(a in given_ for a in expected)
        assert [a in given_ for a in annotations] == [a in expected for a in annotations]
        for slide_id in ("s", "t"):
            there = [a for a in expected if a.slide_id == slide_id]
            assert list(given_.of_slide(slide_id)) == there
            assert list(given_.rows_of_slide(slide_id)) == [row_of(a) for a in there]
    assert chosen.class_ids() == source.class_ids()
    classes = {names.get(each, each) for each in source.class_ids()}
    assert chosen.renamed(names).class_ids() == classes


def test_a_row_that_is_renamed_keeps_the_rest() -> None:
    a = Annotation(slide_id="s", geometry=Point(1.0, 2.0), class_id="a", note="n")
    (row,) = Source(a).renamed({"a": "b", "": "c"}).rows_of_slide("s")
    assert row[CLASS] == "b"
    assert annotation_of(row) == replace(a, class_id="b")


def test_many_that_are_alike_are_counted() -> None:
    one, other, third = (Annotation(slide_id="s", geometry=Point(0.0, k), class_id="a") for k in range(3))
    alike = Alike([(one, 2), (other, 3)])
    assert list(alike) == [one, one, other, other, other]
    assert len(alike) == 5
    assert one in alike
    assert third not in alike
    seen: list[Annotation] = []
    assert tally(alike, lambda a: seen.append(a) or a.geometry) == tally(list(alike), lambda a: a.geometry)
    assert seen == [one, other], "of many that are alike, one is looked at"
    rejected = replace(one, status=Status.REJECTED)
    region = replace(one, geometry=Polygon(((0.0, 0.0), (0.0, 4.0), (4.0, 4.0))), class_id=None)
    mixed = Alike([(one, 2), (rejected, 3), (region, 4)])
    assert len(mixed.where((Status.ACCEPTED,), regions=False)) == 2
    assert len(mixed.where(tuple(Status), regions=True)) == 9
