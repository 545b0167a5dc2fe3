"""Promise: what a split refuses, allows, keeps and records is what its settings say."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from napari_cyto.datasets.splits._groups import slide_groups
from napari_cyto.datasets.splits.config import ExportSplitConfig, SplitConfig
from napari_cyto.datasets.splits.export_split import split_for_export
from napari_cyto.datasets.splits.split import SETS, TEST, TRAIN, VALIDATION, Split, set_of
from napari_cyto.datasets.splits.split_slides import CAME_WITH_DATA, in_order, split_slides
from napari_cyto.domain.slide_record import SlideRecord
from napari_cyto.errors import SplitError


def slides_of(number: int, **facts: Any) -> list[SlideRecord]:
    return [SlideRecord(id=f"s{n:02}", name=f"{n:02}.png", **facts) for n in range(number)]


def even(slides: list[SlideRecord], cells: int = 4) -> dict[str, dict[str, int]]:
    return {slide.id: {"a": cells, "b": 2} for slide in slides}


def divided(slides: list[SlideRecord], counts: Any = None, known: Any = (), twins: Any = (), **values: Any) -> Split:
    config = SplitConfig(**values)
    return split_slides(slides, even(slides) if counts is None else counts, config, known=known, twins=twins)


def test_a_split_records_how_it_was_made_and_what_came_of_it() -> None:
    slides = slides_of(20)
    split = divided(slides, twins=[("s00", "s01")], test_share=0.2, validation_share=0.2, seed=3, reason="why")
    record = dict(split.record)
    sets = {name: [s.id for s in slides if split.sets[s.id] == name] for name in SETS}
    assert record.pop("cost") == pytest.approx(0, abs=1e-9)
    assert record.pop("algorithm").startswith("scikit-learn's StratifiedGroupKFold")
    slide_numbers = {name: len(of) for name, of in sets.items()}
    group_numbers = slide_numbers | {split.sets["s00"]: slide_numbers[split.sets["s00"]] - 1}
    assert record == {
        "unit": "image",
        "seed": 3,
        "validation_share": 0.2,
        "test_share": 0.2,
        "fold": None,
        "folds": None,
        "published_sides": False,
        "overrides": {},
        "reason": "why",
        "groups": group_numbers,
        "slides": slide_numbers,
        "cells": {name: {"a": 4 * n, "b": 2 * n} for name, n in slide_numbers.items()},
        "lacking": {},
        "sides": sets,
        "near_duplicates": [["00.png", "01.png"]],
        "audit": {"patients": 0, "smears": 0, "groups": 0, "pictures": 0, "near_duplicates": 0},
        "sides_asked": 3,
        "sets_asked": [TRAIN, VALIDATION, TEST],
    }
    assert slide_numbers == {TRAIN: 12, VALIDATION: 4, TEST: 4}
    in_fold = divided(slides, fold=1, folds=4, test_share=0.5).record
    assert (in_fold["fold"], in_fold["folds"], in_fold["test_share"]) == (1, 4, 0.25)
    assert in_fold["slides"][TEST] == 5
    shown = split.to_json()
    assert {name: shown[name] for name in ("seed", "cost", "overrides", "reason")} == {
        "seed": 3,
        "cost": split.record["cost"],
        "overrides": {},
        "reason": "why",
    }
    row = {"class": "a", "train": 48, "validation": 16, "test": 16, "share": 2 / 3}
    assert shown["classes"][0] == pytest.approx(row | {f"{name}_share": 2 / 3 for name in SETS}, abs=1e-9)


def test_what_a_set_lacks_is_recorded() -> None:
    slides = slides_of(4)
    counts = even(slides) | {"s00": {"a": 1, "b": 1, "c": 5}}
    split = divided(slides, counts, validation_share=0, overrides=("few-groups",))
    assert split.record["lacking"] == {name: ["c"] for name in (TRAIN, TEST) if name != split.sets["s00"]}
    assert split.record["sets_asked"] == [TRAIN, TEST]
    assert split.record["overrides"] == {"few-groups": {"c": 1}}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"validation_share": 0.5, "test_share": 0.5}, r"got 0.5 and 0.5, which leave nothing"),
        ({"validation_share": 0.8, "fold": 0, "folds": 5}, r"got 0.8 and 0.2, which leave nothing"),
        ({"fold": 5, "folds": 5}, r"Expected a fold from 0 to 4 \(5 folds\), got 5\."),
    ],
)
def test_shares_of_the_whole_and_folds_that_are_not_there_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(SplitError, match=said):
        divided(slides_of(20), **values)
    ends = {"fold": 4} if values.get("fold") == 5 else {"validation_share": 0.45}
    assert divided(slides_of(20), **values | ends).of(TEST)


def test_a_refusal_names_five_and_counts_the_rest() -> None:
    for number, listed in ((5, r"\(00.png, 01.png, 02.png, 03.png, 04.png\)"), (7, r"04.png and 2 more\)")):
        with pytest.raises(SplitError, match=rf"got {number} slides without one.*{listed}"):
            divided(slides_of(number), by="patient")
    with pytest.raises(SplitError, match="There are no cells to split"):
        divided(slides_of(3), {})
    with pytest.raises(SplitError, match=r"at least 3 images.*only 2 images \(00.png, 01.png\).*leave out a set"):
        divided(slides_of(2))
    with pytest.raises(SplitError, match=r"at least 2 patients.*only one patient \(P\).*test_share=0") as one:
        divided(slides_of(2, patient="P"), validation_share=0)
    assert "leave out a set" in str(one.value)
    with pytest.raises(SplitError, match=r"at least 3 patients.*only one patient \(P\)") as three:
        divided(slides_of(2, patient="P"))
    assert "leave out a set" not in str(three.value)


def test_one_patient_is_divided_by_the_next_finer_unit_that_has_groups_enough() -> None:
    slides = [SlideRecord(id=f"s{n}", name=f"{n}.png", patient="P", smear=f"m{n // 2}") for n in range(8)]
    split = divided(slides, overrides=("single-group",))
    assert split.record["overrides"]["single-group"] == {"groups": ["P"], "divided_by": "smear"}
    assert split.record["audit"] == {"patients": 1, "smears": 0, "groups": 0, "pictures": 0, "near_duplicates": 0}
    by_smear = divided([SlideRecord(id=f"s{n}", name=f"{n}", smear="m") for n in range(4)], overrides=("single-group",))
    assert by_smear.record["overrides"]["single-group"] == {"groups": ["m"], "divided_by": "image"}
    mixed = [*slides, SlideRecord(id="x", name="x.png")]
    assert divided(mixed, by="smear").record["unit"] == "smear, else image"
    assert divided(mixed, by="image").record["unit"] == "image"


def test_an_export_of_too_few_groups_says_which_sets_there_are_not() -> None:
    config = ExportSplitConfig(validation_share=0.2, test_share=0.2)
    said = {}
    for number in (1, 2, 3):
        slides = slides_of(number)
        said[number] = split_for_export(slides, even(slides), config)[1]
    more = "; for one, add slides of another patient."
    assert said == {
        1: ("There is no test and no validation set, since all cells are of one patient or smear" + more,),
        2: ("There is no test set, since all cells are of 2 patients or smears" + more,),
        3: (),
    }
    one_patient = slides_of(4, patient="P")
    split, remarks = split_for_export(
        one_patient, even(one_patient), config.model_copy(update={"overrides": ("single-group",)})
    )
    assert (remarks, split.requested) == ((), SETS)
    assert split.record["overrides"]["single-group"]["divided_by"] == "image"
    alone = slides_of(1)
    split, _ = split_for_export(alone, even(alone), config)
    assert split.algorithm == "everything in the training set, since all cells are of one patient or smear"
    nothing = slides_of(2)
    with pytest.raises(SplitError, match="no cells to split"):
        split_for_export(nothing, {}, config)


def with_sides(*sides: str) -> list[SlideRecord]:
    return [SlideRecord(id=f"s{n:02}", name=f"{n:02}.png", side=side) for n, side in enumerate(sides)]


def test_published_sets_are_completed_only_where_that_is_requested() -> None:
    slides = with_sides(*[TEST] * 4, *[TRAIN] * 16)
    split = divided(slides, validation_share=0.25)
    assert [s.id for s in split.of(TEST)] == [f"s{n:02}" for n in range(4)]
    assert len(split.of(VALIDATION)) == 5, "a quarter of the whole, out of what came as training set"
    assert split.record["published_sides"]
    as_it_came = divided(slides, fill=False)
    assert as_it_came.algorithm == CAME_WITH_DATA
    assert as_it_came.of(VALIDATION) == ()
    some_new = [*slides, *(SlideRecord(id=f"n{n}", name=f"n{n}.png") for n in range(8))]
    kept = divided(some_new, validation_share=0.25, fill=False)
    assert all(s.id.startswith("n") for s in kept.of(VALIDATION))
    assert kept.of(VALIDATION)
    assert kept.algorithm.startswith(f"{CAME_WITH_DATA} where it did; else ")
    assert all(kept.sets[s.id] == s.side for s in slides)
    assert not divided(slides_of(20), fill=False).algorithm.startswith(CAME_WITH_DATA)
    assert not split.algorithm.startswith(CAME_WITH_DATA)
    in_folds = divided(slides, fold=0, folds=5)
    assert not in_folds.record["published_sides"]


def test_sets_that_came_divided_are_refused_or_kept_as_they_came_on_the_record() -> None:
    slides = [
        SlideRecord(id=f"s{n:02}", name=f"{n:02}.png", patient=f"p{n // 2:02}", side=TEST if n < 3 else TRAIN)
        for n in range(24)
    ]
    with pytest.raises(SplitError, match=r"two sets \(1 patient: p01\)"):
        divided(slides)
    split = divided(slides, overrides=("leak",))
    assert (split.sets["s02"], split.sets["s03"]) == (TEST, TRAIN)
    assert split.record["overrides"] == {"leak": ["p01"]}
    assert split.record["audit"]["patients"] == 1


@pytest.mark.parametrize(("news", "most"), [(2, 1), (4, 2), (9, 4)])
def test_of_what_a_model_has_not_seen_half_at_most_is_tested_on(news: int, most: int) -> None:
    slides = slides_of(40 + news)
    olds = {s.id for s in slides[:40]}
    split = divided(slides, known=olds, test_share=0.5, validation_share=0.1)
    tested = {s.id for s in split.of(TEST)}
    assert not tested & olds
    assert most - 1 <= len(tested) <= most + 1
    assert len(tested) <= max(news / 2, 1) + 0.5
    few = divided(slides_of(20), known={"s00"}, test_share=0.2)
    assert len(few.of(TEST)) == 4, "a share of all cells, not of the new ones"


def test_the_only_new_slide_is_tested_on() -> None:
    slides = slides_of(10)
    split = divided(slides, known={s.id for s in slides[1:]}, seed=1)
    assert [s.id for s in split.of(TEST)] == ["s00"]
    assert split.of(VALIDATION)


def test_slides_without_cells_train_unless_shares_are_of_groups() -> None:
    full, empty = slides_of(20), [SlideRecord(id=f"e{n:02}", name=f"e{n:02}.png") for n in range(20)]
    by_cells = divided([*full, *empty], even(full))
    assert {by_cells.sets[s.id] for s in empty} == {TRAIN}
    shares = {"share_of": "groups", "validation_share": 0.1, "test_share": 0.2}
    by_groups = divided([*full, *empty], even(full), **shares)
    assert Counter(by_groups.sets[s.id] for s in empty) == {TRAIN: 14, TEST: 4, VALIDATION: 2}
    assert Counter(by_groups.sets[s.id] for s in full) == {TRAIN: 14, TEST: 4, VALIDATION: 2}
    tested: list[str] = []
    for fold in range(5):
        split = divided([*full, *empty], even(full), share_of="groups", fold=fold, folds=5)
        tested += [s.id for s in split.of(TEST)]
        assert any(split.sets[s.id] == VALIDATION for s in empty)
    assert sorted(tested) == sorted(s.id for s in [*full, *empty])
    assert divided([*full, *empty], even(full), **shares).sets == by_groups.sets
    assert divided([*full, *empty], even(full), seed=1, **shares).sets != by_groups.sets


def test_groups_are_called_after_patient_smear_or_slide_and_numbered_where_names_meet() -> None:
    records = [
        SlideRecord(id="1", name="x", smear="m", patient=""),
        SlideRecord(id="2", name="y", smear="m", patient="P"),
        SlideRecord(id="3", name="z", smear="P"),
        SlideRecord(id="4", name="P"),
        SlideRecord(id="5", name=""),
        SlideRecord(id="6", name="w", fingerprint="f", stem=""),
        SlideRecord(id="7", name="v", fingerprint="f"),
    ]
    groups = slide_groups(records, [("5", "4")])
    assert groups == {"1": "P", "2": "P", "3": "P (2)", "4": "P (3)", "5": "P (3)", "6": "w", "7": "w"}


def test_slides_are_put_in_order_by_what_they_are() -> None:
    rows = [("", "", "c"), ("b", "", "z"), ("", "a", "y"), ("b", "0", "x")]
    slides = [SlideRecord(id=name, name=name, patient=patient, smear=smear) for patient, smear, name in rows]
    assert [s.name for s in in_order(slides)] == ["y", "z", "x", "c"]
    twice = [SlideRecord(id=i, name="n", stem=stem) for i, stem in (("2", "b"), ("1", "b"), ("3", "a"))]
    assert [s.id for s in in_order(twice)] == ["3", "1", "2"]


@pytest.mark.parametrize(
    ("side", "name"),
    [
        ("train", TRAIN),
        ("training", TRAIN),
        ("val", VALIDATION),
        ("valid", VALIDATION),
        ("validation", VALIDATION),
        ("test", TEST),
        ("testing", TEST),
        ("", ""),
        ("holdout", ""),
    ],
)
def test_a_set_is_known_by_its_usual_names(side: str, name: str) -> None:
    assert set_of(side) == name


def test_the_tables_of_a_split_of_nothing_are_empty() -> None:
    assert Split({}, {}, {}, {name: {} for name in SETS}, {}).class_table() == ()
    lone = Split(
        {"1": "x"}, {"1": TRAIN}, {"1": "g"}, {TRAIN: {"a": 1}, VALIDATION: {}, TEST: {}}, {"sets_asked": SETS}
    )
    [row] = lone.class_table()
    assert (row["train_share"], row["test_share"], row["share"]) == (1, 0, 1)
    assert lone.group_table() == {TRAIN: ("g",), VALIDATION: (), TEST: ()}
